"""Signing in over a real server: what lets in, what does not, and what ends it."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.web.people import PASSWORD, Office, office

MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with office(tmp_path_factory.mktemp("people") / "folder") as found:
        found.founded()
        yield found


@pytest.fixture(autouse=True)
def _rested(request):
    """Nobody waits for what another test got wrong."""
    if "here" in request.fixturenames:
        request.getfixturevalue("here").clock.ahead_s += 20 * MINUTE


def test_a_stranger_is_told_how_to_sign_in_and_nothing_else(here: Office) -> None:
    stranger = here.client()
    assert stranger.get("/sign-in").json() == {
        "sign_in": True,
        "signed_in": False,
        "password": True,
        "provider": False,
    }
    answer = stranger.get("/me")
    here.door.is_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/sessions", "/tokens", "/accounts"):
        here.door.is_problem(stranger.get(path), 401)


def test_whoever_signs_in_is_who_they_are(here: Office) -> None:
    amina = here.person("gate-officer", offices=["KEMBA"], full_name="Amina K.", sign_in=False)
    assert not amina.signed_in()
    answer = amina.sign_in()
    assert answer.json() == {"signed_in": True, "needs": None, "name": amina.name}
    me = amina.http.get("/me").json()
    assert (me["id"], me["roles"], me["offices"], me["proved"]) == (
        amina.name,
        ["gate-officer"],
        ["KEMBA"],
        "session",
    )
    assert amina.http.get("/sign-in").json()["signed_in"] is True


def test_the_cookie_is_for_our_pages_only(here: Office) -> None:
    cookie = here.person("analyst").sign_in().headers["set-cookie"]
    assert re.match(r"cocket=[A-Za-z0-9_-]{43};", cookie)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "name", ["nobody-of-that-name", "", "Robert'); drop table accounts;--", "\u00e9\u4e2d" * 20]
)
def test_unknown_names_and_wrong_passwords_get_the_same_words(here: Office, name) -> None:
    known = here.person("analyst", sign_in=False)
    wrong = known.sign_in("not the password at all")
    unknown = known.sign_in("not the password at all", name=name or " ")
    problems = [here.door.is_problem(answer, 401) for answer in (unknown, wrong)]
    assert problems[0] | {"request_id": ""} == problems[1] | {"request_id": ""}
    assert "set-cookie" not in unknown.headers


def test_unknown_names_cost_the_same_work(here: Office, monkeypatch) -> None:
    """Counted, not timed: one hash is verified for either."""
    done = []
    hasher = here.door.access.entry._passwords._hasher
    verify = type(hasher).verify
    monkeypatch.setattr(type(hasher), "verify", lambda *given: done.append(1) or verify(*given))
    known = here.person("analyst", sign_in=False)
    known.sign_in("not the password at all")
    assert len(done) == 1
    known.sign_in("not the password at all", name="nobody-of-that-name")
    assert len(done) == 2


def test_a_session_of_before_is_good_for_nothing_after_sign_in(here: Office) -> None:
    """Session fixation: what a stranger planted does not become a session; what was one is another."""
    amina = here.person("analyst", sign_in=False)
    planted = "A" * 43
    amina.http.cookies.set("cocket", planted, domain="127.0.0.1")
    answer = amina.sign_in()
    fresh = re.match(r"cocket=([^;]+)", answer.headers["set-cookie"])[1]
    assert fresh != planted
    assert here.client(cookies={"cocket": planted}).get("/me").status_code == 401
    amina.http.cookies.clear()
    amina.http.cookies.set("cocket", fresh)
    again = amina.sign_in()
    assert again.status_code == 200
    assert here.client(cookies={"cocket": fresh}).get("/me").status_code == 401


def test_two_cookies_of_the_name_are_none(here: Office) -> None:
    amina = here.person("analyst")
    both = {"cookie": f"cocket={'B' * 43}; cocket={amina.secret}"}
    assert here.client(headers=both).get("/me").status_code == 401
    assert here.client(headers={"cookie": f"a=b; cocket={amina.secret}"}).get("/me").status_code == 200


def test_sessions_end_by_idleness_and_by_age(here: Office) -> None:
    amina = here.person("analyst")
    for _ in range(3):
        here.clock.ahead_s += 50 * MINUTE
        assert amina.signed_in()
    here.clock.ahead_s += 61 * MINUTE
    assert not amina.signed_in()
    amina.http.cookies.clear()
    amina.sign_in()
    for _ in range(13):
        assert amina.signed_in()
        here.clock.ahead_s += 55 * MINUTE
    here.clock.ahead_s += 10 * MINUTE
    assert not amina.signed_in()


def test_signing_out_ends_it_here_or_everywhere(here: Office) -> None:
    desk = here.person("analyst")
    phone, laptop = here.browser(desk.name), here.browser(desk.name)
    for browser in (phone, laptop):
        browser.sign_in()
    stolen = phone.secret
    assert phone.http.post("/sign-out", json={}).status_code == 204
    assert here.client(cookies={"cocket": stolen}).get("/me").status_code == 401
    assert desk.signed_in()
    assert laptop.signed_in()
    assert laptop.http.post("/sign-out", json={"everywhere": True}).status_code == 204
    assert not desk.signed_in()


def test_own_sessions_are_listed_and_ended_one_by_one(here: Office) -> None:
    desk = here.person("analyst")
    phone = here.browser(desk.name, **{"user-agent": "A phone"})
    phone.sign_in()
    items = desk.http.get("/sessions").json()["items"]
    assert [i["this"] for i in items].count(True) == 1
    other = next(i for i in items if not i["this"])
    assert other["address"] == "127.0.0.1"
    assert other["agent"].startswith("A phone")
    assert desk.secret not in str(items)
    stranger = here.person("analyst")
    here.door.is_problem(stranger.http.delete(f"/sessions/{other['id']}"), 404)
    assert phone.signed_in()
    assert desk.http.delete(f"/sessions/{other['id']}").status_code == 204
    assert not phone.signed_in()


def test_the_oldest_session_gives_way(here: Office) -> None:
    first = here.person("analyst")
    here.clock.ahead_s += 1
    others = [here.browser(first.name) for _ in range(10)]
    for browser in others:
        browser.sign_in()
    assert not first.signed_in()
    assert all(b.signed_in() for b in others)


def test_a_change_by_a_session_says_where_it_comes_from(here: Office) -> None:
    amina = here.person("analyst")
    bare = here.client(cookies={"cocket": amina.secret})
    problem = here.door.is_problem(bare.post("/sign-out", json={}), 403)
    assert "Sec-Fetch-Site" in problem["detail"]
    for fields in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "x-cocket": "1"},
        {"origin": here.door.url.replace("http:", "https:"), "x-cocket": "1"},
        {"origin": here.door.url + "0", "sec-fetch-site": "same-origin"},
    ):
        here.door.is_problem(bare.post("/sign-out", json={}, headers=fields), 403)
        row = b'{"device_id":"X","observed_at":"2026-01-01T00:00:00Z"}\n'
        answer = bare.post(
            "/observations", content=row, headers={"content-type": "application/x-ndjson", **fields}
        )
        here.door.is_problem(answer, 403)
    assert amina.signed_in()
    assert bare.get("/me", headers={"sec-fetch-site": "cross-site"}).status_code == 200, "reads are safe"
    assert bare.post("/sign-out", json={}, headers={"x-cocket": "1"}).status_code == 204


def test_a_foreign_page_cannot_sign_somebody_in(here: Office) -> None:
    """Login CSRF: as the attacker, so that what the victim enters is the attacker's to read."""
    amina = here.person("analyst", sign_in=False)
    body = {"name": amina.name, "password": PASSWORD}
    answer = here.client().post("/sign-in", json=body, headers={"origin": "https://evil.example"})
    here.door.is_problem(answer, 403)
    text = here.client().post("/sign-in", content=str(body), headers={"content-type": "text/plain"})
    here.door.is_problem(text, 415)


def test_guessing_waits_longer_and_longer(here: Office) -> None:
    amina = here.person("analyst", sign_in=False)
    for _ in range(5):
        assert amina.sign_in("a wrong one, again").status_code == 401
    waits = []
    for _ in range(6):
        answer = amina.sign_in("a wrong one, again")
        here.door.is_problem(answer, 429)
        waits.append(int(answer.headers["retry-after"]))
        here.door.is_problem(amina.sign_in(PASSWORD), 429)
        here.clock.ahead_s += waits[-1]
        assert amina.sign_in("a wrong one, again").status_code == 401
    assert waits == [2, 4, 8, 16, 32, 64]
    here.clock.ahead_s += 129
    assert amina.sign_in().status_code == 200
    assert amina.sign_in("a wrong one, again").status_code == 401, "and the count begins anew"


def test_many_guesses_at_once_are_counted(here: Office) -> None:
    amina = here.person("analyst", sign_in=False)
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda n: amina.sign_in(f"guess number {n}").status_code, range(24)))
    assert found.count(401) == 5
    assert found.count(429) == 19


def test_a_stranger_locks_nobody_out(tmp_path) -> None:
    """Hundreds of tries from many addresses under the name of somebody who has signed in before."""
    with office(tmp_path / "folder", trusted_proxies=("127.0.0.1",), attempts_per_address=10_000) as here:
        shared = here.client()

        def at(address, name="amina", password=PASSWORD):
            fields = {"x-forwarded-for": address, "x-forwarded-proto": "https"}
            return shared.post(
                "/sign-in", json={"name": name, "password": password}, headers=fields
            ).status_code

        here.person("analyst", name="amina", sign_in=False)
        here.person("analyst", name="other", sign_in=False)
        assert at("192.0.2.7") == 200
        statuses = [at(f"198.51.100.{n}", password="a guess of a botnet") for n in range(60)]
        assert statuses[:50] == [401] * 50
        assert 429 in statuses[50:], "the whole net is slowed down"
        assert at("203.0.113.9") == 429, "also who comes from nowhere known, for a while"
        assert at("192.0.2.7") == 200, "but not its holder"
        assert at("198.51.100.3", "other") == 200, "nor anybody else"


def test_one_address_tries_many_names(tmp_path) -> None:
    with office(tmp_path / "folder", attempts_per_address=8) as here:
        browser = here.browser()
        found = [browser.sign_in("spring and summer", name=f"name-{n}").status_code for n in range(10)]
        assert found == [401] * 8 + [429] * 2
        here.clock.ahead_s += 901
        assert browser.sign_in("spring and summer", name="name-11").status_code == 401


def test_the_second_factor_is_wanted_and_each_code_is_good_once(here: Office) -> None:
    amina = here.person("sealing-officer")
    codes = amina.with_second_factor()
    assert len(codes) == len(set(codes)) == 10
    assert amina.http.get("/me").json()["second_factor"] is True
    amina.http.post("/sign-out", json={})
    answer = amina.sign_in()
    assert answer.json() == {"signed_in": False, "needs": "code", "name": amina.name}
    assert not amina.signed_in(), "half a sign-in is none"
    half = amina.secret
    code = amina.code()
    wrong = "000000" if code != "000000" else "111111"
    here.door.is_problem(amina.http.post("/sign-in/totp", json={"code": wrong}), 401)
    assert amina.http.post("/sign-in/totp", json={"code": code}).json()["signed_in"] is True
    assert amina.secret != half
    assert amina.http.get("/me").json()["second_factor"] is True
    here.door.is_problem(here.client(cookies={"cocket": half}).get("/me"), 401)
    second = here.browser(amina.name)
    second.sign_in()
    here.door.is_problem(second.http.post("/sign-in/totp", json={"code": code}), 401)
    assert not second.signed_in()


def test_a_recovery_code_used_twice_at_once_is_used_once(here: Office) -> None:
    amina = here.person("analyst")
    code = amina.with_second_factor()[0]
    browsers = [here.browser(amina.name) for _ in range(4)]
    for browser in browsers:
        assert browser.sign_in().json()["needs"] == "code"
    together = threading.Barrier(len(browsers))

    def use(browser) -> int:
        together.wait()
        return browser.http.post("/sign-in/totp", json={"code": code.upper().replace("-", " ")}).status_code

    with ThreadPoolExecutor(len(browsers)) as threads:
        found = sorted(threads.map(use, browsers))
    assert found == [200, 401, 401, 401]
    assert sum(b.signed_in() for b in browsers) == 1
    inside = next(b for b in browsers if b.signed_in())
    assert inside.http.get("/me").json()["recovery_codes"] == 9


def test_codes_cannot_be_guessed_for_long(here: Office) -> None:
    amina = here.person("analyst")
    amina.with_second_factor()
    thief = here.browser(amina.name)
    thief.sign_in()
    found = [thief.http.post("/sign-in/totp", json={"code": f"{n:06}"}).status_code for n in range(8)]
    assert found == [401] * 5 + [429] * 3
    thief.sign_in()
    assert thief.http.post("/sign-in/totp", json={"code": "123456"}).status_code == 429


def test_a_half_sign_in_is_over_after_ten_minutes(here: Office) -> None:
    amina = here.person("analyst")
    amina.with_second_factor()
    late = here.browser(amina.name)
    late.sign_in()
    late.totp = amina.totp
    here.clock.ahead_s += 601
    here.door.is_problem(late.http.post("/sign-in/totp", json={"code": late.code()}), 401)


def test_the_second_factor_goes_only_with_it_and_the_password(here: Office) -> None:
    amina = here.person("analyst")
    amina.with_second_factor()
    here.door.is_problem(amina.http.post("/me/totp/off", json={"password": "something else entirely"}), 401)
    assert amina.http.post("/me/totp/off", json={"password": PASSWORD}).status_code == 204
    amina.http.post("/sign-out", json={})
    assert amina.sign_in().json()["needs"] is None


def test_a_second_factor_that_no_code_confirmed_counts_for_nothing(here: Office) -> None:
    amina = here.person("analyst")
    begun = amina.http.post("/me/totp", json={"password": PASSWORD}).json()
    assert begun["uri"].startswith("otpauth://totp/Cocket:")
    assert begun["qr_svg"].startswith("<svg")
    here.door.is_problem(amina.http.put("/me/totp", json={"code": "000000"}), 422)
    amina.http.post("/sign-out", json={})
    assert amina.sign_in().json()["needs"] is None


def test_roles_that_want_a_second_factor_count_only_with_one(tmp_path) -> None:
    with office(tmp_path / "folder", second_factor_roles=("owner", "sealing-officer")) as here:
        boss = here.founded()
        me = boss.http.get("/me").json()
        assert (me["roles"], me["needs_second_factor"]) == ([], True)
        here.door.is_problem(boss.http.get("/accounts"), 403)
        boss.with_second_factor()
        me = boss.http.get("/me").json()
        assert (me["roles"], me["needs_second_factor"]) == (["owner"], False)
        assert boss.http.get("/accounts").status_code == 200


def test_another_password_ends_all_other_sessions(here: Office) -> None:
    amina = here.person("analyst")
    phone = here.browser(amina.name)
    phone.sign_in()
    before = amina.secret
    new = "seven lamps along the quay"
    here.door.is_problem(amina.http.put("/me/password", json={"old": "wrong", "new": new}), 401)
    bad = amina.http.put("/me/password", json={"old": PASSWORD, "new": "Password1234!"})
    assert here.door.is_problem(bad, 422)["errors"][0]["rule"] == "common"
    assert amina.http.put("/me/password", json={"old": PASSWORD, "new": new}).status_code == 200
    assert amina.secret != before
    assert amina.signed_in()
    assert not phone.signed_in()
    assert here.client(cookies={"cocket": before}).get("/me").status_code == 401
    assert phone.sign_in().status_code == 401
    assert phone.sign_in(new).status_code == 200


def test_a_stream_ends_with_its_session(here: Office, monkeypatch) -> None:
    monkeypatch.setattr("cocket.web.sign_in._AGAIN_S", 0.1)
    amina = here.person("analyst", "owner")
    reader = here.client(cookies={"cocket": amina.secret})
    with reader.stream("GET", "/stream?topics=stats") as stream:
        pieces = stream.iter_raw()
        assert next(pieces)
        assert amina.http.post("/sign-out", json={}).status_code == 204
        with pytest.raises(StopIteration):  # noqa: PT012 - it is the last of many
            while True:
                next(pieces)


def test_passwords_do_not_cross_a_network_in_clear(tmp_path) -> None:
    with office(tmp_path / "folder", trusted_proxies=("127.0.0.1",)) as here:
        far = here.client(headers={"x-forwarded-for": "192.0.2.7"})
        problem = here.door.is_problem(far.post("/sign-in", json={"name": "a", "password": "b"}), 403)
        assert "HTTPS" in problem["detail"]


def test_without_sign_in_there_is_nothing_to_sign_in_to(door) -> None:
    assert door.http.get("/sign-in").json()["sign_in"] is False
    me = door.http.get("/me").json()
    assert (me["kind"], me["sign_in"]) == ("nobody", False)
    door.is_problem(door.http.post("/sign-in", json={"name": "a", "password": "b"}), 409)
    door.is_problem(door.http.get("/accounts"), 409)
    assert httpx.get(f"{door.url}/api/v1/me", headers={"authorization": "Bearer ckt_x"}).status_code == 200
