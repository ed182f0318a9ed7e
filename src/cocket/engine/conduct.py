"""How devices behave, as alerts: what the gateway noticed of a connection, not what happened on a journey.

One alert a device and code; every further sign of it is counted. It names the movement that the device was bound to,
if it was to one, and stands without one otherwise. It does not end by itself: somebody has to look at it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Array, Batch
from cocket.engine.standing import Standing
from cocket.engine.world import World

CODES: Final = {
    "connected_twice": ("device-twice", "spoke on two connections at once: one of them is not it."),
    "moved_impossibly": (
        "impossible-movement",
        "was at two places between which nothing could have gone so fast.",
    ),
    "sequence_replayed": (
        "sequence-replay",
        "sent a running number that it had used up: an old message came again.",
    ),
    "identity_changed": ("identity-mismatch", "shared its connection with another device's name."),
}
"""Column of the observation → code, and what the sentence says of the device."""

SEVERITY: Final = "high"
CONDUCT: Final = "conduct"
"""The subject of these alerts."""


class Conduct:
    """The alerts on conduct so far, by device and code."""

    def __init__(self) -> None:
        self.alerts = Standing(CONDUCT)

    def found(
        self, batch: Batch, keys: Array, device: Array, world: World, raised_us: int
    ) -> list[AlertChange]:
        """The alerts that a batch begins or adds to."""
        touched: dict[str, AlertChange] = {}
        names = batch.texts("device_id")
        for column, (code, says) in CODES.items():
            flag = batch.array(column)
            if flag is None or names is None:
                continue
            rows = np.flatnonzero(flag == 1)
            at = batch.filled("observed_us")[rows]
            for i, t, j in zip(
                rows.tolist(), at.tolist(), world.journeys(device[rows], at).tolist(), strict=True
            ):
                who = names.row(i)
                change = self.alerts.add(
                    code,
                    SEVERITY,
                    f"device:{who}",
                    j,
                    (batch, i, int(keys[i])),
                    t,
                    f"Device {who} {says}",
                    world,
                    raised_us,
                )
                touched[change.id] = change
        return list(touched.values())
