"""After the table: what a document says in one place and the canonical model holds in another moves there, and its origins with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cocket.customs.formats.mapping import Mapped


def move(mapped: Mapped, moved: Mapping[str, Sequence[str]]) -> None:
    """Rename the JSON pointers below each key to each of its new places; the caller moves the values. One walk over all origins.

    What goes to several places has its origin in each; the report names the first.
    """
    if not moved:
        return
    origins: dict[str, str] = {}
    for pointer, path in mapped.origins.items():
        below, targets = _found(pointer, moved)
        if targets is None:
            origins.setdefault(pointer, path)
        for target in targets or ():
            origins[target + below] = path
    mapped.origins.clear()
    mapped.origins.update(origins)
    for path, pointer in mapped.taken.items():
        below, targets = _found(pointer, moved)
        if targets:
            mapped.taken[path] = targets[0] + below


def _found(pointer: str, moved: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str] | None]:
    """What is left of a pointer below the longest prefix that moves, and where that goes."""
    prefix = pointer
    while prefix:
        if prefix in moved:
            return pointer[len(prefix) :], moved[prefix]
        prefix = prefix.rpartition("/")[0]
    return "", None
