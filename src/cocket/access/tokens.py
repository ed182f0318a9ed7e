"""API tokens: what programs show instead of a session. Shown once, hashed, limited in roles, actions and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cocket.access import secrets
from cocket.core.clock import US, Clock
from cocket.core.config import Access
from cocket.core.errors import Conflict, Fault, Forbidden, Refused
from cocket.core.principal import Principal
from cocket.store.access import AccessStore, Row

_DAY_US: Final = 86_400 * US
_SEEN_US: Final = 60 * US


class Tokens:
    """Makes, finds and revokes them. Any thread may call."""

    def __init__(self, store: AccessStore, clock: Clock, settings: Access) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def make(
        self,
        maker: Principal,
        account: str,
        token_id: str,
        *,
        roles: Sequence[str] | None,
        scopes: Sequence[str],
        expires_us: int,
    ) -> tuple[str, Row]:
        """A token that acts for ``account``, and its row. ``roles`` None: all of the account's but ``owner``.

        Raises ``Refused`` for roles that the account or its maker lacks and for an end that is past or too far,
        ``Conflict`` for a name that is or was taken, ``Forbidden`` for another's account if the maker is no owner.
        """
        now = self._clock.now_us()
        if account != maker.id and "owner" not in maker.roles:
            raise Forbidden("a token is made by the account that it acts for, or by the owner")
        most = now + self._settings.token_days * _DAY_US
        if not now < expires_us <= most:
            detail = f"a token ends within {self._settings.token_days} days from now"
            raise Refused(detail, [Fault("/expires_at", "range", detail)])
        secret = secrets.new_token()
        with self._store.writing() as connection:
            holder = self._store.account(connection, account)
            if holder is None or holder["disabled"]:
                detail = f"there is no account {account!r} that may sign in"
                raise Refused(detail, [Fault("/account", "unknown", detail)])
            given = sorted(set(holder["roles"]) - {"owner"} if roles is None else set(roles))
            own = maker.roles if account == maker.id else holder["roles"]
            for role in given:
                if role not in own or role not in holder["roles"]:
                    detail = f"the role {role!r} is not the account's, so a token of it cannot have it"
                    raise Refused(detail, [Fault("/roles", "not-held", detail)])
            if self._store.has_token(connection, token_id):
                raise Conflict(f"there is or was a token {token_id!r}; records name it, so take another name")
            row: Row = {
                "id": token_id,
                "hash": secrets.digest(secret),
                "account": account,
                "roles": given,
                "scopes": sorted(set(scopes)),
                "created_us": now,
                "created_by": maker.id,
                "expires_us": expires_us,
                "revoked_us": None,
                "revoked_by": None,
                "last_us": None,
            }
            self._store.add_token(connection, row)
        return secret, row

    def find(self, secret: str) -> tuple[Row, Row] | None:
        """The row of a token that is good and of its account, or None; notes that it was used."""
        if not secrets.is_token(secret):
            return None
        now = self._clock.now_us()
        with self._store.reading() as connection:
            row = self._store.token_by(connection, secrets.digest(secret))
            if row is None or not self.is_good(row):
                return None
            account = self._store.account(connection, row["account"])
        if account is None or account["disabled"]:
            return None
        if row["last_us"] is None or now - row["last_us"] >= _SEEN_US:
            with self._store.writing() as connection:
                self._store.token_used(connection, row["id"], now)
        return row, account

    def is_good(self, row: Row) -> bool:
        """Whether it is neither revoked nor over."""
        return row["revoked_us"] is None and row["expires_us"] > self._clock.now_us()

    def all(self, maker: Principal) -> list[Row]:
        """Those of the account, or of everybody for the owner; a token sees itself. Newest first."""
        if maker.kind == "token":
            with self._store.reading() as connection:
                return [self._store.token(connection, maker.id.partition(":")[2])]
        with self._store.reading() as connection:
            return self._store.tokens(connection, None if "owner" in maker.roles else maker.id)

    def revoke(self, maker: Principal, token_id: str) -> None:
        """Good no more; again changes nothing. ``Forbidden`` for another's, unless the owner asks in person; a token may
        revoke itself.
        """
        with self._store.writing() as connection:
            row = self._store.token(connection, token_id)
            own = maker.id in {row["account"], f"token:{token_id}"}
            if not own and not ("owner" in maker.roles and maker.kind == "person"):
                raise Forbidden("a token is revoked by the account that it acts for, or by the owner")
            if row["revoked_us"] is None:
                self._store.revoke_token(connection, row, by=maker.id, at_us=self._clock.now_us())
