"""Accounts: the owner gives them their roles and offices; a one-time link lets somebody choose the password. Nobody else ever
knows it, so there are no first passwords to leak.
"""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa

from cocket.access import secrets
from cocket.access.passwords import Passwords
from cocket.core.clock import US, Clock
from cocket.core.errors import Conflict, Fault, NotFound, NotSignedIn, Refused
from cocket.core.principal import ROLES
from cocket.store.access import AccessStore, Row

OWNER_LINK_US: Final = 3_600 * US
ACCOUNT_LINK_US: Final = 7 * 86_400 * US
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._@+-]*$"
_NAME: Final = re.compile(NAME_PATTERN)
_RESERVED: Final = frozenset({"api", "stranger", "nobody", "owner", "system", "rules"})
"""Names that stand in records for somebody else."""
_BAD_LINK: Final = "this link is unknown, used or expired; ask for a new one"


class Accounts:
    """Any thread may call."""

    def __init__(self, store: AccessStore, clock: Clock, hashing: Passwords) -> None:
        self._store = store
        self._clock = clock
        self._passwords = hashing

    def all(self) -> list[Row]:
        """By name."""
        with self._store.reading() as connection:
            return self._store.accounts(connection)

    def one(self, name: str) -> Row:
        """One; ``NotFound`` if there is none of that name."""
        with self._store.reading() as connection:
            return self._one(connection, name)

    def make(
        self,
        name: str,
        *,
        by: str,
        full_name: str = "",
        roles: list[str],
        offices: list[str] | None = None,
        holder: str | None = None,
        authority: str | None = None,
    ) -> tuple[Row, str]:
        """A new account without a password, and the secret of the link with which its holder chooses one."""
        now = self._clock.now_us()
        _check_name(name)
        _check_roles(roles, holder, authority)
        with self._store.writing() as connection:
            if self._store.account(connection, name) is not None:
                raise Conflict(f"there is an account {name!r}")
            row = blank(name, now, by) | {
                "full_name": full_name,
                "roles": sorted(set(roles)),
                "offices": sorted(set(offices or ())),
                "holder": holder,
                "authority": authority,
            }
            self._store.add_account(connection, row)
            return row, self._link(connection, "account", name, by, now)

    def change(self, name: str, values: dict[str, Any], *, by: str) -> Row:
        """Roles, offices, whom it acts for, whether it may sign in. Raises ``Conflict`` if no owner would be left."""
        now = self._clock.now_us()
        with self._store.writing() as connection:
            before = self._one(connection, name)
            after = {**before, **values}
            _check_roles(after["roles"], after["holder"], after["authority"])
            for field in ("roles", "offices"):
                if field in values:
                    values = {**values, field: sorted(set(values[field]))}
            if _rules(before) and not _rules(after) and self._owners(connection) == {name}:
                raise Conflict(f"{name!r} is the only owner; make another account owner first")
            after = self._store.change_account(connection, before, values, by=by, at_us=now)
            if after["disabled"]:
                self._store.end_sessions(connection, name)
            return after

    def reset(self, name: str, *, by: str, second_factor: bool = True) -> str:
        """Take the password and, unless it is said otherwise, the second factor away, end all sessions, and give the secret
        of a link to choose a new password. A second factor that stays is asked for behind the link.
        """
        now = self._clock.now_us()
        with self._store.writing() as connection:
            row = self._one(connection, name)
            if row["issuer"] is not None:
                raise Conflict(
                    f"{name!r} signs in with the provider {row['issuer']}; its password is kept there"
                )
            self._store.set_account(connection, name, password=None)
            if second_factor:
                self._drop_second_factor(connection, name)
            self._store.end_sessions(connection, name)
            return self._link(connection, "account", name, by, now)

    # one-time links

    def has_owner(self) -> bool:
        """Whether an account is there that is owner and may sign in."""
        with self._store.reading() as connection:
            return bool(self._owners(connection))

    def owner_link(self, *, by: str) -> str:
        """The secret of a link that makes an owner, once, within the hour; a former one is good no more."""
        with self._store.writing() as connection:
            return self._link(connection, "owner", None, by, self._clock.now_us())

    def link_account(self, secret: str) -> Row:
        """Whose password a link sets; ``NotSignedIn`` if it is not good."""
        with self._store.reading() as connection:
            return self._of_link(connection, secret)

    def take_owner_link(self, connection: sa.Connection, secret: str, name: str, password: str) -> Row:
        """A new account that is owner, or an old one made owner, with this password."""
        now = self._clock.now_us()
        if self._store.link(connection, secrets.digest(secret), "owner", now) is None:
            raise NotSignedIn(_BAD_LINK)
        _check_name(name)
        self._passwords.check(password, name)
        self._use(connection, secret, now)
        before = self._store.account(connection, name)
        if before is None:
            row = blank(name, now, name) | {"roles": ["owner"]}
            self._store.add_account(connection, row)
        elif before["issuer"] is not None:
            raise Conflict(f"{name!r} signs in with a provider; take another name")
        else:
            roles = sorted({*before["roles"], "owner"})
            row = self._store.change_account(
                connection, before, {"roles": roles, "disabled": False}, by=name, at_us=now
            )
        self._set_password(connection, name, password, now)
        self._drop_second_factor(connection, name)
        return row

    def take_account_link(self, connection: sa.Connection, secret: str, password: str) -> Row:
        """The account of the link, with this password; its second factor, if there is one, stays."""
        now = self._clock.now_us()
        row = self._of_link(connection, secret)
        self._passwords.check(password, row["id"], row["full_name"])
        self._use(connection, secret, now)
        self._set_password(connection, row["id"], password, now)
        return row

    def _set_password(self, connection: sa.Connection, name: str, password: str, now: int) -> None:
        hashed = self._passwords.hashed(password)
        self._store.set_account(connection, name, password=hashed, password_us=now, totp_pending=None)
        self._store.end_sessions(connection, name)

    def _drop_second_factor(self, connection: sa.Connection, name: str) -> None:
        self._store.set_account(connection, name, totp=None, totp_pending=None, totp_step=0)
        self._store.set_recovery(connection, name, ())

    def _link(self, connection: sa.Connection, kind: str, account: str | None, by: str, now: int) -> str:
        secret = secrets.new_secret()
        life_us = OWNER_LINK_US if kind == "owner" else ACCOUNT_LINK_US
        self._store.add_link(
            connection,
            {
                "hash": secrets.digest(secret),
                "kind": kind,
                "account": account,
                "created_us": now,
                "created_by": by,
                "expires_us": now + life_us,
                "used_us": None,
            },
        )
        return secret

    def _of_link(self, connection: sa.Connection, secret: str) -> Row:
        link = self._store.link(connection, secrets.digest(secret), "account", self._clock.now_us())
        row = None if link is None else self._store.account(connection, link["account"])
        if row is None or row["disabled"]:
            raise NotSignedIn(_BAD_LINK)
        return row

    def _use(self, connection: sa.Connection, secret: str, now: int) -> None:
        if not self._store.use_link(connection, secrets.digest(secret), now):
            raise NotSignedIn(_BAD_LINK)

    def _one(self, connection: sa.Connection, name: str) -> Row:
        row = self._store.account(connection, name)
        if row is None:
            raise NotFound(f"there is no account {name!r}")
        return row

    def _owners(self, connection: sa.Connection) -> set[str]:
        return {row["id"] for row in self._store.accounts(connection) if _rules(row)}


def blank(name: str, now: int, by: str) -> Row:
    """An account that has nothing yet."""
    return {
        "id": name,
        "full_name": "",
        "roles": [],
        "offices": [],
        "holder": None,
        "authority": None,
        "disabled": False,
        "issuer": None,
        "subject": None,
        "password": None,
        "password_us": None,
        "totp": None,
        "totp_pending": None,
        "totp_step": 0,
        "created_us": now,
        "created_by": by,
        "changed_us": now,
        "changed_by": by,
    }


def good_name(name: str) -> bool:
    """Whether an account may have this name."""
    return bool(_NAME.fullmatch(name)) and len(name) <= 64 and name not in _RESERVED


def _check_name(name: str) -> None:
    if not good_name(name):
        detail = (
            f"{name[:64]!r} cannot name an account: small letters, digits and . _ @ + -, at most 64, "
            f"and none of {', '.join(sorted(_RESERVED))}, which stand for others in records"
        )
        raise Refused(detail, [Fault("/name", "account-name", detail)])


def _check_roles(roles: list[str], holder: str | None, authority: str | None) -> None:
    for role in roles:
        if role not in ROLES:
            detail = f"{role!r} is no role; the roles are {', '.join(ROLES)}"
            raise Refused(detail, [Fault("/roles", "unknown", detail)])
    if "trader" in roles and not holder:
        detail = "a trader sees the movements of one holder: name it (EORI, TIN)"
        raise Refused(detail, [Fault("/holder", "required", detail)])
    if "partner-authority" in roles and not authority:
        detail = "a partner authority's account names the authority"
        raise Refused(detail, [Fault("/authority", "required", detail)])


def _rules(row: Row) -> bool:
    return "owner" in row["roles"] and not row["disabled"]
