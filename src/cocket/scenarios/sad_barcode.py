"""A declaration with bar codes for each desk.

System: Eswatini, Timor-Leste, bar codes of ASYCUDAWorld.

Given: an import declaration (SAD) with signed codes for manifest, declaration, payment, container pass, release and exit.

When: each desk scans its bar code in turn, from the printed picture.

Then: each step is accepted, and only after the one before it.

Twin: the exit code is used at a second gate and blocked, with the first use shown, also when both gates scan at the same moment; a desk
that scans before its turn is refused; a code that was made void stays void.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from cocket.scenarios import papers
from cocket.scenarios.scanner import read
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story

STEPS: Final = ("manifest", "declaration", "payment", "container-pass", "release", "exit")
GATE: Final = "MATSAPHA-OUT-1"
OTHER_GATE: Final = "MATSAPHA-OUT-2"


def play(stage: Stage, story: Story) -> None:
    """All six steps in order."""
    codes = _given(stage, story)
    story.when("each desk scans its bar code, from the picture that was printed")
    _through(stage, story, codes)
    used = stage.get("/codes", mrn=codes["exit"]["mrn"])["items"]
    story.then("all six codes are used up", {c["state"] for c in used}, {"used"})
    scans = stage.get("/scans", mrn=codes["exit"]["mrn"])["items"]
    story.then(
        "the record has the six scans in their order", [s["purpose"] for s in reversed(scans)], list(STEPS)
    )


def second_gate(stage: Stage, story: Story) -> None:
    """The exit code is used at a second gate"""
    codes = _given(stage, story)
    story.when(
        f"all steps are done and the truck left by {GATE}; then the exit code is scanned at {OTHER_GATE}"
    )
    _through(stage, story, codes)
    again = _scan(stage, codes["exit"], OTHER_GATE)
    story.then("it is blocked", again["outcome"], "refused")
    story.refused("the reason is named", again, "already-used")
    story.then(
        "the first use is shown: the gate and who scanned",
        (again["first_use"]["gate"], again["first_use"]["by"]),
        (GATE, "desk-exit"),
    )
    kept = stage.get("/scans", gate=OTHER_GATE, mrn=again["mrn"])["items"]
    story.then("the refused scan is kept", [s["outcome"] for s in kept], ["refused"])


def race(stage: Stage, story: Story) -> None:
    """The exit code is scanned at two gates at the same moment"""
    codes = _given(stage, story)
    for step in STEPS[:-1]:
        _accepted(stage, story, codes, step)
    story.when("two gates send the same exit code at once")
    body = {"code": codes["exit"]["text"]}
    gates = (GATE, OTHER_GATE)
    with ThreadPoolExecutor(2) as threads:
        scans = list(threads.map(lambda g: stage.post("/scans", {**body, "gate": g}, status=201), gates))
    story.then("exactly one is accepted", sorted(s["outcome"] for s in scans), ["accepted", "refused"])
    winner, loser = sorted(scans, key=lambda s: s["outcome"])
    story.refused("the other is told why", loser, "already-used")
    story.then("and by which gate it was used", loser["first_use"]["gate"], winner["gate"])


def out_of_order(stage: Stage, story: Story) -> None:
    """A desk scans before its turn"""
    codes = _given(stage, story)
    story.when("manifest and declaration are scanned, then the release desk scans though nothing was paid")
    for step in STEPS[:2]:
        _accepted(stage, story, codes, step)
    early = _scan(stage, codes["release"], None)
    story.then("it is refused", early["outcome"], "refused")
    story.refused("the reason is named", early, "out-of-order")
    story.then(
        "the release code is not used up", stage.get(f"/codes/{codes['release']['id']}")["state"], "valid"
    )
    for step in STEPS[2:]:
        _accepted(stage, story, codes, step)


def void(stage: Stage, story: Story) -> None:
    """A code was made void before it was scanned"""
    codes = _given(stage, story)
    story.when("the paper is lost, its manifest code is made void, and somebody scans the lost paper")
    stage.post(f"/codes/{codes['manifest']['id']}/void", {"reason": "the paper was lost"})
    late = _scan(stage, codes["manifest"], None)
    story.then("it is refused", late["outcome"], "refused")
    story.refused("the reason is named", late, "void")


TWINS: Final = (second_gate, race, out_of_order, void)


def _given(stage: Stage, story: Story) -> dict[str, Any]:
    number = stage.number()
    container = stage.container()
    document = papers.sad("MAT01", number, 2026, container, stage.plate("HSD"), f"MAT01 2026 {number}")
    taken = stage.document(document, "asycuda-sad")
    story.look = f"/documents/{taken['id']}"
    whole = stage.get(f"/documents/{taken['id']}")
    equipment = [e["id"] for c in whole["consignments"] for e in c["equipment"]]
    story.given(f"declaration {taken['reference']} is read with its container", equipment, [container])
    codes = {}
    for step in STEPS:
        own = {"equipment_id": container} if step in {"container-pass", "exit"} else {}
        codes[step] = stage.post("/codes", {"purpose": step, "mrn": taken["reference"], **own}, status=201)
    story.given("an import declaration with six signed codes, one for each desk")
    return codes


def _through(stage: Stage, story: Story, codes: dict[str, Any]) -> None:
    for step in STEPS:
        _accepted(stage, story, codes, step)


def _accepted(stage: Stage, story: Story, codes: dict[str, Any], step: str) -> None:
    scan = _scan(stage, codes[step], GATE if step == "exit" else None)
    story.then(f"{step} is accepted", (scan["outcome"], scan["purpose"]), ("accepted", step))


def _scan(stage: Stage, code: dict[str, Any], gate: str | None) -> Any:
    """From the printed bars, as a hand scanner reads them."""
    text = read(stage.get(f"/codes/{code['id']}/barcode.png"))
    body = {"code": text, "by": f"desk-{code['purpose']}"}
    return stage.post("/scans", body if gate is None else {**body, "gate": gate}, status=201)
