"""Acquittal of a transit by the QR code on its paper.

System: Zambia, online acquittal by QR.

Given: an arrived transit under an armed e-seal, with a clean trip, its exit read at the gate, and a signed QR code on its paper.

When: an officer scans the code from the paper.

Then: the transit is discharged, its guarantee is released, and the acquittal is recorded with the scan.

Twin: an open seal alert, no exit read, a code that was used, a code that was forged: each is refused, the reason is named, and a guarantee that was
reserved stays reserved.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cocket.core.clock import US
from cocket.customs.codes.claims import Code
from cocket.customs.codes.signing import CODE_PREFIX, sign
from cocket.scenarios import sealed_trip
from cocket.scenarios.eseal import ESeal, between
from cocket.scenarios.scanner import read
from cocket.scenarios.sealed_trip import SealedTrip
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story

START: Final = (-12.366, 27.828)
"""Chililabombwe."""
BORDER: Final = (-12.265, 27.795)
"""Kasumbalesa, about 12 km on."""
FROM: Final = "ZMCHL001"
TO: Final = "ZMKAS001"
GATE: Final = "KASUMBALESA-OUT"


def play(stage: Stage, story: Story) -> None:
    """Discharged, and the money is free."""
    with ESeal(stage) as seal:
        trip, text = _given(stage, story, seal)
        _leave(stage, story, trip)
        story.when("an officer scans the code from the printed paper")
        scan = stage.post("/scans", {"code": text, "by": "officer-mwila", "office": TO}, status=201)
        story.then("the scan is accepted", (scan["outcome"], scan["reasons"]), ("accepted", []))
        story.then("the transit is discharged", scan["state"], "discharged")
        story.then("its guarantee is released", trip.money(), ("released", "0.00"))
        told = [e for e in stage.get("/feed", mrn=trip.mrn, limit=200)["items"] if e["event"] == "discharge"]
        story.then(
            "the acquittal is recorded once, with who and by which scan",
            [(e["by"], e["details"]["scan"], e["details"]["ground"]) for e in told],
            [("officer-mwila", scan["id"], "clean-trip report")],
        )
        seals = stage.get(f"/seals/{trip.seal.id}")
        story.then("the e-seal is off the movement", (seals["state"], seals["mrn"]), ("disarmed", None))


def open_seal_alert(stage: Stage, story: Story) -> None:
    """A seal alert is open"""
    with ESeal(stage) as seal:
        trip, text = _given(stage, story, seal)
        _leave(stage, story, trip)
        story.when("the rope is cut behind the gate, and an officer scans the code")
        seal.report(BORDER, stage.now(), rope_cut=True, speed_mps=0.0)
        stage.until("a seal alert", lambda: [a for a in stage.alerts(trip.mrn) if a["code"] == "seal-cut"])
        _refused(stage, story, trip, text, "open-seal-alert")


def no_exit_read(stage: Stage, story: Story) -> None:
    """No gate has read the exit"""
    with ESeal(stage) as seal:
        trip, text = _given(stage, story, seal)
        story.when("an officer scans the code though the truck was not read on its way out")
        _refused(stage, story, trip, text, "no-exit-read")


def used(stage: Stage, story: Story) -> None:
    """The code was used before"""
    with ESeal(stage) as seal:
        trip, text = _given(stage, story, seal)
        _leave(stage, story, trip)
        stage.post(
            "/scans", {"code": text, "by": "officer-mwila", "office": TO, "gate": "DESK-1"}, status=201
        )
        story.when("the code was scanned, and a copy of the paper is scanned at another desk")
        again = stage.post("/scans", {"code": text, "by": "officer-banda", "gate": "DESK-2"}, status=201)
        story.then("it is refused", again["outcome"], "refused")
        story.refused("the reason is named", again, "already-used")
        story.then(
            "the first use is shown",
            (again["first_use"]["by"], again["first_use"]["gate"]),
            ("officer-mwila", "DESK-1"),
        )
        events = [e["event"] for e in stage.get("/feed", mrn=trip.mrn, limit=200)["items"]]
        story.then(
            "it was discharged and its guarantee released once",
            (events.count("discharge"), events.count("release")),
            (1, 2),
        )


def forged(stage: Stage, story: Story) -> None:
    """The code was forged"""
    with ESeal(stage) as seal:
        trip, text = _given(stage, story, seal)
        _leave(stage, story, trip)
        story.when("somebody signs the same claims with a key of their own, and another alters a true code")
        now = stage.now()
        claims = Code("transit", trip.mrn, None, None, now - 60 * US, now + 3600 * US, 4711)
        _refused(stage, story, trip, sign(claims, Ed25519PrivateKey.generate()), "wrong-key")
        _refused(stage, story, trip, _altered(text), "forged")
        true = stage.post("/scans", {"code": text, "by": "officer-mwila"}, status=201)
        story.then(
            "the true code still acquits it", (true["outcome"], true["state"]), ("accepted", "discharged")
        )


TWINS: Final = (open_seal_alert, no_exit_read, used, forged)


def _given(stage: Stage, story: Story, seal: ESeal) -> tuple[SealedTrip, str]:
    """An arrived transit, and what the QR code on its paper says."""
    sealed_trip.offices(stage, (FROM, "Chililabombwe", START), (TO, "Kasumbalesa", BORDER))
    sealed_trip.zone(stage, "chililabombwe", "departure", sealed_trip.around(START))
    gate = {
        "name": "Kasumbalesa, way out",
        "office": TO,
        "kind": "exit",
        "lat_deg": BORDER[0],
        "lon_deg": BORDER[1],
    }
    stage.put(f"/gates/{GATE}", gate)
    paper = sealed_trip.paper(
        stage,
        "ZM",
        departure=FROM,
        destination=TO,
        route=("ZM", "CD"),
        plate=stage.plate("BAD"),
        country="ZM",
    )
    trip = SealedTrip(stage, paper, seal, START)
    story.look = f"/movements/{trip.mrn}"
    trip.declare()
    trip.under_way()
    trip.drive(between(START, BORDER, 12))
    arrived = trip.arrive()
    story.given(f"transit {trip.mrn} is {arrived['state']}, its e-seal {seal.id} was closed all the way")
    stage.settled()
    report = stage.get(f"/movements/{trip.mrn}/clean-trip")
    story.given("its trip was clean", (report["clean"], report["reasons"]), (True, []))
    story.given("its guarantee is reserved", trip.money(), ("reserved", sealed_trip.AMOUNT))
    code = stage.post("/codes", {"purpose": "transit", "mrn": trip.mrn}, status=201)
    text = read(stage.get(f"/codes/{code['id']}/qr.png"))
    story.given(f"its paper has a signed code of {len(text)} characters")
    return trip, text


def _leave(stage: Stage, story: Story, trip: SealedTrip) -> None:
    """The gate reads it on its way out: plate and the seal's position say the same."""
    trip.seal.report(BORDER, stage.now(), speed_mps=1.0)
    read_by_camera = {"plate": trip.paper.plate, "plate_confidence": 0.97, "direction": "out"}
    passage = stage.post(f"/gates/{GATE}/arrivals", read_by_camera, status=201)
    story.given("the gate reads its exit and opens", (passage["decision"], passage["reasons"]), ("open", []))


def _refused(stage: Stage, story: Story, trip: SealedTrip, text: str, rule: str) -> None:
    scan = stage.post("/scans", {"code": text, "by": "officer-mwila", "office": TO}, status=201)
    story.then("the scan is refused", scan["outcome"], "refused")
    story.refused("the reason is named", scan, rule)
    story.then("the transit is still not discharged", stage.get(f"/movements/{trip.mrn}")["state"], "arrived")
    story.then("its guarantee stays reserved", trip.money(), ("reserved", sealed_trip.AMOUNT))


def _altered(text: str) -> str:
    """A true code with two pairs of its signature's bytes exchanged."""
    body = text.removeprefix(CODE_PREFIX)
    groups = [body[i : i + 3] for i in range(0, len(body), 3)]
    groups[-3], groups[-2] = groups[-2], groups[-3]
    return CODE_PREFIX + "".join(groups)
