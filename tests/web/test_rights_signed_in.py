"""Rights with real accounts, sessions and tokens: nothing of the test's own says who asks."""

import pytest
from tests.web.people import office


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with office(tmp_path_factory.mktemp("signed") / "folder") as here:
        yield here


def test_a_trader_with_an_account_and_a_token_sees_their_own(here) -> None:
    boss = here.founded().http
    for mrn, holder in (("26OWN", "KE-1"), ("26OTHER", "KE-2")):
        assert boss.put(f"/movements/{mrn}", json={"holder": "x", "holder_id": holder}).status_code == 201
    trader = here.person("trader", holder="KE-1")
    assert [m["mrn"] for m in trader.http.get("/movements").json()["items"]] == ["26OWN"]
    here.door.is_problem(trader.http.get("/movements/26OTHER"), 404)
    here.door.is_problem(trader.http.get("/seals"), 403)
    new = {"id": "erp", "expires_at": here.later(3600), "scopes": ["movement:read"]}
    made = trader.http.post("/tokens", json=new)
    assert made.status_code == 201, made.text
    program = here.client(headers={"authorization": f"Bearer {made.json()['token']}"})
    assert [m["mrn"] for m in program.get("/movements").json()["items"]] == ["26OWN"]
    refused = here.door.is_problem(program.get("/documents"), 403)
    assert "not among what token:erp was made for: movement:read" in refused["detail"]
    here.door.is_problem(here.client().get("/movements"), 401)
    # the holder changes: with the next request they see the other, and no longer the one
    assert boss.patch(f"/accounts/{trader.name}", json={"holder": "KE-2"}).status_code == 200
    assert trader.sign_in().status_code == 200
    assert [m["mrn"] for m in trader.http.get("/movements").json()["items"]] == ["26OTHER"]


def test_two_accounts_unlock_and_one_with_a_token_does_not(here) -> None:
    boss = here.founded().http
    device = {"class": "e-seal", "protocol": "jt701"}
    assert boss.put("/devices/LOCK-1", json=device).status_code == 201
    first, second = here.person("supervisor"), here.person("supervisor")
    unlock = {"command": "unlock", "parameters": {"password": "271828"}, "reason": "arrived"}
    asked = first.http.post("/devices/LOCK-1/commands", json=unlock, params={"by": second.name}).json()
    assert asked["by"] == first.name
    made = first.http.post("/tokens", json={"id": "mine", "expires_at": here.later(3600)}).json()
    program = here.client(headers={"authorization": f"Bearer {made['token']}"})
    approve = f"/commands/{asked['id']}/approve"
    here.door.is_problem(program.post(approve, json={}), 403)
    here.door.is_problem(program.post("/devices/LOCK-1/commands", json=unlock), 403)
    here.door.is_problem(first.http.post(approve, json={}, params={"by": second.name}), 409)
    done = second.http.post(approve, json={})
    assert done.status_code == 200, done.text
    assert (done.json()["by"], done.json()["approved_by"]) == (first.name, second.name)


def test_an_account_without_a_role_may_do_nothing(here) -> None:
    nobody = here.person()
    assert nobody.http.get("/me").status_code == 200
    assert "has no role" in here.door.is_problem(nobody.http.get("/movements"), 403)["detail"]
