"""The tables of those who sign in, in ``cocket.sqlite``. Times are UTC microseconds.

No password, session, token, link or recovery code stands in any of them, only hashes; of a second factor the secret does,
for codes are computed from it.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from cocket.store.tables import main_metadata

accounts = Table(
    "accounts",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("offices", JSON, nullable=False),
    Column("holder", Text),
    Column("authority", Text),
    Column("disabled", Boolean, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("password", Text),
    Column("password_us", BigInteger),
    Column("totp", Text),
    Column("totp_pending", Text),
    Column("totp_step", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Index("accounts_subject", "issuer", "subject", unique=True),
)
"""People. ``password`` is an argon2id hash in PHC form, null for those who come by the provider ``issuer``.
``totp_step`` is the last time step whose code was used."""

recovery_codes = Table(
    "recovery_codes",
    main_metadata,
    Column("account", Text, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("used_us", BigInteger),
)
"""SHA-256 of each recovery code, and when it was used."""

one_time_links = Table(
    "one_time_links",
    main_metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
)
"""Links with which somebody becomes the owner (``owner``) or sets the password of an ``account``, once."""

sessions = Table(
    "sessions",
    main_metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Index("sessions_account", "account", "created_us"),
    Index("sessions_expires", "expires_us"),
)
"""Sessions by the SHA-256 of their cookie. ``stage``: ``open``, or ``code``: its second factor is
awaited, and it is good for nothing else."""

api_tokens = Table(
    "api_tokens",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("account", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("revoked_by", Text),
    Column("last_us", BigInteger),
    Index("api_tokens_hash", "hash", unique=True),
    Index("api_tokens_account", "account"),
)
"""Tokens of programs by their SHA-256; none is deleted, so that ``token:…`` in a record stays one token's name."""

sign_in_attempts = Table(
    "sign_in_attempts",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name_hash", LargeBinary, nullable=False),
    Column("address", Text, nullable=False),
    Column("good", Boolean, nullable=False),
    Index("sign_in_attempts_name", "name_hash", "kind", "at_us"),
    Index("sign_in_attempts_address", "address", "at_us"),
    Index("sign_in_attempts_at", "at_us"),
)
"""Tries to sign in of the last 30 days, for lock-out. Names are hashed: people type passwords into the wrong field."""
