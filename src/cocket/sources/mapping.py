"""A mapping file says how a foreign file's columns, or a device's live messages, become observations.

It is TOML, checked when it is loaded; every error names file, line and key. ``docs/mappings.md`` is the whole
language. In short, for a file and for a message::

    [file]                              [message]
    format = "csv"                      format = "json"        # json | csv | text | binary
    [time]                              [time]
    column = "time"                     from = "data.time"
    format = "%d.%m.%Y %H:%M:%S"        format = "epoch-ms"
    [columns.device_id]                 [columns.device_id]
    from = "vehicle"                    from_topic = "sensors/{device}/#"
    [columns.speed_mps]                 [columns.temp_c]
    from = "speed"                      from = "data.probes[0]"
    unit = "km/h"                       unit = "F"
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Final

from cocket.core.errors import BadSetting, Fault
from cocket.core.schema import BY_NAME, Kind
from cocket.sources import columns, layout
from cocket.sources.checking import Checker
from cocket.sources.model import Field, Mapping, Rule, Time

FORMATS: Final = ("csv", "ndjson", "parquet")
_MOST_CHARACTERS: Final = 1 << 18
_STEM: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def shipped() -> list[str]:
    """Names of the mappings that come with Cocket."""
    folder = resources.files("cocket.sources") / "mappings"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load(name: str | Path) -> Mapping:
    """The mapping in a file, or a shipped one by its name. Raises ``BadSetting`` naming file, line and key."""
    path = Path(name)
    try:
        if path.is_file():
            text, label = path.read_text(encoding="utf-8"), str(path)
        elif str(name) in shipped():
            label = f"{name}.toml"
            text = (resources.files("cocket.sources") / "mappings" / label).read_text(encoding="utf-8")
        else:
            raise BadSetting(f"no mapping file {name}; those that come with Cocket: {', '.join(shipped())}")
    except UnicodeDecodeError as e:
        raise BadSetting(f"{path}: byte {e.start} is no UTF-8; save it as UTF-8") from e
    except (OSError, ValueError) as e:
        raise BadSetting(f"{path} cannot be read: {e}") from e
    return parse(text, label)


def load_folder(path: Path) -> tuple[list[Mapping], list[Fault]]:
    """Every ``*.toml`` of a folder, in order of name: the good ones, and a fault (``mapping``) for each that is not.

    A protocol is named as its file, so that name must be one: small letters, digits, ``-`` and ``_``.
    """
    good: list[Mapping] = []
    faults: list[Fault] = []
    try:
        files = sorted(p for p in path.iterdir() if p.suffix == ".toml")
    except OSError as e:
        return [], [Fault(str(path), "mapping", f"{path} cannot be read: {e.strerror}")]
    for file in files:
        if not _STEM.fullmatch(file.stem):
            detail = f"{file}: rename it; a name has small letters, digits, - and _, at most 64"
            faults.append(Fault(str(file), "mapping", detail))
            continue
        try:
            good.append(load(file))
        except BadSetting as e:
            faults.append(Fault(str(file), "mapping", e.detail))
    return good, faults


def identity(names: list[str]) -> Mapping:
    """For a file whose columns already carry the schema's names, with ``observed_at`` or ``observed_us``.

    Raises ``BadSetting`` if it has no time or device column: then a mapping is needed.
    """
    time_column = next((c for c in ("observed_at", "observed_us") if c in names), None)
    if time_column is None or "device_id" not in names:
        raise BadSetting(
            f"the file has columns {', '.join(names)}; without --mapping it needs device_id and observed_at "
            f"(or observed_us) in the schema's names"
        )
    rules = tuple(
        Rule(BY_NAME[c], c)
        for c in names
        if c in BY_NAME and BY_NAME[c].door and BY_NAME[c].kind is not Kind.TIME
    )
    form = "iso" if time_column == "observed_at" else "epoch-us"
    return Mapping("as named in the file", Time(time_column, form), rules)


def parse(text: str, label: str) -> Mapping:
    """Check one mapping's TOML; ``label`` stands in the errors, and its stem is the mapping's name."""
    if len(text) > _MOST_CHARACTERS:
        raise BadSetting(f"{label}: {len(text)} characters; a mapping has at most {_MOST_CHARACTERS}")
    check = Checker(label, text)
    live = {"message", "frame", "checksum", "only"}
    check.known(check.doc, (), {"title", "file", "time", "columns"} | live)
    for name in sorted(live - {"message"}):
        if name in check.doc and "message" not in check.doc:
            check.fail((name,), "is for live messages, and there is no [message]")
    if "message" in check.doc and "file" in check.doc:
        check.fail(("message",), "and [file] contradict: a mapping is of files or of live messages")
    return _of_messages(check) if "message" in check.doc else _of_files(check)


def _of_messages(check: Checker) -> Mapping:
    message = layout.message(check)
    mapping = Mapping(
        check.label,
        columns.time(check, message),
        columns.rules(check, message),
        title=check.value(check.doc, ("title",), str, ""),
        message=message,
    )
    size = message.frame.size if message.frame else 0
    if size:
        places = [("time", mapping.time.source)]
        places += [(f"columns.{r.target.name}", r.source) for r in mapping.rules]
        for name, place in places:
            if isinstance(place, Field) and not (-size <= place.at <= size - place.size):
                at = (*name.split("."), "at")
                check.fail(at, f"is {place.at}, with {place.size} bytes there; frame.size is {size}")
    return mapping


def _of_files(check: Checker) -> Mapping:
    file = check.table("file")
    check.known(file, ("file",), {"format", "header", "names", "delimiter"})
    form = check.choice(file, ("file", "format"), FORMATS, None)
    names = check.texts(file, ("file", "names"))
    if check.value(file, ("file", "header"), bool, default=True) == bool(names):
        check.fail(
            ("file", "header"), "and names contradict: give names exactly where the file has no header"
        )
    mapping = Mapping(
        check.label,
        columns.time(check, None),
        columns.rules(check, None),
        form,
        layout.delimiter(check, file, "file"),
        tuple(names) or None,
        check.value(check.doc, ("title",), str, ""),
    )
    if names:
        for wanted in mapping.sources():
            if wanted not in names:
                check.fail(("file", "names"), f"has no column {wanted!r}, which the mapping reads")
    return mapping
