"""Worked documents: a file, what it means in canonical form, and its failing twins.

Beside each document lies a ``.json``: ``expect`` maps JSON pointers to values, ``absent`` lists pointers that lead nowhere, ``flags`` is the
whole list of flags, ``raw`` lists paths that are kept raw (among others). A twin replaces text in the document and says what
changes: ``refused`` with [path, rule] pairs, or ``expect``, ``absent``, ``flags``, ``raw``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cocket.core.errors import Refused
from cocket.customs.formats.reading import Read, Reader
from cocket.customs.model import as_customs

HERE = Path(__file__).with_name("vectors")
MISSING = object()


def cases(folder: str) -> list[Any]:
    """(document's bytes, file's name, what is said of it) of every document in a folder and of every twin."""
    found = []
    for said_at in sorted((HERE / folder).glob("*.json")):
        said = json.loads(said_at.read_text())
        path = next(p for p in (HERE / folder).glob(f"{said_at.stem}.*") if p.suffix != ".json")
        data = path.read_bytes()
        found.append(pytest.param(data, path.name, said, id=said_at.stem))
        for twin in said.get("twins", ()):
            text = data
            for old, new in twin["replace"]:
                assert old.encode() in text, (said_at.name, twin["name"], old)
                text = text.replace(old.encode(), new.encode(), twin.get("count", 1))
            found.append(pytest.param(text, path.name, twin, id=f"{said_at.stem}-{twin['name']}"))
    return found


def documents(folder: str) -> list[bytes]:
    """The documents of a folder, without their twins."""
    return [p.read_bytes() for p in sorted((HERE / folder).iterdir()) if p.suffix != ".json"]


def at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, ``MISSING`` if nothing does."""
    for step in pointer.split("/")[1:]:
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else MISSING
        elif isinstance(value, dict):
            value = value.get(step, MISSING)
        else:
            return MISSING
    return value


def check(reader: Reader, data: bytes, name: str, said: dict[str, Any]) -> None:
    """What a reader makes of a document is what was said of it."""
    if "refused" in said:
        with pytest.raises(Refused) as told:
            reader.read(data, name)
        assert [[f.path, f.rule] for f in told.value.faults] == said["refused"], told.value.faults
        return
    assert reader.sniff(data, name)
    read = reader.read(data, name)
    lawful(read)
    assert read.kind == said.get("kind", read.kind)
    for pointer, value in said.get("expect", {}).items():
        assert at(read.value, pointer) == value, pointer
    for pointer in said.get("absent", ()):
        assert at(read.value, pointer) is MISSING, pointer
    if "flags" in said:
        assert read.flags == said["flags"]
    assert set(said.get("raw", ())) <= {path for path, _, _ in read.raw}


def lawful(read: Read) -> None:
    """The model takes it, and every origin leads from a value that is there."""
    as_customs(read.value)
    for pointer in read.origins:
        assert at(read.value, pointer) is not MISSING, pointer


def accounted(read: Read, leaves: set[str]) -> None:
    """Every value of the document is either mapped or kept raw, and nothing is both or neither."""
    raw = {path for path, _, _ in read.raw}
    mapped = set(read.taken)
    assert raw | mapped == leaves, sorted((raw | mapped) ^ leaves)[:10]
    assert not raw & mapped, sorted(raw & mapped)[:10]
    holders = {leaf[: leaf.rfind("/", 0, end)] for leaf in leaves for end in (len(leaf), leaf.rfind("/"))}
    assert all(o in leaves or any(h.startswith(o) for h in holders) for o in read.origins.values())


def taken(reader: Reader, data: bytes, name: str = "") -> Read | None:
    """What a reader makes of any bytes; None where it refuses them with a reason. Anything else is a failure."""
    reader.sniff(data, name)
    try:
        read = reader.read(data, name)
    except Refused as refused:
        if not (refused.faults and all(f.rule and f.detail for f in refused.faults)):
            raise AssertionError(f"refused without a reason: {refused}") from refused
        return None
    lawful(read)
    return read
