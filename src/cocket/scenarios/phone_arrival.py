"""A phone in the cab that lets declarations bind at the border, and keeps the rest of the way private.

System: Switzerland (Activ, Periodic), geofence and telematics.

Given: a transport declaration that is linked to two released goods declarations, a phone in the cab, and zones for tracking, activation and confirmation.

When: the phone comes from outside, passes the tracking zone, and enters the activation zone.

Then: both declarations bind, green is shown in the cab, and no position outside the zones is stored.

Twin: the journey is linked to no declaration, or to one that was invalidated: red, to the desk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import US, rfc3339
from cocket.scenarios import sealed_trip
from cocket.scenarios.papers import cc029c
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story

HOME: Final = (47.7200, 7.5600)
TRACKED: Final = (47.6050, 7.6010)
POST: Final = (47.5915, 7.5985)
"""Basel/Weil am Rhein, motorway post."""
BEHIND: Final = (47.5740, 7.5950)
INLAND: Final = (47.4000, 7.8000)
TRACKING: Final = (47.594, 7.585, 47.615, 7.615)
ACTIVATION: Final = (47.588, 7.585, 47.594, 7.615)
CONFIRMATION: Final = (47.570, 7.585, 47.578, 7.605)


@dataclass(frozen=True, slots=True)
class Cab:
    """A transport and its phone; ``mrns``: what it carries."""

    stage: Stage
    transport: str
    phone: str
    mrns: tuple[str, ...]

    def at(self, place: tuple[float, float], seconds_ago: int) -> Any:
        """The phone tells where it is; gives what is shown in the cab."""
        body = {"lat_deg": place[0], "lon_deg": place[1], "at": rfc3339(self.stage.ago(seconds_ago))}
        return self.stage.post(f"/transports/{self.transport}/positions", body)

    def kept(self) -> list[tuple[float, float]]:
        """Every position that is stored of the phone, through the track of what it carries."""
        places = []
        for feature in self.stage.get(f"/movements/{self.mrns[0]}/track")["features"]:
            if feature["geometry"] is not None:
                shape = feature["geometry"]["coordinates"]
                line = shape if isinstance(shape[0], list) else [shape]
                places += [(round(p[1], 4), round(p[0], 4)) for p in line]
        return list(dict.fromkeys(places))


def play(stage: Stage, story: Story) -> None:
    """Green, and nothing stored outside."""
    cab = _given(stage, story)
    before = stage.get("/stats")["observations"]
    story.when("the phone reports from home, 15 km before the border")
    home = cab.at(HOME, 1200)
    story.then(
        "the cab is told that this is kept nowhere",
        (home["zone"], home["signal"], home["stored"]),
        (None, None, False),
    )
    story.then("no observation was stored", stage.get("/stats")["observations"] - before, 0)
    story.when("it drives through the tracking zone into the activation zone")
    tracked = cab.at(TRACKED, 220)
    story.then(
        "tracking says to drive on",
        (tracked["zone_kind"], tracked["signal"], tracked["stored"]),
        ("tracking", None, True),
    )
    active = cab.at(POST, 130)
    story.then(
        "both declarations bind",
        (active["zone_kind"], sorted(active["activated"])),
        ("activation", sorted(cab.mrns)),
    )
    story.then(
        "green is shown in the cab", (active["signal"], active["says"].split(".")[0]), ("green", "Green")
    )
    again = cab.at(POST, 120)
    story.then("a second report there binds nothing twice", again["signal"], "green")
    for mrn in cab.mrns:
        bound = [e for e in stage.get(f"/movements/{mrn}/events")["items"] if "activation" in e["details"]]
        story.then(
            f"the record of {mrn} has it once, by the phone",
            [(e["event"], e["details"]["activation"]["device_id"]) for e in bound],
            [("note", cab.phone)],
        )
    story.when("it passes the confirmation zone and drives inland")
    confirmed = cab.at(BEHIND, 10)
    story.then(
        "the passage is confirmed", (confirmed["zone_kind"], confirmed["signal"]), ("confirmation", "green")
    )
    story.then("inland it is kept nowhere again", cab.at(INLAND, 0)["stored"], False)
    stage.settled()
    story.then("of the whole way only what lay in the zones is stored", cab.kept(), [TRACKED, POST, BEHIND])
    stored = stage.get("/stats")["observations"] - before
    story.then("which is four reports of the six", stored, 4)


def unlinked(stage: Stage, story: Story) -> None:
    """The journey is linked to no declaration"""
    cab = _given(stage, story, linked=False)
    story.when("the phone enters the activation zone")
    shown = cab.at(POST, 10)
    _red(story, shown)
    story.then("nothing was bound", shown["activated"], [])


def invalidated(stage: Stage, story: Story) -> None:
    """One of the declarations was invalidated"""
    cab = _given(stage, story)
    stage.event(cab.mrns[1], "cancel", by="risk-desk", reason="invalidated by its declarant")
    story.when("one of the two was invalidated, and the phone enters the activation zone")
    shown = cab.at(POST, 10)
    _red(story, shown)
    story.then("the driver is told no reason, officers are", "cancel" in shown["says"], False)
    passages = stage.get(f"/transports/{cab.transport}")["passages"]
    story.then("the valid declaration was bound all the same", [p["mrn"] for p in passages], [cab.mrns[0]])


TWINS: Final = (unlinked, invalidated)


def _given(stage: Stage, story: Story, *, linked: bool = True) -> Cab:
    for name, kind, box in (
        ("weil-tracking", "tracking", TRACKING),
        ("weil-activation", "activation", ACTIVATION),
        ("weil-confirmation", "confirmation", CONFIRMATION),
    ):
        sealed_trip.zone(stage, name, kind, box)
    mrns = tuple(_released(stage) for _ in range(2))
    story.look = f"/movements/{mrns[0]}"
    phone, transport, plate = stage.name("PHONE"), stage.name("TRANSPORT"), stage.plate("BS")
    stage.put(f"/devices/{phone}", {"class": "phone"})
    binding = {
        "device_id": phone,
        "equipment_id": plate,
        "mrn": mrns[0],
        "from": rfc3339(stage.ago(3600)),
        "to": None,
    }
    stage.post("/bindings", binding, status=201)
    declared = {"plate": plate, "device_id": phone, "mrns": list(mrns) if linked else []}
    stage.put(f"/transports/{transport}", declared)
    story.given(
        f"transport {transport} with phone {phone} carries {', '.join(declared['mrns']) or 'nothing that is declared'}"
    )
    return Cab(stage, transport, phone, mrns)


def _released(stage: Stage) -> str:
    """A declaration that was released."""
    sealed_trip.offices(stage, ("DEWEI001", "Weil am Rhein", POST), ("CHBAS001", "Basel", BEHIND))
    paper = sealed_trip.paper(
        stage, "DE", departure="DEWEI001", destination="CHBAS001", route=("DE", "CH"), currency="CHF"
    )
    stage.document(cc029c(paper, stage.now() - 3600 * US), "cc029c")
    return paper.mrn


def _red(story: Story, shown: Any) -> None:
    story.then("red is shown in the cab", (shown["zone_kind"], shown["signal"]), ("activation", "red"))
    story.then("the driver is sent to the desk", "desk" in shown["says"])
