"""Who failed must wait, longer each time; and nobody can make somebody else wait where that one comes from.

Three counts. Of a name from one address: after a few failures in a row each further try waits, twice as long each time. Of
one address under any name: a stranger who tries many names. Of a name from everywhere: guessing from many addresses;
addresses from which the name has signed in before are not held up by it, so a stranger cannot lock its holder out.
(OWASP, Authentication Cheat Sheet: lock-out, and the harm that it can do.)

A try counts as failed from before its password is looked at until it proves good, so that a hundred at once are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

import sqlalchemy as sa

from cocket.core.clock import US, Clock
from cocket.core.config import Access
from cocket.core.errors import Busy
from cocket.store.access import AccessStore

_DAY_US: Final = 86_400 * US
_KEPT_US: Final = 30 * _DAY_US
_ADDRESS_US: Final = 900 * US
_EVERYWHERE: Final = 10
"""How many times more failures than from one address a name may have from all."""

Kind = Literal["password", "code", "link"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that may go on."""

    id: int


class LockOut:
    """Counts tries. Any thread may call."""

    def __init__(self, store: AccessStore, clock: Clock, settings: Access) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def begin(self, kind: Kind, name: str, address: str) -> Attempt:
        """A try begins; raises ``Busy`` with the seconds to wait if it may not yet."""
        now = self._clock.now_us()
        place = _place(address)
        digest = sha256(name.encode("utf-8", "replace")).digest()
        with self._store.writing() as connection:
            until = self._until(connection, kind, digest, place, now)
            if until <= now:
                self._store.forget_attempts(connection, now - _KEPT_US)
                row = {"at_us": now, "kind": kind, "name_hash": digest, "address": place, "good": False}
                return Attempt(self._store.add_attempt(connection, row))
        wait_s = -(-(until - now) // US)
        raise Busy(f"too many failed tries to sign in; wait {wait_s} s", retry_after_s=wait_s)

    def good(self, connection: sa.Connection, attempt: Attempt) -> None:
        """It proved good."""
        self._store.attempt_was_good(connection, attempt.id)

    def _until(self, connection: sa.Connection, kind: Kind, digest: bytes, place: str, now: int) -> int:
        free = self._settings.free_attempts
        n, last = self._store.failures(connection, kind, digest, place, now - _DAY_US)
        until = self._after(n - free, last)
        n, first = self._store.failures_from(connection, place, now - _ADDRESS_US)
        if n >= self._settings.attempts_per_address:
            until = max(until, first + _ADDRESS_US)
        n, last = self._store.failures(connection, kind, digest, None, now - _DAY_US)
        if n >= _EVERYWHERE * free and not self._store.knows_address(connection, digest, place):
            until = max(until, self._after(n - _EVERYWHERE * free, last))
        return until

    def _after(self, over: int, last_us: int) -> int:
        if over < 0:
            return 0
        delay_s = min(self._settings.delay_s << min(over, 30), self._settings.most_delay_s)
        return last_us + delay_s * US


def _place(address: str) -> str:
    """An address, or of IPv6 the network of a household, which has as many addresses as it likes."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Address(int(ip) >> 64 << 64)) + "/64"
    return str(ip)
