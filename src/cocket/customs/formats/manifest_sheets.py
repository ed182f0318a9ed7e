"""Rows and cells of a CSV file or an Excel workbook (.xlsx), bounded; what manifests are read from.

CSV (RFC 4180, and what spreadsheets write): UTF-8, UTF-16 or Windows-1252; comma, semicolon, tab or bar, whichever makes the best known header. Excel:
openpyxl, read-only; the values that formulas had when the file was saved, no macros, no links. Before a workbook is opened its archive is
measured: entries, unpacked size, ratio; document types in its XML are refused.

A cell is text, with the place that a spreadsheet shows (``E7``). Numbers of Excel are written with at most 15 digits, which is what it keeps; days as ``YYYY-MM-DD``.
"""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, NoReturn

from cocket.core.errors import Fault, Refused
from cocket.core.sandbox import Limits, Said, Sandbox, SandboxFailed
from cocket.customs.formats.reading import refuse

MOST_BYTES: Final = 32 << 20
MOST_ROWS: Final = 100_000
MOST_COLUMNS: Final = 200
MOST_CELLS: Final = 1_000_000
"""That are filled: some kilobyte of memory each while they are mapped."""

_MOST_ENTRIES: Final = 2_000
_MOST_UNPACKED: Final = 128 << 20
_MOST_RATIO: Final = 250
_LAST_ROW: Final = 1 << 20
"""Excel has no row beyond."""
_SMALL: Final = 1 << 20
"""An entry below this may be packed as tightly as it likes."""

DELIMITERS: Final = (",", ";", "\t", "|")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP: Final = b"PK\x03\x04"
_WHAT: Final = "the manifest"
_CELLS: Final = f"more than {MOST_CELLS} cells are filled; split the manifest"


@dataclass(slots=True)
class Sheet:
    """Rows of cells by number; ``delimiter`` is "" for Excel. ``numeric``: the places whose value Excel held as a number."""

    rows: list[list[str]] = field(default_factory=list)
    delimiter: str = ""
    numeric: set[tuple[int, int]] = field(default_factory=set)
    name: str = ""


def place(row: int, column: int) -> str:
    """``E7`` of a row and column, both from 0."""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return f"{letters}{row + 1}"


def is_workbook(data: bytes) -> bool:
    """Whether it is an Excel workbook, of the new kind or (to be told so) the old or an encrypted one."""
    if data.startswith(_OLE):
        return True
    if not data.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.startswith("xl/workbook") for name in archive.namelist()[:_MOST_ENTRIES])
    except Exception:  # noqa: BLE001 - a damaged directory of an archive raises anything
        return b"xl/workbook" in data


def text_of(data: bytes) -> str | None:
    """The text of a CSV file; None if it is none in any encoding that is read."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif data[1::2].count(0) > len(data) // 4:
        encodings = ["utf-16-le"]
    elif data[::2].count(0) > len(data) // 4:
        encodings = ["utf-16-be"]
    else:
        encodings = ["utf-8-sig", "windows-1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def csv_sheet(text: str, delimiter: str) -> Sheet:
    """All rows of a text; ``Refused`` where quotes do not close."""
    sheet = Sheet(delimiter=delimiter)
    filled = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            _bound(sheet, len(row))
            sheet.rows.append([cell.strip() for cell in row])
            filled += sum(map(bool, row))
            if filled > MOST_CELLS:
                _fail("", "too-large", _CELLS)
    except csv.Error as error:
        number = len(sheet.rows) + 1
        _fail(f"/A{number}", "csv", f"row {number} cannot be parted into cells: {error}")
    if sheet.rows and sheet.rows[0] and sheet.rows[0][0].lower() == "sep=":
        sheet.rows[0] = []  # Excel's word to Excel
    return sheet


def csv_head(text: str, delimiter: str, count: int) -> list[list[str]]:
    """The first rows of a text, whatever its quotes."""
    head = text[:65536]
    if len(text) > len(head):
        head = head[: head.rfind("\n") + 1]
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            rows.append([cell.strip() for cell in row])
            if len(rows) == count:
                break
    except csv.Error:
        pass  # the reading proper says what and where
    return rows


def _bound(sheet: Sheet, columns: int) -> None:
    if len(sheet.rows) >= MOST_ROWS:
        _fail("", "too-large", f"more than {MOST_ROWS} rows; split the manifest")
    if columns > MOST_COLUMNS:
        _fail(
            f"/A{len(sheet.rows) + 1}",
            "too-large",
            f"row {len(sheet.rows) + 1} has more than {MOST_COLUMNS} columns",
        )


def workbook_sheets(data: bytes) -> list[Sheet]:
    """The sheets of a workbook that have any cell."""
    if data.startswith(_OLE):
        _fail(
            "",
            "old-excel",
            "this is an Excel file of the old kind (.xls) or an encrypted one; save it as .xlsx without a password",
        )
    _measure(data)
    try:
        found = _SANDBOX.run(data)
    except Said as said:
        _fail(said.path, said.rule, said.detail)
    except SandboxFailed as error:
        _fail("", "damaged", f"the workbook cannot be read: {error}")
    return [Sheet(s["rows"], "", {(r, c) for r, c in s["numeric"]}, s["name"]) for s in found]


_SANDBOX: Final = Sandbox(
    "cocket.customs.formats.manifest_sheets:sheets_in", Limits(cpu_s=120, wall_s=240, memory=2 << 30)
)


def sheets_in(data: bytes) -> list[dict[str, Any]]:
    """The sheets as JSON can say them; in the sandbox."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheets = []
        for worksheet in book.worksheets:
            sheet = _excel_sheet(worksheet)
            if any(any(row) for row in sheet.rows):
                sheets.append({"rows": sheet.rows, "numeric": sorted(sheet.numeric), "name": sheet.name})
        book.close()
    except _TooLarge as error:
        raise Said("too-large", str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever the damage leads it into
        detail = f"the workbook cannot be read: {type(error).__name__}: {str(error)[:200]}"
        raise Said("damaged", detail) from None
    return sheets


class _TooLarge(Exception):
    """A sheet with more than is read."""


def _excel_sheet(worksheet: Any) -> Sheet:
    sheet = Sheet(name=worksheet.title)
    worksheet.reset_dimensions()
    width = blank = filled = 0
    for number, row in enumerate(worksheet.iter_rows(max_row=_LAST_ROW, values_only=True)):
        cells = [_written(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        width += len(row)
        if len(cells) > MOST_COLUMNS or width > MOST_ROWS * MOST_COLUMNS:
            raise _TooLarge(f"row {number + 1} has more than {MOST_COLUMNS} columns")
        if not cells:
            blank += 1
            continue
        filled += sum(map(bool, cells))
        if filled > MOST_CELLS:
            raise _TooLarge(_CELLS)
        if number >= MOST_ROWS:
            raise _TooLarge(f"more than {MOST_ROWS} rows; split the manifest")
        sheet.rows.extend([] for _ in range(blank))
        sheet.rows.append(cells)
        blank = 0
        sheet.numeric.update(
            (number, n) for n, v in enumerate(row) if isinstance(v, int | float) and not isinstance(v, bool)
        )
    return sheet


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return format(Decimal(f"{value:.15g}"), "f")
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip()


def _measure(data: bytes) -> None:
    """Refuse an archive that unpacks to more than it should, and XML with a document type."""
    if len(data) > MOST_BYTES:
        _fail("", "too-large", f"{len(data)} bytes; at most {MOST_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                _fail(
                    "",
                    "too-large",
                    f"the workbook has {len(entries)} parts; at most {_MOST_ENTRIES} are read",
                )
            total = sum(entry.file_size for entry in entries)
            if total > _MOST_UNPACKED:
                _fail(
                    "",
                    "too-large",
                    f"the workbook unpacks to {total} bytes; at most {_MOST_UNPACKED} are read",
                )
            for entry in entries:
                if entry.flag_bits & 1:
                    _fail(
                        f"/{entry.filename}",
                        "encrypted",
                        "a part is encrypted; save the workbook without a password",
                    )
                if entry.file_size > _SMALL and entry.file_size > _MOST_RATIO * max(entry.compress_size, 1):
                    _fail(
                        f"/{entry.filename}",
                        "too-large",
                        f"a part unpacks to more than {_MOST_RATIO} times its size",
                    )
                if entry.filename.endswith((".xml", ".rels")):
                    part = archive.read(entry)
                    if (
                        part.startswith((b"\xff\xfe", b"\xfe\xff"))
                        or b"<!DOCTYPE" in part
                        or b"<!ENTITY" in part
                    ):
                        _fail(
                            f"/{entry.filename}",
                            "doctype",
                            "a part has a document type or is no UTF-8; save the workbook anew",
                        )
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged archive raises whatever its bytes lead zipfile into
        _fail("", "damaged", f"the archive of the workbook is damaged: {type(error).__name__}: {error}")


def _fail(path: str, rule: str, detail: str) -> NoReturn:
    raise refuse([Fault(path, rule, detail)], _WHAT)
