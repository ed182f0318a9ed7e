"""The desk where everybody comes in: says who a session, a token or a certificate stands for.

What it found is kept for a moment, so that a control room's requests do not each ask the store; whatever is changed here
empties that memory at once. Another process that serves the same store learns of it when the moment is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from cocket.access import certificates
from cocket.access.accounts import Accounts, blank, good_name
from cocket.access.entry import Entered, Entry
from cocket.access.lockout import LockOut
from cocket.access.oidc import Known, Provider, declined
from cocket.access.passwords import Passwords
from cocket.access.secrets import digest
from cocket.access.sessions import Session, Sessions, Whence
from cocket.access.tokens import Tokens
from cocket.core.clock import US, Clock
from cocket.core.config import Access
from cocket.core.errors import BadSetting
from cocket.core.principal import ROLES, Principal
from cocket.store.access import AccessStore, Row

_MOMENT_US: Final = 2 * US
_MOST: Final = 10_000


class Found(NamedTuple):
    """Who asks, and by which session, if by one."""

    principal: Principal
    session: Session | None


class AccessDesk:
    """Any thread may call."""

    def __init__(self, store: AccessStore, clock: Clock, settings: Access) -> None:
        unknown = sorted(set(settings.second_factor_roles) - set(ROLES))
        if unknown:
            raise BadSetting(
                f"access.second_factor_roles: {unknown[0]!r} is no role; the roles are {', '.join(ROLES)}"
            )
        self.settings = settings
        self._store = store
        self._clock = clock
        hashing = Passwords(settings)
        self.accounts = Accounts(store, clock, hashing)
        self.sessions = Sessions(store, clock, settings)
        self.tokens = Tokens(store, clock, settings)
        self.lock_out = LockOut(store, clock, settings)
        self.entry = Entry(store, clock, hashing, self.lock_out, self.accounts, self.sessions)
        self.provider = Provider(settings, clock) if settings.oidc_issuer else None
        self._authorities = certificates.Authorities(settings.authorities)
        self._lock = threading.Lock()
        self._memory: dict[bytes, tuple[int, Found]] = {}
        self._generation = 0

    # who asks

    def by_session(self, secret: str) -> Found | None:
        """Whose session it is; None if it is not good. A session that awaits its second factor is nobody's yet."""
        return self._recalled(secret, lambda: self._session(secret))

    def by_token(self, secret: str) -> Found | None:
        """Which program's token it is; None if it is not good."""
        return self._recalled(secret, lambda: self._token(secret))

    def by_certificate(self, der: bytes) -> Principal | None:
        """Which partner authority's certificate it is; None if the settings do not name it."""
        return self._authorities.of(der)

    def waiting(self, secret: str) -> Session | None:
        """The session of a cookie in whatever stage, not from memory."""
        return self.sessions.find(secret)

    def _session(self, secret: str) -> Found | None:
        session = self.sessions.find(secret)
        if session is None or session.stage != "open":
            return None
        row = session.account
        roles = frozenset(row["roles"])
        if not session.second_factor and roles & set(self.settings.second_factor_roles):
            roles = frozenset()
        principal = Principal(
            row["id"],
            "person",
            roles,
            frozenset(row["offices"]),
            row["holder"],
            row["authority"],
            proved="session",
            second_factor=session.second_factor,
        )
        return Found(principal, session)

    def _token(self, secret: str) -> Found | None:
        found = self.tokens.find(secret)
        if found is None:
            return None
        token, account = found
        principal = Principal(
            f"token:{token['id']}",
            "token",
            frozenset(token["roles"]) & frozenset(account["roles"]),
            frozenset(account["offices"]),
            account["holder"],
            account["authority"],
            frozenset(token["scopes"]),
            proved="token",
        )
        return Found(principal, None)

    def _recalled(self, secret: str, look: Callable[[], Found | None]) -> Found | None:
        key = digest(secret)
        now = self._clock.now_us()
        with self._lock:
            kept = self._memory.get(key)
            generation = self._generation
        if kept is not None and now - kept[0] < _MOMENT_US:
            return kept[1]
        found = look()
        with self._lock:
            if found is not None and generation == self._generation:
                if len(self._memory) >= _MOST:
                    self._memory.clear()
                self._memory[key] = (now, found)
            else:
                self._memory.pop(key, None)
        return found

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around whatever changes accounts, sessions or tokens: what is remembered counts no more."""
        try:
            yield
        finally:
            with self._lock:
                self._generation += 1
                self._memory.clear()

    # the provider's people

    def by_provider(self, known: Known, whence: Whence) -> Entered:
        """A session for somebody whom the provider knows; the account is made, or its roles renewed. Raises ``Declined``."""
        now = self._clock.now_us()
        with self._store.writing() as connection:
            row = self._store.account_of(connection, known.issuer, known.subject)
            if row is None:
                if not good_name(known.name):
                    raise declined(
                        "bad-name",
                        f"the provider's name for this person, {known.name[:64]!r}, cannot name an account; "
                        "access.oidc_name_claim says which claim is taken",
                    )
                if self._store.account(connection, known.name) is not None:
                    raise declined("name-taken", f"{known.name!r} is somebody else's account here")
                self._store.add_account(connection, _of_provider(known, now))
            elif row["disabled"]:
                raise declined("disabled", f"the account {row['id']!r} may not sign in")
            else:
                values = {"full_name": known.full_name, "roles": list(known.roles)}
                if known.offices is not None:
                    values["offices"] = list(known.offices)
                if any(row[k] != v for k, v in values.items()):
                    self._store.change_account(connection, row, values, by=row["id"], at_us=now)
            name = known.name if row is None else row["id"]
            return Entered(
                self.sessions.open(connection, name, whence, second_factor=known.strong), "open", name
            )


def _of_provider(known: Known, now: int) -> Row:
    return blank(known.name, now, known.name) | {
        "full_name": known.full_name,
        "roles": list(known.roles),
        "offices": list(known.offices or ()),
        "issuer": known.issuer,
        "subject": known.subject,
    }
