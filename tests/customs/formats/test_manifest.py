"""Manifests in CSV and Excel: worked files with their twins, the laws of every reader, and archives that mean harm."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from tests.customs.formats.worked import HERE, cases, check, documents, taken

from cocket.core.errors import Refused
from cocket.core.sandbox import Said
from cocket.customs.formats import manifest_sheets
from cocket.customs.formats.manifest import READER
from cocket.customs.formats.manifest_columns import NAMES, column
from cocket.customs.formats.manifest_sheets import place

ENGLISH = (HERE / "manifest" / "english.csv").read_bytes()
HEADER_ROW = 5
LABELS = {("A", 3), ("C", 2), ("D", 3), ("G", 3)}
"""Cells above the header that only name the cell beside them; ``Vessel: …`` in A2 is name and value in one."""


@pytest.mark.parametrize(("data", "name", "said"), cases("manifest"))
def test_worked(data: bytes, name: str, said: dict[str, Any]) -> None:
    check(READER, data, name, said)


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def cells(table: list[list[Any]]) -> set[str]:
    """The places of all values: cells that are filled, but the header's and the names of the block above it."""
    found = set()
    for n, row in enumerate(table, 1):
        for m, cell in enumerate(row):
            letter = chr(65 + m)
            if cell not in {None, ""} and n != HEADER_ROW and (letter, n) not in LABELS:
                found.add(f"/{letter}{n}")
    return found


def workbook(table: list[list[Any]], **more: list[list[Any]]) -> bytes:
    book = Workbook()
    sheet = book.active
    for row in table:
        sheet.append(row)
    for title, lines in more.items():
        other = book.create_sheet(title)
        for row in lines:
            other.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_every_cell_is_mapped_or_kept_raw() -> None:
    for data in (ENGLISH, workbook(rows(ENGLISH))):
        read = READER.read(data, "")
        raw = {path for path, _, _ in read.raw}
        assert raw | set(read.taken) == cells(rows(ENGLISH))
        assert not raw & set(read.taken)
        assert len(raw) == len(read.raw)
        assert set(read.origins.values()) <= set(read.taken)


def test_csv_and_excel_say_the_same() -> None:
    from_csv, from_excel = READER.read(ENGLISH, ""), READER.read(workbook(rows(ENGLISH)), "")
    assert from_excel.kind == "manifest-xlsx"
    assert (from_csv.value, from_csv.flags, from_csv.raw) == (
        from_excel.value,
        from_excel.flags,
        from_excel.raw,
    )


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows(ENGLISH.replace(b"Fisheries", "Pêches".encode())))
    data = out.getvalue().encode(encoding)
    assert READER.sniff(data, "")
    read = READER.read(data, "")
    assert read.value["consignments"][1]["parties"][0]["name"] == "Coastal Pêches"
    assert read.value["consignments"][0]["items"][0]["gross_mass_kg"] == 8500.0


PAGE = Path(__file__).parents[3] / "docs" / "customs" / "manifests.md"


def test_the_example_of_the_page() -> None:
    example = PAGE.read_text().partition("```csv\n")[2].partition("```")[0]
    read = READER.read(example.encode(), "")
    assert read.value["lrn"] == "KEMBA2026118"
    assert read.value["packages_total"] == 412
    (consignment,) = read.value["consignments"]
    assert consignment["equipment"] == [
        {"id": "MSKU1234565", "seals": [{"id": "CX778812"}, {"id": "KRA0012345"}]}
    ]
    assert [i["gross_mass_kg"] for i in consignment["items"]] == [8500.0, 4050.5]
    assert read.flags == []


def test_the_page_names_every_column() -> None:
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    told = {field: names.split(", ") for field, names in (line for line in lines if len(line) == 2)}
    told.pop("column")
    assert {field: set(names) for field, names in told.items()} == {
        field: set(names.split("|")) for field, names in NAMES.items()
    }


HEADER = ["Bill", "Container", "Goods", "HS code", "Packages", "Gross mass", "Value", "Currency", "Temp"]


def test_numbers_that_excel_holds() -> None:
    table = [
        ["Voyage", "226W"],
        ["ETA", datetime(2026, 11, 24, 6, 30)],  # noqa: DTZ001 - Excel knows no zones
        HEADER,
        [1234567.0, "MSKU1234565", "Fish", 30743, 12, 1.234, 1234.5, "USD", -18.5],
        [1234568, "MSKU1234570", "Fish", 30743, 12.0, 0.1 + 0.2, 1e15, "USD", True],
    ]
    with pytest.raises(Refused) as told:
        READER.read(workbook(table), "")
    assert [(f.path, f.rule) for f in told.value.faults] == [("/I5", "value")]
    assert "row 5, column I (Temp)" in told.value.faults[0].detail
    table[-1][-1] = None
    for mark in (None, "1234,5"):
        if mark:
            table[-2][6] = mark  # a text beside the numbers, which proves a decimal comma
        read = READER.read(workbook(table), "")
        first, second = read.value["consignments"]
        assert read.value["arrives_at"] == "2026-11-24T06:30:00Z"
        assert [first["reference"], second["reference"]] == ["1234567", "1234568"]
        assert [i["items"][0]["gross_mass_kg"] for i in (first, second)] == [1.234, 0.3]
        assert [i["items"][0]["value"] for i in (first, second)] == ["1234.5", "1000000000000000"]
        assert first["items"][0]["hs"] == "030743"
        assert first["equipment"][0]["measures"] == [
            {"kind": "temperature-transport", "unit": "CEL", "value": "-18.5"}
        ]
        assert "hs-leading-zero:/D4 30743" in read.flags


def test_formulas_count_by_their_saved_values_alone() -> None:
    """A workbook that no spreadsheet has calculated has none: the cell is empty, and nothing is run."""
    read = READER.read(workbook([HEADER, ["B1", "MSKU1234565", '=CONCAT("a","b")', "", 1, "=1+1"]]), "")
    item = read.value["consignments"][0]["items"][0]
    assert "gross_mass_kg" not in item
    assert "description" not in item


def test_other_sheets_are_named() -> None:
    table = [HEADER, ["B1", "MSKU1234565", "Fish"]]
    read = READER.read(workbook([["Notes"], ["to the reader"]], Cargo=table, More=[["more"]], Empty=[]), "")
    assert read.flags == ["sheet-not-read:Sheet", "sheet-not-read:More"]
    assert read.value["consignments"][0]["reference"] == "B1"


def test_two_manifests_in_one() -> None:
    table = b"Bill,Container,Voyage,Goods\nB1,MSKU1234565,226W,Fish\nB2,MSKU1234570,227W,Fish\n"
    with pytest.raises(Refused) as told:
        READER.read(table, "")
    assert [(f.path, f.rule) for f in told.value.faults] == [("/C3", "two-references")]


def test_containers_without_bills_are_one_consignment() -> None:
    read = READER.read(b"container;seal;gross weight\nMSKU1234565;A1;100,5\nMSKU1234570;A2;200\n", "")
    (consignment,) = read.value["consignments"]
    assert [e["id"] for e in consignment["equipment"]] == ["MSKU1234565", "MSKU1234570"]
    assert [i["gross_mass_kg"] for i in consignment["items"]] == [100.5, 200.0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"name,phone\nA,1\n",
        b"bill\nB1\n",
        b"Dear Sir, the container, the seal, and the bill are lost.\n",
        b"<a>bill,container</a>",
        b"UNB+UNOA:1",
        b"%PDF-1.7 bill,container",
        b"\x00\x01bill,container,seal\n",
        b"PK\x03\x04 nothing",
    ],
)
def test_others_are_not_taken(data: bytes) -> None:
    assert not READER.sniff(data, "manifest.csv")


def refused(data: bytes) -> list[tuple[str, str]]:
    assert READER.sniff(data, "")
    with pytest.raises(Refused) as told:
        READER.read(data, "")
    return [(f.path, f.rule) for f in told.value.faults]


def archive(parts: dict[str, bytes]) -> bytes:
    """A workbook with parts put in or exchanged."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([HEADER, ["B1", "MSKU1234565", "Fish"]]))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name not in parts:
                new.writestr(name, old.read(name))
        for name, data in parts.items():
            new.writestr(name, data)
    return out.getvalue()


def test_archives_that_mean_harm() -> None:
    sheet = "xl/worksheets/sheet1.xml"
    bomb = b"<worksheet><sheetData>" + b"<row/>" * 1_000_000 + b"</sheetData></worksheet>"
    assert refused(archive({sheet: bomb})) == [(f"/{sheet}", "too-large")]
    entity = b"<!DOCTYPE a [<!ENTITY b 'c'>]><worksheet><sheetData/></worksheet>"
    assert refused(archive({sheet: entity})) == [(f"/{sheet}", "doctype")]
    assert refused(archive({f"x{n}": b"" for n in range(2001)})) == [("", "too-large")]
    assert refused(archive({sheet: b"<worksheet><sheetData>"})) == [("", "damaged")]
    assert refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)) == [("", "old-excel")]
    huge = {f"xl/media/{n}.bin": bytes(1 << 20) for n in range(140)}
    assert refused(archive(huge)) == [("", "too-large")]


def test_a_macro_is_no_reason_and_is_not_run() -> None:
    read = READER.read(archive({"xl/vbaProject.bin": b"anything"}), "")
    assert read.value["consignments"][0]["reference"] == "B1"


def test_a_cell_far_away() -> None:
    """A row or column that is out of bounds is refused without walking there."""
    row = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>x</t></is></c></row>'
    far = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'
    assert refused(archive({"xl/worksheets/sheet1.xml": far % row})) == [("", "too-large")]
    column_far = b'<row r="1"><c r="XFD1" t="inlineStr"><is><t>x</t></is></c></row>'
    assert refused(archive({"xl/worksheets/sheet1.xml": far % column_far})) == [("", "too-large")]


def test_too_many_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_sheets, "MOST_ROWS", 20)
    table = b"bill,container,goods\n" + b"B1,MSKU1234565,Fish\n" * 20
    assert refused(table) == [("", "too-large")]
    with pytest.raises(Said, match="too-large"):  # what the sandbox runs, here, where the limit is changed
        manifest_sheets.sheets_in(workbook([r.split(",") for r in table.decode().splitlines()]))
    monkeypatch.setattr(manifest_sheets, "MOST_ROWS", 100)
    monkeypatch.setattr(manifest_sheets, "MOST_CELLS", 60)
    assert refused(table) == [("", "too-large")]
    with pytest.raises(Said, match="too-large"):  # what the sandbox runs, here, where the limit is changed
        manifest_sheets.sheets_in(workbook([r.split(",") for r in table.decode().splitlines()]))
    wide = b"bill,container,goods\nB1,MSKU1234565" + b",x" * 250 + b"\n"
    assert refused(wide) == [("/A2", "too-large")]


@pytest.mark.parametrize(
    ("name", "field", "unit"),
    [
        ("B/L No.", "bill", ""),
        ("N° de connaissement", "bill", ""),
        ("Numéro de connaissement", "bill", ""),
        ("CONTAINER NO", "container", ""),
        ("N° conteneur", "container", ""),
        ("Scellé", "seal", ""),
        ("Seal No. 2", "seal2", ""),
        ("Gross Weight (KGS)", "gross_mass", "kg"),
        ("Gross weight lbs", "gross_mass", "lb"),
        ("Poids brut en tonnes", "gross_mass", "t"),
        ("Désignation des marchandises", "description", ""),
        ("Consignee's address", "", ""),
        ("Type", "", ""),
        ("No.", "", ""),
        ("Packages (kg)", "", ""),
    ],
)
def test_names_of_columns(name: str, field: str, unit: str) -> None:
    assert column(name) == (field, unit)


@given(st.integers(0, 20_000), st.integers(0, 999))
def test_places_as_spreadsheets_count(n: int, row: int) -> None:
    """Column letters count in base 26 without a zero."""
    letters = place(row, n).rstrip("0123456789")
    assert sum((ord(c) - 64) * 26**i for i, c in enumerate(reversed(letters))) == n + 1
    assert place(row, n) == f"{letters}{row + 1}"


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    taken(READER, data)
    taken(READER, b"PK\x03\x04" + data)
    taken(READER, b"bill,container,goods\n" + data)


@settings(max_examples=150)
@given(st.sampled_from(documents("manifest")), st.floats(0, 1), st.integers(0, 30), st.binary(max_size=12))
def test_mutations(data: bytes, where: float, length: int, new: bytes) -> None:
    start = int(where * (len(data) - 1))
    read = taken(READER, data[:start] + new + data[start + length :])
    if read is not None:
        assert not {path for path, _, _ in read.raw} & set(read.taken)


BOOK = workbook(rows(ENGLISH))


@settings(max_examples=100, deadline=None)  # the first starts the sandbox
@given(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=12))
def test_mutated_archives(where: float, length: int, new: bytes) -> None:
    start = int(where * (len(BOOK) - 1))
    taken(READER, BOOK[:start] + new + BOOK[start + length :])
