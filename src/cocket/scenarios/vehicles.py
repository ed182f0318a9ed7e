"""What identifies a vehicle on the stage: a plate reader's camera, and a tracker on board; both send real frames of their protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import US
from cocket.decoders import protocol
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Unmet

_CAMERA: Final = "anpr"
_TRACKER: Final = "osmand"


@dataclass(frozen=True, slots=True)
class PlateRead:
    """What a camera made of a plate, as the gate's system hands it on."""

    plate: str
    confidence: float

    def arrival(self, direction: str, **more: Any) -> dict[str, Any]:
        """The body of ``POST /gates/{gate}/arrivals``."""
        return {"plate": self.plate, "plate_confidence": self.confidence, "direction": direction, **more}


class Camera:
    """A plate reader at a gate: a webhook of the ANPR protocol."""

    def __init__(self, stage: Stage, camera: str) -> None:
        self._stage = stage
        self.id = camera
        stage.put(f"/devices/{camera}", {"class": "plate-reader", "protocol": _CAMERA})

    def reads(self, plate: str, confidence: float) -> PlateRead:
        """The camera sees a plate and tells it; gives what Cocket read from its frame."""
        found = protocol(_CAMERA).simulation
        assert found is not None
        row = {
            "device_id": self.id,
            "reader_id": self.id,
            "observed_us": self._stage.exactly(),
            "code": "".join(plate.split()),
            "confidence": confidence,
        }
        answer = self._stage.call(
            "POST",
            f"/frames/{_CAMERA}",
            content=found.report(row, 1),
            headers={"content-type": "application/json"},
        )
        read = _stored(answer)
        return PlateRead(str(read["code"]), float(read["confidence"]))


class Tracker:
    """A tracker on board that reports over HTTP (OsmAnd's query)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.id = stage.name("TRACKER")
        stage.put(f"/devices/{self.id}", {"class": "tracker", "protocol": _TRACKER})

    def at(self, place: tuple[float, float]) -> None:
        """Report from a place, now."""
        query = {
            "id": self.id,
            "lat": f"{place[0]:.6f}",
            "lon": f"{place[1]:.6f}",
            "timestamp": str(self._stage.now() // US),
            "speed": "0",
        }
        _stored(self._stage.call("GET", f"/frames/{_TRACKER}", params=query))


def _stored(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The one observation of a frame that was stored."""
    if answer["accepted"] != 1:
        raise Unmet("the frame is read and stored", "1 observation", answer)
    row: dict[str, Any] = answer["frames"][0]["observations"][0]
    return row
