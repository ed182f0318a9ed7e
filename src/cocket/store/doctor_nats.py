"""Looks the NATS servers of a site over, and its streams: who is away, what is in too few copies, what has gaps. Changes nothing.

Document: NATS server 2.15, monitoring (``/jsz``); JetStream API, STREAM.INFO and STREAM.NAMES.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from nats.aio.client import Client

from cocket.core.errors import Unavailable
from cocket.store.finding import Finding
from cocket.store.nats_connection import Address, NatsConnection

MONITOR_PORT: Final = 8222
"""Where NATS tells of itself by default, and in deploy/nats."""

_WAIT_S: Final = 2.0
_FOR_EVER: Final = {"retention": "limits", "storage": "file", "max_msgs": -1, "max_bytes": -1, "max_age": 0}


def asked(address: Address) -> dict[str, dict[str, Any] | Unavailable]:
    """What each server that ``log.url`` names says of itself, by host, or why it says nothing."""

    def ask(host: str) -> dict[str, Any] | Unavailable:
        try:
            return _about(replace(address, hosts=(host,)))
        except Unavailable as error:
            return error

    with ThreadPoolExecutor(len(address.hosts)) as pool:
        return dict(zip(address.hosts, pool.map(ask, address.hosts), strict=True))


def servers(answers: Mapping[str, dict[str, Any] | Unavailable]) -> Iterator[Finding]:
    """What is wrong with the servers that were ``asked``."""
    there: list[dict[str, Any]] = []
    for host, about in answers.items():
        if isinstance(about, Unavailable):
            yield Finding(
                "warning",
                f"NATS {host}",
                about.detail,
                "start it; while most of the servers are there, the site goes on without it",
            )
            continue
        there.append(about)
        if not about.get("jetstream"):
            yield Finding(
                "warning",
                f"NATS {host}",
                "runs without JetStream: it keeps nothing",
                "give it a jetstream section, as in deploy/nats/nats.conf",
            )
        yield from _synced(host, about)
    named = len(answers)
    if there:
        versions = sorted({str(a["version"]) for a in there})
        yield Finding(
            "note", "NATS", f"{len(there)} of {named} servers answer, version {', '.join(versions)}"
        )
    if len({a.get("cluster") for a in there}) > 1:
        yield Finding(
            "warning",
            "NATS",
            "the servers that log.url names are not of one cluster",
            "let log.url name those of one cluster alone",
        )
    if 2 * len(there) <= named:
        yield Finding(
            "warning",
            "NATS",
            f"only {len(there)} of {named} servers answer: without most of them nothing is taken in",
            "start the others; nothing that was acknowledged is lost",
        )


def _about(address: Address) -> dict[str, Any]:
    """What a server says when one connects."""

    async def attempt(client: Client, _seconds: float) -> dict[str, Any]:
        return dict(client._server_info)  # noqa: SLF001 - the client has no call for all of it

    connection = NatsConnection(address, timeout_s=_WAIT_S, name="cocket doctor")
    try:
        return connection.run(connection.persist(attempt, "take a connection"))
    finally:
        connection.close()


def _synced(host: str, about: dict[str, Any]) -> Iterator[Finding]:
    """Whether it fsyncs before it acknowledges, where its monitor is to be reached."""
    said = _monitor(host.rpartition(":")[0].strip("[]"))
    if said is None or said.get("server_id") != about.get("server_id"):
        yield Finding(
            "note",
            f"NATS {host}",
            f"whether it has sync_interval: always cannot be asked (its monitor on port {MONITOR_PORT} does not answer here)",
            f"look on its machine: curl 127.0.0.1:{MONITOR_PORT}/jsz has sync_always: true",
        )
    elif not said.get("config", {}).get("sync_always"):
        yield Finding(
            "warning",
            f"NATS {host}",
            "it acknowledges before its disk has what it acknowledges: a power cut loses observations",
            "set sync_interval: always in its jetstream section, and restart it",
        )


def _monitor(host: str) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(host, MONITOR_PORT, timeout=1)
    try:
        connection.request("GET", "/jsz")
        found = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return found if isinstance(found, dict) else None


def stream(about: dict[str, Any], replicas: int) -> Iterator[Finding]:
    """What is wrong with a stream, as its leader tells of it (STREAM.INFO)."""
    config, state, cluster = about["config"], about["state"], about.get("cluster", {})
    where = f"stream {config['name']}"
    for key, wanted in _FOR_EVER.items():
        if config.get(key, 0) != wanted:
            yield Finding(
                "warning",
                where,
                f"{key} is {config.get(key)!r} where it has to be {wanted!r}: it may forget what nobody has detected yet",
                f"set it back: nats stream edit {config['name']}",
            )
    copies = int(config["num_replicas"])
    if copies != replicas:
        yield Finding(
            "warning",
            where,
            f"is kept in {copies} copies, log.replicas is {replicas}",
            "the next worker that opens it changes that; see that there are as many servers",
        )
    if state.get("num_deleted"):
        yield Finding(
            "damage",
            where,
            f"its leader {cluster.get('leader', '')} lacks {state['num_deleted']} messages between its first and its last",
            "cocket verify --settings says whether another copy has them; a worker that opens it lets another lead",
        )
    for other in cluster.get("replicas") or []:
        if other.get("offline") or not other.get("current"):
            yield Finding(
                "warning",
                where,
                f"its copy on {other['name']} is {'away' if other.get('offline') else 'behind'}"
                + (f" by {other['lag']} entries of the servers' own log" if other.get("lag") else ""),
                "start that server; one that is there catches up by itself",
            )


def leftovers(connection: NatsConnection, site: str, ours: Sequence[str]) -> Iterator[Finding]:
    """Streams of the site that no partition has: those of before ``cocket repartition``."""
    names: list[str] = []
    while True:
        page = connection.api("STREAM.NAMES", {"offset": len(names)})
        got = page.get("streams") or []
        names += got
        if not got or len(names) >= int(page["total"]):
            break
    form = re.compile(rf"COCKET_{re.escape(site)}_(g\d+_)?\d+")
    old = sorted(name for name in names if form.fullmatch(name) and name not in ours)
    if old:
        yield Finding(
            "note",
            "NATS",
            f"{len(old)} streams are of before the last cocket repartition: {', '.join(old[:5])}{' …' if len(old) > 5 else ''}",
            "when the site has run for a day with its new partitions, delete each: nats stream rm NAME",
        )
