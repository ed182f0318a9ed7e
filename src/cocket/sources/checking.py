"""Values out of a TOML document, with file, key and line in every error: what is wrong, and what to do."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final, NoReturn

from cocket.core.errors import BadSetting

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_NAME: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER: Final = re.compile(rf"\s*\[\[?\s*({_NAME})\s*\]")
_KEY: Final = re.compile(rf"\s*({_NAME})\s*=")
_PARTS: Final = re.compile(_PART)
_TOKEN: Final = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[{]|[\]}]|#.*')

_WORDS: Final[dict[Any, str]] = {
    str: 'text in quotes, as "abc"',
    bool: "true or false",
    int: "a whole number",
    date: "a day, as 2026-01-31",
    (int, float): "a number",
}

Path = tuple[str, ...]


def places(text: str) -> dict[Path, int]:
    """Line number (from 1) of every table and key, by its path; keys of an inline table stand on its line."""
    found: dict[Path, int] = {}
    table: Path = ()
    depth, closing = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if not closing and not depth:
            header = _HEADER.match(line)
            key = None if header else _KEY.match(line)
            if header:
                table = path = _parts(header[1])
            elif key:
                path = table + _parts(key[1])
            else:
                continue
            for n in range(1, len(path) + 1):
                found.setdefault(path[:n], number)
            if header:
                continue
            line = line[key.end() :] if key else line  # noqa: PLW2901 - what is behind the equals sign
        depth, closing = _open(line, depth, closing)
    return found


def _parts(name: str) -> Path:
    return tuple(p[1:-1] if p[0] in "\"'" else p for p in _PARTS.findall(name))


def _open(line: str, depth: int, closing: str) -> tuple[int, str]:
    """How many brackets, and which long text, are still open at the end of a line."""
    at = 0
    while at < len(line):
        if closing:
            end = line.find(closing, at)
            if end < 0:
                return depth, closing
            at, closing = end + 3, ""
            continue
        token = _TOKEN.search(line, at)
        if token is None:
            break
        at, what = token.end(), token[0]
        if what in {'"""', "'''"}:
            closing = what
        elif what in {"[", "{"}:
            depth += 1
        elif what in {"]", "}"}:
            depth = max(0, depth - 1)
    return depth, closing


class Checker:
    """One TOML document. Every method raises ``BadSetting``; ``label`` is how errors call the file."""

    def __init__(self, label: str, text: str) -> None:
        self.label = label
        try:
            self.doc: dict[str, Any] = tomllib.loads(text)
        except (ValueError, RecursionError) as e:
            last = f"at the end, line {text.count(chr(10)) + 1}"
            raise BadSetting(f"{label}: {str(e).replace('at end of document', last)}") from e
        self._places = places(text)

    def fail(self, path: Path, detail: str) -> NoReturn:
        """Say what is wrong with the key at ``path``; the line is the key's, else that of the table it belongs in."""
        number = next(
            (self._places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._places), 0
        )
        where = f"{self.label}, line {number}" if number else self.label
        raise BadSetting(f"{where}: {'.'.join(path)} {detail}")

    def known(self, table: Mapping[str, Any], path: Path, names: Collection[str]) -> None:
        """No key but these."""
        for key in table:
            if key not in names:
                self.fail((*path, key), f"is not known here; there are: {', '.join(sorted(names))}")

    def table(self, name: str, *, needed: bool = False) -> dict[str, Any]:
        """A table of the document; empty where it is missing and not needed."""
        value = self.doc.get(name)
        if value is None and not needed:
            return {}
        if not isinstance(value, dict):
            self.fail((name,), f"is missing; it must be a table, [{name}]")
        return value

    def value(self, table: Mapping[str, Any], path: Path, kind: Any, default: Any = ...) -> Any:
        """A value of the right type."""
        value = table.get(path[-1], default)
        if value is ...:
            self.fail(path, f"is missing; it must be {_WORDS[kind]}")
        if value is not default and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            self.fail(path, f"is {_short(value)}; it must be {_WORDS[kind]}")
        return value

    def texts(self, table: Mapping[str, Any], path: Path) -> list[str]:
        """A list of texts; empty where it is missing."""
        value = table.get(path[-1], [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.fail(path, 'must be a list of texts, as ["91.0"]')
        return list(value)

    def number(self, table: Mapping[str, Any], path: Path, default: float) -> float:
        """A finite number."""
        value = self.value(table, path, (int, float), default)
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            self.fail(path, "is no finite number")
        return float(value)

    def whole(self, table: Mapping[str, Any], path: Path, lo: int, hi: int, default: Any = ...) -> Any:
        """A whole number between ``lo`` and ``hi``."""
        value = self.value(table, path, int, default)
        if path[-1] in table and not lo <= value <= hi:
            self.fail(path, f"is {_short(value)}; it can be {lo} to {hi}")
        return value

    def choice(
        self, table: Mapping[str, Any], path: Path, options: Collection[str], default: Any = ...
    ) -> Any:
        """One of some words."""
        value = self.value(table, path, str, default)
        if path[-1] in table and value not in options:
            self.fail(path, f"is {_short(value)}; it can be {', '.join(options)}")
        return value


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "too large"
    return text if len(text) <= 60 else f"{text[:60]}…"
