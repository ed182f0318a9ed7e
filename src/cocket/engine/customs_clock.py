"""What the customs file does by itself: terms that run out, and seals whose alarm was raised.

A clock, not a schedule: everything that is due is in the store with its moment, so that after a stop it is recorded as of the
moment when it fell due. Seal alerts move the seal's machine, never the alert's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cocket.core.clock import US, Clock
from cocket.core.config import Customs
from cocket.core.errors import Fault
from cocket.customs.transit.desk import TransitDesk
from cocket.customs.transit.seals import SealDesk
from cocket.store.alerts import AlertStore

SEAL_ALERTS: Final = ("seal-cut", "seal-opened", "casing-opened", "unlock-outside-zone", "unauthorised-card")
"""Alerts after which a seal is in alarm."""
_POLL_S: Final = 1.0
_log: Final = logging.getLogger(__name__)


class CustomsClock:
    """One thread; ``start`` and ``stop``. ``beat`` is what it does each time."""

    def __init__(self, transit: TransitDesk, seals: SealDesk, alerts: AlertStore) -> None:
        self._transit = transit
        self._seals = seals
        self._alerts = alerts
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cocket-customs-clock", daemon=True)
        self.failure: str | None = None
        self.beaten_s = time.monotonic()
        """When it last looked without a failure, by the monotonic clock."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is due waits in the store."""
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Record what has fallen due, and what alerts say of seals."""
        while self._transit.fall_due():
            pass
        while events := self._alerts.events_after(self._seen):
            for event in events:
                alert = event.alert
                if alert["code"] in SEAL_ALERTS and alert["mrn"] and alert["superseded_us"] is None:
                    self._seals.alarmed(alert["device_id"], alert["mrn"], alert["code"], alert["began_us"])
            self._seen = events[-1].seq

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            try:
                self.beat()
                self.failure, self.beaten_s = None, time.monotonic()
            except Exception as error:  # noqa: BLE001 - what is due waits in the store; the next beat tries it again
                if self.failure is None:
                    _log.warning("the customs clock stands still: %s; it tries again", error)
                self.failure = str(error)


class SelfTest:
    """An e-seal's self-test before it is armed: lock closed, battery, fix, inside the departure zone. From its latest report."""

    def __init__(
        self,
        last: Callable[[str], Mapping[str, Any] | None],
        zones: Callable[[], Sequence[Any]],
        clock: Clock,
        settings: Customs,
    ) -> None:
        self._last = last
        self._zones = zones
        self._clock = clock
        self._oldest_us = int(settings.self_test_s * US)
        self._battery_pct = settings.self_test_battery_pct

    def __call__(self, seals: Sequence[str], _mrn: str, at_us: int) -> list[Fault]:
        """Every fault of every seal; empty when all may be armed."""
        zones = self._zones()
        return [f for i, seal in enumerate(seals) for f in self._of(seal, f"/seals/{i}", zones, at_us)]

    def _of(self, seal: str, path: str, zones: Sequence[Any], at_us: int) -> list[Fault]:
        import shapely

        row = self._last(seal)
        if row is None:
            return [Fault(path, "no-report", f"seal {seal} has not reported yet")]
        faults = []
        age_s = (max(at_us, self._clock.now_us()) - row["observed_us"]) // US
        if age_s * US > self._oldest_us:
            faults.append(
                Fault(
                    path,
                    "old-report",
                    f"seal {seal} reported {age_s} s ago, at most {self._oldest_us // US} s count",
                )
            )
        if row.get("locked") is not True:
            faults.append(Fault(path, "not-locked", f"seal {seal} does not report its lock as closed"))
        if row.get("rope_cut") or row.get("casing_open"):
            faults.append(Fault(path, "tampered", f"seal {seal} reports that it is cut or open"))
        battery = row.get("battery_pct")
        if row.get("battery_low") or (battery is not None and battery < self._battery_pct):
            faults.append(
                Fault(path, "low-battery", f"seal {seal} has {battery} % of {self._battery_pct:g} % charge")
            )
        lat, lon = row.get("lat_deg"), row.get("lon_deg")
        if lat is None or lon is None or row.get("fix_valid") is False:
            faults.append(Fault(path, "no-fix", f"seal {seal} reports no valid position"))
        elif zones and not any(shapely.intersects_xy(z, lon, lat) for z in zones):
            faults.append(Fault(path, "outside-departure", f"seal {seal} is outside the departure zone"))
        return faults
