"""Deadlines: what follows by itself when nothing happens. Pure: from a movement's state and dates to what is due when.

Union Customs Code, Implementing Regulation (EU) 2015/2447, articles 310 to 312 (enquiry, 28 days to answer), and Delegated
Regulation (EU) 2015/2446, article 77 (seven months until the debt); every term is a setting, for other countries have others.
"""

from __future__ import annotations

from typing import Final

from cocket.core.config import Customs
from cocket.customs.machines.movement import ON_THE_WAY

DAY_US: Final = 86_400_000_000


def due(state: str, since_us: int, limit_us: int | None, terms: Customs) -> dict[str, int]:
    """Event → when it falls due. ``answer`` is a term that is shown, and records nothing."""
    if state in ON_THE_WAY:
        return {} if limit_us is None else {"fall-overdue": limit_us}
    began = since_us if limit_us is None else limit_us
    if state == "overdue":
        return {"open-enquiry": began + terms.enquiry_after_days * DAY_US}
    if state == "enquiry":
        return {
            "answer": since_us + terms.answer_days * DAY_US,
            "establish-debt": max(
                began + terms.debt_after_days * DAY_US, since_us + terms.answer_days * DAY_US
            ),
        }
    if state == "alternative-proof":
        return {"establish-debt": began + 2 * terms.debt_after_days * DAY_US}
    return {}


BY_ITSELF: Final = frozenset({"fall-overdue", "open-enquiry", "establish-debt"})
"""What the clock records; the rest of the deadlines only remind."""
