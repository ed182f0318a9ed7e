"""The audit through the door: every change and every read of personal data leaves its entry, before it is answered for."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from tests.web.people import office

from cocket.cli import main
from cocket.core.clock import WallClock
from cocket.core.config import Settings, overridden
from cocket.core.errors import CocketError
from cocket.core.principal import Principal
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.app import create_app
from cocket.web.audited import Audited

AMINA = Principal("amina", "person", frozenset({"owner", "auditor"}), proved="session")


class SignedInAs:
    """Stands where sign-in does."""

    def __init__(self, app, signed_in: dict[str, Principal]) -> None:
        self.app, self.signed_in = app, signed_in

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["principal"] = self.signed_in["who"]
        await self.app(scope, receive, send)


def entries(door, **asked) -> list[dict]:
    answer = door.get("/api/v1/audit", params={"limit": 1000, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.fixture(scope="module")
def amina(tmp_path_factory):
    """A door at which Amina is signed in."""
    path = tmp_path_factory.mktemp("audit") / "data"
    with Service.open(path, WallClock(), Settings()) as service, Gateway(service) as gateway:
        app = create_app(service, Settings(), gateway)
        inside = [m.cls for m in app.user_middleware].index(Audited)
        app.user_middleware.insert(inside, Middleware(SignedInAs, signed_in={"who": AMINA}))
        with TestClient(app) as client:
            client.service, client.path = service, path
            yield client


def test_a_change_is_begun_and_its_outcome_follows(amina) -> None:
    answer = amina.put(
        "/api/v1/movements/26NLAUDIT1?by=her+stand-in",
        json={},
        headers={"x-request-id": "req-1", "x-purpose": "investigation: case 12"},
    )
    assert answer.status_code == 201
    outcome, begun = entries(amina, subject="26NLAUDIT1")
    assert {k: begun[k] for k in ("principal", "kind", "roles", "said_by", "method", "route", "subject", "purpose", "request_id")} == {
        "principal": "amina",
        "kind": "person",
        "roles": ["auditor", "owner"],
        "said_by": "her stand-in",
        "method": "PUT",
        "route": "/api/v1/movements/{mrn}",
        "subject": {"mrn": "26NLAUDIT1"},
        "purpose": "investigation: case 12",
        "request_id": "req-1",
    }  # fmt: skip
    assert begun["status"] is None
    assert outcome["status"] == 201
    assert outcome["seq"] > begun["seq"]


def test_a_refused_change_has_its_outcome_too(amina) -> None:
    for path, body, status in (
        ("/api/v1/movements/26NLAUDIT2", {"departed_at": "never"}, 422),
        ("/api/v1/bindings/999", {"to": None, "reason": "x"}, 404),
    ):
        send = amina.put if "movements" in path else amina.patch
        assert send(path, json=body, headers={"x-request-id": f"refused-{status}"}).status_code in {
            status,
            422,
        }
        mine = [e for e in entries(amina) if e["request_id"] == f"refused-{status}"]
        assert [e["status"] is None for e in mine] == [False, True]
        assert mine[0]["status"] in {status, 422}


def test_what_somebody_known_was_refused_is_recorded(amina) -> None:
    inside = next(m for m in amina.app.user_middleware if m.cls is SignedInAs).kwargs["signed_in"]
    inside["who"] = Principal("eve", "person", frozenset({"auditor"}), proved="session")
    try:
        assert amina.put("/api/v1/movements/26NLEVE", json={}).status_code == 403
        assert amina.get("/api/v1/movements/26NLNONE").status_code == 404
    finally:
        inside["who"] = AMINA
    assert [(e["method"], e["status"]) for e in entries(amina, principal="eve")] == [
        ("GET", 404),
        ("PUT", 403),
        ("PUT", None),
    ]


def test_who_signs_in_is_in_it_and_what_was_typed_is_not(tmp_path) -> None:
    with office(tmp_path / "people") as here:
        here.founded()
        amina = here.person("auditor", sign_in=False)
        wrong = here.client().post(
            "/sign-in", json={"name": amina.name, "password": "hunter2 in the wrong field"}
        )
        assert wrong.status_code == 401
        assert amina.sign_in().status_code == 200
        page = amina.http.get("/audit", params={"action": "sign-in:password"}).json()["items"]
        assert [(e["principal"], e["status"]) for e in page[:2]] == [(amina.name, 200), ("stranger", 401)]
        assert "hunter2" not in amina.http.get("/audit").text
        assert amina.http.get("/audit").json()["items"][0]["principal"] == amina.name
        assert here.client().get("/audit").status_code == 401


def test_a_read_of_personal_data_is_one_entry_with_its_answer(amina) -> None:
    amina.put("/api/v1/movements/26NLAUDIT3", json={})
    for path, status in (("/api/v1/movements/26NLAUDIT3/track", 200), ("/api/v1/movements/26NLNONE", 404)):
        assert amina.get(path, headers={"x-request-id": "read-1"}).status_code == status
        found = [e for e in entries(amina) if e["request_id"] == "read-1" and e["status"] == status]
        assert len(found) == 1
        assert found[0]["subject"]["mrn"] in path
    amina.get("/api/v1/movements?limit=5", headers={"x-request-id": "read-2"})
    assert [e["route"] for e in entries(amina) if e["request_id"] == "read-2"] == ["/api/v1/movements"]
    assert {e["method"] for e in entries(amina, principal="amina")} >= {"GET", "PUT"}, (
        "who reads the audit is in it"
    )


def test_what_tells_of_nobody_and_what_devices_say_leaves_no_entry(amina) -> None:
    before = amina.get("/api/v1/audit/head").json()["seq"]
    for path in ("/api/v1/health", "/api/v1/zones", "/api/v1/rules", "/api/docs", "/", "/metrics"):
        assert amina.get(path).status_code in {200, 404}, path
    row = {"device_id": "D1", "observed_at": "2026-11-25T10:00:00Z"}
    sent = amina.post(
        "/api/v1/observations", content=json.dumps(row), headers={"content-type": "application/x-ndjson"}
    )
    assert sent.status_code == 200
    later = [e for e in entries(amina) if e["seq"] > before]
    assert {e["route"] for e in later} <= {"/api/v1/audit", "/api/v1/audit/head"}


def test_secrets_and_names_stand_in_it_by_hash_alone(amina) -> None:
    amina.put("/api/v1/movements/26NLAUDIT4", json={})
    token = "tOkEn-" + "x" * 37
    amina.delete(f"/api/v1/movements/26NLAUDIT4/links/{token}")
    text = json.dumps(entries(amina, subject="26NLAUDIT4"))
    assert "token:" in text
    assert token not in text
    amina.service.auditing.settle()
    for file in amina.path.glob("cocket.sqlite*"):
        assert token.encode() not in file.read_bytes()


def test_misspelt_filters_are_refused_and_pages_follow_each_other(amina) -> None:
    assert amina.get("/api/v1/audit", params={"who": "amina"}).status_code == 422
    seen: list[int] = []
    cursor = None
    while True:
        asked = {"limit": 3, "principal": "amina", "until": "2999-01-01T00:00:00Z"}
        page = amina.get("/api/v1/audit", params={**asked, **({"cursor": cursor} if cursor else {})}).json()
        seen += [e["seq"] for e in page["items"]]
        cursor = page["next"]
        if cursor is None or len(seen) > 30:
            break
    assert seen == sorted(set(seen), reverse=True)


def test_the_head_that_was_noted_proves_the_folder(amina, capsys) -> None:
    head = amina.get("/api/v1/audit/head").json()
    assert main(["audit", "check", "--data", str(amina.path), "--head", head["hash"]]) == 0
    assert "whole" in capsys.readouterr().out


class Failing:
    """An audit on a disk that is full."""

    def __init__(self, store) -> None:
        self._store = store
        self.broken = True

    def append(self, entries):
        if self.broken:
            raise CocketError("the disk is full")
        return self._store.append(entries)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_where_the_audit_cannot_be_written_nothing_is_done_and_nothing_told(amina) -> None:
    amina.put("/api/v1/movements/26NLAUDIT5", json={})
    auditing = amina.service.auditing
    auditing.settle()
    auditing.store = failing = Failing(auditing.store)
    try:
        for answer in (
            amina.put("/api/v1/movements/26NLAUDIT6", json={}),
            amina.get("/api/v1/movements/26NLAUDIT5"),
        ):
            assert answer.status_code == 503
            assert "audit" in answer.json()["detail"]
            assert "26NLAUDIT5" not in answer.text
        assert amina.get("/api/v1/health").status_code == 200
    finally:
        failing.broken = False
        auditing.store = failing._store
    assert amina.get("/api/v1/movements/26NLAUDIT6").status_code == 404, "it was not declared"


def test_where_nobody_signs_in_changes_name_who_was_said_to_do_them(door) -> None:
    mrn = door.name("MRN")
    door.put(f"/movements/{mrn}?by=chipo", {})
    door.http.get(f"/movements/{mrn}")
    page = door.http.get("/audit", params={"subject": mrn}).json()["items"]
    assert [(e["method"], e["principal"], e["kind"], e["said_by"]) for e in page] == [
        ("PUT", "api", "nobody", "chipo")
    ] * 2, "reads can name nobody there, and are not recorded unless the settings say so"
    alert = door.cut()
    door.http.patch(
        f"/alerts/{alert['id']}", json={"state": "acknowledged", "by": "dora", "version": alert["version"]}
    )
    outcome = door.http.get("/audit", params={"subject": alert["id"]}).json()["items"][0]
    assert (outcome["said_by"], outcome["status"]) == ("dora", 200)


def test_all_reads_can_be_recorded_where_nobody_signs_in(tmp_path) -> None:
    settings = overridden(Settings(), audit={"reads": "all"})
    with (
        Service.open(tmp_path / "data", WallClock(), settings) as service,
        Gateway(service) as gateway,
        TestClient(create_app(service, settings, gateway)) as client,
    ):
        client.get("/api/v1/movements/26NLX")
        assert [e["status"] for e in entries(client, subject="26NLX")] == [404]


def test_kill_9_loses_no_entry_of_what_was_done(tmp_path: Path, capsys) -> None:
    """Two lives. Each change that is in the folder, answered or not, was begun in the audit before; each answered read is there."""
    data, chance = tmp_path / "data", random.Random(5)
    (tmp_path / "settings.toml").write_text('[audit]\nreads = "all"\n')
    answered: set[str] = set()
    for life in range(2):
        command = [sys.executable, "-m", "cocket", "serve", "--data", str(data), "--port", "0"]
        child = subprocess.Popen(
            [*command, "--settings", str(tmp_path / "settings.toml")], stdout=subprocess.PIPE, text=True
        )
        url = child.stdout.readline().strip() + "/api/v1"
        enough = threading.Event()
        target = len(answered) + chance.randrange(20, 50)

        def work(lane: int, life: int = life, url: str = url, enough=enough, target: int = target) -> None:
            with httpx.Client(base_url=url, timeout=10) as client:
                for n in range(10_000):
                    mrn = f"L{life}W{lane}N{n}"
                    try:
                        client.put(f"/movements/{mrn}", params={"by": mrn}, json={}).raise_for_status()
                        answered.add(f"put {mrn}")
                        client.get(f"/movements/{mrn}").raise_for_status()
                        answered.add(f"get {mrn}")
                    except httpx.TransportError:
                        return
                    if len(answered) >= target:
                        enough.set()

        lanes = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for lane in lanes:
            lane.start()
        assert enough.wait(60)
        time.sleep(chance.random() * 0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        for lane in lanes:
            lane.join()
    with closing(sqlite3.connect(data / "cocket.sqlite")) as db:
        rows = db.execute(
            "SELECT method, json_extract(subject, '$.mrn'), status FROM audit ORDER BY seq"
        ).fetchall()
        changed = {row[0] for row in db.execute("SELECT id FROM changes WHERE kind = 'movement'")}
    begun = {mrn for method, mrn, status in rows if method == "PUT" and status is None}
    read = {mrn for method, mrn, status in rows if method == "GET" and status == 200}
    assert len(answered) >= 40
    assert {what[4:] for what in answered if what.startswith("put")} <= changed <= begun
    assert {what[4:] for what in answered if what.startswith("get")} <= read
    assert main(["audit", "check", "--data", str(data)]) == 0
    assert main(["verify", "--data", str(data)]) == 0
