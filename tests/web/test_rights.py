"""Every role at every action, against a table written by hand; at the engine, and at the door of a real server."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.web.rights_door import as_, person, saying_who

from cocket.core.config import Access, Settings, overridden
from cocket.core.errors import BadSetting
from cocket.core.principal import ROLES, STRANGER, UNSIGNED, Principal
from cocket.web.rights.actions import ACTIONS, EVENT_ACTIONS
from cocket.web.rights.engine import OWN_FILE, Policies, Wanted
from cocket.web.rights.table import RIGHTS, named

NOON = 1_795_608_000_000_000  # Wednesday, 25 November 2026, 12:00 UTC

# op supervisor sealing-officer gate-officer analyst risk-manager response-unit integrator trader partner auditor dpo owner
EXPECTED = """
                     op su se ga an ri re in tr pa au dp ow
observation:send     -  -  -  -  -  -  -  x  -  -  -  -  x
quarantine:read      x  x  -  -  -  -  -  x  -  -  x  x  x
quarantine:replay    -  x  -  -  -  -  -  x  -  -  -  -  x
reference:read       x  x  x  x  x  x  -  x  -  -  x  x  x
reference:manage     -  -  -  -  -  x  -  x  -  -  -  -  x
device:manage        -  -  -  -  -  -  -  x  -  -  -  -  x
position:read        x  x  x  x  x  x  -  x  -  -  x  -  x
binding:read         x  x  x  x  x  x  x  x  x  -  x  -  x
binding:manage       x  x  x  -  -  -  -  x  -  -  -  -  x
change:read          -  x  -  -  -  x  -  -  -  -  x  x  x
command:read         x  x  x  -  x  x  -  x  -  -  x  -  x
command:request      x  x  x  -  -  -  -  -  -  -  -  -  x
command:approve      -  x  -  -  -  -  -  -  -  -  -  -  x
command:cancel       x  x  x  -  -  -  -  -  -  -  -  -  x
document:send        x  x  -  -  -  -  -  x  -  -  -  -  x
document:read        x  x  x  x  x  x  x  -  x  x  x  x  x
movement:declare     -  x  -  -  -  -  -  x  -  -  -  -  x
movement:delete      -  x  -  -  -  -  -  -  -  -  -  -  x
movement:read        x  x  x  x  x  x  x  -  x  x  x  x  x
report:read          x  x  x  x  x  x  -  -  -  x  x  x  x
movement:act         x  x  x  x  x  -  x  -  x  -  -  -  x
movement:process     -  x  -  -  -  -  -  -  -  -  -  -  x
movement:seal        -  -  x  -  -  -  -  -  -  -  -  -  x
movement:depart      -  x  -  x  -  -  -  -  -  -  -  -  x
movement:incident    x  x  -  x  -  -  x  -  -  -  -  -  x
movement:arrive      -  x  -  x  -  -  -  -  -  -  -  -  x
movement:discharge   -  x  -  -  -  -  -  -  -  -  -  -  x
movement:enquire     -  x  -  -  -  -  -  -  -  -  -  -  x
movement:recover     -  x  -  -  -  -  -  -  -  -  -  -  x
movement:waive-seal  -  x  -  -  -  -  -  -  -  -  -  -  x
movement:answer      -  -  -  -  -  -  -  -  x  -  -  -  x
movement:note        x  x  x  x  x  -  x  -  -  -  -  -  x
evidence:give        x  x  x  x  -  -  x  -  x  -  -  -  x
evidence:read        x  x  x  x  x  x  x  -  -  x  x  x  x
evidence:export      -  x  -  -  x  -  -  -  -  -  -  -  x
feed:read            x  x  x  x  x  x  -  -  x  x  x  -  x
seal:read            x  x  x  x  x  x  -  -  -  -  x  -  x
seal:manage          -  x  x  -  -  -  -  -  -  -  -  -  x
seal:act             -  x  x  -  -  -  -  -  -  -  -  -  x
guarantee:read       x  x  x  x  x  x  -  -  -  -  x  -  x
guarantee:manage     -  x  -  -  -  -  -  -  -  -  -  -  x
guarantee:act        -  x  -  -  -  -  -  -  -  -  -  -  x
code:read            x  x  x  x  x  x  -  -  x  x  x  -  x
code:issue           -  x  -  x  -  -  -  -  -  -  -  -  x
code:void            -  x  -  -  -  -  -  -  -  -  -  -  x
key:manage           -  -  -  -  -  -  -  -  -  -  -  -  x
scan:make            -  x  x  x  -  -  -  -  -  -  -  -  x
scan:read            x  x  x  x  x  x  -  -  -  -  x  x  x
stamp:read           -  x  -  -  x  x  -  -  -  -  x  -  x
stamp:issue          -  x  -  -  -  -  -  -  -  -  -  -  x
stamp:act            -  x  -  -  -  -  -  -  -  -  -  -  x
stamp:print          -  x  -  -  -  -  -  -  -  -  -  -  x
gate:pass            -  -  -  x  -  -  -  -  -  -  -  -  x
gate:read            x  x  x  x  x  x  -  -  -  -  x  x  x
transport:declare    -  -  -  -  -  -  -  x  -  -  -  -  x
transport:read       x  x  x  x  x  x  -  -  -  -  x  x  x
transport:report     -  -  -  -  -  -  -  x  -  -  -  -  x
link:make            x  x  -  -  -  -  -  -  x  -  -  -  x
link:read            x  x  x  x  x  x  -  -  x  -  x  -  x
link:revoke          x  x  -  -  -  -  -  -  x  -  -  -  x
unit:read            x  x  -  -  x  x  -  -  -  -  x  -  x
unit:manage          -  x  -  -  -  -  -  -  -  -  -  -  x
case:read            x  x  -  -  x  x  -  -  -  -  x  -  x
case:dispatch        x  x  -  -  -  -  -  -  -  -  -  -  x
alert:read           x  x  x  x  x  x  x  -  x  x  x  x  x
alert:triage         x  x  -  -  x  -  x  -  -  -  -  -  x
audit:read           -  -  -  -  -  -  -  -  -  -  x  x  x
stream:read          x  x  x  x  x  x  x  -  x  x  x  -  x
system:read          x  x  -  -  x  x  -  x  -  -  x  x  x
rules:read           x  x  -  -  x  x  -  -  -  -  x  -  x
rules:manage         -  -  -  -  -  x  -  -  -  -  -  -  x
grant:read           -  x  -  -  -  -  -  -  -  -  x  x  x
grant:manage         -  x  -  -  -  -  -  -  -  -  -  -  x
demo:tell            -  -  -  -  -  -  -  x  -  -  -  -  x
retention:read       -  -  -  -  -  -  -  -  -  -  x  x  x
person:export        -  -  -  -  -  -  -  -  -  -  -  x  x
account:own          x  x  x  x  x  x  x  x  x  x  x  x  x
account:manage       -  -  -  -  -  -  -  -  -  -  -  -  x
"""


def expected() -> dict[tuple[str, str], bool]:
    lines = EXPECTED.strip("\n").splitlines()[1:]
    table = {}
    for line in lines:
        action, *marks = line.split()
        assert len(marks) == len(ROLES), line
        table |= {(action, role): mark == "x" for role, mark in zip(ROLES, marks, strict=True)}
    return table


def somebody(role: str, **more) -> Principal:
    """With what a role needs to see anything at all."""
    return person(f"a-{role}", role, holder="NL-A", authority="NOBODY-GRANTED", **more)


def test_every_role_at_every_action() -> None:
    policies, table = Policies(), expected()
    assert {action for action, _ in table} == set(ACTIONS)
    wrong = []
    for (action, role), allowed in table.items():
        for personal in (False, True):
            decision = policies.decide(somebody(role), Wanted(action, "movement", personal), NOON)
            if decision.allowed != allowed:
                wrong.append(f"{role} {action}: {'refused' if allowed else 'allowed'}")
            if not allowed:
                named_roles = {r for r in ROLES if table[action, r]}
                assert set(decision.roles) == named_roles, (action, role)
    assert not wrong, wrong


def test_roles_add_up_and_nobody_has_none() -> None:
    policies, table = Policies(), expected()
    for one, other in itertools.combinations(ROLES, 2):
        who = person("both", one, other, holder="NL-A", authority="X")
        for action in ("command:approve", "movement:seal", "rules:manage", "audit:read"):
            allowed = policies.decide(who, Wanted(action, "x"), NOON).allowed
            assert allowed == (table[action, one] or table[action, other])
    for action in ACTIONS:
        assert policies.decide(person("none"), Wanted(action, "x"), NOON).allowed == (action == "account:own")
        assert not policies.decide(STRANGER, Wanted(action, "x"), NOON).allowed
        assert policies.decide(UNSIGNED, Wanted(action, "x"), NOON).allowed
        device = Principal("SEAL-1", "device", proved="certificate")
        assert policies.decide(device, Wanted(action, "x"), NOON).allowed == (
            action in {"observation:send", "transport:report"}
        )


def test_trader_and_authority_without_a_name_are_nobody() -> None:
    policies = Policies()
    for role in ("trader", "partner-authority"):
        assert not policies.decide(person("x", role), Wanted("movement:read", "movement"), NOON).allowed


def test_office_scope_purpose_and_who_decides() -> None:
    policies = Policies()
    ask = Wanted("movement:seal", "movement", office="NL000432")
    own = person("sara", "sealing-officer", offices=frozenset({"NL000432", "NL000510"}))
    other = person("piet", "sealing-officer", offices=frozenset({"DE003302"}))
    assert policies.decide(own, ask, NOON).allowed
    refused = policies.decide(other, ask, NOON)
    assert refused.forbidden == ("office-of-ones-own",)
    assert "at office NL000432 is not for piet, who acts for DE003302" in refused.words(other, ask)
    assert policies.decide(person("all", "sealing-officer"), ask, NOON).allowed

    token = Principal("token:t", "token", frozenset({"operator"}), scopes=frozenset({"alert:read"}))
    assert policies.decide(token, Wanted("alert:read", "alert"), NOON).allowed
    refused = policies.decide(token, Wanted("alert:triage", "alert"), NOON)
    assert "not among what token:t was made for: alert:read" in refused.words(
        token, Wanted("alert:triage", "a")
    )
    wide = Principal("token:t", "token", frozenset({"operator"}), scopes=frozenset({"command:approve"}))
    assert not policies.decide(wide, Wanted("command:approve", "command"), NOON).allowed, (
        "a scope gives nothing"
    )

    analyst = person("ann", "analyst")
    for purpose, personal, allowed in (
        ("duty", True, True),
        ("investigation", True, True),
        ("statistics", True, False),
        ("statistics", False, True),
        ("curiosity", False, False),
    ):
        wanted = Wanted("movement:read", "movement", personal, purpose=purpose)
        assert policies.decide(analyst, wanted, NOON).allowed == allowed, purpose
    investigating = Wanted("movement:read", "movement", purpose="investigation")
    assert not policies.decide(somebody("trader"), investigating, NOON).allowed

    for kind in ("token", "device", "authority"):
        who = Principal("x", kind, frozenset({"supervisor", "owner"}))
        for action in ("command:approve", "movement:waive-seal"):
            assert not policies.decide(who, Wanted(action, "x"), NOON).allowed


def test_a_site_adds_policies_of_its_own(tmp_path) -> None:
    file = tmp_path / "site.cedar"
    file.write_text("""\
// At Malaba operators declare; nobody discharges at night or on Sundays; grave things want a second factor.
permit (principal in Role::"operator", action == Action::"movement:declare", resource);

@id("by-day")
forbid (principal, action == Action::"movement:discharge", resource)
when { context.hour < 6 || context.hour >= 22 || context.weekday == 7 };

@id("second-factor")
forbid (principal, action == Action::"command:approve", resource)
unless { principal.secondFactor };
""")
    policies, plain = Policies(file), Policies()
    declare = Wanted("movement:declare", "movement")
    assert policies.decide(person("o", "operator"), declare, NOON).allowed
    assert not plain.decide(person("o", "operator"), declare, NOON).allowed
    chief = person("c", "supervisor")
    hour, day = 3_600_000_000, 86_400_000_000
    for at, allowed in (
        (NOON, True),
        (NOON + 9 * hour, True),  # 21:00
        (NOON + 10 * hour, False),  # 22:00
        (NOON + 17 * hour, False),  # Thursday, 5:00
        (NOON + 18 * hour, True),
        (NOON + 4 * day, False),  # Sunday
    ):
        assert policies.decide(chief, Wanted("movement:discharge", "movement"), at).allowed == allowed, at
    approve = Wanted("command:approve", "command")
    assert policies.decide(chief, approve, NOON).forbidden == ("second-factor",)
    assert policies.decide(person("c", "supervisor", second_factor=True), approve, NOON).allowed


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("permit (principal, action, resource)\nwhen { ;", 1, "not understood"),
        (
            '// a remark; with "marks\n\npermit (principal in Role::"operatr", action, resource);',
            3,
            "operatr",
        ),
        ('permit (principal, action == Action::"movement:raed", resource);', 1, "movement:raed"),
        (
            (
                'permit (principal, action, resource);\n\n@id("x")\npermit (principal, action, resource)\n'
                "when { principal.ofices.isEmpty() };"
            ),
            3,
            "ofices",
        ),
        ('forbid (principal, action, resource) when { context.office == "X" };', 1, "office"),
        ("permit (principal == ?principal, action, resource);", 1, "template"),
        ("permit (principal, action, resource)", 1, "not understood"),
    ],
)
def test_a_wrong_policy_is_named_with_its_line(tmp_path, text, line, what) -> None:
    file = tmp_path / "site.cedar"
    file.write_text(text)
    with pytest.raises(BadSetting) as caught:
        Policies(file)
    assert f"{file}, line {line}: " in caught.value.detail
    assert what in caught.value.detail
    missing = tmp_path / "none.cedar"
    with pytest.raises(BadSetting, match=r"none\.cedar: cannot be read"):
        Policies(missing)


def test_the_policies_are_one_readable_file() -> None:
    text = OWN_FILE.read_text()
    for role in ROLES:
        assert f'Role::"{role}"' in text
    assert max(map(len, text.splitlines())) <= 132


# ── at the door ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    settings = overridden(Settings(), gateway={"two_persons": ["unlock"]}, customs={"waiver_persons": 2})
    with saying_who(tmp_path_factory.mktemp("guarded") / "folder", settings, demo=True) as door:
        yield door


def _address(right) -> str:
    path = right.path
    for name in named(right, right.path):
        path = path.replace("{" + name + "}", "1" if name == "number" else "X1")
    return path


def _ask(client: httpx.Client, door, right, **more) -> int:
    body = (
        {}
        if right.method in {"GET", "DELETE"}
        else {"content": b"{]", "headers": {"content-type": "application/json"}}
    )
    with client.stream(right.method, door.url + _address(right), **body, **more) as answer:
        if answer.status_code in {401, 403}:
            answer.read()
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            problem = answer.json()
            assert problem["status"] == answer.status_code
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")
            else:
                assert problem["action"] == right.action
                assert right.action in problem["detail"] or right.path in problem["detail"]
        return answer.status_code


def test_every_route_asks_for_its_action(guarded) -> None:
    """One role that may and one that may not at every route, in turn, so that each role comes to some; the three that see a part at all."""
    table = expected()
    partial = ("trader", "partner-authority", "response-unit")
    clients = {role: as_(guarded, somebody(role)) for role in ROLES}
    wrong = []
    for n, right in enumerate(RIGHTS):
        turn = [ROLES[(n + i) % len(ROLES)] for i in range(len(ROLES))]
        whole = [r for r in turn if r not in partial]
        able = [r for r in whole if right.public or table[right.action, r]]
        unable = [r for r in whole if r not in able]
        for role in (*able[:1], *unable[:1], *partial):
            allowed = bool(right.public) or (
                table[right.action, role] and (role not in partial or bool(right.rows))
            )
            status = _ask(clients[role], guarded, right)
            if (status == 403) == allowed or status == 500 or (status == 401 and right.resource != "access"):
                wrong.append(f"{role} {right.method} {right.path}: {status}")
            if allowed and role in partial and right.rows not in {"", "own", "list"} and status != 404:
                wrong.append(f"{role} {right.method} {right.path}: {status} for what is not there")
    for client in clients.values():
        client.close()
    assert not wrong, wrong


def test_a_stranger_comes_no_further_than_what_is_public(guarded) -> None:
    with httpx.Client(timeout=60) as client:
        for right in RIGHTS:
            status = _ask(client, guarded, right)
            if right.resource != "access" or not right.public:  # the doors of signing in say 401 themselves
                assert (status == 401) == (not right.public), (right, status)
        assert client.get(f"{guarded.url}/api/v1/no-such-thing").status_code == 401
        assert client.request("TRACE", f"{guarded.url}/api/v1/movements").status_code == 401
        assert (
            client.get(f"{guarded.url}/alerts/anything").status_code == 200
        )  # a page of the control room, without data
    with as_(guarded, person("amina", "operator")) as client:
        guarded.is_problem(client.get("/no-such-thing"), 404)
        wrong = client.delete("/movements")
        guarded.is_problem(wrong, 405)
        assert wrong.headers["allow"] == "GET, POST"
        assert client.head("/movements").status_code == 405
        refused = guarded.is_problem(client.post("/keys/rotate", json={"reason": "r"}), 403)
        assert refused["detail"] == (
            "key:manage (rotate and revoke the keys that sign codes) needs one of the roles owner; amina has operator"
        )


def test_the_short_way_of_observations_is_guarded_too(guarded) -> None:
    body = '{"device_id": "SEAL-X", "observed_at": "2026-11-20T08:00:00Z"}'
    ndjson = {"content-type": "application/x-ndjson"}
    with as_(guarded, person("amina", "operator")) as client:
        guarded.is_problem(client.post("/observations", content=body, headers=ndjson), 403)
    guarded.is_problem(httpx.post(f"{guarded.url}/api/v1/observations", content=body, headers=ndjson), 401)
    with as_(guarded, Principal("SEAL-X", "device", proved="certificate")) as client:
        assert client.post("/observations", content=body, headers=ndjson).json()["accepted"] == 1


def test_purposes_are_named_in_a_header(guarded) -> None:
    with as_(guarded, person("ann", "analyst")) as client:
        for said, status in (
            ("investigation: case 12", 200),
            ("Statistics", 403),
            ("curiosity", 403),
            ("", 200),
        ):
            answer = client.get("/movements", headers={"x-purpose": said})
            assert answer.status_code == status, said
        assert client.get("/stats", headers={"x-purpose": "statistics"}).status_code == 200


# ── who is recorded, and at which office ─────────────────────────────────────────────────────────────────────────


def test_by_is_who_signed_in_whatever_is_said(guarded) -> None:
    boss = person("chief", "owner")
    said = {"by": "somebody-else"}
    mrn, device = guarded.name("MRN"), guarded.name("SEAL")
    with as_(guarded, boss) as client:
        put = client.put(f"/movements/{mrn}", json={"departed_at": guarded.at(-3600)}, params=said)
        assert put.json()["changed_by"] == "chief"
        body = {
            "device_id": device,
            "equipment_id": "MSKU9070323",
            "mrn": mrn,
            "from": guarded.at(-3600),
            "to": None,
        }
        bound = client.post("/bindings", json=body | said, params=said).json()
        assert bound["by"] == "chief"
        many = client.post("/bindings", json=[body | said | {"device_id": guarded.name("SEAL")}], params=said)
        assert many.json()["accepted"] == 1
        page = client.get("/bindings", params={"mrn": mrn}).json()["items"]
        assert {b["by"] for b in page} == {"chief"}
        ended = client.patch(f"/bindings/{bound['id']}", json={"to": guarded.at(0)} | said, params=said)
        assert ended.status_code == 200
        note = {"event": "note", "reason": "seen"} | said
        acted = client.post(f"/movements/{mrn}/events", json=note, params=said).json()
        assert acted["events"][0]["by"] == "chief"
        code = client.post("/codes", json={"purpose": "transit", "mrn": mrn}, params=said).json()
        assert code["issued_by"] == "chief"
        scan = client.post("/scans", json={"code": code["short"]} | said, params=said).json()
        assert scan["by"] == "chief"
        changed = [c for c in _changes(client) if c["id"] == mrn or c["kind"] == "binding"]
        assert changed
        assert {c["by"] for c in changed} == {"chief"}
        whole = client.get(f"/movements/{mrn}").text + client.get("/scans").text + client.get("/changes").text
    assert "somebody-else" not in whole


def _changes(client) -> list[dict]:
    found, cursor = [], 0
    while True:
        page = client.get("/changes", params={"cursor": cursor, "limit": 1000}).json()
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = int(page["next"])


def test_alerts_are_acted_on_in_ones_own_name(guarded) -> None:
    mrn, device = guarded.name("MRN"), guarded.name("SEAL")
    with as_(guarded, person("chief", "owner")) as client:
        client.put(f"/movements/{mrn}", json={"departed_at": guarded.at(-3600)})
        body = {
            "device_id": device,
            "equipment_id": "MSKU9070323",
            "mrn": mrn,
            "from": guarded.at(-3600),
            "to": None,
        }
        assert client.post("/bindings", json=body).status_code == 201
        row = {"device_id": device, "observed_at": guarded.at(-1), "rope_cut": True}
        assert client.post("/observations", json=[row]).json()["accepted"] == 1
    guarded.settled()
    with as_(guarded, person("amina", "operator")) as client:
        alert = client.get("/alerts", params={"mrn": mrn}).json()["items"][0]
        done = client.patch(f"/alerts/{alert['id']}", json={"state": "acknowledged", "by": "boris"}).json()
        assert done["acknowledged_by"] == "amina"
        assert done["history"][0]["by"] == "amina"


def _transit(client, door) -> str:
    mrn = door.name("MRN")
    for office in ("NL000432", "DE003302"):
        client.put(f"/offices/{office}", json={"name": office, "country": office[:2]})
    doc = {"departure_office": "NL000432", "destination_office": "DE003302"}
    assert client.put(f"/movements/{mrn}", json=doc).status_code == 201
    return mrn


STEPS = (  # event, its details, whose it is, at which office
    ("lodge", {}, "supervisor", "NL000432"),
    ("accept", {}, "supervisor", "NL000432"),
    ("reserve-guarantee", {"waiver": "authorised"}, "supervisor", "NL000432"),
    ("decide-control", {"control": "none"}, "supervisor", "NL000432"),
    ("release", {}, "supervisor", "NL000432"),
    ("depart", {}, "gate-officer", "NL000432"),
    ("proceed", {}, "gate-officer", "NL000432"),
    ("arrive", {}, "gate-officer", "DE003302"),
    ("verify-seals", {"result": "intact"}, "gate-officer", "DE003302"),
    ("examine", {"result": "satisfactory"}, "supervisor", "DE003302"),
    ("discharge", {}, "supervisor", "DE003302"),
)


def test_each_event_is_for_its_role_at_its_office(guarded) -> None:
    table = expected()
    at = {
        office: {
            r: as_(
                guarded, person(f"{r}-{office}", r, offices=frozenset({office}), holder="-", authority="-")
            )
            for r in ROLES
        }
        for office in ("NL000432", "DE003302")
    }
    with as_(guarded, person("chief", "owner")) as owner:
        mrn = _transit(owner, guarded)
        for event, details, role, office in STEPS:
            other = "DE003302" if office == "NL000432" else "NL000432"
            body = {"event": event, **details}
            for wrong in ROLES:  # no other role may
                if table["movement:act", wrong] and not table[EVENT_ACTIONS[event], wrong]:
                    answer = at[office][wrong].post(f"/movements/{mrn}/events", json=body)
                    assert answer.status_code in {403, 404}, (event, wrong, answer.text)
            told = at[office][role].post(f"/movements/{mrn}/events", json=body | {"office": other})
            assert "is not for" in guarded.is_problem(told, 403)["detail"]
            if event in {"release", "depart", "examine", "discharge"}:  # the office that the movement names
                elsewhere = at[other][role].post(f"/movements/{mrn}/events", json=body)
                assert f"at office {office} is not for" in guarded.is_problem(elsewhere, 403)["detail"]
            done = at[office][role].post(f"/movements/{mrn}/events", json=body)
            assert done.status_code == 201, (event, done.text)
            recorded = done.json()["events"][0]
            assert (recorded["by"], recorded["office"]) == (f"{role}-{office}", office)
        two = person("two", "supervisor", offices=frozenset({"NL000432", "NL000510"}))
        with as_(guarded, two) as client:
            again = _transit(owner, guarded)
            client.post(f"/movements/{again}/events", json=[{"event": "lodge"}, {"event": "accept"}])
            body = {"event": "refuse-release", "reason": "papers"}
            assert (
                "say at which office"
                in guarded.is_problem(client.post(f"/movements/{again}/events", json=body), 422)["detail"]
            )
            mixed = [{"event": "note", "reason": "n"}, {"event": "seal", "seals": []}]
            guarded.is_problem(client.post(f"/movements/{again}/events", json=mixed), 403)
            events = owner.get(f"/movements/{again}/events").json()["items"]
            assert "note" not in {e["event"] for e in events}, "all or none"
    for clients in at.values():
        for client in clients.values():
            client.close()


def test_scans_and_gates_are_of_ones_own_office(guarded) -> None:
    with as_(guarded, person("chief", "owner")) as owner:
        mrn = _transit(owner, guarded)
        code = owner.post("/codes", json={"purpose": "transit", "mrn": mrn}).json()
        gate = {
            "name": "Lane",
            "kind": "border",
            "office": "NL000432",
            "lat_deg": 0.5,
            "lon_deg": 34.1,
            "radius_m": 100,
        }
        assert owner.put("/gates/NL-G1", json=gate).status_code in {200, 201}
    arrival = {"direction": "in", "plate": "KBX 123C"}
    with as_(guarded, person("nl", "gate-officer", offices=frozenset({"NL000432"}))) as client:
        guarded.is_problem(client.post("/scans", json={"code": code["short"], "office": "DE003302"}), 403)
        assert client.post("/scans", json={"code": code["short"]}).json()["office"] == "NL000432"
        assert client.post("/gates/NL-G1/arrivals", json=arrival).status_code == 201
    with as_(guarded, person("de", "gate-officer", offices=frozenset({"DE003302"}))) as client:
        guarded.is_problem(client.post("/gates/NL-G1/arrivals", json=arrival), 403)


# ── two persons ──────────────────────────────────────────────────────────────────────────────────────────────────

UNLOCK = {"command": "unlock", "parameters": {"password": "271828"}, "reason": "arrived"}


def _lock(guarded) -> str:
    device = guarded.name("LOCK")
    with as_(guarded, person("chief", "owner")) as owner:
        body = {"class": "e-seal", "protocol": "jt701"}
        assert owner.put(f"/devices/{device}", json=body).status_code == 201
    return device


def test_an_unlocking_takes_two_persons(guarded) -> None:
    device = _lock(guarded)
    amina = person("Amina", "supervisor")
    with as_(guarded, amina) as first:
        asked = first.post(f"/devices/{device}/commands", json=UNLOCK, params={"by": "boris"}).json()
        assert (asked["by"], asked["state"]) == ("Amina", "awaiting-approval")
        approve = f"/commands/{asked['id']}/approve"
        spelt = ["Amina", "amina", " AMINA ", "amina\u200b", "\uff41mina", "a mina", "boris"]
        for said in spelt:
            guarded.is_problem(first.post(approve, json={}, params={"by": said}), 409)
        for spelling in ("amina", "AMINA", "\uff21mina", "amina\u00a0"):
            with as_(guarded, person(spelling, "supervisor")) as client:
                guarded.is_problem(client.post(approve, json={}), 409)
        token = Principal("token:amina-1", "token", frozenset({"supervisor"}), proved="token")
        with as_(guarded, token) as client:
            guarded.is_problem(client.post(approve, json={}), 403)
            refused = client.post(f"/devices/{device}/commands", json=UNLOCK)
            assert "takes two persons" in guarded.is_problem(refused, 403)["detail"]

        barrier = threading.Barrier(8)

        def approve_together(_) -> int:
            with as_(guarded, amina) as client:
                barrier.wait()
                return client.post(approve, json={}).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(approve_together, range(8))) == {409}
        assert first.get(f"/commands/{asked['id']}").json()["state"] == "awaiting-approval"
        with as_(guarded, person("op", "operator")) as client:
            guarded.is_problem(client.post(approve, json={}), 403)

        names = [f"second-{i}" for i in range(8)]

        def second(name: str) -> int:
            with as_(guarded, person(name, "supervisor")) as client:
                barrier.wait()
                return client.post(approve, json={}).status_code

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(second, names))
        assert sorted(answers) == [200] + [409] * 7, "one of them, once"
        done = first.get(f"/commands/{asked['id']}").json()
        assert done["approved_by"] == names[answers.index(200)]


def test_a_waiver_of_two_is_not_one_persons_twice(guarded) -> None:
    waive = {"event": "waive-seal", "reason": "no seal fits"}
    with (
        as_(guarded, person("chief", "owner")) as owner,
        as_(guarded, person("Amina", "supervisor")) as amina,
    ):
        mrn = _transit(owner, guarded)
        doc = {"departure_office": "NL000432", "destination_office": "DE003302", "risk": "high"}
        assert owner.put(f"/movements/{mrn}", json=doc).status_code == 200
        events = f"/movements/{mrn}/events"
        steps = [{"event": e, **more} for e, more, _, _ in STEPS[:5]]
        assert owner.post(events, json=steps).status_code == 201
        assert amina.post(events, json=waive).status_code == 201
        assert amina.post(events, json=waive | {"by": "boris"}, params={"by": "boris"}).status_code == 201
        with as_(guarded, person(" AMINA", "supervisor")) as spelt:
            assert spelt.post(events, json=waive).status_code == 201
        refused = guarded.is_problem(owner.post(events, json={"event": "depart"}), 409)
        assert "of two persons" in refused["detail"]
        for kind in ("token", "authority"):
            with as_(guarded, Principal("token:x", kind, frozenset({"supervisor"}))) as program:
                guarded.is_problem(program.post(events, json=waive), 403)
        with as_(guarded, person("boris", "supervisor")) as boris:
            assert boris.post(events, json=waive).status_code == 201
        assert owner.post(events, json={"event": "depart"}).status_code == 201


def test_what_opens_a_lock_is_shown_to_nobody(guarded) -> None:
    device = _lock(guarded)
    with as_(guarded, person("chief", "owner")) as owner:
        asked = owner.post(f"/devices/{device}/commands", json=UNLOCK)
        texts = [asked.text, owner.get("/commands").text, owner.get(f"/commands/{asked.json()['id']}").text]
    with as_(guarded, person("boss", "supervisor")) as boss:
        texts.append(boss.post(f"/commands/{asked.json()['id']}/approve", json={}).text)
        texts.append(boss.post(f"/commands/{asked.json()['id']}/cancel", json={}).text)
        texts.append(boss.get("/changes").text)
    with as_(guarded, person("aud", "auditor")) as auditor:
        texts += [auditor.get("/commands").text, auditor.get("/audit").text]
    assert asked.json()["parameters"] == {"password": "••••••"}, "that one is set may be seen"
    assert not [t for t in texts if "271828" in t]
    assert guarded.service.folder.commands.get(asked.json()["id"])["parameters"] == {"password": "271828"}


def test_a_wrong_site_file_stops_the_start(tmp_path) -> None:
    file = tmp_path / "site.cedar"
    file.write_text("permit (principal, action, resource) when { principal.age > 3 };")
    settings = Settings(access=Access(policies=str(file)))
    with pytest.raises(BadSetting, match=r"site\.cedar, line 1: .*age"), saying_who(tmp_path / "f", settings):
        pass
