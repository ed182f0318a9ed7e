"""Where a value stands in a JSON document: ``data.position.lat``, ``readings[0].t``, ``"odd key".x``, ``^.device.id``.

A path goes from the element that an observation is made of (without ``each``: the whole document). ``.`` is that
element itself, each ``^`` at the beginning goes one ``[*]`` of ``each`` outwards. ``[-1]`` is the last of an array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from cocket.core.protocol import Undecodable

Step: TypeAlias = "str | int"

ABSENT: Final = object()
"""What a path gives that leads nowhere; null is None."""

_INDEX: Final = re.compile(r"\[(-?[0-9]{1,6}|\*)\]")
_NAME: Final = re.compile(r"""[^.\[\]"'*^\s]+""")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)+)"|\'([^\']+)\'')
_ANY: Final = "[*]"


@dataclass(frozen=True, slots=True)
class JsonPath:
    """``up`` elements outwards, then the steps: names of members, or places in an array."""

    text: str
    up: int
    steps: tuple[Step, ...]


def compile_path(text: str) -> JsonPath:
    """Raises ``ValueError`` whose words say what is wrong."""
    bare = text.lstrip("^")
    up = len(text) - len(bare)
    if up and bare.startswith("."):
        bare = bare[1:]
    elif bare == "." and not up:
        bare = ""
    elif not bare and not up:
        raise ValueError("is empty; the whole element is '.'")
    elif up and bare and not bare.startswith("["):
        raise ValueError(f"is {text!r}; write a point behind ^, as ^.{bare}")
    steps = _steps(bare, text)
    if _ANY in steps:
        raise ValueError(f"is {text!r}; [*] is for message.each, a column takes one value, as [0]")
    return JsonPath(text, up, steps)


def compile_each(text: str) -> tuple[JsonPath, ...]:
    """The arrays of ``each``, outermost first, each seen from an element of the one before it."""
    if text.startswith("^"):
        raise ValueError(f"is {text!r}; it goes from the document inwards and takes no ^")
    steps = _steps("" if text == "." else text, text)
    if not steps or steps[-1] != _ANY:
        steps += (_ANY,)
    parts: list[JsonPath] = []
    part: list[Step] = []
    for step in steps:
        if step == _ANY:
            parts.append(JsonPath(text, 0, tuple(part)))
            part = []
        else:
            part.append(step)
    return tuple(parts)


def _steps(bare: str, whole: str) -> tuple[Step, ...]:
    out: list[Step] = []
    at = 0
    while at < len(bare):
        index = _INDEX.match(bare, at)
        if index:
            out.append(_ANY if index[1] == "*" else int(index[1]))
            at = index.end()
            continue
        if out:
            if bare[at] != ".":
                raise ValueError(
                    f"is {whole!r}, which breaks at {bare[at:][:20]!r}; names are parted by points"
                )
            at += 1
        name = _NAME.match(bare, at)
        quoted = None if name else _QUOTED.match(bare, at)
        if name:
            out.append(name[0])
            at = name.end()
        elif quoted:
            out.append(quoted[2] or re.sub(r"\\(.)", r"\1", quoted[1]))
            at = quoted.end()
        else:
            raise ValueError(
                f"is {whole!r}, which breaks at {bare[at:][:20] or 'its end'!r}; it is written as "
                """data.position.lat, list[0].x or 'a."odd key".b'"""
            )
    return tuple(out)


def follow(value: Any, path: JsonPath) -> Any:
    """The value at the end of the steps, None where null stands on the way, ``ABSENT`` where nothing does.

    ``Undecodable`` (``type``) where a number or a text stands in place of an object or an array.
    """
    for step in path.steps:
        if value is None:
            return None
        if isinstance(step, str):
            if not isinstance(value, dict):
                raise Undecodable(
                    "type", f"{path.text}: {step!r} is looked for in {kind_of(value)}, not in an object"
                )
            value = value.get(step, ABSENT)
            if value is ABSENT:
                return ABSENT
        elif not isinstance(value, list):
            raise Undecodable(
                "type", f"{path.text}: [{step}] is looked for in {kind_of(value)}, not in an array"
            )
        elif -len(value) <= step < len(value):
            value = value[step]
        else:
            return ABSENT
    return value


def expand(document: Any, each: tuple[JsonPath, ...]) -> list[tuple[Any, ...] | Undecodable]:
    """Every element with what it stands in, outermost first; a fault in place of what cannot be gone through."""
    stacks: list[tuple[Any, ...] | Undecodable] = [(document,)]
    for path in each:
        inner: list[tuple[Any, ...] | Undecodable] = []
        for stack in stacks:
            if isinstance(stack, Undecodable):
                inner.append(stack)
                continue
            try:
                found = follow(stack[-1], path)
            except Undecodable as error:
                inner.append(error)
                continue
            if found is ABSENT:
                inner.append(Undecodable("missing", f"{path.text}: the message has no such array"))
            elif found is None or isinstance(found, list):
                inner += [(*stack, element) for element in found or ()]
            else:
                what = kind_of(found)
                inner.append(Undecodable("type", f"{path.text}: an array is looked for, this is {what}"))
        stacks = inner
    return stacks


def kind_of(value: Any) -> str:
    """A JSON value's kind in words."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")
