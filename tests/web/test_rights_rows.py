"""Who sees a part sees that part: B's data is planted, and every byte that A is told is searched for it."""

import json
import threading
from dataclasses import replace

import httpx
import pytest
from tests.web.rights_door import as_, person, saying_who
from tests.web.test_documents import cc015c, cc028c

from cocket.core.principal import Principal
from cocket.web.rights.table import RIGHTS, named

PNG = b"\x89PNG\r\n\x1a\n"
OWNER = person("chief", "owner")
TRADER = Principal("anna", "person", frozenset({"trader"}), holder="KE-TRADER-A")
UNIT = Principal("UNIT-A", "person", frozenset({"response-unit"}))
PARTNER = Principal(
    "uganda", "authority", frozenset({"partner-authority"}), authority="Uganda", proved="certificate"
)


class Planted:
    """Everything of one trader: ``marks`` are words that stand nowhere else, ``ids`` what names it in paths."""

    def __init__(self, door, tag: str, country: str) -> None:
        self.door, self.tag = door, tag
        mark = self.mark = f"ZQ{tag}ZQ"
        self.mrn, self.device, self.equipment = f"26NL0000{mark}000J1", f"SEAL-{mark}", f"EQ-{mark}"
        self.plate = f"{mark}PL"
        with as_(door, OWNER) as c:
            corridor = {
                "type": "Feature",
                "properties": {"half_width_m": 500, "name": f"road {mark}"},
                "geometry": {"type": "LineString", "coordinates": [[34.0, 0.5], [34.2, 0.5]]},
            }
            assert c.put(f"/corridors/C-{mark}", json=corridor).status_code == 201
            self._send(
                c,
                cc015c(f"LRN{mark}", holder=f"KE-TRADER-{tag}").replace(
                    b"telephones", f"goods {mark}".encode()
                ),
            )
            self._send(c, cc028c(f"LRN{mark}", self.mrn).replace(b"NL123456789", f"KE-TRADER-{tag}".encode()))
            doc = c.get(f"/movements/{self.mrn}").json()
            assert doc["holder_id"] == f"KE-TRADER-{tag}", doc
            keep = {
                k: doc[k]
                for k in ("holder", "holder_id", "departure_office", "destination_office", "consignments")
            }
            more = {
                "corridor": f"C-{mark}",
                "countries": ["KE", country],
                "risk": "high",
                "authorised_cards": [f"77{mark}"],
            }
            assert c.put(f"/movements/{self.mrn}", json=keep | more).status_code == 200
            bound = {
                "device_id": self.device,
                "equipment_id": self.equipment,
                "mrn": self.mrn,
                "from": door.at(-3600),
                "to": None,
            }
            self.binding = self._made(c.post("/bindings", json=bound))["id"]
            self.cut()
            self.code = self._made(c.post("/codes", json={"purpose": "transit", "mrn": self.mrn}))
            self.evidence = self._made(
                c.post(
                    f"/movements/{self.mrn}/evidence",
                    content=PNG + mark.encode(),
                    headers={"content-type": "image/png"},
                )
            )["id"]
            note = {"event": "note", "reason": f"suspicion {mark}"}
            self._made(c.post(f"/movements/{self.mrn}/events", json=note))
            self._made(
                c.post(f"/movements/{self.mrn}/events", json={"event": "answer", "reason": f"answer {mark}"})
            )
            self._made(c.post(f"/movements/{self.mrn}/links", json={"expires_at": door.at(3600)}))
            self._made(
                c.put(
                    f"/guarantees/26{mark}GRN",
                    json={"holder": f"H {mark}", "amount": "10.00", "currency": "EUR"},
                )
            )
            self._made(c.put(f"/seals/S-{mark}", json={"kind": "mechanical", "maker": mark}))
            transport = {"plate": self.plate, "device_id": f"PH-{mark}", "mrns": [self.mrn]}
            self._made(c.put(f"/transports/T-{mark}", json=transport))
            gate = {"name": mark, "kind": "border", "lat_deg": 0.5, "lon_deg": 34.1, "radius_m": 100}
            self._made(c.put(f"/gates/G-{mark}", json=gate))
            self._made(c.post(f"/gates/G-{mark}/arrivals", json={"direction": "in", "plate": self.plate}))
            self._made(c.post("/scans", json={"code": self.code["short"], "gate": f"G-{mark}"}))
            unit = {
                "name": mark,
                "phone": "+254 700 000 000",
                "lat_deg": 0.5,
                "lon_deg": 34.1,
                "on_duty": True,
            }
            self._made(c.put(f"/units/UNIT-{tag}", json=unit))
            self._made(
                c.post(f"/movements/{self.mrn}/case/dispatch", json={"unit_id": f"UNIT-{tag}", "note": mark})
            )
            self.alert = c.get("/alerts", params={"mrn": self.mrn}).json()["items"][0]["id"]
            self.document = c.get("/documents", params={"mrn": self.mrn}).json()["items"][0]["id"]
        self.marks = [
            m.encode() for m in (mark, self.code["short"], self.code["text"][-40:], self.alert, self.document)
        ]

    def cut(self) -> None:
        row = {
            "device_id": self.device,
            "lat_deg": 0.5,
            "lon_deg": 34.1,
            "rope_inserted": True,
            "locked": True,
        }
        steps = [
            row | {"observed_at": self.door.at(-30)},
            row | {"observed_at": self.door.at(-5), "rope_cut": True},
        ]
        with as_(self.door, OWNER) as c:
            assert c.post("/observations", json=steps).json()["rejected"] == 0
        self.door.settled()

    def close_alert(self) -> None:
        """A further alert event: somebody acts on the alert."""
        with as_(self.door, OWNER) as c:
            version = c.get(f"/alerts/{self.alert}").json()["version"]
            note = {"state": "closed", "by": "x", "cause": self.mark, "note": self.mark, "version": version}
            assert c.patch(f"/alerts/{self.alert}", json=note).status_code == 200

    @staticmethod
    def _made(answer: httpx.Response) -> dict:
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def _send(self, client, data: bytes) -> None:
        self._made(client.post("/documents", content=data, headers={"content-type": "application/xml"}))

    def names(self, right) -> dict[str, str]:
        """What this trader's things are called in a path."""
        number = {"binding": self.binding, "code": self.code["id"]}.get(right.rows, 1)
        known = {
            "mrn": self.mrn,
            "alert_id": self.alert,
            "number": str(number),
            "gate": f"G-{self.mark}",
            "grn": f"26{self.mark}GRN",
            "kind": "cc007c",
            "kid": "0" * 16,
            "protocol": "osmand",
            "token": "x" * 43,
        }
        by_path = (
            ("/evidence/", self.evidence),
            ("/documents/", self.document),
            ("/devices/", self.device),
            ("/corridors/", f"C-{self.mark}"),
            ("/seals/", f"S-{self.mark}"),
            ("/transports/", f"T-{self.mark}"),
        )
        known["id"] = next((name for part, name in by_path if part in right.path), "X1")
        return known

    def address(self, right) -> str:
        path = right.path
        for name in named(right, right.path):
            path = path.replace("{" + name + "}", self.names(right).get(name, "X1"))
        return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    with saying_who(tmp_path_factory.mktemp("planted") / "folder") as door:
        yield door, Planted(door, "A", "UG"), Planted(door, "B", "RW")


READS = [r for r in RIGHTS if r.method == "GET" and not r.path.endswith("/stream") and "demo" not in r.path]


def _told(client, door, path: str) -> httpx.Response:
    return client.get(door.url + path)


def _found(answer: httpx.Response, marks: list[bytes], asked: str) -> list[bytes]:
    """Marks in the head or body of an answer that the request did not bring."""
    whole = answer.content + repr(answer.headers.raw).encode()
    return [m for m in marks if m in whole and m.decode() not in asked]


@pytest.mark.parametrize("who", [TRADER, UNIT, PARTNER], ids=lambda w: next(iter(w.roles)))
def test_no_byte_of_anothers_in_any_answer(planted, who) -> None:
    door, mine, other = planted
    if who is PARTNER:
        _grant(door, what="country", subject="UG", parts=ALL_PARTS)
    own, leaks = set(), []
    with as_(door, who) as client:
        for right in READS:
            for whose in (mine, other):
                path = whose.address(right)
                answer = _told(client, door, path)
                assert answer.status_code < 500, (path, answer.text)
                leaks += [(path, m) for m in _found(answer, other.marks, path)]
                if whose is other and right.rows not in {"", "own", "list"}:
                    assert answer.status_code in {403, 404}, path
                if any(m in answer.content for m in mine.marks):
                    own.add(right.path)
            if right.rows == "list":
                for query in (
                    f"?mrn={other.mrn}",
                    f"?q={other.mark}",
                    f"?device_id={other.device}",
                    "?limit=1",
                ):
                    answer = _told(client, door, right.path + query)
                    if answer.status_code == 200:
                        leaks += [(right.path + query, m) for m in _found(answer, other.marks, query)]
    assert not leaks, leaks
    wanted = {
        "/api/v1/movements",
        "/api/v1/movements/{mrn}",
        "/api/v1/documents",
        "/api/v1/alerts",
        "/api/v1/alerts/{alert_id}",
    }
    assert wanted <= own, "what is theirs they see"


def test_the_search_would_find_it(planted) -> None:
    """The same search as an owner: the marks stand in nearly every answer that holds data."""
    door, _, other = planted
    with as_(door, OWNER) as client:
        found = {r.path for r in READS if _found(_told(client, door, other.address(r)), other.marks, "")}
    lists = "movements documents alerts bindings codes feed scans guarantees seals gates units devices corridors changes"
    assert {f"/api/v1/{name}" for name in lists.split()} <= found
    assert len(found) >= 30


def test_what_is_not_there_and_what_is_anothers_are_answered_alike(planted) -> None:
    door, _, other = planted
    none = {"mrn": "26NONE", "alert_id": "0" * 64, "number": "999999", "id": "f" * 32}
    with as_(door, TRADER) as client:
        for right in READS:
            if right.rows in {"", "own", "list"}:
                continue
            path = right.path
            for name in named(right, right.path):
                path = path.replace("{" + name + "}", none.get(name, "X1"))
            there, missing = _told(client, door, other.address(right)), _told(client, door, path)
            assert there.status_code == missing.status_code
            if missing.status_code == 404:
                key = next(iter(named(right, other.address(right)).values()))
                gone = next(iter(named(right, path).values()))
                said = [a.json() | {"request_id": None} for a in (there, missing)]
                said[0]["detail"] = said[0]["detail"].replace(key, "*")
                said[1]["detail"] = said[1]["detail"].replace(gone, "*")
                assert said[0] == said[1], right.path
        for odd in ("+1", "1.0", "01 ", "1_0", "\u0661"):  # numbers that another reading could take for one
            assert client.get(f"/codes/{odd}").status_code == 404
            assert client.get(f"/bindings/{odd}").status_code == 404


def test_pages_are_whole_and_cursors_hold(planted) -> None:
    door, mine, _ = planted
    mrns = [mine.mrn]
    with as_(door, OWNER) as owner:
        for i in range(7):
            for holder in ("KE-TRADER-A", "KE-TRADER-B"):
                mrn = f"26PAGE{i}{holder[-1]}"
                assert owner.put(f"/movements/{mrn}", json={"holder": holder}).status_code in {200, 201}
                owner.post(f"/movements/{mrn}/events", json={"event": "lodge"})
                mrns += [mrn] if holder[-1] == "A" else []
    with as_(door, TRADER) as client:
        found, cursor, pages = [], None, 0
        while True:
            page = client.get(
                "/movements", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
            ).json()
            found += [m["mrn"] for m in page["items"]]
            pages += 1
            cursor = page["next"]
            if cursor is None:
                break
            assert len(page["items"]) == 3
        assert found == sorted(mrns)
        assert pages == 3
        fed, after = [], 0
        while page := client.get("/feed", params={"after": after, "limit": 2}).json()["items"]:
            fed += page
            after = client.get("/feed", params={"after": after, "limit": 2}).json()["next"]
        assert {e["mrn"] for e in fed} == set(mrns)
        assert [e["seq"] for e in fed] == sorted({e["seq"] for e in fed})


def test_a_trader_does_not_see_what_customs_think(planted) -> None:
    door, mine, _ = planted
    with as_(door, TRADER) as client:
        texts = {
            p: client.get(p).text
            for p in (
                f"/movements/{mine.mrn}",
                f"/movements/{mine.mrn}/events",
                "/movements",
                "/feed",
                "/alerts",
                f"/alerts/{mine.alert}",
                "/codes",
                "/documents",
                "/bindings",
            )
        }
        for path, text in texts.items():
            assert "chief" not in text, f"{path} names an officer"
            assert "suspicion" not in text, f"{path} tells an officer's remark"
            assert f"77{mine.mark}" not in text
        movement = json.loads(texts[f"/movements/{mine.mrn}"])
        assert (movement["risk"], movement["authorised_cards"], movement["changed_by"]) == (
            None,
            None,
            "customs",
        )
        assert movement["holder_id"] == "KE-TRADER-A"
        alert = json.loads(texts[f"/alerts/{mine.alert}"])
        assert (alert["code"], alert["history"], alert["evidence"]) == ("seal-cut", [], [])
        assert (alert["acknowledged_by"], alert["triage"], alert["facts"]["threshold"]) == (
            "customs",
            None,
            None,
        )
        assert "answer" in texts[f"/movements/{mine.mrn}/events"]
        own = client.post(f"/movements/{mine.mrn}/events", json={"event": "answer", "reason": "mine"})
        assert own.status_code == 201
        events = client.get(f"/movements/{mine.mrn}/events").json()["items"]
        assert [e["by"] for e in events if e["reason"] == "mine"] == ["anna"]
        door.is_problem(client.post(f"/movements/{mine.mrn}/events", json={"event": "release"}), 403)
        door.is_problem(
            client.patch(f"/alerts/{mine.alert}", json={"state": "closed", "by": "x", "cause": "c"}), 403
        )


def test_writing_to_anothers_is_as_hidden_as_reading(planted) -> None:
    door, _, other = planted
    png = {"content-type": "image/png"}
    with as_(door, TRADER) as client:
        tries = (
            client.post(f"/movements/{other.mrn}/events", json={"event": "answer", "reason": "r"}),
            client.post(f"/movements/{other.mrn}/evidence", content=PNG, headers=png),
            client.post(f"/movements/{other.mrn}/links", json={"expires_at": door.at(60)}),
            client.delete(f"/movements/{other.mrn}/links/1"),
        )
        for answer in tries:
            assert door.is_problem(answer, 404)["detail"] == f"there is no movement {other.mrn!r}"
        door.is_problem(client.put(f"/movements/{other.mrn}", json={"holder": "KE-TRADER-A"}), 403)
    with as_(door, UNIT) as client:
        act = {"state": "closed", "by": "x", "cause": "c"}
        door.is_problem(client.patch(f"/alerts/{other.alert}", json=act), 404)


def test_a_unit_sees_what_it_was_sent_for(planted) -> None:
    door, mine, other = planted
    with as_(door, UNIT) as client:
        assert [a["id"] for a in client.get("/alerts").json()["items"]] == [mine.alert]
        assert [m["mrn"] for m in client.get("/movements").json()["items"]] == [mine.mrn]
        detail = client.get(f"/alerts/{mine.alert}").json()
        assert detail["history"], "it is of the administration: it sees what was done"
        arrived = client.patch(f"/alerts/{mine.alert}", json={"state": "on-scene", "by": "x"})
        assert arrived.json()["history"][-1]["by"] == "UNIT-A"
    with as_(door, replace(UNIT, id="UNIT-NONE")) as client:
        assert client.get("/alerts").json()["items"] == []
        door.is_problem(client.get(f"/alerts/{other.alert}"), 404)


# ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────

ALL_PARTS = ["movement", "track", "document", "evidence", "alert", "code", "clean-trip"]


def _grant(door, **body) -> dict:
    with as_(door, person("chief", "supervisor")) as client:
        given = {"authority": "Uganda", "purpose": "transit agreement", "to": door.at(3600)} | body
        answer = client.post("/grants", json=given)
        assert answer.status_code == 201, answer.text
        return answer.json()


def _revoke(door, grant: dict) -> None:
    with as_(door, person("chief", "supervisor")) as client:
        assert client.delete(f"/grants/{grant['id']}").json()["state"] == "revoked"


@pytest.mark.parametrize(
    ("what", "subject"),
    [
        ("movement", "{mrn}"),
        ("corridor", "C-{mark}"),
        ("country", "RW"),
        ("office", "NL000432"),
        ("office", "DE003302"),
    ],
)
def test_a_grant_shows_its_movements_while_it_lasts(planted, what, subject) -> None:
    door, mine, other = planted
    who = replace(PARTNER, authority=f"{what}-{subject}")
    subject = subject.format(mrn=other.mrn, mark=other.mark)
    with as_(door, who) as client:

        def sees() -> set[str]:
            mrns = {m["mrn"] for m in client.get("/movements").json()["items"]}
            for planting in (mine, other):
                status = client.get(f"/movements/{planting.mrn}").status_code
                assert status == (200 if planting.mrn in mrns else 404)
            return mrns

        assert sees() == set()
        coming = _grant(
            door,
            authority=who.authority,
            what=what,
            subject=subject,
            parts=["movement"],
            **{"from": door.at(600)},
        )
        assert coming["state"] == "coming"
        assert sees() == set()
        good = _grant(door, authority=who.authority, what=what, subject=subject, parts=["movement"])
        wanted = {mine.mrn, other.mrn} if what == "office" else {other.mrn}
        assert sees() == wanted
        _revoke(door, good)
        assert sees() == set()
        door.is_problem(client.get("/grants"), 403)


def test_a_grant_ends_by_itself(planted) -> None:
    door, _, other = planted
    who = replace(PARTNER, authority="short")
    row = {
        "authority": "short",
        "what": "movement",
        "subject": other.mrn,
        "parts": ["movement"],
        "purpose": "over",
    }
    now = door.service.clock.now_us()
    door.service.folder.grants.add(
        row | {"from_us": now - 10, "to_us": now - 1, "by": "t", "at_us": now - 10}
    )
    with as_(door, who) as client:
        assert client.get("/movements").json()["items"] == []
    with as_(door, OWNER) as client:
        listed = client.get("/grants", params={"authority": "short"}).json()["items"]
        assert [g["state"] for g in listed] == ["over"]


def test_a_grant_shows_the_parts_that_it_names(planted) -> None:
    door, _, other = planted
    who = replace(PARTNER, authority="parts")
    addresses = {
        "track": f"/movements/{other.mrn}/track",
        "document": f"/documents/{other.document}",
        "evidence": f"/movements/{other.mrn}/evidence",
        "alert": f"/alerts/{other.alert}",
        "code": f"/codes/{other.code['id']}",
        "clean-trip": f"/movements/{other.mrn}/clean-trip",
        "movement": f"/movements/{other.mrn}",
    }
    assert set(addresses) == set(ALL_PARTS)
    with as_(door, who) as client:
        for part in ALL_PARTS:
            grant = _grant(door, authority="parts", what="movement", subject=other.mrn, parts=[part])
            statuses = {name: client.get(path).status_code for name, path in addresses.items()}
            assert statuses == {name: 200 if name == part else 404 for name in addresses}, part
            if part == "movement":
                whole = client.get(addresses["movement"]).json()
                assert (whole["last"], whole["documents"], whole["open_alerts"], whole["worst"]) == (
                    [],
                    [],
                    0,
                    None,
                )
                assert client.get("/movements").json()["items"][0]["last"] is None
            _revoke(door, grant)
        _grant(door, authority="parts", what="movement", subject=other.mrn, parts=ALL_PARTS)
        whole = client.get(addresses["movement"]).json()
        assert whole["last"]
        assert whole["documents"]
        assert whole["risk"] is None, "what customs think of it is not granted"


def test_wrong_grants_are_refused(planted) -> None:
    door, _, _ = planted
    good = {
        "authority": "U",
        "what": "country",
        "subject": "UG",
        "parts": ["movement"],
        "purpose": "abc",
        "to": door.at(60),
    }
    with as_(door, OWNER) as client:
        for wrong in (
            {"to": door.at(-60)},
            {"from": door.at(120)},
            {"parts": []},
            {"parts": ["all"]},
            {"what": "world"},
            {"subject": "u%"},
            {"purpose": ""},
            {"authority": "a\nb"},
            {"surplus": 1},
        ):
            door.is_problem(client.post("/grants", json=good | wrong), 422)
        made = client.post("/grants", json=good).json()
        assert client.delete(f"/grants/{made['id']}").status_code == 200
        door.is_problem(client.delete(f"/grants/{made['id']}"), 409)
        door.is_problem(client.delete("/grants/999999"), 404)


# ── the live stream ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_stream_tells_only_of_ones_own(planted) -> None:
    door, mine, other = planted
    told = bytearray()
    ready = threading.Event()

    def listen() -> None:
        address = f"{door.url}/api/v1/stream?topics=alerts,positions&last_event_id=0"
        with as_(door, TRADER) as client, client.stream("GET", address) as answer:
            assert answer.status_code == 200
            for chunk in answer.iter_bytes():
                told.extend(chunk)
                ready.set()
                if (
                    b"event: alert" in told
                    and b"event: positions" in told
                    and told.count(mine.alert.encode()) >= 2
                ):
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert ready.wait(30)
    other.close_alert()
    mine.close_alert()
    thread.join(60)
    assert not thread.is_alive()
    assert mine.mrn.encode() in told
    assert not [m for m in other.marks if m in told]
    assert b"chief" not in told
    with as_(door, TRADER) as client:
        door.is_problem(client.get("/stream", params={"topics": "alerts,stats"}), 403)
