"""What a site's doors look at besides themselves: partitions without a worker, NATS servers and copies, PostgreSQL.

A server counts as there when it greets (``INFO``, NATS client protocol): one that stands still takes connections and says nothing.
Whether a copy is current is what the stream's leader says (JetStream API, ``STREAM.INFO``: ``cluster.replicas``, ``current``,
``offline``, ``lag``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.errors import CocketError
from cocket.engine.alarms import Look
from cocket.engine.measures import Kept
from cocket.engine.site.remote import TOLD_S, RemoteLines
from cocket.engine.site.site import Site
from cocket.store import leases
from cocket.store.log_jetstream import stream_name
from cocket.store.nats_connection import ApiError

_ASK_S: Final = 2.0
_ANEW_S: Final = 2.0
"""How long an answer of the NATS servers is good for: each costs them a connection, or a question a partition."""

_NO_STREAM: Final = 10059
_NAMED: Final = 8
_FAR: Final = 1_000
_SILENT_NS: Final = 3_000_000_000


class SiteWatch:
    """Gives the looks of a site, for ``Alarms``; asked from one thread."""

    def __init__(self, stores: Site, lines: RemoteLines) -> None:
        self._stores = stores
        self._lines = lines
        self._away: Kept[list[str]] = Kept(self._measure_away, _ANEW_S)
        self._behind: Kept[list[str]] = Kept(self._measure_behind, _ANEW_S)

    def looks(self) -> Sequence[Callable[[], Look]]:
        """The worst first."""
        return (self._database, self._servers, self._copies, self._workers, self._booking)

    def _database(self) -> Look:
        failure = ""
        try:
            with self._stores.db.read() as connection:
                connection.execute(sa.select(1)).scalar_one()
        except CocketError as error:
            failure = error.detail
        return Look(
            "database-away",
            "bad" if failure else "good",
            f"PostgreSQL does not answer: {failure}",
            "Nothing that was acknowledged is lost: observations are taken into the log while workers keep their leases, then senders "
            "are answered 503 and send again. See whether the server runs and the network before it is up.",
            rise_s=1.0,
            fall_s=1.0,
        )

    def _servers(self) -> Look:
        away, hosts = self._away(), self._stores.nats.address.hosts
        return Look(
            "nats-server-away",
            "bad" if away else "good",
            f"{len(away)} of {len(hosts)} NATS servers do not answer: {', '.join(away)}",
            "The log goes on while most of its copies are there; one more that is lost, and nothing is taken. Start the "
            "server again: it catches up by itself.",
            rise_s=1.0,
            fall_s=1.0,
        )

    def _copies(self) -> Look:
        behind = self._behind()
        more = f" and {len(behind) - _NAMED} more" if len(behind) > _NAMED else ""
        return Look(
            "log-copies-behind",
            "bad" if behind else "good",
            f"not every copy of the log is current: {', '.join(behind[:_NAMED])}{more}",
            "A server that came back catches up within minutes. If a copy stays behind, see that server's disk and its log; with its "
            "store's folder of the stream deleted while it stands still it fetches a whole copy.",
            rise_s=2.0,
            fall_s=1.0,
        )

    def _workers(self) -> Look:
        owned = leases.owners(self._stores.db)
        free = [p for p, (worker, _) in sorted(owned.items()) if worker is None]
        there = len(leases.workers_there(self._stores.db))
        named = ", ".join(map(str, free[:_NAMED])) + (", …" if len(free) > _NAMED else "")
        return Look(
            "partition-without-worker",
            "bad" if free else "good",
            f"{len(free)} of {len(owned)} partitions have no worker: {named}; workers there: {there}",
            "What comes for their devices is answered 503 and sent again. Start a worker (`cocket work --settings …`). If one "
            "is there and takes none, its log says why it cannot open them.",
            rise_s=self._stores.settings.log.lease_s,
            fall_s=1.0,
        )

    def _booking(self) -> Look:
        said = [(p, s["unbooked"]) for p, s in enumerate(self._lines.states(TOLD_S)) if s.get("unbooked")]
        return Look(
            "log-not-booked",
            "bad" if said else "good",
            "; ".join(f"partition {p}: {why}" for p, why in said[:_NAMED]),
            "Sums and refused rows in the database are behind the log; nothing is lost, they follow once the database takes them.",
            rise_s=1.0,
            fall_s=1.0,
        )

    def _measure_away(self) -> list[str]:
        hosts = self._stores.nats.address.hosts

        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*(_greets(host) for host in hosts))

        there = self._stores.link.run(all_of_them()).result()
        return [host for host, is_there in zip(hosts, there, strict=True) if not is_there]

    def _measure_behind(self) -> list[str]:
        async def all_of_them() -> list[str]:
            found = await asyncio.gather(*(self._copies_of(p) for p in range(self._stores.partitions)))
            return [words for words in found if words]

        return self._stores.link.run(all_of_them()).result()

    async def _copies_of(self, partition: int) -> str:
        """Which copies of a partition's log are not current, in words; empty when all are, or there is no log yet."""
        name = stream_name(self._stores.settings.log.site, partition, self._stores.generation)
        try:
            told = await asyncio.wait_for(self._stores.nats.call(f"STREAM.INFO.{name}", {}), _ASK_S)
        except (CocketError, TimeoutError):
            return f"partition {partition}: nobody leads it"
        except ApiError as refused:
            # without a stream no worker has had the partition yet
            return "" if refused.code == _NO_STREAM else f"partition {partition}: {refused}"
        return copies_behind(partition, told)


def copies_behind(partition: int, told: dict[str, Any]) -> str:
    """What a stream's information says of copies that are not current; empty when all are.

    Under load a copy is some messages behind at any moment; it counts when it is far behind or has been silent for seconds.
    """
    wrong = [
        f"{peer['name']} {_how(peer)}"
        for peer in told.get("cluster", {}).get("replicas") or ()
        if peer.get("offline")
        or (not peer.get("current") and (peer.get("lag", 0) > _FAR or peer.get("active", 0) > _SILENT_NS))
    ]
    return f"partition {partition}: {', '.join(wrong)}" if wrong else ""


def _how(peer: dict[str, Any]) -> str:
    if peer.get("offline"):
        return "is away"
    if peer.get("lag", 0) > _FAR:
        return f"is {peer['lag']:,} messages behind"
    return f"has been silent for {peer.get('active', 0) / 1e9:.0f} s"


async def _greets(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        async with asyncio.timeout(_ASK_S):
            reader, writer = await asyncio.open_connection(name.strip("[]"), int(port))
            try:
                return await reader.readexactly(5) == b"INFO "
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return False
