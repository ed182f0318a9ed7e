"""A transit through three countries, of which each hears what happens on the way.

System: Argentina ISTA, Mercosur SINTIA, seals of the Eurasian Economic Union.

Given: an e-seal bound to one operation, with an authorised route from Brazil through Argentina to Chile.

When: the truck has an accident in Argentina.

Then: each country on the route finds the accident in its feed, the carrier's agent answers, the goods go on by another truck, and the record is
complete: place, photo, answer, transhipment, and what was known when; it goes out as an NCTS message.

Twin: the seal is bound to a second open operation, by hand or by a declaration: refused, and the operation that it is on is named.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from cocket.core.clock import rfc3339
from cocket.scenarios import papers, sealed_trip
from cocket.scenarios.eseal import ESeal, between
from cocket.scenarios.sealed_trip import SealedTrip
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story

START: Final = (-29.755, -57.089)
"""Uruguaiana; Paso de los Libres lies across the bridge."""
ACCIDENT: Final = (-29.722, -57.180)
OFFICES: Final = (
    ("BRURU001", "Uruguaiana", START),
    ("ARPLI001", "Paso de los Libres", (-29.713, -57.088)),
    ("CLLOA001", "Los Andes", (-32.834, -70.598)),
)
ROUTE: Final = ("BR", "AR", "CL")
PHOTO: Final = b"\xff\xd8\xff\xe0" + b"a photo of the accident, made up" + b"\xff\xd9"


def play(stage: Stage, story: Story) -> None:
    """Everybody on the route is told, and the record is complete."""
    with ESeal(stage) as seal:
        trip = _given(stage, story, seal)
        mrn = trip.mrn
        before_us = stage.exactly()
        seen = {country: _newest(stage, country) for country in ROUTE}
        story.when("the truck has an accident, and Argentine customs record it with place and photo")
        seal.report(ACCIDENT, stage.ago(60), speed_mps=0.0)
        photo = stage.call(
            "POST",
            f"/movements/{mrn}/evidence",
            status=201,
            content=PHOTO,
            headers={"content-type": "image/jpeg"},
            params={"by": "AR-customs"},
        )
        accident: dict[str, Any] = {
            "kind": "accident",
            "lat_deg": ACCIDENT[0],
            "lon_deg": ACCIDENT[1],
            "country": "AR",
            "evidence": [photo["id"]],
        }
        told = stage.event(
            mrn,
            "report-incident",
            by="AR-customs",
            office="ARPLI001",
            reason="trailer overturned on route 14, nobody hurt",
            **accident,
        )
        story.then("the transit stands at an incident", told["state"], "incident")
        for country in ROUTE:
            fed = stage.get("/feed", after=seen[country], country=country, limit=500)["items"]
            news = [e["details"]["kind"] for e in fed if e["mrn"] == mrn and e["event"] == "report-incident"]
            story.then(f"{country} finds the accident in its feed", news, ["accident"])
        others = stage.get("/feed", country="UY", limit=500)["items"]
        story.then("a country that is not on the route does not", [e for e in others if e["mrn"] == mrn], [])
        _goes_on(stage, story, trip)
        _complete(stage, story, trip, photo["id"], rfc3339(before_us))


def second_operation(stage: Stage, story: Story) -> None:
    """The seal is bound to a second open operation"""
    with ESeal(stage) as seal:
        trip = _given(stage, story, seal)
        other = SealedTrip(stage, _paper(stage), seal, START)
        other.declare()
        other.guarantee()
        story.when("a sealing officer puts the same seal on the container of a second operation")
        problem = other.put_on(status=409)
        story.refused("it is refused", problem, "seal-bound")
        story.then("the operation that it is on is named", trip.mrn in problem["errors"][0]["detail"])
        story.then(
            "the second operation is not sealed",
            stage.get(f"/movements/{other.mrn}")["state"],
            "control-decided",
        )
        story.when("a release message names the same seal for a third operation")
        third = _paper(stage, seals=(seal.id,))
        answer = stage.answer(
            "POST",
            "/documents",
            content=papers.cc029c(third, stage.ago(60)),
            headers={"content-type": "application/xml"},
        )
        story.then("the document is refused", answer.status_code, 422)
        story.refused("for the same reason", answer.json(), "seal-bound")
        story.then("and the operation is named", trip.mrn in answer.json()["errors"][0]["detail"])
        story.then(
            "the path of the seal in the document is named", "Seal" in answer.json()["errors"][0]["path"]
        )
        seal_now = stage.get(f"/seals/{seal.id}")
        story.then("the seal is where it was", (seal_now["mrn"], seal_now["state"]), (trip.mrn, "armed"))


TWINS: Final = (second_operation,)


def _paper(stage: Stage, **values: Any) -> papers.Transit:
    return sealed_trip.paper(
        stage,
        "BR",
        departure="BRURU001",
        destination="CLLOA001",
        transit_offices=("ARPLI001",),
        route=ROUTE,
        plate=stage.plate("IXF"),
        country="BR",
        **values,
    )


def _given(stage: Stage, story: Story, seal: ESeal) -> SealedTrip:
    sealed_trip.offices(stage, *OFFICES)
    sealed_trip.zone(stage, "uruguaiana", "departure", sealed_trip.around(START))
    trip = SealedTrip(stage, _paper(stage), seal, START)
    story.look = f"/movements/{trip.mrn}"
    trip.declare()
    trip.under_way()
    trip.drive(between(START, ACCIDENT, 10), last_s=120)
    movement = stage.get(f"/movements/{trip.mrn}")
    story.given(f"transit {trip.mrn} is on its way under e-seal {seal.id}", movement["state"], "en-route")
    story.given(f"its authorised route goes through {', '.join(ROUTE)}", movement["countries"], list(ROUTE))
    return trip


def _newest(stage: Stage, country: str) -> int:
    """Where a country's own system has read its feed to."""
    at = 0
    while True:
        page = stage.get("/feed", after=at, country=country, limit=500)
        if page["next"] is None or page["next"] == at or not page["items"]:
            return page["next"] or at
        at = page["next"]


def _goes_on(stage: Stage, story: Story, trip: SealedTrip) -> None:
    story.when("the carrier's agent answers, the trailer goes on behind another tractor")
    stage.event(
        trip.mrn, "answer", by="agent-fronteira", reason="a second tractor comes from Uruguaiana in two hours"
    )
    stage.event(
        trip.mrn,
        "tranship",
        by="AR-customs",
        office="ARPLI001",
        reason="new tractor",
        means_id="AE123CD",
        nationality="AR",
    )
    done = stage.event(
        trip.mrn, "resolve-incident", by="AR-customs", office="ARPLI001", reason="seal intact, goes on"
    )
    story.then("the transit is on its way again", done["state"], "en-route")


def _complete(stage: Stage, story: Story, trip: SealedTrip, photo: str, before: str) -> None:
    movement = stage.get(f"/movements/{trip.mrn}")
    incident = movement["incidents"][0]
    story.then(
        "the record says what happened and where, by whom",
        (incident["kind"], incident["country"], incident["by"]),
        ("accident", "AR", "AR-customs"),
    )
    story.then(
        "that the agent answered and the goods were transhipped",
        [a["event"] for a in incident["answers"]],
        ["answer", "tranship"],
    )
    story.then("that it is closed", incident["open"], False)
    original = stage.get(f"/movements/{trip.mrn}/evidence/{photo}")
    story.then("its photo is there, byte for byte", original, PHOTO)
    earlier = stage.get(f"/movements/{trip.mrn}", as_known_at=before)
    story.then(
        "what was known before the accident can still be asked for",
        (earlier["state"], earlier["incidents"]),
        ("en-route", []),
    )
    message = fromstring(
        stage.get(f"/movements/{trip.mrn}/messages/cc182c", sender="NTA.AR", recipient="NTA.CL")
    )
    story.then(
        "an NCTS message (CC182C) tells it to the others", _said(message), (trip.mrn, "5", "AR", "AE123CD")
    )


def _said(message: Element) -> tuple[str | None, ...]:
    """MRN, code and country of the incident, and the means that the goods went on with."""
    incident = "Consignment/Incident"
    return (
        message.findtext("TransitOperation/MRN"),
        message.findtext(f"{incident}/code"),
        message.findtext(f"{incident}/Location/country"),
        message.findtext(f"{incident}/Transhipment/TransportMeans/identificationNumber"),
    )
