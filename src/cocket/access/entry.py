"""Signing in with name, password and code; and what holders do with their own account.

A sign-in makes a new session, always: what a browser carried before it is good for nothing afterwards (session fixation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from cocket.access import secrets, totp
from cocket.access.accounts import Accounts
from cocket.access.lockout import LockOut
from cocket.access.passwords import Passwords
from cocket.access.sessions import Session, Sessions, Stage, Whence
from cocket.core.clock import Clock
from cocket.core.errors import Conflict, Fault, NotSignedIn, Refused
from cocket.store.access import AccessStore, Row

_RECOVERY_CODES: Final = 10
_NO: Final = "name or password is wrong"
"""The same words whatever was wrong."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What a sign-in came to: the secret for the cookie, and ``stage`` (``code``: the second factor is wanted)."""

    secret: str
    stage: Stage
    account: str


class Entry:
    """Any thread may call."""

    def __init__(
        self,
        store: AccessStore,
        clock: Clock,
        hashing: Passwords,
        lock_out: LockOut,
        accounts: Accounts,
        sessions: Sessions,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = hashing
        self._lock_out = lock_out
        self._accounts = accounts
        self._sessions = sessions

    # in

    def by_password(self, name: str, password: str, whence: Whence, before: Session | None) -> Entered:
        """First step. Raises ``NotSignedIn`` in the same words, after the same work, whatever is wrong; ``Busy`` locked out."""
        name = name.strip().casefold()
        row = self._known(name, password, whence)
        stage: Stage = "open" if row["totp"] is None else "code"
        with self._store.writing() as connection:
            self._drop(connection, before)
            secret = self._sessions.open(connection, name, whence, stage=stage)
        return Entered(secret, stage, name)

    def _known(self, name: str, password: str, whence: Whence) -> Row:
        attempt = self._lock_out.begin("password", name, whence.address)
        with self._store.reading() as connection:
            row = self._store.account(connection, name)
        kept = None if row is None else row["password"]
        good = self._passwords.verified(password, kept)
        if not good or row is None or row["disabled"]:
            raise NotSignedIn(_NO)
        rehashed = self._passwords.hashed(password) if self._passwords.stale(str(kept)) else None
        with self._store.writing() as connection:
            self._lock_out.good(connection, attempt)
            if rehashed is not None:
                self._store.set_account(connection, name, password=rehashed)
        return row

    def by_code(self, waiting: Session | None, code: str, whence: Whence) -> Entered:
        """Second step: a code of the app, or a recovery code; each is good once."""
        if waiting is None or waiting.stage != "code":
            raise NotSignedIn("sign in with name and password first; that was too long ago or never")
        name = waiting.account["id"]
        attempt = self._lock_out.begin("code", name, whence.address)
        with self._store.writing() as connection:
            if not self._second_factor(connection, name, code):
                raise NotSignedIn("the code is wrong, over or was used")
            if not self._store.end_session(connection, waiting.digest):
                raise NotSignedIn("this sign-in was finished or given up")
            self._lock_out.good(connection, attempt)
            secret = self._sessions.open(connection, name, whence, second_factor=True)
        return Entered(secret, "open", name)

    def _second_factor(self, connection: sa.Connection, name: str, code: str) -> bool:
        row = self._store.account(connection, name)
        if row is None or row["totp"] is None or row["disabled"]:
            return False
        now = self._clock.now_us()
        plain = code.replace(" ", "")
        if plain.isascii() and plain.isdigit():
            step = totp.step_of(row["totp"], plain, now, row["totp_step"])
            return step is not None and self._store.use_step(connection, name, step)
        return self._store.use_recovery(connection, name, secrets.recovery_digest(name, code), now)

    def by_owner_link(self, secret: str, name: str, password: str, whence: Whence) -> Entered:
        """The first owner, or one more, by the link from the console."""
        name = name.strip().casefold()
        return self._by_link(
            lambda connection: self._accounts.take_owner_link(connection, secret, name, password), whence
        )

    def by_account_link(self, secret: str, password: str, whence: Whence) -> Entered:
        """Somebody for whom the owner made an account, or reset it."""
        return self._by_link(
            lambda connection: self._accounts.take_account_link(connection, secret, password), whence
        )

    def _by_link(self, take: Callable[[sa.Connection], Row], whence: Whence) -> Entered:
        attempt = self._lock_out.begin("link", whence.address, whence.address)
        with self._store.writing() as connection:
            name = take(connection)["id"]
            self._lock_out.good(connection, attempt)
            row = self._store.account(connection, name)
            stage: Stage = "open" if row is None or row["totp"] is None else "code"
            return Entered(self._sessions.open(connection, name, whence, stage=stage), stage, name)

    # one's own account

    def change_password(self, session: Session, old: str, new: str, whence: Whence) -> Entered:
        """All other sessions end, and this one gets a new secret."""
        row = self._own(session)
        self._known(row["id"], old, whence)
        self._passwords.check(new, row["id"], row["full_name"], field="/new")
        if new == old:
            detail = "the new password is the old one"
            raise Refused(detail, [Fault("/new", "unchanged", detail)])
        hashed = self._passwords.hashed(new)
        with self._store.writing() as connection:
            now = self._clock.now_us()
            self._store.set_account(connection, row["id"], password=hashed, password_us=now)
            return self._renewed(connection, session, whence, session.second_factor)

    def begin_totp(self, session: Session, password: str, whence: Whence) -> str:
        """A new secret for the app, good once a code of it was shown. Whoever has a second factor keeps it until then."""
        row = self._own(session)
        self._known(row["id"], password, whence)
        if row["totp"] is not None and not session.second_factor:
            raise Conflict("this account has a second factor; sign in with it to change it")
        secret = totp.new_secret()
        with self._store.writing() as connection:
            self._store.set_account(connection, row["id"], totp_pending=secret)
        return secret

    def confirm_totp(self, session: Session, code: str, whence: Whence) -> tuple[Entered, list[str]]:
        """The app shows the right codes: the second factor is on. Gives recovery codes, shown this once."""
        name = self._own(session)["id"]
        attempt = self._lock_out.begin("code", name, whence.address)
        codes = [secrets.new_recovery_code() for _ in range(_RECOVERY_CODES)]
        with self._store.writing() as connection:
            row = self._store.account(connection, name)
            pending = None if row is None else row["totp_pending"]
            if pending is None:
                raise Conflict("no second factor was begun")
            step = totp.step_of(pending, code, self._clock.now_us(), 0)
            if step is None:
                detail = "the code is none of this secret; look at the app and at the clock of the phone"
                raise Refused(detail, [Fault("/code", "wrong-code", detail)])
            self._lock_out.good(connection, attempt)
            self._store.set_account(connection, name, totp=pending, totp_pending=None, totp_step=step)
            digests = [secrets.recovery_digest(name, c) for c in codes]
            self._store.set_recovery(connection, name, digests)
            return self._renewed(connection, session, whence, second_factor=True), codes

    def drop_totp(self, session: Session, password: str, whence: Whence) -> None:
        """The second factor is off; wants the password, and a session that was opened with it."""
        row = self._own(session)
        self._known(row["id"], password, whence)
        if row["totp"] is not None and not session.second_factor:
            raise Conflict("sign in with the second factor to take it off")
        with self._store.writing() as connection:
            self._store.set_account(connection, row["id"], totp=None, totp_pending=None, totp_step=0)
            self._store.set_recovery(connection, row["id"], ())

    def recovery_left(self, name: str) -> int:
        """How many recovery codes are unused."""
        with self._store.reading() as connection:
            return self._store.recovery_left(connection, name)

    def _own(self, session: Session) -> Row:
        row = session.account
        if session.stage != "open":
            raise NotSignedIn("sign in first")
        if row["issuer"] is not None:
            raise Conflict(f"password and second factor of this account are kept by {row['issuer']}")
        return row

    def _renewed(
        self, connection: sa.Connection, session: Session, whence: Whence, second_factor: bool
    ) -> Entered:
        name = self._own(session)["id"]
        self._store.end_sessions(connection, name)
        secret = self._sessions.open(connection, name, whence, second_factor=second_factor)
        return Entered(secret, "open", name)

    def _drop(self, connection: sa.Connection, before: Session | None) -> None:
        if before is not None:
            self._store.end_session(connection, before.digest)
