"""Sessions: a random secret in a cookie, its hash in the store, an end in any case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa

from cocket.access import secrets
from cocket.core.clock import US, Clock
from cocket.core.config import Access
from cocket.core.errors import NotFound
from cocket.store.access import AccessStore, Row

Stage = Literal["open", "code"]
_UNFINISHED_US: Final = 600 * US
"""How long a sign-in that has begun waits for its second factor."""
_SEEN_US: Final = 30 * US
"""Use of a session is written down this often at most."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good, and its account's row."""

    digest: bytes
    id: str
    stage: Stage
    second_factor: bool
    account: Row


@dataclass(frozen=True, slots=True)
class Whence:
    """Where a session was opened from, for its holder to recognise: network address, and what the browser calls itself."""

    address: str
    agent: str = ""


class Sessions:
    """Opens, finds and ends them. Any thread may call."""

    def __init__(self, store: AccessStore, clock: Clock, settings: Access) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def open(
        self,
        connection: sa.Connection,
        account: str,
        whence: Whence,
        *,
        stage: Stage = "open",
        second_factor: bool = False,
    ) -> str:
        """A new one in the caller's transaction; gives the secret, which is kept nowhere. The oldest give way to it."""
        now = self._clock.now_us()
        self._store.forget_sessions(connection, now, self._idle_us)
        secret = secrets.new_secret()
        life_us = self._settings.session_s * US if stage == "open" else _UNFINISHED_US
        self._store.add_session(
            connection,
            {
                "hash": secrets.digest(secret),
                "id": secrets.new_id(),
                "account": account,
                "stage": stage,
                "second_factor": second_factor,
                "created_us": now,
                "seen_us": now,
                "expires_us": now + life_us,
                "address": whence.address[:64],
                "agent": "".join(c for c in whence.agent if c.isprintable())[:200],
            },
        )
        if stage == "open":
            for old in self._store.sessions(connection, account)[self._settings.sessions_per_account :]:
                self._store.end_session(connection, old["hash"])
        return secret

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, if it is good; notes that it was used."""
        if not secrets.is_secret(secret):
            return None
        digest = secrets.digest(secret)
        now = self._clock.now_us()
        with self._store.reading() as connection:
            row = self._store.session(connection, digest)
            if row is None or row["expires_us"] <= now or row["seen_us"] + self._idle_us <= now:
                return None
            account = self._store.account(connection, row["account"])
        if account is None or account["disabled"]:
            return None
        if now - row["seen_us"] >= min(_SEEN_US, self._idle_us // 4):
            with self._store.writing() as connection:
                self._store.seen(connection, digest, now)
        return Session(digest, row["id"], row["stage"], row["second_factor"], account)

    def of(self, name: str) -> list[Row]:
        """The open ones of an account that are good, newest first."""
        now = self._clock.now_us()
        with self._store.reading() as connection:
            rows = self._store.sessions(connection, name)
        return [r for r in rows if r["expires_us"] > now and r["seen_us"] + self._idle_us > now]

    def end(self, session: Session, *, everywhere: bool = False) -> None:
        """Sign out: of one session, or of all of its account."""
        with self._store.writing() as connection:
            self._store.end_session(connection, session.digest)
            if everywhere:
                self._store.end_sessions(connection, session.account["id"])

    def end_by_id(self, name: str, session_id: str) -> None:
        """One of an account's own; ``NotFound`` if it is none of them."""
        with self._store.writing() as connection:
            for row in self._store.sessions(connection, name):
                if row["id"] == session_id:
                    self._store.end_session(connection, row["hash"])
                    return
        raise NotFound("this account has no session of that id")

    @property
    def _idle_us(self) -> int:
        return self._settings.session_idle_s * US
