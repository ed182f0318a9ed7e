"""Accounts, sessions, tokens, one-time links and tries to sign in.

Methods that take a connection are part of their caller's transaction (``writing``). Every change of an account or token that
people make leaves its row in ``changes``, without secrets. Any thread may call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import NotFound
from cocket.store.access_tables import (
    accounts,
    api_tokens,
    one_time_links,
    recovery_codes,
    sessions,
    sign_in_attempts,
)
from cocket.store.changes import Book
from cocket.store.database import Database

Row = dict[str, Any]

_TOLD: Final = {
    "account": ("full_name", "roles", "offices", "holder", "authority", "disabled", "issuer"),
    "token": ("account", "roles", "scopes", "expires_us", "revoked_us"),
}
"""What the book of changes may hold of each."""


class AccessStore:
    """Those who sign in, in ``db`` (``cocket.sqlite``)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: on the disk when the block ends, undone if it raises."""
        return self._db.write()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._db.read()

    # accounts

    def account(self, connection: sa.Connection, name: str) -> Row | None:
        """One account, or None."""
        return _one(connection, accounts.select().where(accounts.c.id == name))

    def account_of(self, connection: sa.Connection, issuer: str, subject: str) -> Row | None:
        """The account of somebody whom a provider knows, or None."""
        query = accounts.select().where(accounts.c.issuer == issuer, accounts.c.subject == subject)
        return _one(connection, query)

    def accounts(self, connection: sa.Connection) -> list[Row]:
        """All, by name, with when each last signed in (``seen_us``) and whether a token of it is good."""
        seen = (
            sa.select(sessions.c.account, sa.func.max(sessions.c.seen_us).label("seen_us"))
            .group_by(sessions.c.account)
            .subquery()
        )
        query = (
            sa.select(accounts, seen.c.seen_us)
            .select_from(accounts.outerjoin(seen, seen.c.account == accounts.c.id))
            .order_by(accounts.c.id)
        )
        return _all(connection, query)

    def add_account(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A new one; ``changed_by`` did it."""
        connection.execute(accounts.insert().values(row))
        self._noted(connection, "account", row["id"], None, row, row["changed_by"], row["changed_us"])

    def change_account(
        self, connection: sa.Connection, before: Row, values: Mapping[str, Any], *, by: str, at_us: int
    ) -> Row:
        """The account with these values; what people may know of the change goes into the book."""
        after = {**before, **values, "changed_us": at_us, "changed_by": by}
        stamped = {**values, "changed_us": at_us, "changed_by": by}
        connection.execute(accounts.update().where(accounts.c.id == before["id"]).values(stamped))
        self._noted(connection, "account", before["id"], before, after, by, at_us)
        return after

    def set_account(self, connection: sa.Connection, name: str, **values: Any) -> None:
        """Secrets and counters, which the book does not hold."""
        connection.execute(accounts.update().where(accounts.c.id == name).values(values))

    def use_step(self, connection: sa.Connection, name: str, step: int) -> bool:
        """Use up the code of a time step and all before it; False if it was used up."""
        done = connection.execute(
            accounts.update().where(accounts.c.id == name, accounts.c.totp_step < step).values(totp_step=step)
        )
        return done.rowcount == 1

    def set_recovery(self, connection: sa.Connection, name: str, hashes: Iterable[bytes]) -> None:
        """These recovery codes instead of all former ones."""
        connection.execute(recovery_codes.delete().where(recovery_codes.c.account == name))
        rows = [{"account": name, "hash": h, "used_us": None} for h in hashes]
        if rows:
            connection.execute(recovery_codes.insert(), rows)

    def use_recovery(self, connection: sa.Connection, name: str, digest: bytes, at_us: int) -> bool:
        """Use up a recovery code; False if it is none or was used."""
        table = recovery_codes
        done = connection.execute(
            table.update()
            .where(table.c.account == name, table.c.hash == digest, table.c.used_us.is_(None))
            .values(used_us=at_us)
        )
        return done.rowcount == 1

    def recovery_left(self, connection: sa.Connection, name: str) -> int:
        """How many recovery codes are unused."""
        table = recovery_codes
        query = sa.select(sa.func.count()).where(table.c.account == name, table.c.used_us.is_(None))
        return int(connection.execute(query).scalar_one())

    # one-time links

    def add_link(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A new link; former unused ones of the same kind and account are good no more."""
        table = one_time_links
        same = table.c.account.is_(None) if row["account"] is None else table.c.account == row["account"]
        connection.execute(table.delete().where(table.c.kind == row["kind"], same, table.c.used_us.is_(None)))
        connection.execute(table.insert().values(row))

    def link(self, connection: sa.Connection, digest: bytes, kind: str, now_us: int) -> Row | None:
        """A link that is good, or None."""
        table = one_time_links
        query = table.select().where(
            table.c.hash == digest,
            table.c.kind == kind,
            table.c.used_us.is_(None),
            table.c.expires_us > now_us,
        )
        return _one(connection, query)

    def use_link(self, connection: sa.Connection, digest: bytes, now_us: int) -> bool:
        """Use it up; False if it was used."""
        table = one_time_links
        done = connection.execute(
            table.update().where(table.c.hash == digest, table.c.used_us.is_(None)).values(used_us=now_us)
        )
        return done.rowcount == 1

    # sessions

    def add_session(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A new one."""
        connection.execute(sessions.insert().values(row))

    def session(self, connection: sa.Connection, digest: bytes) -> Row | None:
        """One session by the hash of its cookie, or None."""
        return _one(connection, sessions.select().where(sessions.c.hash == digest))

    def sessions(self, connection: sa.Connection, name: str) -> list[Row]:
        """The open ones of an account, newest first."""
        query = (
            sessions.select()
            .where(sessions.c.account == name, sessions.c.stage == "open")
            .order_by(sessions.c.created_us.desc(), sessions.c.id)
        )
        return _all(connection, query)

    def seen(self, connection: sa.Connection, digest: bytes, now_us: int) -> None:
        """A session was used."""
        connection.execute(sessions.update().where(sessions.c.hash == digest).values(seen_us=now_us))

    def end_session(self, connection: sa.Connection, digest: bytes) -> bool:
        """Delete one by its hash; False if there is none."""
        return connection.execute(sessions.delete().where(sessions.c.hash == digest)).rowcount == 1

    def end_sessions(self, connection: sa.Connection, name: str, *, but: bytes | None = None) -> int:
        """Delete all of an account, but for one; tells how many."""
        query = sessions.delete().where(sessions.c.account == name)
        if but is not None:
            query = query.where(sessions.c.hash != but)
        return int(connection.execute(query).rowcount)

    def forget_sessions(self, connection: sa.Connection, now_us: int, idle_us: int) -> None:
        """Delete those whose time is over."""
        over = sa.or_(sessions.c.expires_us <= now_us, sessions.c.seen_us <= now_us - idle_us)
        connection.execute(sessions.delete().where(over))

    # tokens

    def add_token(self, connection: sa.Connection, row: Mapping[str, Any]) -> None:
        """A new one."""
        connection.execute(api_tokens.insert().values(row))
        self._noted(connection, "token", row["id"], None, row, row["created_by"], row["created_us"])

    def token(self, connection: sa.Connection, token_id: str) -> Row:
        """One by its name; ``NotFound`` if there is none."""
        row = _one(connection, api_tokens.select().where(api_tokens.c.id == token_id))
        if row is None:
            raise NotFound(f"there is no token {token_id!r}")
        return row

    def has_token(self, connection: sa.Connection, token_id: str) -> bool:
        """Whether the name is taken, also by one that is good no more."""
        return _one(connection, api_tokens.select().where(api_tokens.c.id == token_id)) is not None

    def token_by(self, connection: sa.Connection, digest: bytes) -> Row | None:
        """One by its hash, or None."""
        return _one(connection, api_tokens.select().where(api_tokens.c.hash == digest))

    def tokens(self, connection: sa.Connection, name: str | None) -> list[Row]:
        """Those of an account, or all; newest first."""
        query = api_tokens.select().order_by(api_tokens.c.created_us.desc(), api_tokens.c.id)
        if name is not None:
            query = query.where(api_tokens.c.account == name)
        return _all(connection, query)

    def revoke_token(self, connection: sa.Connection, row: Row, *, by: str, at_us: int) -> None:
        """It is good no more."""
        values = {"revoked_us": at_us, "revoked_by": by}
        connection.execute(api_tokens.update().where(api_tokens.c.id == row["id"]).values(values))
        self._noted(connection, "token", row["id"], row, {**row, **values}, by, at_us)

    def token_used(self, connection: sa.Connection, token_id: str, at_us: int) -> None:
        """When it was used last."""
        connection.execute(api_tokens.update().where(api_tokens.c.id == token_id).values(last_us=at_us))

    # tries to sign in

    def add_attempt(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        """A try, bad until it proves good; gives its number."""
        done = connection.execute(sign_in_attempts.insert().values(row))
        return int((done.inserted_primary_key or (0,))[0])

    def attempt_was_good(self, connection: sa.Connection, attempt: int) -> None:
        """It proved good."""
        table = sign_in_attempts
        connection.execute(table.update().where(table.c.id == attempt).values(good=True))

    def failures(
        self, connection: sa.Connection, kind: str, digest: bytes, address: str | None, since_us: int
    ) -> tuple[int, int]:
        """Failures in a row of a name, from one address or from all, and when the last was."""
        table = sign_in_attempts
        of = [table.c.name_hash == digest, table.c.kind == kind, table.c.at_us > since_us]
        if address is not None:
            of.append(table.c.address == address)
        good = sa.select(sa.func.max(table.c.id)).where(*of, table.c.good.is_(True)).scalar_subquery()
        query = sa.select(sa.func.count(), sa.func.max(table.c.at_us)).where(
            *of, table.c.good.is_(False), table.c.id > sa.func.coalesce(good, 0)
        )
        n, last = connection.execute(query).one()
        return int(n), int(last or 0)

    def failures_from(self, connection: sa.Connection, address: str, since_us: int) -> tuple[int, int]:
        """Failures from an address under any name since a moment, and when the first of them was."""
        table = sign_in_attempts
        query = sa.select(sa.func.count(), sa.func.min(table.c.at_us)).where(
            table.c.address == address, table.c.good.is_(False), table.c.at_us > since_us
        )
        n, first = connection.execute(query).one()
        return int(n), int(first or 0)

    def knows_address(self, connection: sa.Connection, digest: bytes, address: str) -> bool:
        """Whether somebody signed in under this name from this address before."""
        table = sign_in_attempts
        query = sa.select(table.c.id).where(
            table.c.name_hash == digest, table.c.address == address, table.c.good.is_(True)
        )
        return connection.execute(query.limit(1)).first() is not None

    def forget_attempts(self, connection: sa.Connection, until_us: int) -> None:
        """Delete the old ones."""
        connection.execute(sign_in_attempts.delete().where(sign_in_attempts.c.at_us <= until_us))

    def _noted(
        self,
        connection: sa.Connection,
        kind: str,
        subject: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
        by: str,
        at_us: int,
    ) -> None:
        told = [None if row is None else {k: row.get(k) for k in _TOLD[kind]} for row in (before, after)]
        if told[0] != told[1]:
            book = Book(connection, by=by, at_us=at_us)
            book.add(kind, subject, told[0], told[1])
            book.close()


def _one(connection: sa.Connection, query: sa.Select[Any]) -> Row | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _all(connection: sa.Connection, query: sa.Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]
