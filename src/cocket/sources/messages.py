"""A mapping of live messages as a protocol: the gateway and ``cocket decode`` use it as they use a decoder.

It is pure. What cannot be read costs only its own column, told by the fault; a message whose frame, checksum or
identity is wrong gives no row. Rules of faults:

===================  ==================================================================================
``malformed``        no JSON, no line of CSV, not as the pattern has it, no time as the format says
``frame-too-long``   more bytes than ``frame.max``
``length``           not as many bytes as ``[frame]`` says, or as the message itself says
``truncated``        a binary message without room for all that the mapping reads
``checksum``         the checksum is another
``missing``          no identity, a ``required`` value is not there, or nothing that the mapping reads is
``type``             a value of the wrong kind: text for a number, an object for a text
``values``           a value that ``map``, ``true``/``false`` or the column does not know
``empty``            nothing but blanks
===================  ==================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cocket.core.errors import BadSetting
from cocket.core.protocol import Protocol, Reading, Row, Session, Undecodable
from cocket.sources.cutting import splitter, unwrapper
from cocket.sources.model import Mapping, Message, Source
from cocket.sources.openers import Getter, getter, joined, json_getter, opener, reach
from cocket.sources.paths import ABSENT, compile_path
from cocket.sources.values import Reader, reader, text_of, time_reader

_IDENTITY: Final = "device_id"
_NAMED: Final = re.compile(r"[A-Za-z0-9]")


def as_protocol(mapping: Mapping) -> Protocol:
    """The protocol that a mapping of messages describes, named as its file. ``BadSetting`` if it is one of files."""
    message = mapping.message
    if message is None:
        raise BadSetting(f"{mapping.name} describes files, not live messages; it is for `cocket replay`")
    start = message.frame.start if message.frame else b""
    return Protocol(
        name=mapping.stem,
        title=mapping.title or mapping.stem,
        document=f"the mapping {mapping.name}",
        family=message.family,
        decode=_decoder(mapping, message),
        split=splitter(message),
        text=message.format != "binary",
        doors=message.doors,
        port=message.port,
        starts=re.compile(re.escape(start)) if start else None,
        max_frame=message.max_frame,
        sequence_bits=message.sequence_bits,
    )


def topic_filter(mapping: Mapping) -> str | None:
    """What to subscribe to at a broker (``from_topic``, with + for the device); None where the topic says nothing."""
    topic = mapping.message.topic if mapping.message else None
    return None if topic is None else topic.filter


def device_of_topic(mapping: Mapping, topic: str) -> str | None:
    """Who speaks on a topic, for ``Session.device_id``; None where the mapping does not tell by it."""
    where = mapping.message.topic if mapping.message else None
    return None if where is None else where.device(topic)


@dataclass(frozen=True, slots=True)
class _Taken:
    """One column that is taken from the message. ``label`` names it in faults."""

    name: str
    label: str
    get: Getter
    read: Reader
    required: bool


def _decoder(mapping: Mapping, message: Message) -> Callable[[bytes, Session, Reading], None]:
    unwrap = unwrapper(message)
    scopes_of = opener(message)
    read_row = _row_reader(mapping, message)

    def decode(frame: bytes, session: Session, reading: Reading) -> None:
        faults: list[Undecodable] = []
        scopes = scopes_of(unwrap(frame))
        several = len(scopes) > 1
        for number, scope in enumerate(scopes):
            found = len(faults)
            row = None
            if isinstance(scope, Undecodable):
                faults.append(scope)
            else:
                row = read_row(scope, session, faults)
            if row is not None:
                reading.rows.append(row)
            if several and len(faults) > found:
                faults[found].detail = f"observation {number + 1}: {faults[found].detail}"
        if faults:
            raise faults[0]

    return decode


def _row_reader(
    mapping: Mapping, message: Message
) -> Callable[[Any, Session, list[Undecodable]], Row | None]:
    get: Callable[[Any], Getter] = json_getter if message.format == "json" else getter
    constants: Row = {r.target.name: r.value for r in mapping.rules if r.value is not None}
    taken = [
        _Taken(
            r.target.name,
            f"{r.target.name} ({_place(r.source)})",
            get(r.source),
            reader(r),
            r.required,
        )
        for r in mapping.rules
        if r.source is not None and r.target.name != _IDENTITY
    ]
    others = bool(taken)
    time = mapping.time
    if time.source is not None:
        label = f"the time ({_place(time.source)})"
        take = joined([get(s) for s in (time.source, *time.more)]) if time.more else get(time.source)
        taken.insert(0, _Taken("observed_us", label, take, time_reader(time), time.required))
    only = None if message.only is None else get(message.only.source)
    kinds = message.only.values if message.only else frozenset()
    to_know = reach(message.only.source) if message.only else 0
    needed = max(map(reach, [mapping.time.source, *(r.source for r in mapping.rules)]))
    identify = _identifier(mapping, message, get)

    def read_row(scope: Any, session: Session, faults: list[Undecodable]) -> Row | None:
        try:
            if only is not None:
                _room(scope, to_know)
                if not _is_one(only(scope), kinds):
                    return None
            _room(scope, needed)
            row = constants | identify(scope, session)
        except Undecodable as error:
            faults.append(error)
            return None
        whole, said, found = True, False, len(faults)
        for column in taken:
            try:
                raw = column.get(scope)
                value = None if raw is ABSENT or raw is None else column.read(raw)
            except Undecodable as error:
                faults.append(Undecodable(error.rule, f"{column.label}: {error.detail}"))
                whole &= not column.required
                continue
            said |= raw is not ABSENT and column.name != "observed_us"
            if value is not None:
                row[column.name] = value
            elif column.required:
                faults.append(Undecodable("missing", f"{column.label}: it is not there, and required"))
                whole = False
        if others and not said and len(faults) == found:
            names = ", ".join(c.label for c in taken if c.name != "observed_us")
            faults.append(
                Undecodable("missing", f"there is nothing of what the mapping reads: {names}"[:300])
            )
            return None
        return row if whole and (said or not others) else None

    return read_row


def _room(scope: Any, needed: int) -> None:
    """A binary message has all bytes that are read; ``needed`` is 0 of others."""
    if needed and len(scope) < needed:
        raise Undecodable("truncated", f"{len(scope)} bytes; the mapping reads {needed}")


def _is_one(raw: Any, kinds: frozenset[str]) -> bool:
    return raw is not ABSENT and raw is not None and text_of(raw) in kinds


def _identifier(
    mapping: Mapping, message: Message, get: Callable[[Any], Getter]
) -> Callable[[Any, Session], Row]:
    """Who speaks: a row's own ``device_id``, and the session's where the whole message is of one device.

    With ``from_topic`` the session's is what the door has set by ``device_of_topic``.
    """
    rule = next(r for r in mapping.rules if r.target.name == _IDENTITY)
    if rule.source is None:
        constant = rule.value

        def known(_scope: Any, session: Session) -> Row:
            if constant is not None:
                session.device_id = str(constant)
            return {}

        return known
    take, read, where = get(rule.source), reader(rule), _place(rule.source)
    alone = not message.each or compile_path(str(rule.source)).up == len(message.each)

    def named(scope: Any, session: Session) -> Row:
        try:
            raw = take(scope)
            found = None if raw is ABSENT or raw is None else read(raw)
        except Undecodable as error:
            raise Undecodable(error.rule, f"device_id ({where}): {error.detail}") from None
        if found is None:
            raise Undecodable("missing", f"device_id ({where}): the message does not say which device speaks")
        if not _NAMED.search(found):
            raise Undecodable("type", f"device_id ({where}): {found[:40]!r} has no letter and no digit")
        if alone:
            session.device_id = found
        return {_IDENTITY: found}

    return named


def _place(source: Source | None) -> str:
    return source if isinstance(source, str) else "" if source is None else f"byte {source.at}"
