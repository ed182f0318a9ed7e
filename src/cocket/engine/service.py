"""The running machine: one data folder, its writer, its detectors, its compactor. What the doors talk to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cocket.core.clock import Clock
from cocket.core.config import Settings
from cocket.core.doors import Decoded, Receipt
from cocket.core.geometry import zone_geometry
from cocket.core.rules import Rules
from cocket.core.rules import load as load_rules
from cocket.core.tracing import Tracing
from cocket.customs.codes.desk import CodeDesk
from cocket.customs.codes.keyring import KeyRing
from cocket.customs.codes.scans import ScanDesk
from cocket.customs.codes.stamps import StampDesk
from cocket.customs.file import CustomsFile
from cocket.customs.reference import ReferenceDesk
from cocket.engine.acquitting import Acquittal
from cocket.engine.alarms import Alarms
from cocket.engine.auditing import Auditing
from cocket.engine.clean_trip import CleanTrips
from cocket.engine.customs_clock import CustomsClock, SelfTest
from cocket.engine.figures import Figures
from cocket.engine.gatehouse import Gatehouse
from cocket.engine.hub import Hub
from cocket.engine.line import POLL_S, Box, Line, Lines
from cocket.engine.live import Live
from cocket.engine.measures import Measures
from cocket.engine.retention import Retention, RetentionClock
from cocket.engine.world import RULES_ID
from cocket.pipeline import DETECTORS
from cocket.store.backup import backup_age_s
from cocket.store.folder import DataFolder, Stores

if TYPE_CHECKING:
    from cocket.engine.site.doors import SiteDoors

_RATE_S = 5.0
_TRUSTED_SPAN = 1


class Service:
    """Open it, use it from any thread, close it. ``with Service.open(...) as service`` does all three."""

    def __init__(
        self,
        folder: Stores,
        clock: Clock,
        settings: Settings,
        hub: Hub,
        lines_of: Callable[[Figures, Tracing], Lines],
        site: SiteDoors | None = None,
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.settings = settings
        self.hub = hub
        self.site = site
        self.auditing = Auditing(folder.audit)
        self.figures = Figures()
        self.tracing = Tracing(
            settings.watching.otlp_endpoint,
            settings.watching.sample_ratio,
            instance="" if site is None else site.name,
        )
        self.measures = Measures(folder)
        self.alarms = Alarms(self)
        self.reference = ReferenceDesk(folder.reference, clock)
        self.keys = KeyRing(folder.path / "keys", clock)
        self.codes = CodeDesk(folder.codes, self.keys, clock, settings.codes.valid_days)
        self.scans = ScanDesk(folder.codes, self.codes, clock)
        self.stamps = StampDesk(folder.stamps, self.keys, clock, settings.codes)
        self.file = CustomsFile(folder, clock, settings.customs)
        self.file.transit.checks.self_test = SelfTest(
            self.last, self._departure_zones, clock, settings.customs
        )
        self.scans.acquitting = Acquittal(
            self.file.transit,
            folder.alerts,
            self.exit_read,
            needs_exit=settings.customs.acquit_needs_exit,
        )
        self._customs_clock = CustomsClock(self.file.transit, self.file.seals, folder.alerts)
        self.gatehouse = Gatehouse(
            folder, self.file, self.scans, self.hub, clock, settings.gates, self.brief, self.submit
        )
        self.on_reference_changed: list[Callable[[], None]] = [self.gatehouse.places.forget]
        self.lines = lines_of(self.figures, self.tracing)
        self.clean_trips = CleanTrips(folder, clock, settings.customs, self.lines)
        self.file.transit.checks.clean_trip = self.clean_trips.faults
        self.retention = Retention(folder, clock, settings, lambda: self.lines.detected)
        self.retention_clock = RetentionClock(self.retention, clock, settings.retention.every_hours)
        self._rate = (time.monotonic(), folder.log.totals().observations, 0.0)

    @classmethod
    def open(cls, path: Path, clock: Clock, settings: Settings | None = None) -> Service:
        """Open or make the data folder, or join the site that the settings name, and start. Raises ``CocketError`` where that is refused."""
        settings = settings or Settings()
        if settings.log.url:
            from cocket.engine.site.doors import SiteDoors

            site = SiteDoors(path, clock, settings)
            return cls._started(site.stores, clock, settings, site.hub, lambda *_: site.lines, site)
        folder = DataFolder.open(path, store_url=settings.store.url)
        hub = Hub()

        def line(figures: Figures, tracing: Tracing) -> Lines:
            return Line(folder, clock, settings, hub, figures=figures, tracing=tracing)

        return cls._started(folder, clock, settings, hub, line, None)

    @classmethod
    def _started(
        cls,
        stores: Stores,
        clock: Clock,
        settings: Settings,
        hub: Hub,
        lines_of: Callable[[Figures, Tracing], Lines],
        site: SiteDoors | None,
    ) -> Service:
        try:
            take_rules_file(stores, clock, settings)
            service = cls(stores, clock, settings, hub, lines_of, site)
        except BaseException:
            stores.close()
            raise
        service._start()
        return service

    def _start(self) -> None:
        if self.site is not None:
            self.site.start(self._told, self.tracing)
        self.lines.start()
        self._customs_clock.start()
        self.auditing.start()
        self.alarms.start()
        self.retention_clock.start()

    def _told(self) -> None:
        """Another process of the site changed something declared."""
        for tell in self.on_reference_changed:
            tell()

    def close(self) -> None:
        """Write what waits, save a checkpoint, let go of the folder."""
        self.alarms.stop()
        self.retention_clock.stop()
        self._customs_clock.stop()
        self.lines.stop()
        self.auditing.stop()
        self.tracing.close()
        if self.site is not None:
            self.site.stop()
        self.folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # observations

    def submit(self, decoded: Decoded) -> Future[Receipt]:
        """Take a decoded body; the future gives its receipt once it is durable.

        Raises ``Busy`` when too much waits for the disk or for the detectors: nothing was taken, send it again.
        """
        return self.lines.submit(decoded)

    def wait_detected(self, timeout_s: float) -> bool:
        """Wait until everything stored is detected; False when the time is over first."""
        end = time.monotonic() + timeout_s
        while self.lag:
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True

    def taken_in(self, timeout_s: float) -> None:
        """Wait until the detectors have taken in what is stored by now, so that what a device was just answered for counts.

        Raises ``Busy`` when the time is over first. Not within a transaction: the detectors write.
        """
        self.lines.taken_in(timeout_s)

    # what is declared

    def reference_changed(self) -> None:
        """Tell the detectors, and who else follows, that something declared was changed and is stored."""
        self.lines.reference_changed()
        for tell in self.on_reference_changed:
            tell()

    def check_rules(self, document: dict[str, Any]) -> None:
        """Raises ``Refused`` naming each fault of a rules document in its JSON form."""
        Rules.from_doc(document, DETECTORS)

    def rules_defaults(self) -> dict[str, Any]:
        """Every detector's default thresholds, in the JSON form of the rules."""
        return {
            "defaults": {
                d.name: {
                    p.name: list(p.default) if isinstance(p.default, tuple) else p.default
                    for p in d.all_params()
                }
                for d in DETECTORS
            }
        }

    def exit_read(self, mrn: str) -> bool:
        """Whether the movement's exit was read: by a gate after its departure, or by a scan of its exit code."""
        return self.gatehouse.gates.exit_read(mrn) is not None

    def _departure_zones(self) -> list[Any]:
        return [
            zone_geometry(s.doc["geometry"])
            for s in self.folder.reference.all("zone")
            if s.doc["properties"]["kind"] == "departure"
        ]

    # reading

    @property
    def failure(self) -> str | None:
        """Why the detectors do not run at the moment, or what they had to leave out, in words; None when all is well."""
        return self.lines.failure

    def try_again(self) -> None:
        """Let the detectors see again what was set aside because they failed on it."""
        self.lines.try_again()

    @property
    def lag(self) -> int:
        """What is stored and not yet detected; a declaration not yet taken in and a journey to be run again count 1."""
        return self.lines.lag

    @property
    def lag_s(self) -> float:
        """How many seconds of life the oldest undetected observation has waited, at most since the start."""
        return self.figures.lag_s(self.lines.detected, self.lines.lag)

    @property
    def customs_clock_failure(self) -> str | None:
        """Why the customs file's terms are not recorded at the moment; None when all is well."""
        return self._customs_clock.failure

    @property
    def customs_clock_age_s(self) -> float:
        """Seconds since the customs file's terms were last looked at."""
        return time.monotonic() - self._customs_clock.beaten_s

    def open_by_severity(self) -> dict[str, int]:
        """Open alerts by severity, as of some seconds ago."""
        return self.measures.open_by_severity()

    @property
    def rate_per_s(self) -> float:
        """Observations a second, over some seconds."""
        return self._rate_per_s(self.folder.log.totals().observations)

    def silent_sources(self) -> dict[str, float]:
        """Doors and device families that used to talk and are silent, and for how many seconds."""
        return self.figures.silent(self.settings.watching.silent_source_s)

    def backup_age_s(self) -> float | None:
        """Seconds of life since the last backup of this folder; None if none is known."""
        return backup_age_s(self.folder.path)

    @property
    def rows_waiting(self) -> int:
        """Observations that wait for the disk."""
        return self.lines.rows_waiting

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state."""
        return self.lines.state_bytes

    def stats(self) -> dict[str, Any]:
        """The figures of /stats, without ``now``."""
        totals = self.folder.log.totals()
        counts = self.folder.alerts.counts()
        return {
            "observations": totals.observations,
            "duplicates": totals.duplicates,
            "rejected": totals.rejected,
            "lag_observations": self.lag,
            "alerts": counts.total,
            "open_alerts": counts.open,
            "alerts_by_code": dict(counts.by_code),
            "movements": self.folder.reference.count("movement"),
            "devices": self.folder.reference.count("device"),
            "rate_per_s": self._rate_per_s(totals.observations),
        }

    def _rate_per_s(self, observations: int) -> float:
        since, before, rate = self._rate
        now = time.monotonic()
        if now - since >= _RATE_S:
            rate = (observations - before) / (now - since)
            self._rate = (now, observations, rate)
        return round(rate, 1)

    def brief(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest observation of each device in a few columns, from memory."""
        return self.lines.brief(device_ids)

    def last(self, device_id: str) -> dict[str, Any] | None:
        """The newest observation of a device by event time, whole; reads history."""
        brief = self.brief([device_id]).get(device_id)
        if brief is None:
            return None
        at = brief["observed_us"]
        batch = self.folder.history.rows([(device_id, at, at + _TRUSTED_SPAN)])
        return batch.row(batch.n - 1) if batch.n else None

    def live(self, bbox: Box | None, zoom: float, since: int) -> Live:
        """Where everything is, by map window; see ``LiveMap.view``."""
        return self.lines.live(bbox, zoom, since)


def take_rules_file(folder: Stores, clock: Clock, settings: Settings) -> None:
    """Take over and record the rules file that the settings name, if they name one."""
    if settings.detect.rules:
        rules = load_rules(Path(settings.detect.rules), DETECTORS)
        folder.reference.put("rules", RULES_ID, rules.to_doc(), by="rules file", at_us=clock.now_us())
