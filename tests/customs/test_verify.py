"""`cocket verify` finds what was altered in the customs file, each thing by name, and nothing in a sound one."""

import sqlite3
from pathlib import Path

import pytest

from cocket.cli import main
from cocket.core.clock import WallClock
from cocket.core.config import Customs
from cocket.customs.file import CustomsFile
from cocket.customs.verify import verify
from cocket.store.folder import DataFolder

MANIFEST = b"bill of lading,container,description,packages,gross mass kg\nB1,MSKU9070323,tea,10,120\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "d"
    with_file = DataFolder.open(path)
    file = CustomsFile(with_file, WallClock(), Customs())
    file.guarantees.put("G", {"amount": "100.00", "currency": "EUR"}, by="t")
    with_file.reference.put("movement", "M", {}, by="t", at_us=1)
    rows = [
        {"event": "lodge"}, {"event": "accept"},
        {"event": "reserve-guarantee", "grn": "G", "amount": "40.00", "currency": "EUR"},
        {"event": "decide-control"}, {"event": "seal", "seals": [{"id": "S", "equipment_id": "E"}]},
    ]  # fmt: skip
    file.transit.act("M", [file.transit.wanted(r, by="t") for r in rows])
    file.documents.take(MANIFEST, media_type="text/csv", name="m.csv", by="t")
    file.book.add_evidence(
        {"id": "e" * 32, "mrn": "M", "sha256": b"x" * 32, "media_type": "image/png", "size": 1, "received_us": 1, "by": "t", "body": b"1"}
    )  # fmt: skip
    with_file.close()
    alter(
        path,
        "UPDATE evidence SET sha256 = x'6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b'",
    )
    return path


def alter(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path / "cocket.sqlite")
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_nothing_is_wrong_with_a_sound_file(folder, capsys) -> None:
    assert verify(folder) == []
    assert main(["verify", "--data", str(folder)]) == 0
    assert "Nothing found wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE file_subjects SET state = 'discharged' WHERE machine = 'movement'", "movement M is said to be 'discharged'"),
        ("DELETE FROM file_events WHERE event = 'accept'", "cannot have happened"),
        ("DELETE FROM file_events WHERE seq = 1", "events are missing"),
        ("DELETE FROM file_subjects WHERE machine = 'seal'", "seal S is said to be None"),
        ("UPDATE guarantees SET reserved = '10.00'", "guarantee G says 10.00 reserved, its entries say 40.00"),
        ("UPDATE guarantees SET amount = '10.00'", "over-reserved"),
        ("UPDATE evidence SET body = x'32'", "evidence " + "e" * 32),
        ("UPDATE customs_documents SET sha256 = x'00'", "does not match its SHA-256"),
        ("UPDATE customs_documents SET original = x'0500000000000000ffffff'", "cannot be read"),
    ],
)  # fmt: skip
def test_what_was_altered_is_named(folder, sql, told, capsys) -> None:
    alter(folder, sql)
    found = verify(folder)
    assert any(told in f.what for f in found), found
    assert all(f.level == "damage" for f in found)
    assert main(["verify", "--data", str(folder)]) == 1
    assert told in capsys.readouterr().out
