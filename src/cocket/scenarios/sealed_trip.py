"""The first half of every sealed transit: declared, guaranteed, sealed, armed, departed. Times are seconds before now.

Declarations come as NCTS messages; what NCTS has no word for (risk class, corridor) is put beside them by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from cocket.core.clock import US, rfc3339
from cocket.scenarios import papers
from cocket.scenarios.eseal import ESeal, Place
from cocket.scenarios.stage import Stage

LODGED_S: Final = 1200
SEALED_S: Final = 820
"""An e-seal's self-test looks at reports of the last 15 minutes."""
DEPARTED_S: Final = 760
ARRIVED_S: Final = 100
AMOUNT: Final = "25000.00"
HELD: Final = "60000.00"

Box = tuple[float, float, float, float]


def offices(stage: Stage, *named: tuple[str, str, Place]) -> None:
    """Declare customs offices: id (its first two letters are the country), name, place."""
    for office, name, (lat, lon) in named:
        stage.put(f"/offices/{office}", {"name": name, "country": office[:2], "lat_deg": lat, "lon_deg": lon})


def zone(stage: Stage, zone_id: str, kind: str, box: Box) -> None:
    """Declare a zone: south, west, north, east in degrees."""
    south, west, north, east = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {
        "type": "Feature",
        "properties": {"kind": kind, "name": zone_id},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    stage.put(f"/zones/{zone_id}", feature)


def around(place: Place, degrees: float = 0.02) -> Box:
    """A box about a place; 0.02° are some two kilometres."""
    lat, lon = place
    return lat - degrees, lon - degrees, lat + degrees, lon + degrees


@dataclass(slots=True)
class SealedTrip:
    """A transit with one e-seal on one container. ``start``: where the seal is put on."""

    stage: Stage
    paper: papers.Transit
    seal: ESeal
    start: Place

    @property
    def mrn(self) -> str:
        """Its movement reference number."""
        return self.paper.mrn

    def declare(self, **values: Any) -> None:
        """Guarantee, declaration (CC015C) and acceptance (CC028C); ``values`` are added to the movement by hand."""
        stage, paper = self.stage, self.paper
        guarantee = {
            "holder": "KEP000111222A",
            "type": "comprehensive",
            "amount": HELD,
            "currency": paper.currency,
            "valid_from": rfc3339(stage.ago(86_400)),
            "valid_to": None,
        }
        stage.put(f"/guarantees/{paper.grn}", guarantee)
        at = stage.ago(LODGED_S)
        stage.document(papers.cc015c(paper, at), "cc015c")
        stage.document(papers.cc028c(paper, at), "cc028c")
        limit = rfc3339(stage.now() + 48 * 3600 * US)
        known = {"destination_office": paper.destination, "limit_at": limit, "countries": list(paper.route)}
        stage.amended(self.mrn, **known, **values)

    def guarantee(self, control: str = "none") -> None:
        """Reserve the guarantee, and decide on a control."""
        stage, paper = self.stage, self.paper
        reserve: dict[str, Any] = {"grn": paper.grn, "amount": paper.amount, "currency": paper.currency}
        at = stage.ago(SEALED_S + 40)
        stage.event(self.mrn, "reserve-guarantee", at=at, by="system", office=paper.departure, **reserve)
        stage.event(
            self.mrn, "decide-control", at=at, by="risk-desk", office=paper.departure, control=control
        )

    def put_on(self, *, status: int = 201) -> Any:
        """Put the seal on the container."""
        seals = [{"id": self.seal.id, "equipment_id": self.paper.container}]
        return self.stage.event(
            self.mrn, "seal", at=self.stage.ago(SEALED_S), status=status, by="sealing-officer", seals=seals
        )

    def arm(self, *, status: int = 201) -> Any:
        """Let it report from where it is, and arm it: it has to pass its self-test."""
        at = self.stage.ago(SEALED_S - 20)
        self.seal.report(self.start, at, speed_mps=0.0)
        return self.stage.event(
            self.mrn, "arm", at=at + 10 * US, status=status, by="sealing-officer", office=self.paper.departure
        )

    def release(self) -> Any:
        """Release it for transit."""
        at = self.stage.ago(DEPARTED_S + 20)
        return self.stage.event(self.mrn, "release", at=at, by="release-officer", office=self.paper.departure)

    def depart(self, *, status: int = 201) -> Any:
        """Let it leave."""
        at = self.stage.ago(DEPARTED_S)
        return self.stage.event(
            self.mrn, "depart", at=at, status=status, by="gate-officer", office=self.paper.departure
        )

    def under_way(self) -> None:
        """All of it, until it is on its way."""
        self.guarantee()
        self.put_on()
        self.arm()
        self.release()
        self.depart()
        self.stage.event(self.mrn, "proceed", at=self.stage.ago(DEPARTED_S - 10), by="system")

    def drive(self, places: list[Place], *, last_s: float = ARRIVED_S) -> None:
        """Report along a way, from the departure to so many seconds before now."""
        stage = self.stage
        self.seal.way(places, stage.ago(DEPARTED_S), stage.ago(last_s))

    def arrive(self) -> Any:
        """Arrive at the office of destination."""
        return self.stage.event(
            self.mrn,
            "arrive",
            at=self.stage.ago(ARRIVED_S),
            by="arrival-officer",
            office=self.paper.destination,
        )

    def money(self) -> tuple[str, str]:
        """(state of its guarantee's entry, what is reserved on the guarantee in all)."""
        ledger = self.stage.get(f"/guarantees/{self.paper.grn}")
        entries = [e["state"] for e in ledger["entries"] if e["mrn"] == self.mrn]
        return entries[0] if entries else "none", ledger["reserved"]


def paper(stage: Stage, issued_in: str, **values: Any) -> papers.Transit:
    """A new transit declaration of made-up facts; ``values`` say the rest."""
    number = stage.number()
    plain = papers.Transit(
        mrn=stage.mrn(issued_in),
        lrn=f"LRN{number}",
        grn=stage.grn(issued_in),
        amount=AMOUNT,
        currency="USD",
        departure="",
        destination="",
        container=stage.container(),
        goods=("851712", "Telephones for cellular networks"),
        mass_kg=12500,
    )
    return replace(plain, **values)
