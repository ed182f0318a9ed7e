"""The document desk: any customs document in, kept with its bytes, read into the canonical model, and led to what it means.

The same bytes again are the same document. A reference that is taken by other content is refused, unless the document says that
it amends. What a document says of a movement is done in the same transaction; what cannot be said yet waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from cocket.core.clock import Clock, rfc3339
from cocket.core.config import Customs
from cocket.core.errors import Conflict, DataDamaged, Fault, Refused, TooLarge
from cocket.core.ids import plate_key
from cocket.customs.formats import recognise
from cocket.customs.formats.reading import Read
from cocket.customs.transit.effects import Effects
from cocket.customs.transit.view import document_brief
from cocket.store.customs_documents import DocumentStore, Kept, ReadBody
from cocket.store.file_events import FileBook

_AGAIN: Final = frozenset(
    {
        "manifest-csv",
        "manifest-xlsx",
        "codeco",
        "coprar",
        "iftsta",
        "baplie",
    }
)
"""Kinds of which many come under one reference, each with its own part."""
_ONCE: Final = frozenset({"cc007c", "cc025c", "cc028c", "cc029c", "cc043c", "cc045c", "cc051c"})
"""Messages that are sent once for a movement, though they are no declarations."""


class DocumentDesk:
    """Takes and shows documents; any thread may call."""

    def __init__(
        self, store: DocumentStore, book: FileBook, effects: Effects, clock: Clock, settings: Customs
    ) -> None:
        self.store = store
        self._book = book
        self._effects = effects
        self._clock = clock
        self._settings = settings

    def take(self, data: bytes, *, media_type: str, name: str, by: str) -> tuple[dict[str, Any], bool]:
        """Keep a document; the answer of ``POST /documents``, and whether it is new.

        ``Refused`` with every fault (path, rule, words) where it breaks its standard's rules, contradicts itself or what is known.
        """
        if len(data) > self._settings.max_document_bytes:
            raise TooLarge(
                f"the document has {len(data)} bytes, at most {self._settings.max_document_bytes} are taken"
            )
        digest = sha256(data).digest()
        with self._book.db.read() as connection:
            known = self.store.by_hash(connection, digest)
        if known is not None:
            return self.answer(known), False
        read = recognise.read(data, name)
        with self._book.db.write() as connection:
            known = self.store.by_hash(connection, digest)  # somebody may have been quicker
            if known is None:
                kept = self._keep(connection, read, data, digest, media_type=media_type, name=name, by=by)
        if known is not None:
            return self.answer(known), False
        return self._answer(kept, read.raw), True

    def _keep(
        self,
        connection: sa.Connection,
        read: Read,
        data: bytes,
        digest: bytes,
        *,
        media_type: str,
        name: str,
        by: str,
    ) -> Kept:
        value = read.value
        flags = [*read.flags, *self._repeated(connection, read)]
        kept = Kept(
            id=digest.hex()[:32],
            seq=0,
            sha256=digest,
            kind=read.kind,
            function=value.get("function", "original"),
            reference=_reference(value),
            mrn=value.get("mrn"),
            lrn=value.get("lrn"),
            received_us=self._clock.now_us(),
            by=by,
            media_type=media_type[:128],
            name=name[:255],
            size=len(data),
            flags=flags,
            effects=[],
        )
        body = ReadBody(value, read.origins, read.raw, read.taken)
        kept = self.store.add(connection, kept, body, data, list(_names(value)))
        return self._lead(connection, kept, read)

    def _lead(self, connection: sa.Connection, kept: Kept, read: Read) -> Kept:
        """Do what the document says; a contradiction to what is known refuses it whole, at its own path."""
        try:
            mrn, effects, flags = self._effects.of(connection, kept, read.value)
        except Conflict as error:
            raise Refused(
                error.detail, [Fault(_source(f.path, read), f.rule, f.detail) for f in error.faults]
            ) from error
        return self.store.conclude(connection, kept, mrn, effects, [*kept.flags, *flags])

    def _repeated(self, connection: sa.Connection, read: Read) -> list[str]:
        value = read.value
        reference, function = _reference(value), value.get("function", "original")
        if reference is None or read.kind in _AGAIN:
            return []
        if function != "original" and read.kind not in _ONCE:
            return []
        for other in self.store.with_reference(connection, reference, read.kind):
            if other.function != function:
                continue
            theirs = self.store.body_in(connection, other.id).value
            if theirs == value:
                return [f"same-content-as:{other.id}"]
            if _declarant(theirs) != _declarant(value) and value.get("mrn") is None:
                continue  # a declarant's own numbers are unique to him alone
            field = "mrn" if value.get("mrn") else "lrn"
            detail = (
                f"{field.upper()} {reference} is taken: document {other.id} of {rfc3339(other.received_us)} says something "
                "else under it; send an amendment, or use another reference"
            )
            raise Refused(detail, [Fault(_source(f"/{field}", read), "reference-taken", detail)])
        return []

    # showing

    def answer(self, kept: Kept) -> dict[str, Any]:
        """The answer of ``POST /documents``."""
        return self._answer(kept, self.store.body(kept.id).raw)

    def _answer(self, kept: Kept, raw: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
        return {
            **document_brief(kept),
            "lrn": kept.lrn,
            "unmapped": [path for path, _, _ in raw],
            "movement": kept.mrn if kept.mrn and self._effects.known(kept.mrn) else None,
            "effects": kept.effects,
        }

    def whole(self, document_id: str) -> dict[str, Any]:
        """The canonical model with where each value came from."""
        kept = self.store.get(document_id)
        body = self.store.body(document_id)
        return {
            **canonical(body.value),
            **self._answer(kept, body.raw),
            "media_type": kept.media_type,
            "origins": body.origins,
        }

    def original(self, document_id: str) -> tuple[Kept, bytes]:
        """A document and its bytes; ``DataDamaged`` if they are not what came."""
        kept = self.store.get(document_id)
        data = self.store.original(document_id)
        if sha256(data).digest() != kept.sha256:
            raise DataDamaged(
                f"the bytes of document {document_id} are not those that came: their hash differs"
            )
        return kept, data

    def report(self, document_id: str) -> dict[str, Any]:
        """What was mapped to what, and what was kept raw, with why."""
        body = self.store.body(document_id)
        return {
            "mapped": [{"path": path, "field": field} for path, field in body.taken.items()],
            "kept_raw": [{"path": path, "value": value, "why": why} for path, value, why in body.raw],
        }


def canonical(value: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical dict with every field of the model, null or empty where nothing was said."""
    from cocket.customs.model import as_customs

    built: dict[str, Any] = msgspec.to_builtins(as_customs(dict(value)))
    return built


def _reference(value: Mapping[str, Any]) -> str | None:
    found = value.get("mrn") or value.get("lrn") or value.get("ucr")
    return None if found is None else str(found)


def _declarant(value: Mapping[str, Any]) -> str | None:
    for role in ("holder", "declarant", "carrier", "representative"):
        for party in value.get("parties", ()):
            if party.get("role") == role and party.get("id"):
                return str(party["id"])
    return None


def _source(pointer: str, read: Read) -> str:
    """The path in the source of a canonical pointer, or the pointer itself."""
    return read.origins.get(pointer, pointer)


def _names(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, id) of what a document names."""
    for consignment in value.get("consignments", ()):
        for equipment in consignment.get("equipment", ()):
            if equipment.get("id"):
                yield "equipment", equipment["id"]
            for seal in equipment.get("seals", ()):
                yield "seal", seal["id"]
        yield from _papers(consignment.get("documents", ()))
        yield from _means(consignment.get("transport", ()))
    yield from _papers(value.get("documents", ()))
    yield from _papers(value.get("references", ()))
    yield from _means(value.get("transport", ()))


def _papers(papers: Any) -> Iterator[tuple[str, str]]:
    for paper in papers:
        if paper.get("id") and paper.get("role") in {"booking", "transport", "manifest"}:
            yield paper["role"], paper["id"]


def _means(means: Any) -> Iterator[tuple[str, str]]:
    for one in means:
        for part in (one["id"], *re.split("[/,;]", one["id"])) if one.get("id") else ():
            if key := plate_key(part):  # tractor and trailer often stand in one field
                yield "means", key
