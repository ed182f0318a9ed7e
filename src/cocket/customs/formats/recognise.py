"""Which standard a document is of: the literal list of readers, asked in order, and the first that takes its bytes reads it.

XML standards first, then UN/EDIFACT, then tables, which can be told least by their bytes.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from cocket.customs.formats.reading import Read, Reader, unknown
from cocket.customs.model import as_customs

READERS: Final = ("ncts", "wco", "asycuda_sad", "edifact", "manifest")
"""Modules of this folder, each with ``READER``."""


@cache
def readers() -> tuple[Reader, ...]:
    """The readers in order; each is imported when a document first asks for them."""
    modules = [f"{__package__}.{name}" for name in READERS]
    return tuple(import_module(module).READER for module in modules if find_spec(module))


def read(data: bytes, name: str = "") -> Read:
    """A document in canonical form. ``Refused`` if nobody knows it, or if it breaks the rules of the standard it is of.

    What a reader made is held against the model each time: half a percent of the work, and no unknown field gets further.
    """
    for reader in readers():
        if reader.sniff(data, name):
            found = reader.read(data, name)
            as_customs(found.value)
            return found
    raise unknown(data, readers())
