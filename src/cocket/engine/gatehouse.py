"""Gates, phones, trip links and cases over one data folder, wired together. What their doors talk to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from cocket.core.clock import Clock
from cocket.core.config import Gates
from cocket.core.doors import Decoded, Receipt
from cocket.core.errors import Fault, Refused
from cocket.customs.codes.scans import ScanDesk
from cocket.customs.file import CustomsFile
from cocket.customs.gates.desk import GateDesk
from cocket.customs.gates.obstacles import Obstacles
from cocket.customs.gates.transports import Outside, TransportDesk
from cocket.customs.gates.trip_links import TripDesk, since_us
from cocket.customs.gates.verdict import Position
from cocket.engine.cases import Cases
from cocket.engine.customs_clock import SEAL_ALERTS
from cocket.engine.hub import Hub
from cocket.engine.places import Places
from cocket.observations.rules import batch_of, check_row
from cocket.store.folder import Stores

Brief = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
_DOOR = "phone"


class Gatehouse:
    """``brief`` gives the newest observation of devices in a few columns, ``submit`` takes observations in."""

    def __init__(
        self,
        folder: Stores,
        file: CustomsFile,
        scans: ScanDesk,
        hub: Hub,
        clock: Clock,
        settings: Gates,
        brief: Brief,
        submit: Callable[[Decoded], Future[Receipt]],
    ) -> None:
        self._folder = folder
        self._brief = brief
        self._submit = submit
        self.places = Places(folder.history, folder.reference)
        obstacles = Obstacles(folder.gates, folder.alerts, file.transit, settings, SEAL_ALERTS)
        self.gates = GateDesk(folder.gates, file.transit, scans, obstacles, self.places, clock, settings)
        outside = Outside(self.places.phone_zone, self._keep)
        self.transports = TransportDesk(folder.gates, file.transit, obstacles, outside, clock)
        self.trips = TripDesk(folder.gates, folder.reference, file.view, self.last, clock, settings)
        self.cases = Cases(folder.gates, folder.alerts, folder.reference, hub, self.last, clock)

    def last(self, mrn: str) -> Position | None:
        """Where a movement was last: by the devices bound to it while they are, and by the phones of its transports."""
        stored = self._folder.reference.get("movement", mrn)
        if stored is None:
            return None
        departed = since_us(stored.doc)
        spans = [
            (b.device_id, b.from_us, b.to_us) for b in self._folder.reference.bindings_of([mrn]).get(mrn, [])
        ]
        with self._folder.gates.reading() as connection:
            transports = self._folder.gates.transports_by(connection, mrns=[mrn])
        spans += [(t["device_id"], departed, None) for t in transports if t["device_id"]]
        brief = self._brief(list({device for device, _, _ in spans}))
        found = [
            Position(row["observed_us"], row["lat_deg"], row["lon_deg"])
            for device, begin, end in spans
            if (row := brief.get(device)) is not None
            and row["lat_deg"] is not None
            and begin <= row["observed_us"]
            and (end is None or row["observed_us"] < end)
        ]
        return max(found, key=lambda p: p.observed_us, default=None)

    def _keep(self, device_id: str, at_us: int, lat_deg: float, lon_deg: float) -> None:
        """A phone's position as an observation: on the disk when this returns."""
        row = check_row(
            {"device_id": device_id, "observed_us": at_us, "lat_deg": lat_deg, "lon_deg": lon_deg}
        )
        if isinstance(row, Fault):
            raise Refused(f"{row.path}: {row.detail}", [row])
        batch = batch_of([row])
        self._submit(Decoded(batch, _first_row(), [], _DOOR)).result()


def _first_row() -> Any:
    import numpy as np

    return np.arange(1)
