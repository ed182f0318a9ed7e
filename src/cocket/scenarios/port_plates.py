"""A port gate that knows the truck by its plate.

System: Chile, plate readers at port gates.

Given: an import declaration with a container pass, a booking of the terminal, and a truck that is announced with its plate.

When: the truck arrives, and the camera at the gate reads its plate.

Then: declaration, booking and container pass are joined before the barrier, the barrier opens, and the pass is used up.

Twin: no pass was issued; the pass was used before; the plate cannot be read; plate and container belong to different declarations: the
truck is held, and the reason is named.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from cocket.scenarios import papers
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story
from cocket.scenarios.vehicles import Camera

GATE: Final = "SAN-ANTONIO-IN-3"
OTHER_GATE: Final = "SAN-ANTONIO-IN-4"
PROMISED_S: Final = 0.05
ASKED_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Announced:
    """A truck with its papers."""

    plate: str
    container: str
    declaration: str
    booking: str
    coprar: str
    passes: tuple[Any, ...]


def play(stage: Stage, story: Story) -> None:
    """All joined before the barrier."""
    truck = _given(stage, story)
    read = Camera(stage, "CAM-SAI-3").reads(truck.plate, 0.96)
    story.given(f"the camera reads {read.plate}", read.plate, "".join(truck.plate.split()))
    story.when("the truck stands before the barrier")
    began = time.monotonic()
    passage = _arrives(stage, read.arrival("in", container_ids=[truck.container]))
    story.within("the gate decided", time.monotonic() - began, ASKED_S, PROMISED_S)
    story.then(
        "its declaration is joined", [d["reference"] for d in passage["declarations"]], [truck.declaration]
    )
    bookings = [(b["kind"], b["reference"]) for b in passage["bookings"]]
    story.holds("its booking is joined", bookings, [("coprar", truck.booking)])
    story.then(
        "its container pass is joined", [p["code_id"] for p in passage["passes"]], [truck.passes[0]["id"]]
    )
    story.then(
        "the barrier opens",
        (passage["decision"], passage["signal"], passage["reasons"]),
        ("open", "green", []),
    )
    used = stage.get(f"/codes/{truck.passes[0]['id']}")
    story.then(
        "the pass is used up, at this gate", (used["state"], used["first_use"]["gate"]), ("used", GATE)
    )
    kept = stage.get(f"/gates/{GATE}/arrivals", limit=1)["items"][0]
    story.then(
        "the arrival is kept with its decision", (kept["id"], kept["decision"]), (passage["id"], "open")
    )


def no_pass(stage: Stage, story: Story) -> None:
    """No container pass was issued"""
    truck = _given(stage, story, passed=False)
    story.when("the truck stands before the barrier")
    passage = _arrives(
        stage,
        Camera(stage, "CAM-SAI-3").reads(truck.plate, 0.96).arrival("in", container_ids=[truck.container]),
    )
    _held(story, passage, "no-pass")
    story.then(
        "its declaration was joined all the same",
        [d["reference"] for d in passage["declarations"]],
        [truck.declaration],
    )


def pass_used(stage: Stage, story: Story) -> None:
    """The pass was used at another gate"""
    truck = _given(stage, story)
    arrival = (
        Camera(stage, "CAM-SAI-3").reads(truck.plate, 0.96).arrival("in", container_ids=[truck.container])
    )
    first = _arrives(stage, arrival, OTHER_GATE)
    story.given(f"a truck with this plate and container went in at {OTHER_GATE}", first["decision"], "open")
    story.when(f"another with the same plate and container stands at {GATE}")
    passage = _arrives(stage, arrival)
    _held(story, passage, "pass-used")
    story.then("the first use is named", OTHER_GATE in str(passage["reasons"]))


def unreadable_plate(stage: Stage, story: Story) -> None:
    """The plate cannot be read"""
    truck = _given(stage, story)
    read = Camera(stage, "CAM-SAI-3").reads(truck.plate, 0.41)
    story.when(
        f"the truck stands before the barrier, and the camera is {read.confidence:g} sure of its plate"
    )
    passage = _arrives(stage, read.arrival("in", container_ids=[truck.container]))
    _held(story, passage, "unreadable-plate")
    story.then("its pass is not used up", stage.get(f"/codes/{truck.passes[0]['id']}")["state"], "valid")


def other_container(stage: Stage, story: Story) -> None:
    """The truck carries the container of another declaration"""
    truck, other = _given(stage, story), _given(stage, story)
    story.when("the truck of the first declaration brings the container of the second")
    read = Camera(stage, "CAM-SAI-3").reads(truck.plate, 0.96)
    passage = _arrives(stage, read.arrival("in", container_ids=[other.container]))
    story.then("the barrier stays shut", passage["signal"], "red")
    story.refused("the reason is named", passage, "plate-and-container-disagree")
    states = [stage.get(f"/codes/{p['id']}")["state"] for p in (*truck.passes, *other.passes)]
    story.then("neither pass is used up", states, ["valid", "valid"])


TWINS: Final = (no_pass, pass_used, unreadable_plate, other_container)


def _given(stage: Stage, story: Story, *, passed: bool = True) -> Announced:
    for gate in (GATE, OTHER_GATE):
        stage.put(f"/gates/{gate}", {"name": gate, "kind": "port"})
    number, container, plate = stage.number(), stage.container(), stage.plate("HJKL")
    booking = stage.name("BK")
    declaration = stage.document(
        papers.sad("SAI01", number, 2026, container, plate, f"SAI01 2026 {number}"), "asycuda-sad"
    )
    story.look = f"/documents/{declaration['id']}"
    order = papers.coprar(stage.number(), booking, [container])
    coprar = stage.document(order, "coprar", media_type="application/edifact", by="terminal")
    stage.put(
        f"/transports/{stage.name('TRK')}",
        {"plate": plate, "mrns": [declaration["reference"]], "booking": booking},
    )
    body = {"purpose": "container-pass", "mrn": declaration["reference"], "equipment_id": container}
    passes = (stage.post("/codes", body, status=201),) if passed else ()
    story.given(
        f"truck {plate} is announced with container {container} under booking {booking}, {len(passes)} pass issued"
    )
    return Announced(plate, container, declaration["reference"], booking, coprar["id"], passes)


def _arrives(stage: Stage, arrival: dict[str, Any], gate: str = GATE) -> Any:
    return stage.post(f"/gates/{gate}/arrivals", arrival, status=201, params={"by": "gate-system"})


def _held(story: Story, passage: Any, rule: str) -> None:
    story.then("the truck is held", (passage["decision"], passage["signal"]), ("hold", "red"))
    story.refused("the reason is named", passage, rule)
