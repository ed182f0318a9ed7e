"""What a reader of one standard offers, and the list of readers that a document is offered to.

A reader is a module of this folder with ``READER``. Which one takes a document is decided by its bytes, not by the sender's
word for them; ``recognise`` says so or names what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from cocket.core.errors import Fault, Refused


@dataclass(slots=True)
class Read:
    """A document, read.

    ``kind``: as the API names it; ``value``: the canonical model as a dict (``model.Customs``); ``origins``: JSON pointer → path in the
    source; ``raw``: (path, value, why) of what has no canonical field; ``flags``: what is odd and was taken all the same;
    ``taken``: path in the source → JSON pointer, of every value that was written, also where several made one.
    """

    kind: str
    value: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)
    raw: list[tuple[str, str, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """One standard."""

    name: str
    """In words, for messages: "EU NCTS phase 5"."""

    def sniff(self, data: bytes, name: str) -> bool:
        """Whether these bytes (or, where bytes cannot tell, the file's name) look like the standard at all. Cheap; never raises."""
        ...

    def read(self, data: bytes, name: str) -> Read:
        """The document. ``Refused`` with every fault where it breaks the standard's rules."""
        ...


def refuse(faults: list[Fault], what: str) -> Refused:
    """The refusal of a document with its faults."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Refused(f"{what} is refused: {first.path}: {first.detail}{more}", faults)


def unknown(data: bytes, readers: tuple[Reader, ...]) -> Refused:
    """Why bytes that no reader takes are refused."""
    names = ", ".join(r.name for r in readers)
    if not data.strip():
        detail = "the body is empty; send the document's bytes"
        return Refused(detail, [Fault("", "empty", detail)])
    detail = f"this is no document that is known here; it begins with {data[:40]!r}. Known are {names}"
    return Refused(detail, [Fault("", "unknown-kind", detail)])
