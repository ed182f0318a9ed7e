"""Accounts, one-time links and tokens over a real server; and that no secret is ever told or written down."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyotp
import pytest
from tests.web.conftest import NDJSON
from tests.web.people import PASSWORD, Office, office

from cocket.cli import main

HOUR, DAY = 3600, 86_400
ROW = {"device_id": "SCANNER-7", "observed_at": "2026-11-22T08:30:00Z"}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with office(tmp_path_factory.mktemp("accounts") / "folder") as found:
        found.founded()
        yield found


@pytest.fixture(autouse=True)
def _rested(here):
    here.clock.ahead_s += 1200


# the first owner


def test_the_owner_s_link_is_good_once_and_for_an_hour(here: Office) -> None:
    accounts = here.door.access.accounts
    first = accounts.owner_link(by="test")
    second = accounts.owner_link(by="test")
    body = {"name": "second-owner", "password": PASSWORD}
    stranger = here.browser()
    for bad in (first, "A" * 43):
        here.door.is_problem(stranger.http.post("/owner-link", json={**body, "token": bad}), 401)
    weak = stranger.http.post("/owner-link", json={**body, "token": second, "password": "Welcome-2026"})
    here.door.is_problem(weak, 422)
    assert stranger.http.post("/owner-link", json={**body, "token": second}).status_code == 200
    assert stranger.http.get("/me").json()["roles"] == ["owner"]
    here.door.is_problem(here.browser().http.post("/owner-link", json={**body, "token": second}), 401)
    late = accounts.owner_link(by="test")
    here.clock.ahead_s += HOUR + 1
    here.door.is_problem(here.browser().http.post("/owner-link", json={**body, "token": late}), 401)


def test_two_who_use_the_owner_s_link_at_once_are_one_owner(here: Office) -> None:
    secret = here.door.access.accounts.owner_link(by="test")
    together = threading.Barrier(4)

    def use(n: int) -> int:
        browser = here.browser()
        together.wait()
        body = {"token": secret, "name": f"racer-{n}", "password": PASSWORD}
        return browser.http.post("/owner-link", json=body).status_code

    with ThreadPoolExecutor(4) as threads:
        found = sorted(threads.map(use, range(4)))
    assert found[0] == 200
    assert set(found[1:]) <= {401, 429}, "the others fail, or wait because so many failed"
    names = [a["name"] for a in here.founded().http.get("/accounts").json()["items"]]
    assert sum(n.startswith("racer-") for n in names) == 1


@pytest.mark.parametrize(
    "name", ["api", "token:x", "stranger", "a b", "../x", "-x", "", "x" * 65, "\u0430dmin"]
)
def test_names_that_stand_for_others_are_refused(here: Office, name) -> None:
    secret = here.door.access.accounts.owner_link(by="test")
    body = {"token": secret, "name": name, "password": PASSWORD}
    here.door.is_problem(here.browser().http.post("/owner-link", json=body), 422)


# accounts


def test_only_the_owner_keeps_accounts(here: Office) -> None:
    amina = here.person("supervisor", "auditor")
    here.door.is_problem(amina.http.get("/accounts"), 403)
    here.door.is_problem(amina.http.post("/accounts", json={"name": "x1", "roles": ["owner"]}), 403)
    here.door.is_problem(amina.http.patch(f"/accounts/{amina.name}", json={"roles": ["owner"]}), 403)
    here.door.is_problem(amina.http.post("/accounts/boss/reset", json={}), 403)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"roles": ["king"]}, "/roles/0"),
        ({"roles": ["trader"]}, "/holder"),
        ({"roles": ["partner-authority"]}, "/authority"),
        ({"roles": [], "password": "x"}, "/password"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused_with_the_place(here: Office, body, place) -> None:
    answer = here.founded().http.post("/accounts", json={"name": "new-one", **body})
    assert here.door.is_problem(answer, 422)["errors"][0]["path"] == place


def test_roles_change_at_once_in_open_sessions(here: Office) -> None:
    amina = here.person("analyst")
    assert amina.http.get("/me").json()["roles"] == ["analyst"]
    here.founded().http.patch(
        f"/accounts/{amina.name}", json={"roles": ["gate-officer"], "offices": ["KEMBA"]}
    )
    me = amina.http.get("/me").json()
    assert (me["roles"], me["offices"]) == (["gate-officer"], ["KEMBA"])


def test_who_is_disabled_is_out_with_sessions_and_tokens(here: Office) -> None:
    amina = here.person("integrator")
    made = amina.http.post("/tokens", json={"id": f"t-{amina.name}", "expires_at": here.later(DAY)}).json()
    program = here.client(headers={"authorization": f"Bearer {made['token']}"})
    assert program.get("/me").status_code == 200
    boss = here.founded()
    assert boss.http.patch(f"/accounts/{amina.name}", json={"disabled": True}).json()["disabled"] is True
    assert not amina.signed_in()
    here.door.is_problem(program.get("/me"), 401)
    here.door.is_problem(amina.sign_in(), 401)
    boss.http.patch(f"/accounts/{amina.name}", json={"disabled": False})
    assert not amina.signed_in(), "the old session stays ended"
    assert amina.sign_in().status_code == 200
    assert program.get("/me").status_code == 200


def test_the_only_owner_stays_owner(tmp_path) -> None:
    with office(tmp_path / "folder") as alone:
        boss = alone.founded()
        for change in ({"disabled": True}, {"roles": ["analyst"]}):
            alone.door.is_problem(boss.http.patch("/accounts/boss", json=change), 409)
        alone.person("owner", name="other")
        assert boss.http.patch("/accounts/boss", json={"roles": ["analyst"]}).status_code == 200
        alone.door.is_problem(boss.http.get("/accounts"), 403)


def test_a_reset_takes_everything_and_leaves_a_link(here: Office) -> None:
    amina = here.person("analyst")
    amina.with_second_factor()
    answer = here.founded().http.post(f"/accounts/{amina.name}/reset", json={}).json()
    assert not amina.signed_in()
    here.door.is_problem(amina.sign_in(), 401)
    secret = answer["link"].partition("#")[2]
    look = here.browser().http.post("/account-link/look", json={"token": secret}).json()
    assert look["name"] == amina.name
    body = {"token": secret, "password": "seven lamps along the quay"}
    assert amina.http.post("/account-link", json=body).status_code == 200
    assert amina.http.get("/me").json()["has_totp"] is False
    here.door.is_problem(here.browser().http.post("/account-link", json=body), 401)


def test_a_reset_may_leave_the_second_factor(here: Office) -> None:
    amina = here.person("analyst")
    amina.with_second_factor()
    reset = {"second_factor": False}
    answer = here.founded().http.post(f"/accounts/{amina.name}/reset", json=reset).json()
    body = {"token": answer["link"].partition("#")[2], "password": "seven lamps along the quay"}
    found = amina.http.post("/account-link", json=body).json()
    assert (found["signed_in"], found["needs"]) == (False, "code")
    here.door.is_problem(amina.http.get("/me"), 401)
    assert amina.http.post("/sign-in/totp", json={"code": amina.code()}).json()["signed_in"]
    assert amina.http.get("/me").json()["has_totp"] is True


def test_changes_of_accounts_are_in_the_book_without_secrets(here: Office) -> None:
    amina = here.person("analyst")
    boss = here.founded()
    boss.http.patch(f"/accounts/{amina.name}", json={"roles": ["auditor"]})
    changes = boss.http.get("/changes", params={"limit": 1000}).json()["items"]
    mine = [c for c in changes if c["kind"] == "account" and c["id"] == amina.name]
    assert [(c["by"], c["after"]["roles"]) for c in mine] == [("boss", ["analyst"]), ("boss", ["auditor"])]
    assert "argon2" not in str(mine)


def test_sign_ins_are_in_the_audit(here: Office) -> None:
    amina = here.person("analyst")
    amina.http.post("/sign-out", json={})
    amina.sign_in("a wrong password, typed")
    amina.sign_in()
    items = here.founded().http.get("/audit", params={"limit": 1000}).json()["items"]
    mine = [i for i in items if amina.name == i["principal"] and i["action"].startswith("sign-in:")]
    assert {i["action"] for i in mine} == {"sign-in:account-link", "sign-in:out", "sign-in:password"}
    assert any(i["action"] == "sign-in:password" and i["status"] == 401 for i in items)


# tokens


def test_a_token_is_who_it_was_made_as(here: Office) -> None:
    amina = here.person("integrator", "analyst", offices=["KEMBA"])
    body = {
        "id": "scanner-7",
        "expires_at": here.later(DAY),
        "roles": ["integrator"],
        "scopes": ["observation:send"],
    }
    answer = amina.http.post("/tokens", json=body)
    assert answer.status_code == 201, answer.text
    secret = answer.json()["token"]
    assert secret.startswith("ckt_")
    program = here.client(headers={"authorization": f"Bearer {secret}"})
    me = program.get("/me").json()
    assert (me["id"], me["kind"], me["roles"], me["offices"], me["scopes"], me["proved"]) == (
        "token:scanner-7",
        "token",
        ["integrator"],
        ["KEMBA"],
        ["observation:send"],
        "token",
    )
    sent = program.post("/observations", content=json.dumps(ROW), headers=NDJSON)
    assert sent.status_code == 200, "no field against forged requests is wanted of a program"
    listed = amina.http.get("/tokens").json()["items"]
    assert [t["id"] for t in listed] == ["scanner-7"]
    assert listed[0]["used_at"] is not None
    assert secret not in str(listed)
    here.door.is_problem(program.post("/tokens", json={"id": "child", "expires_at": here.later(60)}), 403)
    here.door.is_problem(amina.http.post("/tokens", json=body), 409)


def test_a_token_has_no_more_than_its_maker(here: Office) -> None:
    amina = here.person("integrator")
    body = {"id": "climber", "expires_at": here.later(DAY)}
    here.door.is_problem(amina.http.post("/tokens", json={**body, "roles": ["owner"]}), 422)
    here.door.is_problem(amina.http.post("/tokens", json={**body, "account": "boss"}), 403)
    for bad in ({"expires_at": here.later(-1)}, {"expires_at": here.later(366 * DAY)}, {"roles": ["king"]}):
        here.door.is_problem(amina.http.post("/tokens", json={**body, **bad}), 422)
    here.door.is_problem(amina.http.post("/tokens", json={"id": "endless"}), 422)


def test_a_token_loses_the_roles_that_its_account_loses(here: Office) -> None:
    amina = here.person("integrator", "analyst")
    made = amina.http.post("/tokens", json={"id": "shrinking", "expires_at": here.later(DAY)}).json()
    program = here.client(headers={"authorization": f"Bearer {made['token']}"})
    assert program.get("/me").json()["roles"] == ["analyst", "integrator"]
    here.founded().http.patch(f"/accounts/{amina.name}", json={"roles": ["integrator"]})
    assert program.get("/me").json()["roles"] == ["integrator"]


def test_tokens_end_by_time_and_by_hand(here: Office) -> None:
    amina = here.person("integrator")
    secrets = {}
    for name, life in (("short", 60), ("long", DAY)):
        made = amina.http.post("/tokens", json={"id": f"{name}-{amina.name}", "expires_at": here.later(life)})
        secrets[name] = {"authorization": f"Bearer {made.json()['token']}"}
    anybody = here.client()
    assert [anybody.get("/me", headers=s).status_code for s in secrets.values()] == [200, 200]
    here.clock.ahead_s += 61
    assert [anybody.get("/me", headers=s).status_code for s in secrets.values()] == [401, 200]
    other = here.person("integrator")
    here.door.is_problem(other.http.delete(f"/tokens/long-{amina.name}"), 403)
    assert amina.http.delete(f"/tokens/long-{amina.name}").status_code == 204
    assert amina.http.delete(f"/tokens/long-{amina.name}").status_code == 204
    assert anybody.get("/me", headers=secrets["long"]).status_code == 401
    here.door.is_problem(amina.http.delete("/tokens/never-made"), 404)


@pytest.mark.parametrize(
    "given",
    ["Bearer ckt_" + "A" * 43, "Bearer", "Bearer x", "Basic YTpi", "ckt_" + "A" * 43, "Bearer ckt_x y"],
)
def test_what_is_no_token_is_nobody_s(here: Office, given) -> None:
    """Also beside a session, so that a program that shows a bad token is never somebody else."""
    amina = here.person("analyst")
    for client in (here.client(), amina.http):
        here.door.is_problem(client.get("/me", headers={"authorization": given}), 401)


def test_replay_shows_the_token_of_its_environment(here: Office, tmp_path, capsys, monkeypatch) -> None:
    amina = here.person("integrator")
    made = amina.http.post("/tokens", json={"id": "replayer", "expires_at": here.later(DAY)}).json()
    file = tmp_path / "rows.ndjson"
    file.write_text(json.dumps({**ROW, "device_id": "REPLAYED"}) + "\n")
    assert main(["replay", str(file), "--to", here.door.url]) == 1
    monkeypatch.setenv("COCKET_TOKEN", made["token"])
    assert main(["replay", str(file), "--to", here.door.url]) == 0
    assert made["token"] not in "".join(capsys.readouterr())


# what is told and written down


def test_no_secret_is_kept_or_told(tmp_path) -> None:
    """A session with every secret there is; then all that the server said, and every byte that it keeps, is searched."""
    data, log = tmp_path / "d", tmp_path / "log"
    settings = tmp_path / "s.toml"
    settings.write_text("[access]\nsign_in = true\nargon2_memory_kib = 8\nargon2_passes = 1\n")
    command = [
        sys.executable,
        "-m",
        "cocket",
        "serve",
        "--data",
        str(data),
        "--port",
        "0",
        "--settings",
        str(settings),
    ]
    secrets: dict[str, str] = {
        "password": PASSWORD,
        "wrong": "an attempt that failed",
        "new": "seven lamps along the quay",
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ)
        try:
            url = process.stdout.readline().strip()
            line = process.stdout.readline().strip()
            assert line.startswith("be the owner"), line
            secrets["owner link"] = line.partition("#")[2]
            told = _everything(url, secrets)
        finally:
            process.terminate()
            rest = process.communicate(timeout=60)[0]
    assert len(secrets) >= 10
    for path in sorted(p for p in data.rglob("*") if p.is_file()):
        kept = path.read_bytes()
        for what, secret in secrets.items():
            if what == "totp":
                continue  # codes are computed from it; docs/stores.md says so
            assert secret.encode() not in kept, f"{what} stands in {path.name}"
    for what, secret in secrets.items():
        assert secret not in log.read_text() + rest + told, what


def _everything(url: str, secrets: dict[str, str]) -> str:
    """Use every secret, right and wrong; gives all answers that have no business to repeat one."""
    told = []
    with httpx.Client(base_url=f"{url}/api/v1", headers={"x-cocket": "1"}, timeout=60) as http:

        def post(path, body, method="POST"):
            answer = http.request(method, path, json=body)
            told.append(answer.text)
            return answer

        post("/owner-link", {"token": secrets["owner link"], "name": "boss", "password": secrets["password"]})
        secrets["session"] = http.cookies["cocket"]
        post("/owner-link", {"token": secrets["owner link"], "name": "boss", "password": secrets["password"]})
        post("/sign-in", {"name": secrets["wrong"], "password": secrets["wrong"]})
        post("/sign-in", {"name": "boss", "password": [secrets["wrong"]]})
        post("/sign-in", {"name": "boss", "password": secrets["wrong"], secrets["wrong"][:9]: 1})
        begun = http.post("/me/totp", json={"password": secrets["password"]}).json()
        secrets["totp"] = begun["secret"]
        codes = http.put("/me/totp", json={"code": pyotp.TOTP(begun["secret"]).now()}).json()["codes"]
        secrets["recovery"] = codes[0]
        made = http.post("/tokens", json={"id": "t", "expires_at": "2027-01-01T00:00:00Z"}).json()
        secrets["token"] = made["token"]
        told.append(httpx.get(f"{url}/api/v1/me", headers={"authorization": f"Bearer {made['token']}"}).text)
        told.append(httpx.get(f"{url}/api/v1/me", headers={"authorization": f"Bearer {made['token']}x"}).text)
        link = http.post("/accounts", json={"name": "amina", "roles": ["analyst"]}).json()["link"]
        secrets["account link"] = link.partition("#")[2]
        post("/account-link/look", {"token": secrets["account link"]})
        post("/me/password", {"old": secrets["password"], "new": secrets["new"]}, "PUT")
        secrets["second session"] = http.cookies["cocket"]
        post("/sign-in", {"name": "boss", "password": secrets["new"]})
        secrets["half session"] = http.cookies["cocket"]
        assert post("/sign-in/totp", {"code": secrets["recovery"]}).status_code == 200
        for path in (
            "/accounts",
            "/tokens",
            "/sessions",
            "/audit?limit=1000",
            "/changes?limit=1000",
            "/me",
            "/metrics",
        ):
            answer = http.get(path)
            assert answer.status_code == 200, path
            told.append(answer.text)
        post("/sign-out", {})
    return "\n".join(told)


def test_the_commands_work_on_a_folder(tmp_path, capsys) -> None:
    data = tmp_path / "d"

    def run(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*args, "--data", str(data)])
        return code, *capsys.readouterr()

    assert run("owner-link")[0] == 1, "there is no folder"
    with office(data) as here:
        code, _, said = run("account", "list")
        assert code == 1
        assert "another process" in said
        here.person("analyst", name="amina", sign_in=False)
    code, added, said = run("account", "add", "juma", "--role", "gate-officer", "--office", "KEMBA")
    assert code == 0, said
    assert "/welcome#" in added
    assert run("account", "disable", "amina")[0] == 0
    owner = run("owner-link")[1]
    assert "/owner#" in owner
    listed = run("account", "list")[1].splitlines()
    assert listed == [
        "amina\tanalyst\tall offices\tdisabled",
        "boss\towner\tall offices",
        "juma\tgate-officer\tKEMBA\tno password yet",
    ]
    code, _, said = run("account", "add", "juma", "--role", "king")
    assert code == 1
    assert "the roles are operator" in said
    with office(data) as here:
        juma = here.browser("juma")
        body = {"token": added.strip().partition("#")[2], "password": PASSWORD}
        assert juma.http.post("/account-link", json=body).status_code == 200
        body = {"token": owner.strip().partition("#")[2], "name": "amina", "password": PASSWORD}
        assert here.browser().http.post("/owner-link", json=body).status_code == 200, (
            "also for who is locked out"
        )
        assert here.browser("amina").sign_in().status_code == 200
