"""The whole demo before it runs: the declared world, every row that will be sent, and the truth about it.

A function of the excerpt and a seed; nothing here opens a socket or looks at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from cocket.core.batch import Batch
from cocket.core.clock import US
from cocket.sim import plane, transits
from cocket.sim.incidents import CAST
from cocket.sim.scan import scan
from cocket.sim.seals import ARMS_AFTER, CARD_OF_OFFICER, CARDS, METHODS, Seal, batch, seal_of
from cocket.sim.stage import MINUTE, play
from cocket.sim.tracks import load
from cocket.sim.transits import Zone
from cocket.sim.truth import Truth

SEED: Final = 20260312
STRANGER: Final = "ES-STRANGER-"
LASTS_S: Final = 24_000
"""Simulated seconds from the first row to the last, rounded up: known before the script is written, so that the
server can start meanwhile."""

RESTRICTED_ZONES: Final = 2
RESTRICTED_RADIUS_M: Final = 550.0
DEAD_ZONES: Final = 2
DEAD_RADIUS_M: Final = 600.0


@dataclass(slots=True)
class Script:
    """``rows`` are all rows in the order in which they are sent, ``names`` the devices that send them;
    ``sent_again`` is how many of them are exact repeats, which the server must fold.
    """

    seals: list[Seal]
    zones: list[Zone]
    corridors: dict[str, shapely.Geometry]
    truths: list[Truth]
    rows: Any
    names: list[str]
    sent_again: int

    @property
    def begins_us(self) -> int:
        """When the first row is sent."""
        return int(self.rows["send_us"][0])

    @property
    def ends_us(self) -> int:
        """When the last seal has been taken off."""
        return max(s.bound_to_us for s in self.seals)

    def batch(self, first: int, last: int) -> Batch:
        """Rows ``first`` to ``last`` (not inclusive) as observations."""
        return batch(self.rows[first:last], self.names)

    def incident_vehicles(self) -> list[Seal]:
        """Those to which something happens."""
        return [s for s in self.seals if s.kinds]

    def real(self) -> list[str]:
        """What is real, in words."""
        return [
            (
                f"Real: the positions, speeds and times of {len(self.seals)} vehicles around the control points "
                "between Shenzhen and Hong Kong, with their noise (repeated times, jumps, parked vehicles). "
                "Taxi fixes of one day from 08:00 to 14:00, from the BSD-3 package transbigdata."
            ),
            "Real: where the control points lie.",
        ]

    def simulated(self) -> list[str]:
        """What is made up, in words."""
        hit = self.incident_vehicles()
        return [
            "Simulated: the date, the seals and all that they report besides position (lock, rope, battery, network, temperature).",
            (
                "Simulated: offices, zones, corridors, declarations, containers, limit dates. Each corridor is drawn "
                "from the vehicle's own way; where it waits eleven minutes or more, an approved stop is declared."
            ),
            (
                f"Simulated: incidents on {len(hit)} of {len(self.seals)} vehicles "
                f"({len(hit) / len(self.seals):.0%}), some of them at the same time. For long stops, spoofing and "
                "swapped seals the positions of the vehicle concerned are changed too."
            ),
        ]


def write(seed: int = SEED) -> Script:
    """Make the script. Takes about two seconds."""
    tracks = load()
    seals = [seal_of(track, device, seed) for device, track in enumerate(tracks)]
    zones = transits.zones_of(seals)
    fit = [s for s, track in zip(seals, tracks, strict=True) if not track.moved_s and _fit(s)]
    zones += _restricted(seals, fit, zones)
    permitted = transits.union(zones, "unlock-permitted", "destination")
    exempt = transits.union(zones, "approved-stop", "departure", "destination", "office")
    truths = play(CAST, seals, fit, seed, permitted, exempt)
    zones += _dead_zones(seals)
    _in_order(seals, permitted, seed)
    rows, names, again = _stream(seals)
    corridors = {s.corridor_id: transits.corridor_shape(s) for s in seals}
    for seal in seals:
        mrn = seal.mrn
        told = [t for t in truths if t.mrn == mrn]
        truths += scan(seal, corridors[seal.corridor_id], zones, exempt, told)
    return Script(seals, zones, corridors, truths, rows, names, again)


def _fit(seal: Seal) -> bool:
    """A vehicle fit for an incident: under way for three hours or more, without a jump of its own."""
    x, y, t = seal.way
    wild = np.hypot(np.diff(x), np.diff(y)) > np.maximum(transits.JUMP_MPS * np.diff(t) / US, transits.JUMP_M)
    return len(t) > 250 and t[-1] - t[0] > 180 * MINUTE and not wild.any()


def _restricted(seals: list[Seal], fit: list[Seal], zones: list[Zone]) -> list[Zone]:
    """Restricted zones at places that one fit vehicle alone passes; that it does is the incident."""
    ways = [shapely.MultiPoint(np.column_stack(s.way[:2])) for s in seals]
    tree = shapely.STRtree(ways)
    elsewhere = transits.union(zones, "office", "unlock-permitted", "destination", "approved-stop")
    out: list[Zone] = []
    for seal in fit:
        x, y, t = seal.way
        for i in range(40, len(x) - 40, 7):
            spot = shapely.Point(x[i], y[i])
            if shapely.dwithin(elsewhere, spot, RESTRICTED_RADIUS_M + 50):
                continue
            near = tree.query(spot, predicate="dwithin", distance=RESTRICTED_RADIUS_M + 60)
            fixes = np.flatnonzero(np.hypot(x - x[i], y - y[i]) < RESTRICTED_RADIUS_M - 50)
            if len(near) != 1 or len(fixes) < 3 or t[fixes[-1]] - t[fixes[0]] > 15 * MINUTE:
                continue
            number = len(out) + 1
            shape = plane.circle(float(x[i]), float(y[i]), RESTRICTED_RADIUS_M)
            out.append(Zone(f"restricted-{number}", "restricted", f"Restricted area {number}", shape))
            seal.kinds.append("restricted zone")
            break
        if len(out) == RESTRICTED_ZONES:
            return out
    raise LookupError("the tracks have no place for the restricted zones")


def _dead_zones(seals: list[Seal]) -> list[Zone]:
    """Mapped dead zones where vehicles of the script fall silent: the two that fewest vehicles pass."""
    spots: list[tuple[int, float, float]] = []
    for seal in seals:
        t = seal.rows["observed_us"]
        if "silence" in seal.kinds:
            i = int(np.argmax(np.diff(t)))
        elif any(kind.startswith("delayed upload") for kind in seal.kinds):
            i = int(np.argmax(seal.rows["delayed"] == 1))
        else:
            continue
        x, y = (float(v[i]) for v in seal.xy())
        passing = sum(bool((np.hypot(s.way[0] - x, s.way[1] - y) < DEAD_RADIUS_M).any()) for s in seals)
        spots.append((passing, x, y))
    return [
        Zone(f"dead-{i}", "dead-zone", f"Dead zone {i}", plane.circle(x, y, DEAD_RADIUS_M))
        for i, (_, x, y) in enumerate(sorted(spots)[:DEAD_ZONES], 1)
    ]


def _in_order(seals: list[Seal], permitted: shapely.Geometry, seed: int) -> None:
    """What is allowed and must raise nothing: an officer's control in a yard, and unlocking on arrival."""
    rng = np.random.default_rng([seed, 1])
    for seal in seals:
        if seal.kinds:
            continue
        rows = seal.rows
        x, y = seal.xy()
        inside = shapely.contains_xy(permitted, x, y).astype(np.int8)
        edges = np.flatnonzero(np.diff(inside, prepend=0, append=0))
        visits = [
            (a, b)
            for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
            if b - a >= 5 and a > ARMS_AFTER + 1 and b < len(rows) - 1
        ]
        if visits and rng.random() < 0.4:
            a, b = visits[int(rng.integers(len(visits)))]
            _by_officer(rows, a + 1, min(b - 1, a + 9))
        if transits.arrival_rows(seal) >= transits.LEAST_YARD_FIXES and len(rows) > 20:
            _by_officer(rows, len(rows) - 2, len(rows))


def _by_officer(rows: Any, i: int, j: int) -> None:
    rows["locked"][i:j] = 0
    rows["card"][i] = CARDS.index(CARD_OF_OFFICER)
    rows["card_refused"][i] = 0
    rows["method"][i] = METHODS.index("card")
    rows["rope_inserted"][i + 1 : j] = 0


def _stream(seals: list[Seal]) -> tuple[Any, list[str], int]:
    names = [s.device_id for s in seals]
    pieces: list[Any] = []
    again = 0
    for seal in seals:
        # a running number by the order in which the device made its rows; a row sent again keeps its own
        keep = seal.rows
        keep["sequence"] = np.arange(1, len(keep) + 1)
        numbers = dict(zip(keep["observed_us"].tolist(), keep["sequence"].tolist(), strict=True))
        for extra in seal.extra:
            if extra["device"][0] == -1:
                extra["device"] = len(names)
                extra["sequence"] = np.arange(1, len(extra) + 1)
                names.append(f"{STRANGER}{len(names)}")
            else:
                extra["sequence"] = [numbers[t] for t in extra["observed_us"].tolist()]
                again += len(extra)
        pieces += [keep, *seal.extra]
    rows = np.concatenate(pieces)
    return rows[np.lexsort((rows["sequence"], rows["device"], rows["send_us"]))], names, again


assert sum(count for _, _, count, _ in CAST) + RESTRICTED_ZONES <= 60, "a third of the vehicles at the most"
