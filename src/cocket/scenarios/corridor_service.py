"""A border that is crossed without stopping.

System: Corridor as a Service (automated crossing), Norway Digitoll.

Given: an advance declaration that was risk-cleared, and a truck with a tracker that is declared to carry it.

When: the camera reads the plate and the tracker reports from the crossing.

Then: both say the same, the signal is green, the exit is read, and the goods are released by it.

Twin: the plate cannot be read; plate and tracker disagree; the tracker is silent; a control was ordered: red, and to the desk.
"""

from __future__ import annotations

import time
from typing import Any, Final

from cocket.scenarios import sealed_trip
from cocket.scenarios.papers import Transit, cc015c, cc028c
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story
from cocket.scenarios.vehicles import Camera, Tracker

GATE: Final = "ORJE-LANE-1"
CROSSING: Final = (59.4836, 11.6534)
"""Ørje, Norway."""
ELSEWHERE: Final = (59.4290, 11.5160)
"""About ten kilometres off."""
FROM: Final = "NOORJ001"
TO: Final = "SEHAN001"
PROMISED_S: Final = 2.0
ASKED_S: Final = 10.0


def play(stage: Stage, story: Story) -> None:
    """Green, and released by the exit read."""
    paper, tracker = _given(stage, story)
    story.when("the truck rolls through: camera and tracker report")
    began = time.monotonic()
    tracker.at(CROSSING)
    passage = _crosses(stage, paper, 0.97)
    story.within("from the first report to the signal", time.monotonic() - began, ASKED_S, PROMISED_S)
    story.then(
        "the signal is green",
        (passage["signal"], passage["decision"], passage["reasons"]),
        ("green", "open", []),
    )
    story.then("plate and tracker say the same", passage["position"]["device_id"], tracker.id)
    events = [e["event"] for e in stage.get(f"/movements/{paper.mrn}/events")["items"]]
    story.then("the exit read releases the goods, and they depart", events[-2:], ["release", "depart"])
    movement = stage.get(f"/movements/{paper.mrn}")
    story.then("the movement has departed", movement["state"], "departed")
    again = _crosses(stage, paper, 0.97)
    story.then("the same vehicle does not leave twice", again["signal"], "red")
    story.refused("the reason is named", again, "already-left")


def unreadable_plate(stage: Stage, story: Story) -> None:
    """The plate cannot be read"""
    paper, tracker = _given(stage, story)
    story.when("the plate is covered with snow, the tracker reports from the crossing")
    tracker.at(CROSSING)
    _red(stage, story, paper, _crosses(stage, paper, 0.3), "unreadable-plate")


def disagree(stage: Stage, story: Story) -> None:
    """Plate and tracker disagree"""
    paper, tracker = _given(stage, story)
    story.when("a truck with this plate stands at the crossing, its tracker reports from ten kilometres away")
    tracker.at(ELSEWHERE)
    _red(stage, story, paper, _crosses(stage, paper, 0.97), "plate-and-position-disagree")


def silent(stage: Stage, story: Story) -> None:
    """The tracker is silent"""
    paper, _ = _given(stage, story)
    story.when("the plate is read, and no position comes")
    _red(stage, story, paper, _crosses(stage, paper, 0.97), "no-position")


def control(stage: Stage, story: Story) -> None:
    """A control was ordered instead of none"""
    paper, tracker = _given(stage, story, control="examination")
    story.when("plate and tracker both identify it")
    tracker.at(CROSSING)
    _red(stage, story, paper, _crosses(stage, paper, 0.97), "control-ordered")


TWINS: Final = (unreadable_plate, disagree, silent, control)


def _given(stage: Stage, story: Story, *, control: str = "none") -> tuple[Transit, Tracker]:
    sealed_trip.offices(stage, (FROM, "Ørje", CROSSING), (TO, "Hån", (59.4819, 11.7256)))
    gate = {
        "name": "Ørje, lane 1",
        "office": FROM,
        "kind": "border",
        "lat_deg": CROSSING[0],
        "lon_deg": CROSSING[1],
    }
    stage.put(f"/gates/{GATE}", gate)
    paper = sealed_trip.paper(
        stage,
        "NO",
        departure=FROM,
        destination=TO,
        route=("NO", "SE"),
        plate=stage.plate("EK"),
        country="NO",
        currency="NOK",
    )
    stage.put(
        f"/guarantees/{paper.grn}",
        {
            "holder": "made up",
            "type": "comprehensive",
            "amount": sealed_trip.HELD,
            "currency": paper.currency,
            "valid_from": None,
            "valid_to": None,
        },
    )
    story.look = f"/movements/{paper.mrn}"
    at = stage.ago(3600)
    stage.document(cc015c(paper, at), "cc015c")
    stage.document(cc028c(paper, at), "cc028c")
    reserve: dict[str, Any] = {"grn": paper.grn, "amount": paper.amount, "currency": paper.currency}
    stage.event(paper.mrn, "reserve-guarantee", at=stage.ago(1800), by="system", **reserve)
    decided = stage.event(paper.mrn, "decide-control", at=stage.ago(1700), by="risk-engine", control=control)
    tracker = Tracker(stage)
    transport = {"plate": paper.plate, "device_id": tracker.id, "mrns": [paper.mrn]}
    stage.put(f"/transports/{stage.name('TRK')}", transport)
    story.given(
        f"{paper.mrn} was declared in advance; control decided: {control}",
        decided["state"],
        "control-decided",
    )
    story.given(f"truck {paper.plate} with tracker {tracker.id} is declared to carry it")
    return paper, tracker


def _crosses(stage: Stage, paper: Transit, confidence: float) -> Any:
    read = Camera(stage, "CAM-ORJE-1").reads(paper.plate, confidence)
    return stage.post(f"/gates/{GATE}/arrivals", read.arrival("out"), status=201, params={"by": "lane-1"})


def _red(stage: Stage, story: Story, paper: Transit, passage: Any, rule: str) -> None:
    story.then(
        "the signal is red, and the truck is sent to the desk",
        (passage["signal"], passage["decision"]),
        ("red", "desk"),
    )
    story.refused("the reason is named", passage, rule)
    story.then("nothing was released", stage.get(f"/movements/{paper.mrn}")["state"], "control-decided")
