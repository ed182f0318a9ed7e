"""The list of scenarios, and what one is: a module with ``play``, its ``TWINS``, and a docstring that tells it.

The docstring's first line is the title; then come the paragraphs ``System:``, ``Given:``, ``When:``, ``Then:``, ``Twin:``.
A twin is a function whose docstring says the one fact that is changed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final, TypeAlias

from cocket.core.errors import BadSetting

IDS: Final = (
    "transit-ects",
    "acquit-qr",
    "sad-barcode",
    "phone-arrival",
    "corridor-service",
    "excise-stamp",
    "transit-region",
    "port-plates",
)
PARTS: Final = ("System", "Given", "When", "Then", "Twin")

Play: TypeAlias = Callable[[Any, Any], None]
"""Takes the ``Stage`` and the ``Story``; raises ``Unmet`` where an expectation fails."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. ``parts`` by ``PARTS``, in words."""

    id: str
    title: str
    parts: dict[str, str]
    play: Play
    twins: tuple[Play, ...]


def scenario(name: str) -> Scenario:
    """The scenario of this id; ``BadSetting`` names near ones."""
    if name not in IDS:
        near = get_close_matches(name, IDS, n=3, cutoff=0.4)
        said = f"; near it: {', '.join(near)}" if near else ""
        raise BadSetting(f"there is no scenario {name!r}{said}; `cocket scenario --list` names all")
    module = import_module(f"{__package__}.{name.replace('-', '_')}")
    title, parts = told(inspect.getdoc(module) or "")
    return Scenario(name, title, parts, module.play, module.TWINS)


def told(docstring: str) -> tuple[str, dict[str, str]]:
    """Title and parts of a scenario's docstring; a part that is missing is missing here too."""
    title, _, rest = docstring.partition("\n")
    parts = {}
    for paragraph in re.split(r"\n\s*\n", rest):
        name, colon, words = paragraph.strip().partition(":")
        if colon and name in PARTS:
            parts[name] = " ".join(words.split())
    return title.strip().rstrip("."), parts


def fact(twin: Play) -> str:
    """What a twin changes, in words."""
    return (inspect.getdoc(twin) or twin.__name__).partition("\n")[0].rstrip(".")
