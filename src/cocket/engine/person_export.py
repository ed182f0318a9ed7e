"""All that is held on one person, from every table, document and observation, and of nobody else.

Regulation (EU) 2016/679, article 15. Of a row that names the person there is told: where it is, when, what it is about, and the
part that names them: a text, or the object in it (a party with its address). Who else acted or is named beside them is left out (15.4).
Every table is searched, also one that is added later; what is left out is named here.
"""

from __future__ import annotations

import html
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.clock import rfc3339
from cocket.core.person import Sought
from cocket.store import tables
from cocket.store.file_tables import customs_documents, evidence
from cocket.store.folder import Stores
from cocket.store.gate_tables import transports

_NOT_SEARCHED: Final = frozenset(
    {"entries", "totals", "history_files", "snapshot_pages", "detection", "audit_head", "alert_numbers"}
)
"""Tables without words of people: packed entries are searched as observations."""
_NOT_TOLD: Final = frozenset(
    {"password", "totp", "totp_pending", "hash", "sha256", "previous", "body", "original", "read"}
)
"""Columns that are secrets or bytes; documents are told by their model."""
_OTHERS: Final = ("by", "changed_by", "created_by", "approved_by", "acknowledged_by", "issued_by", "void_by", "revoked_by", "who", "said_by")  # fmt: skip
"""Columns that name who acted: told only where that is the person."""
_Match = Callable[[str], bool]


def collect(folder: Stores, sought: Sought) -> dict[str, list[dict[str, Any]]]:
    """By table, the rows that name the person; ``observations`` are those of their phones, and those that name them."""
    match = sought.matcher()
    found: dict[str, list[dict[str, Any]]] = {}
    for db, metadata in ((folder.db, tables.main_metadata), (folder.log_db, tables.log_metadata)):
        for table in metadata.sorted_tables:
            if table.name in _NOT_SEARCHED or table is customs_documents:
                continue
            with db.read() as connection:
                rows = [
                    told for row in connection.execute(_asked(table)) if (told := _row(table, row, match))
                ]
            if rows:
                found[table.name] = rows
    _documents(folder, match, found)
    observations = list(_observations(folder, match))
    if observations:
        found["observations"] = observations
    return found


def _asked(table: sa.Table) -> sa.Select[Any]:
    """Columns with words: bytes of photos are not read for it."""
    return sa.select(*(c for c in table.c if not (table is evidence and c.name == "body")))


def _row(table: sa.Table, row: sa.Row[Any], match: _Match) -> dict[str, Any] | None:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name
    named: dict[str, Any] = {}
    for column in table.c:
        value = values.get(column.name)
        if column.name in {"password", "totp", "totp_pending"}:
            continue
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace") if column.name in {"raw", "sent"} else None
        if isinstance(value, str):
            value = _json(value) if column.name in {"subject", "roles"} else value
        parts = list(_parts(value, match, ""))
        if parts:
            named[column.name] = (
                parts[0][1] if parts[0][0] == "" else [{"at": p, "says": v} for p, v in parts]
            )
    if not named:
        return None
    about = {
        c.name.removesuffix("_us") + "_at" if c.name.endswith("_us") else c.name: _plain(c.name, values[c.name])
        for c in table.c
        if c.name in values and c.name not in {*_NOT_TOLD, *_OTHERS} and c.name not in named
        and isinstance(values[c.name], (str, int, float, bool)) and not _is_free_text(c.name)
    }  # fmt: skip
    return {"about": about, "names_them": named}


def _is_free_text(name: str) -> bool:
    return name in {"reason", "note", "detail", "text", "says", "raw", "agent", "full_name", "plate", "plate_key", "phone", "holder", "name"}  # fmt: skip


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parts(value: Any, match: _Match, path: str) -> Iterator[tuple[str, Any]]:
    """(JSON pointer, the innermost object or text) of what names the person."""
    if isinstance(value, str):
        if match(value):
            yield path, value
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _parts(one, match, f"{path}/{i}")
    elif isinstance(value, dict):
        if any(isinstance(v, str) and match(v) for v in value.values()):
            yield (
                path or "/",
                {k: v for k, v in value.items() if not isinstance(v, list) and k not in _OTHERS},
            )
            value = {k: v for k, v in value.items() if isinstance(v, list)}
        for key, one in value.items():
            yield from _parts(one, match, f"{path}/{key}")


def _plain(name: str, value: Any) -> Any:
    return rfc3339(value) if name.endswith("_us") and isinstance(value, int) and value >= 0 else value


def _documents(folder: Stores, match: _Match, found: dict[str, list[dict[str, Any]]]) -> None:
    """What customs documents say, by their model and by their bytes as they came; with where those are."""
    with folder.db.read() as connection:
        ids = [row[0] for row in connection.execute(sa.select(customs_documents.c.id))]
    rows: list[dict[str, Any]] = []
    for number in ids:
        kept, body = folder.documents.get(number), folder.documents.body(number)
        parts = [{"at": p or "/", "says": v} for p, v in _parts(body.value, match, "")]
        parts += [{"at": p, "says": text} for p, text, _ in body.raw if match(text)]
        head = (("file name", kept.name), ("given by", kept.by), ("reference", kept.reference or ""))
        parts += [{"at": p, "says": text} for p, text in head if match(text)]
        about = {
            "id": kept.id, "kind": kept.kind, "reference": kept.reference, "mrn": kept.mrn, "received_at": rfc3339(kept.received_us),
            "original": f"/api/v1/documents/{kept.id}/original",
        }  # fmt: skip
        if not parts and folder.documents.has_original(number):
            text = folder.documents.original(number).decode("utf-8", "replace")
            if match(text):
                parts = [{"at": "original", "says": "its bytes name them"}]
        if parts:
            rows.append({"about": about, "names_them": {"read": parts}})
    if rows:
        found["customs_documents"] = rows


def _observations(folder: Stores, match: _Match) -> Iterator[dict[str, Any]]:
    with folder.db.read() as connection:
        phones = {
            row.device_id
            for row in connection.execute(transports.select())
            if row.device_id and (match(row.device_id) or (row.plate and match(row.plate)))
        }
    far = 2**62
    rows = folder.history.rows([(d, -far, far) for d in sorted(phones)]) if phones else None
    texts = [
        f.name
        for f in folder.history.sql("SELECT * FROM observations LIMIT 0").schema
        if str(f.type).endswith("string")
    ]
    seen: set[tuple[Any, Any, Any]] = set()
    if rows is not None:
        for i in range(rows.n):
            row = rows.row(i)
            seen.add((row.get("device_id"), row.get("observed_us"), row.get("sequence")))
            yield _observation(row)
    for name in texts:
        query = f'SELECT DISTINCT "{name}" AS v FROM observations WHERE "{name}" IS NOT NULL'  # noqa: S608 - our own columns
        for value in [v for v in folder.history.sql(query).column("v").to_pylist() if match(v)]:
            literal = value.replace("'", "''")
            query = f"SELECT * FROM observations WHERE \"{name}\" = '{literal}'"  # noqa: S608 - quoted
            for row in folder.history.sql(query).to_pylist():
                at = row["observed_us"]
                row["observed_us"] = at if isinstance(at, int) else round(at.timestamp() * 1e6)
                key = (row["device_id"], row["observed_us"], row.get("sequence"))
                if key not in seen:
                    seen.add(key)
                    yield _observation(row)


def _observation(row: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "device_id",
        "observed_us",
        "received_us",
        "lat_deg",
        "lon_deg",
        "speed_mps",
        "card_id",
        "plate",
        "source",
    )
    return {
        k.removesuffix("_us") + "_at" if k.endswith("_us") else k: _plain(k, row[k]) if isinstance(row[k], int | float | str) else str(row[k])
        for k in kept
        if row.get(k) is not None
    }  # fmt: skip


def packed(found: dict[str, list[dict[str, Any]]], sought: Sought, at_us: int) -> bytes:
    """A ZIP with ``person.json`` for machines and ``person.html`` to read and print."""
    said = {"made_at": rfc3339(at_us), "sought": [{"by": k, "text": t} for k, t in sought.by], "held": found}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("person.json", json.dumps(said, indent=2, ensure_ascii=False, default=str))
        archive.writestr("person.html", _page(said))
    return out.getvalue()


def _page(said: dict[str, Any]) -> str:
    e = html.escape
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>What is held on a person</title>',
        f"<h1>What is held on a person</h1><p>Made at {e(said['made_at'])}. Sought by "
        + ", ".join(f"{e(s['by'])} <b>{e(s['text'])}</b>" for s in said["sought"]),
        "</p><p>Regulation (EU) 2016/679, article 15. What others did or are named as beside them is left out.</p>",
    ]
    if not said["held"]:
        parts.append("<p>Nothing is held.</p>")
    for table, rows in said["held"].items():
        parts.append(f"<h2>{e(table)} ({len(rows)})</h2><ol>")
        parts += [
            f"<li><pre>{e(json.dumps(r, indent=1, ensure_ascii=False, default=str))}</pre></li>" for r in rows
        ]
        parts.append("</ol>")
    return "\n".join(parts) + "</html>\n"
