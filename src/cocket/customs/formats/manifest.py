"""Manifests as CSV or Excel: one row is one goods item; rows with the same bill are one consignment, with their containers and seals.

The first row with a known column for a bill or container and another known one is the header; above it may stand what holds for the whole,
``Voyage: 226W`` in one cell or ``Voyage`` and ``226W`` in two. Columns are known by their names in English and French (``manifest_columns``); others are kept raw.
A last row that begins with ``Total`` is checked against the rows.

Paths are the places that a spreadsheet shows: ``/E7`` is column E of row 7. All rows in error are named at once. Rules: ``header``, ``value``, ``required``,
``two-references``, ``csv``, ``encoding``, ``too-large``, ``damaged``, ``old-excel``.

Decimal marks are the file's: where its numbers leave it open whether ``12,500`` is twelve or twelve thousand, a comma that also parts the cells cannot be
decimal, and where a semicolon does, a comma is; else the number is refused, not guessed at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cocket.core.errors import Fault, Refused
from cocket.customs.formats import checks
from cocket.customs.formats.manifest_columns import (
    DECIMALS,
    OF_A_CONTAINER,
    OF_ALL,
    OF_AN_ITEM,
    SEALS,
    column,
    plain,
)
from cocket.customs.formats.manifest_rules import rules
from cocket.customs.formats.manifest_sheets import (
    DELIMITERS,
    MOST_BYTES,
    Sheet,
    csv_head,
    csv_sheet,
    is_workbook,
    place,
    text_of,
    workbook_sheets,
)
from cocket.customs.formats.manifest_values import NOTHING, hs_digits, proven
from cocket.customs.formats.mapping import Mapped, Node, apply
from cocket.customs.formats.moving import move
from cocket.customs.formats.reading import Read, refuse

NAME: Final = "manifests in CSV and Excel"
_HEAD: Final = 30
"""The header stands in one of this many first rows."""
_WHAT: Final = "the manifest"
_KEYS: Final = ("bill", "container")
_TOTAL: Final = re.compile(r"(grand |sous |sub)?-?totals?|totaux|total general", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: what it says, its unit of mass, and its name as it is written."""

    field: str
    unit: str
    name: str


@dataclass(slots=True)
class _Table:
    """A sheet whose header was found: the columns, and the row that they stand in."""

    sheet: Sheet
    header: int
    columns: list[_Column] = field(default_factory=list)


class _Reader:
    """Reads one manifest. ``Refused`` names every row and column in error."""

    name = NAME

    def sniff(self, data: bytes, name: str) -> bool:
        """Whether it is an Excel workbook, or text whose first rows have a header that is known."""
        del name
        if is_workbook(data):
            return True
        if data.lstrip()[:1] in {b"<", b"{", b"%"} or data.startswith((b"UNA", b"UNB", b"UNH", b"PK")):
            return False
        text = text_of(data[:65536] if len(data) % 2 == 0 or len(data) > 65536 else data)
        return bool(text) and _delimiter(text or "") is not None

    def read(self, data: bytes, name: str) -> Read:
        """The manifest in canonical form."""
        del name
        flags: list[str] = []
        if is_workbook(data):
            kind, table = "manifest-xlsx", _excel_table(data, flags)
        else:
            kind, table = "manifest-csv", _csv_table(data)
        decimal, faults = _decimal_mark(table)
        tree = _Tree(table, decimal)
        mapped = apply(rules(decimal), tree.root)
        faults += tree.faults + mapped.faults
        if faults:
            raise refuse(_told(faults, table), _WHAT)
        _settle(mapped)
        flags += tree.flags
        flags += checks.flags(mapped.value, mapped.origins)
        mapped.value.update({"procedure": "manifest"})
        raw = [(p, v, tree.why.get(p, why)) for p, v, why in mapped.raw]
        return Read(kind, mapped.value, mapped.origins, raw, flags, mapped.taken)


READER: Final = _Reader()


def _header(rows: list[list[str]]) -> tuple[int, int] | None:
    """(row, how many columns are known) of the header."""
    for n, row in enumerate(rows[:_HEAD]):
        fields = {column(cell)[0] for cell in row if cell} - {""}
        if len(fields) >= 2 and any(key in fields for key in _KEYS) and fields - OF_ALL - {"bill"}:
            return n, len(fields)
    return None


def _delimiter(text: str) -> str | None:
    """What parts the cells: the delimiter that makes the most known columns. ``sep=;`` in the first line, as Excel writes it, decides."""
    first = text.lstrip("\ufeff").partition("\n")[0].strip()
    if len(first) == 5 and first[:4].lower() == "sep=" and first[4] in DELIMITERS:
        return first[4] if _header(csv_head(text, first[4], _HEAD)) else None
    best = max(((_header(csv_head(text, d, _HEAD)) or (0, 0))[1], -n) for n, d in enumerate(DELIMITERS))
    return DELIMITERS[-best[1]] if best[0] else None


def _csv_table(data: bytes) -> _Table:
    if len(data) > MOST_BYTES:
        raise _refused("too-large", f"{len(data)} bytes; at most {MOST_BYTES} are read")
    text = text_of(data)
    if text is None:
        raise _refused("encoding", "this is no text in UTF-8, UTF-16 or Windows-1252")
    delimiter = _delimiter(text)
    if delimiter is None:
        raise _refused("header", _NO_HEADER)
    return _table(csv_sheet(text, delimiter))


def _excel_table(data: bytes, flags: list[str]) -> _Table:
    found: _Table | None = None
    for sheet in workbook_sheets(data):
        if found is None and _header(sheet.rows):
            found = _table(sheet)
        else:
            flags.append(f"sheet-not-read:{sheet.name}")
    if found is None:
        raise _refused("header", _NO_HEADER)
    return found


_NO_HEADER: Final = (
    "no row names its columns: a header has a bill or container and at least one other column that is known "
    "(seal, description, HS code, packages, gross mass, consignee …)"
)


def _refused(rule: str, detail: str) -> Refused:
    return refuse([Fault("", rule, detail)], _WHAT)


def _table(sheet: Sheet) -> _Table:
    found = _header(sheet.rows)
    if found is None:
        raise _refused("header", _NO_HEADER)
    table = _Table(sheet, found[0])
    seen: Counter[str] = Counter()
    for name in sheet.rows[found[0]]:
        what, in_unit = column(name)
        if what in SEALS and seen[what]:
            what = next((s for s in SEALS if not seen[s]), "")
        elif seen[what]:
            what = ""
        seen[what] += 1
        table.columns.append(_Column(what, in_unit, name))
    return table


class _Tree:
    """The cells as a tree: what holds for the whole, bills, in them their containers and items, and the total.

    ``why``: reasons for what is kept raw; ``faults``: rows that break a rule by themselves.
    """

    def __init__(self, table: _Table, decimal: str) -> None:
        self.root = Node("MANIFEST", "")
        self.why: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.flags: list[str] = []
        self._table = table
        self._decimal = decimal
        self._bills: dict[str, Node] = {}
        self._containers: dict[tuple[str, str], Node] = {}
        self._sealed: dict[tuple[str, str, str], Node] = {}
        self._said: dict[tuple[str, str], tuple[str, str]] = {}
        self._by_bill = any(c.field == "bill" for c in table.columns)
        for n in range(table.header):
            self._above(n, table.sheet.rows[n])
        header = table.sheet.rows[table.header]
        for n in range(table.header + 1, len(table.sheet.rows)):
            row = table.sheet.rows[n]
            if row == header:
                for cell in self._cells(n, row):
                    self._raw(cell, "the header again")
            elif any(row):
                self._row(n, row)
        if not self._bills and not self.faults:
            self.faults.append(Fault("", "required", "there is no row below the header"))

    def _raw(self, cell: Node, why: str) -> None:
        self.root.children.append(Node("raw", cell.path, cell.text))
        self.why[cell.path] = why

    def _above(self, n: int, row: list[str]) -> None:
        """What stands above the header: names and values, or words."""
        cells = [(m, cell) for m, cell in enumerate(row) if cell]
        at = 0
        while at < len(cells):
            m, cell = cells[at]
            key, colon, value = cell.partition(":")
            what = column(key)[0]
            if what in OF_ALL and colon and value.strip():
                self._whole(what, Node(what, f"/{place(n, m)}", value.strip()))
            elif what in OF_ALL and not value.strip() and at + 1 < len(cells):
                at += 1
                self._whole(what, Node(what, f"/{place(n, cells[at][0])}", cells[at][1]))
            else:
                self._raw(Node("", f"/{place(n, m)}", cell), "words above the table")
            at += 1

    def _whole(self, what: str, node: Node) -> None:
        """A value that holds for the whole manifest: one voyage and one manifest number, of the others the first."""
        path, said = self._said.setdefault(("", what), (node.path, node.text))
        if said != node.text and what in {"manifest", "voyage"}:
            detail = f"a second {what}, {node.text[:40]!r}, beside {said[:40]!r} at {path}; send a manifest for each"
            self.faults.append(Fault(node.path, "two-references", detail))
        self.root.children.append(node)

    def _cells(self, n: int, row: list[str]) -> Iterator[Node]:
        for m, cell in enumerate(row):
            if cell:
                what = self._table.columns[m] if m < len(self._table.columns) else _Column("", "", "")
                name = f"{what.field}+{what.unit}" if what.unit not in {"", "kg"} else what.field
                node = Node(name or "raw", f"/{place(n, m)}", self._shown(n, m, what.field, cell))
                if cell.lower() in NOTHING:
                    self.why[node.path] = "a dash: nothing"
                if what.field == "hs" and hs_digits(cell) != re.sub(r"[\s.]", "", cell):
                    self.flags.append(f"hs-leading-zero:{node.path} {cell}")
                if not what.field:
                    self.why[node.path] = (
                        f"the column {what.name[:40]!r} is not known, or a second of its kind"
                        if what.name
                        else "a column without a name"
                    )
                yield node

    def _shown(self, n: int, m: int, what: str, cell: str) -> str:
        """A number that Excel holds, written in the file's own way, so that no mark in it can be read otherwise."""
        if what not in DECIMALS or "." not in cell or (n, m) not in self._table.sheet.numeric:
            return cell
        cell = f"{cell}0" if len(cell.rpartition(".")[2]) == 3 else cell
        return cell.replace(".", ",") if self._decimal == "," else cell

    def _row(self, n: int, row: list[str]) -> None:
        cells = list(self._cells(n, row))
        by_field = {cell.name: cell.text for cell in cells}
        first = next(cell for cell in row if cell)
        bill = by_field.get("bill", "")
        if _TOTAL.fullmatch(plain(first)):
            self._total(cells)
            return
        if self._by_bill and not bill:
            at = next(m for m, c in enumerate(self._table.columns) if c.field == "bill")
            detail = "the row names no bill; write it in each row"
            self.faults.append(Fault(f"/{place(n, at)}", "required", detail))
            return
        consignment = self._bills.get(bill)
        if consignment is None:
            consignment = self._bills[bill] = Node("bill", f"/{n + 1}")
            self.root.children.append(consignment)
        item = Node("item", f"/{n + 1}")
        consignment.children.append(item)
        container = self._container(bill, by_field.get("container", ""), consignment, n)
        for cell in cells:
            what = cell.name.partition("+")[0]
            if what in OF_ALL:
                self._whole(what, cell)
            elif what in OF_AN_ITEM:
                item.children.append(cell)
            elif what in SEALS:
                self._seals(bill, container, cell)
            elif what in OF_A_CONTAINER:
                container.children.append(cell)
                if what == "container":
                    item.children.append(cell)
            else:
                consignment.children.append(cell)
                if what != "raw":
                    self._same(bill, what, cell)

    def _same(self, bill: str, what: str, cell: Node) -> None:
        """Note where a bill's rows contradict each other."""
        _, said = self._said.setdefault((f"bill {bill}", what), (cell.path, cell.text))
        if said != cell.text:
            self.flags.append(f"differs-within-bill:{cell.path}")

    def _container(self, bill: str, container: str, consignment: Node, n: int) -> Node:
        """The container of a row; rows of one container are one. Without a number it is the row's own load space."""
        key = (bill, container or f" {n}")
        found = self._containers.get(key)
        if found is None:
            found = self._containers[key] = Node("container", f"/{n + 1}")
            consignment.children.append(found)
        return found

    def _seals(self, bill: str, container: Node, cell: Node) -> None:
        """A cell may hold several seals; one that is repeated in each row of its container is one."""
        parts = [part for part in re.split(r"\s*[,;/\n]\s*", cell.text) if part]
        for part in parts or [cell.text]:
            key = (bill, container.path, part)
            seal = self._sealed.get(key)
            if seal is None:
                seal = self._sealed[key] = Node("seal", cell.path)
                container.children.append(seal)
            seal.children.append(Node("id", cell.path, part))

    def _total(self, cells: list[Node]) -> None:
        total = Node("total", "/total")
        self.root.children.append(total)
        for cell in cells:
            numeric = cell.name.partition("+")[0] in {"gross_mass", "net_mass", "packages"}
            if numeric and cell.text[:1].isdigit():
                total.children.append(cell)
            else:
                self._raw(cell, "of the row of totals")


def _decimal_mark(table: _Table) -> tuple[str, list[Fault]]:
    """The decimal mark of the numbers that are text: what they prove, else what the delimiter does; "" if neither. A fault where they prove both."""
    proof: dict[str, str] = {}
    for n in range(table.header + 1, len(table.sheet.rows)):
        for m, cell in enumerate(table.sheet.rows[n][: len(table.columns)]):
            if table.columns[m].field not in DECIMALS or (n, m) in table.sheet.numeric:
                continue
            mark = proven(cell)
            if mark:
                proof.setdefault(mark, f"/{place(n, m)}")
    if len(proof) == 2:
        (mark, first), (_, second) = proof.items()
        detail = f"has another decimal mark than {first}; write all numbers in one way"
        return mark, [Fault(second, "value", detail)]
    if proof:
        return next(iter(proof)), []
    return {",": ".", ";": ","}.get(table.sheet.delimiter, ""), []


def _settle(mapped: Mapped) -> None:
    """Items without a number get their place, and the ship's number and name are one ship's."""
    value: dict[str, Any] = mapped.value
    ships = value.get("transport", [])
    if len(ships) == 2:
        ships[0].update(ships.pop())
        move(mapped, {"/transport/1": ["/transport/0"]})
    for consignment in value.get("consignments", ()):
        for m, item in enumerate(consignment.get("items", ())):
            item.setdefault("number", m + 1)


def _told(faults: list[Fault], table: _Table) -> list[Fault]:
    """The faults in the order of their rows, each with its row and column in words."""
    found = []
    for fault in {fault.path: fault for fault in reversed(faults)}.values():
        at = re.fullmatch(r"/([A-Z]+)(\d+)", fault.path)
        if at is None:
            found.append(((0, 0), fault))
            continue
        letters, row = at[1], int(at[2])
        n = 0
        for letter in letters:
            n = n * 26 + ord(letter) - 64
        name = table.columns[n - 1].name if row > table.header and n <= len(table.columns) else ""
        words = f"row {row}, column {letters}{f' ({name})' if name else ''}: {fault.detail}"
        found.append(((row, n), Fault(fault.path, fault.rule, words)))
    found.sort(key=lambda f: f[0])
    return [fault for _, fault in found]
