"""The export of what is held on a person: planted in every place, all of it found, and nothing of others."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from starlette.testclient import TestClient
from tests.web.planting import NDJSON, Planted, good

from cocket.cli import main
from cocket.core.clock import WallClock, rfc3339
from cocket.core.config import Settings
from cocket.core.errors import Refused
from cocket.core.person import sought
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.store.access_tables import accounts
from cocket.web.app import create_app

PLANTED = {
    "documents", "changes", "file_events", "customs_documents", "gate_arrivals", "transports", "scans", "alert_history",
    "units", "unit_dispatches", "quarantine", "accounts", "audit", "observations", "commands",
}  # fmt: skip


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Two persons, Alpha and Beta, each in everything."""
    path, clock, settings = tmp_path_factory.mktemp("person") / "data", WallClock(), Settings()
    with Service.open(path, clock, settings) as service, Gateway(service) as gateway:
        app = create_app(service, settings, gateway)
        with TestClient(app, base_url="http://localhost/api/v1") as door:
            people = [
                Planted(door, clock, "ALPHA", "MSKU1234565"),
                Planted(door, clock, "BETA", "MSKU9070323"),
            ]
            good(door.put("/gates/G", json={"name": "G", "kind": "border"}))
            for i, person in enumerate(people):
                more(door, clock, person, i)
                row = {
                    "id": f"acc{i}", "full_name": f"Mx {person.mark}", "roles": [], "offices": [], "disabled": False,
                    "password": "$argon2id$SECRET", "totp_step": 0, "created_us": 1, "created_by": "x", "changed_us": 1,
                    "changed_by": people[1 - i].mark,
                }  # fmt: skip
                with service.folder.db.write() as connection:
                    connection.execute(accounts.insert().values(row))
            both = (
                "manifest: M-BOTH\nbill of lading,container,description,packages,gross mass kg,consignee\n"
                f"B1,MSKU1234565,tea,1,2,{people[0].mark}\nB2,MSKU9070323,tea,1,2,{people[1].mark}\n"
            )
            good(door.post("/documents", params={"name": "both.csv"}, content=both.encode()))
            assert service.wait_detected(60)
            yield door, path, people


def more(door, clock, person: Planted, i: int) -> None:
    read = {"direction": "out", "plate": f"PL {person.mark}", "plate_confidence": 0.99}
    good(door.post("/gates/G/arrivals", json=read, params={"by": "gate"}))
    good(door.post("/scans", json={"code": f"CKT1:{person.mark}"}))
    unit = {
        "name": f"Unit {person.mark}",
        "phone": f"+254 700 00{i} 123",
        "lat_deg": 1,
        "lon_deg": 1,
        "on_duty": True,
    }
    good(door.put(f"/units/U{i}", json=unit))
    door.post("/observations", content=f'{{"device_id": "Q", "lat_deg": "{person.mark}"}}', headers=NDJSON)
    bound = {
        "device_id": f"CUT{i}",
        "equipment_id": f"BOX{i}",
        "mrn": person.mrn,
        "from": rfc3339(clock.now_us() - 10**9),
    }
    good(door.post("/bindings", json=bound))
    row = {"device_id": f"CUT{i}", "observed_at": rfc3339(clock.now_us()), "rope_cut": True}
    good(door.post("/observations", content=json.dumps(row), headers=NDJSON))
    alerts: list[dict] = []
    while not alerts:
        alerts = good(door.get("/alerts", params={"mrn": person.mrn, "code": "seal-cut"}))["items"]
    act = {
        "state": "acknowledged",
        "by": person.mark,
        "note": f"rang {person.mark}",
        "version": alerts[0]["version"],
    }
    good(door.patch(f"/alerts/{alerts[0]['id']}", json=act))
    good(
        door.post(
            f"/movements/{person.mrn}/case/dispatch", json={"unit_id": f"U{i}", "note": f"to {person.mark}"}
        )
    )
    good(door.put(f"/devices/DEV{i}", json={"class": "seal", "protocol": "jt701"}))
    asked = door.post(
        f"/devices/DEV{i}/commands",
        params={"by": "clerk"},
        json={"command": "unlock", "reason": f"says {person.mark}", "parameters": {"password": "123456"}},
    )
    assert asked.status_code in {200, 201, 202}, asked.text


def unpacked(data: bytes) -> tuple[dict, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert set(archive.namelist()) == {"person.json", "person.html"}
        return json.loads(archive.read("person.json")), archive.read("person.html").decode()


def test_everything_that_names_the_person_and_nothing_of_others(held) -> None:
    door, _, (alpha, beta) = held
    answer = door.get("/persons/export", params={"name": alpha.mark.lower(), "plate": f"pl-{alpha.mark}"})
    assert answer.status_code == 200, answer.text
    said, page = unpacked(answer.content)
    assert set(said["held"]) >= PLANTED, PLANTED - set(said["held"])
    for table, rows in said["held"].items():
        if table != "observations":
            assert all(alpha.mark in json.dumps(r["names_them"]) for r in rows), table
    text = json.dumps(said) + page
    assert beta.mark not in text, text[text.find(beta.mark) - 300 :][:400]
    assert "SECRET" not in text
    assert alpha.mark in page
    cards = {o.get("card_id") for o in said["held"]["observations"]}
    assert cards >= {f"card-{alpha.mark}", f"phone-{alpha.mark}"}
    originals = [r["about"]["original"] for r in said["held"]["customs_documents"]]
    assert f"/api/v1/documents/{alpha.document}/original" in originals
    assert len(originals) == 2, "the manifest that names both is among them, with their part of it"


def test_a_phone_is_found_in_any_spelling(held) -> None:
    door, _, _ = held
    said, _ = unpacked(door.get("/persons/export", params={"phone": "0700000123"}).content)
    assert [r["about"]["id"] for r in said["held"]["units"]] == ["U0"]
    assert set(said["held"]) >= {"units", "changes"}


def test_whoever_is_not_held_gets_an_empty_one_and_who_is_not_said_is_refused(held) -> None:
    door, _, (alpha, _) = held
    said, page = unpacked(door.get("/persons/export", params={"name": alpha.mark[:-1]}).content)
    assert said["held"] == {}, "a part of a name is another name"
    assert "Nothing is held" in page
    for bad in ({}, {"name": "ab"}, {"phone": "12"}, {"plate": "-"}, {"nome": "x"}):
        assert door.get("/persons/export", params=bad).status_code == 422


def test_that_it_was_asked_for_is_recorded_by_hash(held, tmp_path, capsys) -> None:
    door, path, (alpha, beta) = held
    file = tmp_path / "out.zip"
    assert main(["person-export", "--data", str(path), "--name", alpha.mark, "-o", str(file)]) == 0
    said, _ = unpacked(file.read_bytes())
    assert set(said["held"]) >= PLANTED
    assert beta.mark not in file.read_bytes().decode("latin-1")
    assert json.loads(capsys.readouterr().out)["held"]["units"] == 1
    entry = door.get("/audit", params={"action": "person:export"}).json()["items"][0]
    assert entry["principal"].startswith("os:")
    assert alpha.mark not in json.dumps(entry)
    again, _ = unpacked(door.get("/persons/export", params={"name": alpha.mark}).content)
    assert any("person-export" in json.dumps(r) for r in again["held"]["audit"]), (
        "they see that it was asked for"
    )
    assert main(["audit", "check", "--data", str(path)]) == 0


@pytest.mark.parametrize(
    ("kind", "text", "there", "matches"),
    [
        ("name", "Ann Lee", "to ANN  LEE, Mombasa", True),
        ("name", "Ann Lee", "Joann Lee", False),
        ("name", "Ann Lee", "Ann Leeson", False),
        ("plate", "KBX 123C", "kbx-123-c", True),
        ("plate", "KBX 123C", "KBX 123CD", False),
        ("phone", "+254 700 123 456", "call 0700123456 now", True),
        ("phone", "0700123456", "0700123457", False),
        ("eori", "NL123456789", "nl123456789", True),
        ("email", "a.b@c.example", "<A.B@C.example>", True),
        ("email", "a.b@c.example", "aXb@c.example", False),
        ("account", "amina", "amina2", False),
    ],
)
def test_what_names_a_person(kind, text, there, matches) -> None:
    assert sought({kind: [text]}).matcher()(there) is matches


def test_too_little_is_refused() -> None:
    with pytest.raises(Refused):
        sought({})
