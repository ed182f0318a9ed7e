"""The demo's customs officers: they lodge, seal, arm, let go, receive and discharge, through the public door, as simulated time runs.

Seals, guarantees and papers are simulated, as the declarations are; what the machine answers is not. A seal whose self-test fails
gets a recorded waiver; a trip that was not clean waits at its destination for an examination, which half of them have had.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpx

from cocket.core.clock import US, rfc3339
from cocket.core.errors import CocketError
from cocket.sim import transits
from cocket.sim.seals import Seal

MINUTE: Final = 60 * US
OPERATORS: Final = (
    "Shenzhen Bonded Haulage",
    "Pearl River Logistics",
    "Lok Ma Chau Forwarding",
    "Nanshan Transit",
)
AMOUNT: Final = "2500000.00"
CURRENCY: Final = "CNY"
BY: Final = "demo"
STEP_S: Final = 0.1


class Clerk:
    """Does what is due; ``send`` posts and gives the answer, also where it is a refusal."""

    def __init__(self, seals: Iterable[Seal], send: Callable[..., httpx.Response]) -> None:
        self._send = send
        self._leaving = sorted(seals, key=lambda s: _closed(s)[0])
        self._coming = sorted(self._leaving, key=lambda s: s.bound_to_us)
        self._left = self._came = 0

    def open(self) -> None:
        """Register the guarantees of the four operators."""
        for i, holder in enumerate(OPERATORS):
            body = {"holder": f"{holder} (simulated)", "type": "1", "amount": AMOUNT, "currency": CURRENCY}
            self._send("PUT", f"/guarantees/{_grn(i)}", json=body)

    def work(self, now_us: int) -> None:
        """Everything that is due by now, in its order."""
        while self._left < len(self._leaving) and _closed(self._leaving[self._left])[0] + MINUTE <= now_us:
            self._leave(self._leaving[self._left])
            self._left += 1
        while self._came < len(self._coming) and self._coming[self._came].bound_to_us <= now_us:
            self._come(self._coming[self._came])
            self._came += 1

    def _leave(self, seal: Seal) -> None:
        began = _closed(seal)[0]

        def at(minutes: int) -> str:
            return rfc3339(began - minutes * MINUTE)

        office = transits.movement(seal)["departure_office"]
        amount = f"{8000 + 613 * (seal.vehicle % 97)}.00"
        fitted = [{"id": seal.device_id, "equipment_id": seal.equipment_id}]
        self._act(
            seal,
            {"event": "lodge", "at": at(55)},
            {"event": "accept", "at": at(50), "office": office},
            {
                "event": "reserve-guarantee",
                "at": at(49),
                "grn": _grn(seal.vehicle // 8 % len(OPERATORS)),
                "amount": amount,
                "currency": CURRENCY,
            },
            {"event": "decide-control", "at": at(40), "office": office, "decision": "none"},
            {
                "event": "seal",
                "at": rfc3339(max(seal.bound_from_us, began - 20 * MINUTE)),
                "office": office,
                "seals": fitted,
            },
        )
        armed = self._act(seal, {"event": "arm", "at": rfc3339(began), "office": office}, may_refuse=True)
        if armed.is_error:
            reason = f"self-test failed: {armed.json()['detail'][:300]}"
            self._act(seal, {"event": "waive-seal", "at": rfc3339(began), "office": office, "reason": reason})
        self._act(
            seal,
            {"event": "release", "at": rfc3339(began), "office": office},
            {"event": "depart", "at": rfc3339(began), "office": office},
        )

    def _come(self, seal: Seal) -> None:
        at, office = rfc3339(seal.bound_to_us), transits.movement(seal)["destination_office"]
        came = rfc3339(_closed(seal)[1])
        self._act(
            seal,
            {"event": "arrive", "at": came, "office": office},
            {"event": "verify-seals", "at": came, "office": office, "result": "intact"},
            {"event": "unseal", "at": at, "office": office},
        )
        discharge = {"event": "discharge", "at": at, "office": office}
        if self._act(seal, discharge, may_refuse=True).is_error and seal.vehicle % 8 == 0:
            self._act(
                seal,
                {
                    "event": "examine",
                    "at": at,
                    "office": office,
                    "result": "satisfactory",
                    "reason": "opened and counted",
                },
                discharge,
            )

    def _act(self, seal: Seal, *events: dict[str, Any], may_refuse: bool = False) -> httpx.Response:
        answer = self._send("POST", f"/movements/{seal.mrn}/events?by={BY}", json=list(events))
        if answer.is_error and not (may_refuse and answer.status_code == httpx.codes.CONFLICT):
            raise CocketError(f"events of {seal.mrn} were answered {answer.status_code}: {answer.text[:500]}")
        return answer


class Officers:
    """A clerk at work beside the sender of rows, on a thread of their own; ``now_us`` is the server's clock."""

    def __init__(self, clerk: Clerk, now_us: Callable[[], int]) -> None:
        self._clerk = clerk
        self._now_us = now_us
        self._over = threading.Event()
        self._failure: CocketError | None = None
        self._thread = threading.Thread(target=self._run, name="cocket-demo-officers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Do what is still due, then end; raises what went wrong."""
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._clerk.open()
            while not self._over.wait(STEP_S):
                self._clerk.work(self._now_us())
            self._clerk.work(self._now_us())
        except CocketError as error:
            self._failure = error


def _closed(seal: Seal) -> tuple[int, int]:
    """The first and last report of a closed lock: the transit begins behind the one and ends before it is opened."""
    at = seal.rows["observed_us"][seal.rows["locked"] == 1]
    return int(at[0]), int(at[-1])


def _grn(number: int) -> str:
    return f"26CN00000100000{number}8"
