"""Retention as it runs: its terms with their purposes, the parts in log and history, the proof, and the clock.

What is dropped leaves the files, too: history is written anew, and so are both SQLite files, before a run counts as ended.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from cocket.core.batch import Array, Batch
from cocket.core.clock import US, Clock, rfc3339
from cocket.core.config import Settings
from cocket.core.errors import CocketError
from cocket.core.geometry import zone_geometry
from cocket.core.principal import Principal
from cocket.customs.gates.transports import PHONE_KINDS
from cocket.customs.machines.movement import FINAL
from cocket.store.audit import Entry
from cocket.store.folder import Stores
from cocket.store.history_contract import Chosen
from cocket.store.needs import Needs
from cocket.store.retention import DONE, Done, Kind, RetentionStore

_POLL_S: Final = 1.0
_AGAIN_S: Final = 600.0
_HOUR_US: Final = 3_600 * US
_DAY_US: Final = 24 * _HOUR_US
SCHEDULE: Final = Principal("retention", "nobody")
_log: Final = logging.getLogger(__name__)


def kinds(settings: Settings) -> list[Kind]:
    """Every kind of data that has a term, with why it is kept so long and no longer."""
    r = settings.retention
    return [
        Kind("plate-reads", r.plate_reads_days, "dropped", "to find a vehicle again at a gate while its papers are on their way; who only drove past is nobody's business"),
        Kind("phone-positions", r.phone_positions_days, "dropped", "phones are listened to in the zones for phones alone; what came by another door is dropped"),
        Kind("scan-positions", r.scan_positions_days, "made anonymous", "to find out where a copied code was scanned"),
        Kind("stamp-checks", settings.codes.check_days, "dropped", "to suspect copied stamps by where they were checked"),
        Kind("quarantine", r.quarantine_days, "dropped", "to mend what could not be read, and send it again"),
        Kind("observations", settings.history.retention_days, "dropped", "to follow transits, prove alerts and clean trips"),
        Kind("sign-in-attempts", r.sign_in_days, "dropped", "to lock out who guesses passwords, and to see it afterwards"),
        Kind("evidence", r.evidence_days, "made anonymous", "to prove what was found on the way, as long as it can be contested"),
        Kind("movements", r.movement_days, "made anonymous", "customs control after release, and records (Regulation (EU) 952/2013, articles 48, 51 and 103)"),
        Kind("documents", r.movement_days, "made anonymous", "records of what was declared and joined no movement (Regulation (EU) 952/2013, article 51)"),
        Kind("audit", r.audit_days, "dropped", "to account for who read and changed what (Regulation (EU) 2016/679, article 5.2)"),
    ]  # fmt: skip


_ELSEWHERE: Final = ("phone-positions", "observations", "quarantine")
"""Kinds that are in log and history, not in the main tables."""


@dataclass(frozen=True, slots=True)
class _Marks:
    """Of the old rows of a kind: which go and which a need holds, and the devices of each (None: any)."""

    goes: Chosen
    goes_of: AbstractSet[str] | None
    held: Chosen
    held_of: AbstractSet[str] | None


class Retention:
    """What can be run. One run at a time; ``detected`` is the offset up to which the log may become history."""

    def __init__(self, folder: Stores, clock: Clock, settings: Settings, detected: Callable[[], int]) -> None:
        self._folder = folder
        self._clock = clock
        self._settings = settings
        self._detected = detected
        self._work = threading.Lock()
        self.store = RetentionStore(folder.db, FINAL)

    def would(self) -> list[Done]:
        """What a run would do now."""
        now = self._clock.now_us()
        needs = self.store.needs()
        elsewhere = [self._count(k, now, needs) for k in kinds(self._settings) if k.name in _ELSEWHERE]
        return [*elsewhere, *self.store.choose(self._main(), now)]

    def run(self, who: Principal) -> dict[str, Any]:
        """Run it and prove it; what each kind came to. What is gone is gone from the files when it returns."""
        with self._work:
            now = self._clock.now_us()
            self._folder.audit.append([self._entry(who, now, None)])
            elsewhere = self._log_and_history(now)
            number, _ = self.store.run(
                self._main(), now, besides=elsewhere, entry=self._entry(who, now, 200), began_us=now
            )
            rows, _ = self.store.page(1, number + 1)
            if any(c["n"] for c in json.loads(rows[0]["counts"])):
                self._folder.scrub()
            self.store.ended(self._clock.now_us())
            return shown_run(self.store.page(1, number + 1)[0][0])

    def clean(self) -> None:
        """Write the files anew and let the runs so far count as ended."""
        self._folder.scrub()
        self.store.ended(self._clock.now_us())

    def _main(self) -> list[Kind]:
        return [k for k in kinds(self._settings) if k.name not in _ELSEWHERE]

    def _entry(self, who: Principal, now: int, status: int | None) -> Entry:
        roles = tuple(sorted(who.roles))
        return Entry(
            now, who.id, who.kind, roles, None, DONE, "RUN", "retention", {}, None, status, f"retention-{now}"
        )

    def _log_and_history(self, now: int) -> list[Done]:
        log, history = self._folder.log, self._folder.history
        needs = self.store.needs()
        of_history = [
            k for k in kinds(self._settings) if k.name in {"phone-positions", "observations"} and k.days
        ]
        if any(self._marks(k, needs) for k in of_history):
            self._folder.compact(self._detected())
        done = []
        for kind in kinds(self._settings):
            if kind.name not in _ELSEWHERE:
                continue
            before = now - round(kind.days * _DAY_US)
            n, held = 0, 0
            if kind.days and kind.name == "quarantine":
                n = log.drop_quarantined(before)
            elif kind.days and (marks := self._marks(kind, needs)):
                held = history.old(before, marks.held, marks.held_of)
                n = history.expire(before, marks.goes, marks.goes_of)
            done.append(Done(kind, before, (), n, held))
        self._folder.trim()
        return done

    def _count(self, kind: Kind, now: int, needs: Needs) -> Done:
        before = now - round(kind.days * _DAY_US)
        n, held = 0, 0
        if kind.days and kind.name == "quarantine":
            n = self._folder.log.quarantined_before(before)
        elif kind.days and (marks := self._marks(kind, needs)):
            n = self._folder.history.old(before, marks.goes, marks.goes_of)
            held = self._folder.history.old(before, marks.held, marks.held_of)
        return Done(kind, before, (), n, held)

    def _marks(self, kind: Kind, needs: Needs) -> _Marks | None:
        """None when nothing can go and nothing can be held."""

        def of(names: frozenset[str] | set[str]) -> Callable[[Batch], Array]:
            def marked(batch: Batch) -> Array:
                texts = batch.texts("device_id")
                if texts is None:
                    return np.zeros(batch.n, np.bool_)
                table = np.array([v in names for v in texts.values] + [False], np.bool_)
                found: Array = table[texts.codes]
                return found

            return marked

        held = of(needs.devices)
        if kind.name == "observations":
            return _Marks(lambda b: ~held(b), None, held, needs.devices)
        phones = self._phones()
        if not phones:
            return None
        phone, zones = of(phones), self._phone_zones()

        def outside(batch: Batch) -> Array:
            lat, lon = batch.filled("lat_deg"), batch.filled("lon_deg")
            inside = np.zeros(batch.n, np.bool_)
            for zone in zones:
                inside |= shapely.intersects_xy(zone, lon, lat)
            return phone(batch) & ~np.isnan(lat) & ~inside

        return _Marks(
            lambda b: outside(b) & ~held(b),
            phones - needs.devices,
            lambda b: outside(b) & held(b),
            phones & needs.devices,
        )

    def _phones(self) -> set[str]:
        """Devices of transports."""
        with self._folder.gates.reading() as connection:
            return self._folder.gates.phones(connection)

    def _phone_zones(self) -> list[Any]:
        return [
            zone_geometry(s.doc["geometry"])
            for s in self._folder.reference.all("zone")
            if s.doc["properties"]["kind"] in PHONE_KINDS
        ]


class RetentionClock:
    """One thread; ``start`` and ``stop``. A run is due a term after the last one began, so that what a stop missed is caught up."""

    def __init__(self, retention: Retention, clock: Clock, every_hours: float) -> None:
        self._retention = retention
        self._clock = clock
        self._every_us = round(every_hours * _HOUR_US)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cocket-retention", daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after a run under way."""
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Run if it is due, and finish what a stop left half done."""
        last = self._retention.store.last()
        if last is not None and not last.ended_us:
            self._retention.clean()
        if last is None or self._clock.now_us() >= last.began_us + self._every_us:
            self._retention.run(SCHEDULE)

    def _run(self) -> None:
        wait = _POLL_S
        while not self._stop.wait(wait):
            try:
                self.beat()
                self.failure, wait = None, _POLL_S
            except (CocketError, OSError) as error:
                _log.warning("retention did not run: %s; it tries again in %g s", error, _AGAIN_S)
                self.failure, wait = str(error), _AGAIN_S


def shown_run(row: dict[str, Any]) -> dict[str, Any]:
    """A run as the API and the command tell it."""
    return {
        "id": row["id"],
        "began_at": rfc3339(row["began_us"]),
        "ended_at": rfc3339(row["ended_us"]) if row["ended_us"] else None,
        "by": row["by"],
        "days": json.loads(row["terms"]),
        "counts": json.loads(row["counts"]),
        "digest": row["digest"].hex(),
        "audit_seq": row["audit_seq"],
        "proved": row["agrees"],
    }


def shown_terms(settings: Settings) -> Sequence[dict[str, Any]]:
    """The terms as the API and the command tell them."""
    return [
        {"kind": k.name, "days": k.days or None, "what": k.what, "purpose": k.purpose}
        for k in kinds(settings)
    ]
