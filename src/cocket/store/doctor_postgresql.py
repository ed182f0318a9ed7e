"""Looks a PostgreSQL server over that keeps a site: what it would lose, and what it will run out of. Changes nothing.

What Cocket refuses to work with at all (version, ``fsync``, encoding, sorting) is said by ``store.postgresql`` when it is opened.
Settings: PostgreSQL 18 manual, chapters 19.3, 19.5 and 29.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cocket.store.database import Database
from cocket.store.finding import Finding

_FULL: Final = 0.8
_FEW: Final = 100
_OLD_S: Final = 3_600

_ABOUT: Final = (
    "SELECT current_setting('server_version') AS version, current_setting('full_page_writes') AS full_page_writes, "
    "current_setting('autovacuum') AS autovacuum, current_setting('data_checksums') AS checksums, "
    "current_setting('max_connections')::int AS most, pg_is_in_recovery() AS standby, "
    "(SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS commits, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used, "
    "(SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::bigint FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_type = 'client backend') AS oldest_s"
)


def server(db: Database) -> Iterator[Finding]:
    """Its settings, its connections, and what stands open for too long."""
    where = str(db.path)
    with db.read() as connection:
        about = connection.exec_driver_sql(_ABOUT).one()
    yield Finding(
        "note", where, f"PostgreSQL {about.version}, {about.used} of {about.most} connections in use"
    )
    yield from (Finding("warning", where, what, do) for what, do in _settings(about))
    if about.checksums != "on":
        yield Finding(
            "note",
            where,
            "pages have no checksums: a flipped bit on its disk is not found",
            "turn them on while the server is stopped: pg_checksums --enable",
        )
    if about.commits == "off":
        yield Finding(
            "note",
            where,
            "synchronous_commit is off on the server; Cocket turns it on for its own sessions",
            "turn it on, so that others' writes are kept as well",
        )


def _settings(about: Any) -> Iterator[tuple[str, str]]:
    if about.standby:
        yield "it is a standby and takes no writes", "let store.url name the primary, or promote this one"
    if about.full_page_writes != "on":
        yield (
            "full_page_writes is off: a power cut in the middle of a page can damage it for good",
            "set it on in postgresql.conf, then SELECT pg_reload_conf()",
        )
    if about.autovacuum != "on":
        yield (
            "autovacuum is off: tables grow, and what was deleted stays in them",
            "set it on in postgresql.conf, then SELECT pg_reload_conf()",
        )
    if about.most < _FEW:
        yield (
            f"max_connections is {about.most}; every worker and door takes a dozen, more under load",
            "set it to 200 (deploy/postgresql/cocket.conf), and restart the server",
        )
    if about.used > _FULL * about.most:
        yield (
            f"{about.used} of {about.most} connections are in use; behind the last one workers and doors are refused",
            "see who has them (SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1), or raise max_connections",
        )
    if about.oldest_s > _OLD_S:
        yield (
            f"a transaction has been open for {about.oldest_s // 60} minutes: nothing deleted since can be cleared away",
            "see whose it is (SELECT pid, application_name, query, xact_start FROM pg_stat_activity ORDER BY xact_start) and end it",
        )
