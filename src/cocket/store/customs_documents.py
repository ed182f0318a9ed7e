"""Customs documents: the bytes as they came, with their hash, and what a reader made of them. Only ever added to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from cocket.core.errors import NotFound
from cocket.store.database import Database
from cocket.store.file_tables import customs_documents, document_subjects

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """A document without its bodies. ``sha256`` is of the bytes as they came."""

    id: str
    seq: int
    sha256: bytes
    kind: str
    function: str
    reference: str | None
    mrn: str | None
    lrn: str | None
    received_us: int
    by: str
    media_type: str
    name: str
    size: int
    flags: list[str]
    effects: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReadBody:
    """What the reader made of it: the canonical dict, origins (JSON pointer → path), raw values (path, value, why).

    ``taken``: path → JSON pointer of every value that was written, where one field has several sources, too.
    """

    value: dict[str, Any]
    origins: dict[str, str]
    raw: list[tuple[str, str, str]]
    taken: dict[str, str]


_HEAD: Final = [c for c in customs_documents.c if c.name not in {"read", "original"}]
_NAMES: Final = tuple(Kept.__dataclass_fields__)
_encoder: Final = msgspec.json.Encoder()


class DocumentStore:
    """The documents in ``db`` (``cocket.sqlite``); any thread may call."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def by_hash(self, connection: sa.Connection, sha256: bytes) -> Kept | None:
        """The document with these bytes, if it came before."""
        return self._one(connection, customs_documents.c.sha256 == sha256)

    def with_reference(self, connection: sa.Connection, reference: str, kind: str) -> list[Kept]:
        """Documents of a kind under a reference, oldest first."""
        query = (
            sa.select(*_HEAD)
            .where(customs_documents.c.reference == reference, customs_documents.c.kind == kind)
            .order_by(customs_documents.c.seq)
        )
        return [_kept(row) for row in connection.execute(query)]

    def add(
        self,
        connection: sa.Connection,
        kept: Kept,
        body: ReadBody,
        original: bytes,
        subjects: Collection[tuple[str, str]],
    ) -> Kept:
        """Keep a new document, numbered; ``subjects`` are (kind, id) of what it names."""
        seq = (connection.execute(sa.select(sa.func.max(customs_documents.c.seq))).scalar() or 0) + 1
        row = {name: getattr(kept, name) for name in _NAMES}
        row["seq"] = seq
        row["read"] = _packed(_encoder.encode((body.value, body.origins, body.raw, body.taken)))
        row["original"] = _packed(original)
        connection.execute(customs_documents.insert(), row)
        if subjects:
            connection.execute(
                document_subjects.insert(),
                [{"kind": k, "id": i, "document_id": kept.id} for k, i in dict.fromkeys(subjects)],
            )
        return _kept(row)

    def conclude(
        self,
        connection: sa.Connection,
        kept: Kept,
        mrn: str | None,
        effects: Sequence[dict[str, Any]],
        flags: Sequence[str],
    ) -> Kept:
        """What it led to, in the transaction in which it came: its movement, effects and further flags."""
        done = replace(kept, mrn=mrn or kept.mrn, effects=list(effects), flags=list(flags))
        connection.execute(
            customs_documents.update()
            .where(customs_documents.c.id == kept.id)
            .values(mrn=done.mrn, effects=done.effects, flags=done.flags)
        )
        return done

    def mrn_of(self, connection: sa.Connection, lrn: str) -> str | None:
        """The MRN under which a declarant's reference is known, from any document that names both."""
        query = (
            sa.select(customs_documents.c.mrn)
            .where(customs_documents.c.lrn == lrn, customs_documents.c.mrn.is_not(None))
            .order_by(customs_documents.c.seq)
            .limit(1)
        )
        return connection.execute(query).scalar()

    def with_lrn(self, connection: sa.Connection, lrn: str) -> list[Kept]:
        """Documents under a declarant's reference, oldest first."""
        query = sa.select(*_HEAD).where(customs_documents.c.lrn == lrn).order_by(customs_documents.c.seq)
        return [_kept(row) for row in connection.execute(query)]

    def body_in(self, connection: sa.Connection, document_id: str) -> ReadBody:
        """As ``body``, as part of the caller's transaction."""
        query = sa.select(customs_documents.c.read).where(customs_documents.c.id == document_id)
        return _read_body(_unpacked(connection.execute(query).scalar_one()))

    def set_mrn(self, connection: sa.Connection, lrn: str, mrn: str) -> None:
        """The MRN that documents known only by the declarant's reference were given."""
        connection.execute(
            customs_documents.update()
            .where(customs_documents.c.lrn == lrn, customs_documents.c.mrn.is_(None))
            .values(mrn=mrn)
        )

    def get(self, document_id: str) -> Kept:
        """One document; ``NotFound`` if there is none."""
        with self._db.read() as connection:
            found = self._one(connection, customs_documents.c.id == document_id)
        if found is None:
            raise NotFound(f"there is no document {document_id!r}")
        return found

    def body(self, document_id: str) -> ReadBody:
        """What was made of it."""
        return _read_body(self._blob(document_id, "read"))

    def has_original(self, document_id: str) -> bool:
        """Whether its bytes are still there: they are dropped when its term is over."""
        size = sa.func.length(customs_documents.c.original)
        with self._db.read() as connection:
            found = connection.execute(sa.select(size).where(customs_documents.c.id == document_id)).scalar()
        return bool(found)

    def original(self, document_id: str) -> bytes:
        """Its bytes as they came."""
        return self._blob(document_id, "original")

    def page(
        self, filters: Mapping[str, Any], limit: int, before: int | None
    ) -> tuple[list[Kept], int | None]:
        """Newest first. Filters: ``kind``, ``mrn``, ``q`` (part of a reference, or a thing that it names), ``sight``
        (of movements that somebody may see).
        """
        c = customs_documents.c
        query = sa.select(*_HEAD).order_by(c.seq.desc()).limit(limit + 1)
        if filters.get("kind"):
            query = query.where(c.kind == filters["kind"])
        if filters.get("mrn"):
            query = query.where(c.mrn == filters["mrn"])
        if filters.get("sight") is not None:
            query = query.where(c.mrn.in_(filters["sight"].movements()))
        if filters.get("q"):
            q = str(filters["q"])
            naming = sa.select(document_subjects.c.document_id).where(
                document_subjects.c.id.icontains(q, autoescape=True)
            )
            query = query.where(
                sa.or_(
                    c.reference.icontains(q, autoescape=True),
                    c.lrn.icontains(q, autoescape=True),
                    c.name.icontains(q, autoescape=True),
                    c.id.in_(naming),
                )
            )
        if before is not None:
            query = query.where(c.seq < before)
        with self._db.read() as connection:
            rows = [_kept(row) for row in connection.execute(query)]
        return rows[:limit], rows[limit - 1].seq if len(rows) > limit else None

    def of_movement(self, mrn: str, known_us: int | None = None) -> list[Kept]:
        """A movement's documents, oldest first, as known at a moment."""
        query = sa.select(*_HEAD).where(customs_documents.c.mrn == mrn).order_by(customs_documents.c.seq)
        if known_us is not None:
            query = query.where(customs_documents.c.received_us <= known_us)
        with self._db.read() as connection:
            return [_kept(row) for row in connection.execute(query)]

    def naming(self, kind: str, ids: Collection[str]) -> list[Kept]:
        """Documents that name one of ``ids`` as ``kind`` (equipment, seal, plate, booking, bill), oldest first."""
        wanted = list(ids)[:_CHUNK]
        inner = sa.select(document_subjects.c.document_id).where(
            document_subjects.c.kind == kind, document_subjects.c.id.in_(wanted)
        )
        query = sa.select(*_HEAD).where(customs_documents.c.id.in_(inner)).order_by(customs_documents.c.seq)
        with self._db.read() as connection:
            return [_kept(row) for row in connection.execute(query)]

    def count(self) -> int:
        """How many there are."""
        with self._db.read() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(customs_documents)).scalar_one()
            )

    def _one(self, connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Kept | None:
        row = connection.execute(sa.select(*_HEAD).where(condition)).first()
        return None if row is None else _kept(row)

    def _blob(self, document_id: str, name: str) -> bytes:
        query = sa.select(customs_documents.c[name]).where(customs_documents.c.id == document_id)
        with self._db.read() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise NotFound(f"there is no document {document_id!r}")
        if not found:
            raise NotFound(f"the original of document {document_id!r} was dropped when its term was over")
        return _unpacked(found)


def _kept(row: Any) -> Kept:
    fields: dict[str, Any] = dict(row if isinstance(row, dict) else row._mapping)  # noqa: SLF001 - SQLAlchemy's own name
    return Kept(**{name: fields[name] for name in _NAMES})


def _read_body(data: bytes) -> ReadBody:
    value, origins, raw, taken = msgspec.json.decode(data)
    return ReadBody(value, origins, [(path, text, why) for path, text, why in raw], taken)


def emptied(read: bytes, without: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    """The columns ``read`` and ``original`` of a document past its term: the model alone, as ``without`` leaves it, and no bytes."""
    body = _read_body(_unpacked(read))
    return {"read": _packed(_encoder.encode((without(body.value), {}, [], {}))), "original": b""}


def _packed(data: bytes) -> bytes:
    """Eight bytes of length, then a zstd frame."""
    import pyarrow as pa

    frame: bytes = pa.compress(data, "zstd", asbytes=True)
    return len(data).to_bytes(8, "little") + frame


def _unpacked(blob: bytes) -> bytes:
    import pyarrow as pa

    size = int.from_bytes(blob[:8], "little")
    data: bytes = pa.decompress(blob[8:], size, "zstd", asbytes=True)
    return data
