"""A stream of NATS JetStream as a log needs it: stored behind what is expected, once; read whole, from whichever copy is whole.

``store.log_jetstream`` tells why, and docs/decisions/0016-the-log-over-jetstream.md what the servers do when they are harmed.
Source: NATS server 2.15, JetStream API; ADR-31 (direct get in batches).
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from cocket.core.errors import BadSetting, CocketError, DataDamaged, Unavailable
from cocket.store.log import Fenced
from cocket.store.log_message import Message
from cocket.store.nats_connection import ApiError, NatsConnection

_WRONG_LAST: Final = frozenset({10071, 10164})
_NO_STREAM: Final = 10059
_NO_MESSAGE: Final = 10037
_NAME_IN_USE: Final = 10058
_FETCH_BYTES: Final = 16 * 1024 * 1024
_LAPS: Final = 2
_LAG_S: Final = 1.0
_PROBES: Final = 36
_PATIENCE_S: Final = 10.0
_DEAF_S: Final = 1.0

_log = logging.getLogger(__name__)


class Stream:
    """The stream ``name`` of the messages on ``subject``, whose sequence begins at ``first``. Any thread may call."""

    def __init__(self, connection: NatsConnection, name: str, subject: str, first: int = 1) -> None:
        self.name = name
        self.subject = subject
        self._connection = connection
        self._first = first

    def make(self, replicas: int) -> None:
        """Make it if it is not there. ``BadSetting`` if there is one that would forget, or is of something else."""
        wanted = {
            "name": self.name,
            "subjects": [self.subject],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "max_msg_size": -1,
            "num_replicas": replicas,
            "duplicate_window": 100_000_000,
            "allow_direct": True,
            "deny_delete": True,
            "first_seq": self._first,
        }
        try:
            try:
                found = self._connection.api(f"STREAM.INFO.{self.name}", {})["config"]
            except ApiError as error:
                if error.code != _NO_STREAM:
                    raise
                try:
                    found = self._connection.api(f"STREAM.CREATE.{self.name}", wanted)["config"]
                except ApiError as clash:
                    if clash.code != _NAME_IN_USE:  # else made by another meanwhile
                        raise
                    found = self._connection.api(f"STREAM.INFO.{self.name}", {})["config"]
            kept = ("subjects", "storage", "retention", "discard", "max_msgs", "max_bytes", "max_age")
            other = [key for key in kept if found.get(key, 0) != wanted[key]]
            if other:
                raise BadSetting(
                    f"the stream {self.name} is not one of ours: its {', '.join(other)} differ; choose another log.site"
                )
            if found["num_replicas"] != replicas:
                self._connection.api(f"STREAM.UPDATE.{self.name}", {**found, "num_replicas": replicas})
        except ApiError as error:
            raise Unavailable(
                f"NATS refuses the stream {self.name} in {replicas} replicas: {error}"
            ) from error

    def about(self) -> dict[str, Any]:
        """What its leader says of it."""
        try:
            return self._connection.api(f"STREAM.INFO.{self.name}", {})
        except ApiError as error:
            raise Unavailable(
                f"NATS at {self._connection.address} has no stream {self.name}: {error}"
            ) from error

    def state(self) -> dict[str, Any]:
        """Its first and last sequence, and how many messages the leader holds."""
        state: dict[str, Any] = self.about()["state"]
        return state

    def where(self, offset: int) -> str:
        """A message, for the person who reads of it."""
        return f"log entry at offset {offset} in the stream {self.name}"

    async def store(self, offset: int, payload: bytes) -> None:
        """Publish until it is known to stand at ``offset``; once it stands there, it does so once.

        ``Fenced`` if another's message does; ``Unavailable`` when that cannot be found out in time: then repeat it.
        """
        headers = {"Nats-Expected-Last-Sequence": str(offset - 1), "Nats-Expected-Stream": self.name}
        end = time.monotonic() + self._connection.timeout_s
        deaf_at = time.monotonic() + _DEAF_S

        async def attempt(client: Client, seconds: float) -> bool:
            said = await client.request(self.subject, payload, timeout=seconds, headers=headers)
            answer = json.loads(said.data)
            refused = answer.get("error")
            if refused is None:
                if answer["seq"] != offset:
                    raise DataDamaged(f"the stream {self.name} stored message {offset} as {answer['seq']}")
                return True
            if refused.get("err_code") in _WRONG_LAST:
                return False
            if refused["code"] == 503:
                raise nats.errors.NoRespondersError
            raise ApiError(refused.get("err_code", refused["code"]), refused.get("description", ""))

        while True:
            try:
                if await self._connection.persist(attempt, f"store message {offset} of {self.name}"):
                    return
            except ApiError as error:
                raise Unavailable(f"NATS refuses to store into the stream {self.name}: {error}") from error
            last = await self._is_there(offset, payload)
            if last is None:
                return
            if time.monotonic() > end:
                raise self._suspense(offset, last)
            if time.monotonic() > deaf_at:  # a leader that is cut off from the others says so for ever
                self._connection.elsewhere()
                deaf_at = time.monotonic() + _DEAF_S
            await self._connection.pause()

    def _suspense(self, offset: int, last: int) -> CocketError:
        if last < offset - 1:
            return DataDamaged(
                f"the stream {self.name} ends at {last}, but message {offset - 1} was acknowledged: the servers lost some; "
                "restore it from a copy"
            )
        return Unavailable(
            f"NATS at {self._connection.address} neither stores message {offset} of {self.name} nor refuses it "
            f"within {self._connection.timeout_s:g} s"
        )

    async def _is_there(self, offset: int, payload: bytes) -> int | None:
        """None if our message stands at ``offset``, else where the stream ends. ``Fenced`` if another's stands there.

        Nothing is concluded from what is not there: what we published may be under way, and a new leader may lag.
        """
        found = await self._leader_gives(offset)
        if found == payload:
            return None
        state = (await self._connection.call(f"STREAM.INFO.{self.name}", {}))["state"]
        if found is not None or int(state["first_seq"]) > offset:
            raise Fenced(
                f"another writer has taken over the log {self.name} (message {offset} is not ours); "
                "nothing was written, and this process will not write to it any more"
            )
        return int(state["last_seq"])

    def fetch(self, wanted: int, batch: int, known: int | None) -> deque[tuple[int, bytes]]:
        """Messages from ``wanted`` on (from the first one, if that was trimmed), without a gap; empty at the end.

        ``known`` is the last that is sure to be there, if the caller knows; what is not there up to it is missing.
        """
        if known is not None and wanted > known:
            return deque()
        answer = self._connection.run(
            self._connection.gather(
                f"$JS.API.DIRECT.GET.{self.name}",
                {"seq": wanted, "batch": batch, "max_bytes": _FETCH_BYTES},
            )
        )
        found: deque[tuple[int, bytes]] = deque()
        for message in answer:
            offset = int((message.headers or {})["Nats-Sequence"])
            if offset != wanted + len(found):
                break
            found.append((offset, message.data))
        return found or self._fetch_hard(wanted, known)

    def _fetch_hard(self, wanted: int, known: int | None) -> deque[tuple[int, bytes]]:
        """The one who was asked has not got it: it was trimmed, or it lags, or it lost it; the leader knows, or another."""
        end: float | None = None
        laps = 0
        while True:
            about = self.about()
            first, last = int(about["state"]["first_seq"]), int(about["state"]["last_seq"])
            offset = max(wanted, first)
            if offset > last:
                if known is None or offset > known:
                    return deque()
            elif payload := self._connection.run(self._leader_gives(offset)):
                return deque([(offset, payload)])
            elif payload := self._another_gives(offset):
                if gaps := _gaps_in(about["state"]):
                    self.distrust(about, f"{gaps} messages")
                return deque([(offset, payload)])
            copies = int(about["config"]["num_replicas"])
            end = end or time.monotonic() + (
                min(_PATIENCE_S, self._connection.timeout_s) if copies > 1 else 0.0
            )
            if time.monotonic() > end and laps >= _LAPS:
                raise DataDamaged(
                    f"{self.where(offset)} is missing: no server gives it (it is gone, or does not match their own checksum); "
                    "restore the stream from a copy"
                )
            laps += 1
            self._connection.run(self._connection.pause())

    def at(self, offset: int) -> Message | None:
        """The message at ``offset``, None if there is none."""
        payload = self._connection.run(self._leader_gives(offset)) or self._another_gives(offset)
        return None if payload is None else self.checked(offset, payload)

    def checked(self, offset: int, payload: bytes) -> Message:
        """The message, if anybody has it whole. ``DataDamaged`` names it if nobody has."""
        where = self.where(offset)
        try:
            return Message.from_bytes(offset, payload, where)
        except DataDamaged:
            again = self._connection.run(self._leader_gives(offset))
            if again is None or not self._sound(offset, again):
                again = self._another_gives(offset)
            if again is None:
                raise
            _log.warning("%s came damaged from one server, and whole from another", where)
            return Message.from_bytes(offset, again, where)

    async def _leader_gives(self, offset: int) -> bytes | None:
        """A message as the stream's leader has it; None if it has none there."""
        try:
            answer = await self._connection.call(f"STREAM.MSG.GET.{self.name}", {"seq": offset})
        except ApiError as error:
            if error.code != _NO_MESSAGE:
                raise Unavailable(f"NATS does not give message {offset} of {self.name}: {error}") from error
            return None
        return base64.b64decode(answer["message"].get("data", ""))

    def _another_gives(self, offset: int) -> bytes | None:
        """A message as any replica has it; each request goes to one of them by chance."""
        for _ in range(12):
            try:
                answer = self._connection.run(
                    self._connection.gather(f"$JS.API.DIRECT.GET.{self.name}", {"seq": offset, "batch": 1})
                )
            except ApiError:
                continue
            for message in answer:
                if int((message.headers or {})["Nats-Sequence"]) == offset and self._sound(
                    offset, message.data
                ):
                    return bytes(message.data)
        return None

    def _sound(self, offset: int, payload: bytes) -> bool:
        try:
            Message.from_bytes(offset, payload, "")
        except DataDamaged:
            return False
        return True

    def trust_leader(self) -> None:
        """Let nobody lead whose copy has gaps. We delete from the front only, so that a whole copy has none."""
        end = time.monotonic() + self._connection.timeout_s / 2
        while True:
            about = self.about()
            gaps = _gaps_in(about["state"])
            if not gaps or int(about["config"]["num_replicas"]) == 1:
                return
            self.distrust(about, f"{gaps} messages")
            if time.monotonic() > end:
                return  # nobody has them all; reading says which are missing
            self._connection.run(self._connection.pause())

    def distrust(self, about: dict[str, Any], what: str) -> None:
        """The leader lacks what others have. It would hand its gaps on to a server that has to catch up: another has to lead."""
        name = about.get("cluster", {}).get("leader", "")
        _log.warning(
            "the NATS server %s lacks %s of the stream %s, which others have: its copy is damaged. Stop it, delete the folder of this "
            "stream in its store, and start it again; it gets a new copy",
            name,
            what,
            self.name,
        )
        try:
            self._connection.api(f"STREAM.LEADER.STEPDOWN.{self.name}", {})
        except (ApiError, Unavailable) as error:
            _log.warning("%s goes on leading the stream %s: %s", name, self.name, error)

    def damage(self, first: int, last: int) -> Iterator[str]:
        """What no server gives, or not whole."""
        at = first
        while at <= last:
            try:
                fetched = self.fetch(at, 256, None)
            except DataDamaged as error:
                yield error.detail
                at += 1
                continue
            if not fetched:
                return
            for offset, payload in fetched:
                try:
                    self.checked(offset, payload).entry(self.where(offset))
                except DataDamaged as error:
                    yield error.detail
                at = offset + 1

    def gaps(self, first: int, last: int) -> Iterator[str]:
        """Whether a copy has gaps that others fill. Each question is answered by one of the servers, by chance, for its own copy."""
        if int(self.about()["config"]["num_replicas"]) == 1 or last < first:
            return
        for _ in range(_LAPS + 1):
            others = self.about().get("cluster", {}).get("replicas", [])
            lacking = self._lacking(first, last)
            if not lacking:
                return
            now = int(self.about()["state"]["first_seq"])
            if now > first:  # it was trimmed meanwhile: what is gone from the front is not lacking
                first = now
                continue
            if all(other.get("current") and not other.get("lag") for other in others):  # nobody only lags
                yield (
                    f"one of the servers lacks {lacking} messages of the stream {self.name}, which others have: stop it, delete the "
                    "folder of this stream in its store, and start it again; it gets a new copy"
                )
                return
            time.sleep(_LAG_S)

    def _lacking(self, first: int, last: int) -> int:
        lacking = 0
        for _ in range(_PROBES):
            answer = self._connection.run(
                self._connection.gather(f"$JS.API.DIRECT.GET.{self.name}", {"seq": first, "batch": 1})
            )
            for message in answer:
                behind = int((message.headers or {}).get("Nats-Num-Pending", last - first))
                lacking = max(lacking, last - first - behind)
        return lacking


def _gaps_in(state: dict[str, Any]) -> int:
    """How many messages a copy lacks between its first and its last."""
    held = int(state["messages"])
    return int(state["last_seq"]) + 1 - int(state["first_seq"]) - held if held else 0
