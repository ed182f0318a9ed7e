"""Reads what a mapping says of a message's shape: ``[message]``, ``[frame]``, ``[checksum]``, ``[only]``, and its sources."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from typing import Any, Final, get_args

from cocket.core.protocol import Family
from cocket.sources.checking import Checker, Path
from cocket.sources.cutting import BUILT_IN, fastcrc_names
from cocket.sources.model import Checksum, Field, Frame, Message, Only, Source, Topic
from cocket.sources.paths import compile_each, compile_path

FORMATS: Final = ("json", "csv", "text", "binary")
DOORS: Final = ("tcp", "udp", "mqtt", "http", "file")
FIELD_KEYS: Final = frozenset({"at", "type", "length", "order", "bits", "digits"})

_NUMBERS: Final = (*(f"{s}{8 * n}" for s in "ui" for n in range(1, 9)), "f32", "f64")
_SIZED: Final = ("bcd", "two-digit", "ascii", "hex")
_MOST_BYTES: Final = 1 << 20
_LONGEST_PATTERN: Final = 1000
_COMMON: Final = {"format", "doors", "port", "family", "sequence_bits"}
_OWN: Final = {"json": {"each"}, "csv": {"names", "delimiter"}, "text": {"pattern"}, "binary": set[str]()}


def message(check: Checker) -> Message:
    """The tables that describe a message."""
    table = check.table("message", needed=True)
    at = ("message",)
    form = check.choice(table, (*at, "format"), FORMATS)
    check.known(table, at, _COMMON | _OWN[form])
    names: tuple[str, ...] = ()
    pattern = ""
    if form == "csv":
        names = tuple(check.texts(table, (*at, "names")))
        if not names or len(set(names)) != len(names):
            check.fail((*at, "names"), 'must name the parts of a line, each once, as ["id", "time", "temp"]')
    elif form == "text":
        pattern = check.value(table, (*at, "pattern"), str)
        names = _groups(check, pattern)
    frame = _frame(check, form)
    checksum = _checksum(check, form)
    each = _each(check, table) if "each" in table else ()
    draft = Message(format=form, each=each, names=names)
    topic = _topic(check)
    if form == "binary" and frame is None:
        doors: tuple[str, ...] = ("udp", "mqtt", "http", "file")
    else:
        doors = DOORS if topic is None else ("mqtt", "http", "file")
    return Message(
        format=form,
        each=each,
        names=names,
        delimiter=delimiter(check, table, "message"),
        pattern=pattern,
        only=_only(check, draft),
        frame=frame,
        checksum=checksum,
        topic=topic,
        max_frame=_max(check, form, frame),
        doors=_doors(check, table, doors),
        port=check.whole(table, (*at, "port"), 0, 65535, 0),
        family=check.choice(table, (*at, "family"), get_args(Family), "sensor"),
        sequence_bits=check.whole(table, (*at, "sequence_bits"), 0, 62, 0),
    )


def delimiter(check: Checker, table: Dict[str, Any], name: str) -> str:
    """One character between the parts of a line."""
    text: str = check.value(table, (name, "delimiter"), str, ",")
    if len(text) != 1 or text in '"\r\n\0':
        check.fail((name, "delimiter"), f"is {text!r}; it must be one character, and no quote or line end")
    return text


def source(
    check: Checker, at: Path, spec: Dict[str, Any], of: Message | None, key: str = "from"
) -> Source | None:
    """Where a value comes from: ``at`` in a binary message, else ``from`` (a file's column if ``of`` is None)."""
    if of is not None and of.format == "binary":
        return _field(check, at, spec) if "at" in spec else None
    if key not in spec:
        return None
    name: str = check.value(spec, (*at, key), str)
    if of is None:
        return name
    if of.format == "json":
        try:
            path = compile_path(name)
        except ValueError as e:
            check.fail((*at, key), str(e))
        if path.up > len(of.each):
            check.fail(
                (*at, key),
                f"is {name!r}; message.each has {len(of.each)} level(s), so that many ^ can stand there at most",
            )
    elif name not in of.names:
        have = "message.names has no" if of.format == "csv" else "message.pattern has no group"
        check.fail((*at, key), f"is {name!r}; {have} {name!r}; there are: {', '.join(of.names)}")
    return name


def _field(check: Checker, at: Path, spec: Dict[str, Any]) -> Field:
    position = check.whole(spec, (*at, "at"), -_MOST_BYTES, _MOST_BYTES)
    kind = check.choice(spec, (*at, "type"), _NUMBERS + _SIZED)
    little = check.choice(spec, (*at, "order"), ("big", "little"), "big") == "little"
    if kind in _SIZED:
        size = check.whole(spec, (*at, "length"), 1, 512)
    elif "length" in spec:
        check.fail((*at, "length"), f"is only for {', '.join(_SIZED)}; {kind} has its own; leave it out")
    else:
        size = int(kind[1:]) // 8
        kind = {"u": "uint", "i": "int", "f": "float"}[kind[0]]
    if position < 0 and position + size > 0:
        check.fail(
            (*at, "at"), f"is {position}, counted from the end; the value has {size} bytes and goes beyond it"
        )
    if "digits" in spec and kind != "bcd":
        check.fail((*at, "digits"), "is only for bcd: how many digits at the end are meant")
    return Field(
        position,
        kind,
        size,
        little,
        _bits(check, at, spec, kind, size),
        check.whole(spec, (*at, "digits"), 1, 2 * size, 0),
    )


def _bits(check: Checker, at: Path, spec: Dict[str, Any], kind: str, size: int) -> tuple[int, int] | None:
    text = check.value(spec, (*at, "bits"), str, None)
    if text is None:
        return None
    path = (*at, "bits")
    if kind not in {"uint", "int"}:
        check.fail(path, f'is for whole numbers, as type = "u16"; this is {spec["type"]}')
    found = re.fullmatch(r"([0-9]{1,2})(?:\.\.([0-9]{1,2}))?", text)
    if found is None:
        check.fail(
            path, f'is {text!r}; it is one bit, as "7", or a range, as "3..5"; bit 0 is the least significant'
        )
    low, high = int(found[1]), int(found[2] or found[1])
    if not low <= high < 8 * size:
        check.fail(
            path, f"is {text!r}; {spec['type']} has bits 0 to {8 * size - 1}, the lower one stands first"
        )
    return low, high


def _groups(check: Checker, pattern: str) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    path = ("message", "pattern")
    if len(pattern) > _LONGEST_PATTERN:
        check.fail(path, f"has {len(pattern)} characters; {_LONGEST_PATTERN} are taken")
    try:
        kind = pc.extract_regex(pa.array([], pa.string()), whole(pattern)).type
    except (pa.ArrowException, ValueError) as e:
        check.fail(
            path,
            f"is no pattern of RE2 ({str(e)[:200]}); name every group, as (?P<temp>[0-9.]+), and group without a "
            f"name as (?:…); there is no looking around and no repeating of a group's text",
        )
    names = tuple(kind.field(i).name for i in range(kind.num_fields))
    if not names or len(set(names)) != len(names):
        check.fail(path, "must name its groups, each once, as (?P<temp>[0-9.]+)")
    return names


def whole(pattern: str) -> str:
    """The pattern such that it must fit a whole text."""
    return rf"\A(?:{pattern})\z"


def _each(check: Checker, table: Dict[str, Any]) -> Any:
    try:
        return compile_each(check.value(table, ("message", "each"), str))
    except ValueError as e:
        check.fail(("message", "each"), str(e))


def _doors(check: Checker, table: Dict[str, Any], usual: tuple[str, ...]) -> tuple[str, ...]:
    chosen = check.texts(table, ("message", "doors"))
    for door in chosen:
        if door not in DOORS:
            check.fail(("message", "doors"), f"has {door!r}; it can have {', '.join(DOORS)}")
        if door == "tcp" and "udp" in usual and "tcp" not in usual:
            check.fail(("message", "doors"), "has tcp: say in [frame] where a message ends in a stream")
        if door in {"tcp", "udp"} and "udp" not in usual:
            check.fail(("message", "doors"), f"has {door}, which has no topics to take the device from")
    return tuple(chosen) or usual


def _mark(check: Checker, table: Dict[str, Any], key: str, form: str) -> bytes:
    text: str = check.value(table, ("frame", key), str, "")
    if form != "binary":
        return text.encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        check.fail(("frame", key), f'is {text!r}; of a binary message it is bytes in hexadecimal, as "AA 55"')


def _frame(check: Checker, form: str) -> Frame | None:
    if "frame" not in check.doc:
        return None
    table = check.table("frame")
    check.known(table, ("frame",), {"start", "end", "size", "length", "max"})
    ways = [k for k in ("size", "length", "end") if k in table]
    if len(ways) > 1 or (not ways and "start" in table):
        check.fail(
            ("frame",),
            "needs one of size (bytes), length (a field) and end (a mark) to tell where a message ends",
        )
    if not ways:
        return None
    start, end = _mark(check, table, "start", form), _mark(check, table, "end", form)
    for key, mark in (("start", start), ("end", end)):
        if key in table and not 0 < len(mark) <= 64:
            check.fail(("frame", key), f"has {len(mark)} bytes; it can have 1 to 64")
    size = check.whole(table, ("frame", "size"), max(1, len(start)), _MOST_BYTES, 0)
    length, add = None, 0
    if "length" in table:
        at = ("frame", "length")
        spec = (
            check.value(table, at, dict)
            if isinstance(table["length"], dict)
            else check.fail(at, 'must be a table, as { at = 2, type = "u16", add = 4 }')
        )
        check.known(spec, at, {"at", "type", "order", "add"})
        check.choice(spec, (*at, "type"), ("u8", "u16", "u24", "u32"))
        check.whole(spec, (*at, "at"), 0, 256)
        length = _field(check, at, spec)
        add = check.whole(spec, (*at, "add"), -_MOST_BYTES, _MOST_BYTES, 0)
    return Frame(start, end, size, length, add)


def _max(check: Checker, form: str, frame: Frame | None) -> int:
    size = frame.size if frame else 0
    usual = max(size, 65536 if form == "json" else 4096)
    most: int = check.whole(check.table("frame"), ("frame", "max"), 1, _MOST_BYTES, usual)
    if size > most:
        check.fail(("frame", "max"), f"is {most}, less than frame.size")
    return most


def _checksum(check: Checker, form: str) -> Checksum | None:
    if "checksum" not in check.doc:
        return None
    if form == "json":
        check.fail(("checksum",), "is for binary, csv and text messages; a JSON document has none")
    table, at = check.table("checksum"), ("checksum",)
    check.known(table, at, {"algorithm", "at", "from", "to", "order", "written"})
    algorithm = check.value(table, (*at, "algorithm"), str)
    known = fastcrc_names()
    if algorithm not in BUILT_IN and algorithm not in known:
        family = [n for n in known if n.split(".")[0] == algorithm.split(".")[0]]
        check.fail(
            (*at, "algorithm"),
            f"is {algorithm!r}; it can be {', '.join([*BUILT_IN, *(family or known)])}",
        )
    width = BUILT_IN.get(algorithm) or int(algorithm.split(".")[0].removeprefix("crc")) // 8
    usual = "binary" if form == "binary" else "hex"
    hexadecimal = check.choice(table, (*at, "written"), ("binary", "hex"), usual) == "hex"
    room = 2 * width if hexadecimal else width
    place = check.whole(table, (*at, "at"), -_MOST_BYTES, _MOST_BYTES, -room)
    if place < 0 and place + room > 0:
        check.fail((*at, "at"), f"is {place}, counted from the end; {algorithm} takes {room} bytes there")
    return Checksum(
        algorithm,
        width,
        place,
        check.whole(table, (*at, "from"), -_MOST_BYTES, _MOST_BYTES, 0),
        check.whole(table, (*at, "to"), -_MOST_BYTES, _MOST_BYTES, place),
        check.choice(table, (*at, "order"), ("big", "little"), "big") == "little",
        hexadecimal,
    )


def _only(check: Checker, of: Message) -> Only | None:
    if "only" not in check.doc:
        return None
    table = check.table("only")
    check.known(table, ("only",), {"is"} | (FIELD_KEYS if of.format == "binary" else {"from"}))
    found = source(check, ("only",), table, of)
    if found is None:
        key = "at" if of.format == "binary" else "from"
        check.fail(("only", key), "is missing; it says where the kind of message stands")
    values = check.texts(table, ("only", "is"))
    if not values:
        check.fail(("only", "is"), 'must list the kinds of message that hold an observation, as ["report"]')
    return Only(found, frozenset(values))


def _topic(check: Checker) -> Topic | None:
    columns = check.doc.get("columns")
    spec = columns.get("device_id") if isinstance(columns, dict) else None
    if not isinstance(spec, dict) or "from_topic" not in spec:
        return None
    at = ("columns", "device_id")
    text: str = check.value(spec, (*at, "from_topic"), str)
    levels = text.split("/")
    sound = (
        text.count("{device}") == 1 and "#" not in text.removesuffix("#") and text[:1] not in {"", "#", "$"}
    )
    if not sound or any(("+" in v and v != "+") or ("#" in v and v != "#") for v in levels):
        check.fail(
            (*at, "from_topic"),
            f"is {text!r}; it is a topic with {{device}} once, + for any one level, # for the rest, "
            f'as "sensors/{{device}}/#"',
        )
    filters = ["+" if "{device}" in level else level for level in levels]
    parts = [
        "[^/]*" if level == "+" else re.escape(level).replace(re.escape("{device}"), "(?P<device>[^/]+)")
        for level in levels
        if level != "#"
    ]
    tail = "(?:/.*)?" if levels[-1] == "#" else ""
    return Topic(
        "/".join(filters),
        re.compile("/".join(parts) + tail, re.DOTALL),
        check.value(spec, (*at, "prefix"), str, ""),
    )
