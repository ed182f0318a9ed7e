"""One file = one protocol: what it exports as ``PROTOCOL`` is found here by the file's name. No file knows another."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from cocket.core.errors import NotFound
from cocket.core.protocol import Protocol


@cache
def names() -> tuple[str, ...]:
    """Every protocol's name, in alphabetical order; nothing is imported for that."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


@cache
def protocol(name: str) -> Protocol:
    """The protocol of that name. ``NotFound`` names the nearest one."""
    if name not in names():
        near = get_close_matches(name.lower(), names(), 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise NotFound(f"no protocol is called {name[:40]!r}{hint}; there are: {', '.join(names())}")
    found = import_module(f"{__name__}.{name}").PROTOCOL
    assert isinstance(found, Protocol)
    assert found.name == name, f"decoders/{name}.py calls its protocol {found.name!r}"
    return found


def protocols() -> tuple[Protocol, ...]:
    """All of them, in the order of their names."""
    return tuple(map(protocol, names()))
