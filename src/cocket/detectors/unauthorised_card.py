"""Was a card held to the lock that may not open it?

It is raised at once when the lock says that it refused the card, and when the device or the movement names the cards
that may open it and this is none of them. A card that is on the list and was not refused ends it. A card where no
list is known says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cocket.core.detector import Detector, Facts, Levels
from cocket.core.frame import Frame


def _levels(frame: Frame, _state: Any) -> Levels | None:
    refused, cards = frame.get("card_refused"), frame.texts("card_id")
    if refused is None and cards is None:
        return None
    level = np.full(frame.n, -1, np.int8) if refused is None else refused.copy()
    if cards is not None:
        sets = frame.table.cards[frame.journey]
        known = np.flatnonzero((cards.codes >= 0) & (sets >= 0) & (level != 1))
        pairs = np.stack([sets[known], cards.codes[known]])
        kinds, which = np.unique(pairs, axis=1, return_inverse=True)
        allowed = [cards.values[card] in frame.table.card_sets[number] for number, card in kinds.T.tolist()]
        verdict = np.where(np.array(allowed, np.bool_), 0, 1).astype(np.int8)
        level[known] = verdict[which.reshape(-1)]
    return Levels(level) if frame.live or (level == 1).any() else None


def _says(f: Facts) -> str:
    return f"A card that may not open it was held to seal {f.device_id} on {f.equipment_id}."


DETECTOR = Detector(
    name="unauthorised-card",
    question="Was a card held to the lock that may not open it?",
    severities=("critical",),
    says=_says,
    levels=_levels,
    flag="card_refused",
)
