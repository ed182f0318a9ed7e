"""Codes issued and scanned: once, in order, in time, and only where nothing speaks against it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from cocket.core.errors import Conflict, Fault, NotFound, Refused
from cocket.customs.codes.claims import CHAIN, Code
from cocket.customs.codes.desk import CodeDesk
from cocket.customs.codes.scans import Read, ScanDesk
from cocket.store.code_tables import code_uses, scans
from cocket.store.codes import CodeStore

S = 1_000_000
HOUR = 3600 * S
DAY = 24 * HOUR

_numbers = count(1)


@dataclass
class File:
    """A customs file that does as it is told, and writes a row where the desk's own transaction is seen to hold it."""

    against: list[Fault] = field(default_factory=list)
    at_the_last: Exception | None = None
    done: list[tuple[Any, ...]] = field(default_factory=list)

    def refusals(self, mrn: str, at_us: int) -> list[Fault]:
        self.done.append(("asked", mrn, at_us))
        return self.against

    def acquit(self, connection, mrn, scan_id, at_us, by, office):
        return self._do(connection, "acquit", mrn, scan_id, at_us, by, office)

    def passed(self, connection, purpose, mrn, equipment_id, scan_id, at_us, by, office, gate):
        return self._do(connection, purpose, mrn, equipment_id, scan_id, at_us, by, office, gate)

    def _do(self, connection, *what):
        connection.execute(scans.insert().values(
            text="written by the file", by="file", at_us=0, recorded_us=0, outcome="refused", reasons=[], effects=[],
        ))  # fmt: skip
        if self.at_the_last is not None:
            raise self.at_the_last
        self.done.append(what)
        return [{"machine": "movement", "event": "discharge", "outcome": "done", "detail": ""}]

    def state(self, _connection, _mrn) -> str | None:
        return "discharged" if self.done and self.done[-1][0] != "asked" else "arrived"


@dataclass
class Desk:
    codes: CodeDesk
    scans: ScanDesk
    file: File
    clock: Any

    def scan(self, text: str, **more) -> dict[str, Any]:
        return self.scans.scan(Read(text, "amina", **more))

    def rules(self, text: str, **more) -> list[str]:
        answer = self.scan(text, **more)
        assert (answer["outcome"] == "accepted") is (answer["reasons"] == [])
        assert all(r["detail"] for r in answer["reasons"])
        return [r["rule"] for r in answer["reasons"]]

    def written(self) -> int:
        return len([s for s in self.scans.page(1000, None)[0] if s["by"] == "file"])


@pytest.fixture
def desk(db, keys, clock) -> Desk:
    store = CodeStore(db)
    codes = CodeDesk(store, keys, clock, 30)
    file = File()
    return Desk(codes, ScanDesk(store, codes, clock, file), file, clock)


def test_a_code_as_it_is_issued(desk, mrn, clock) -> None:
    code = desk.codes.issue("transit", mrn, by="amina", equipment_id="MSKU9070323", gate="G1")
    assert code["state"] == "valid"
    assert code["first_use"] is code["void"] is None
    assert code["text"].startswith("CKT1:")
    assert (code["issued_at"], code["valid_from"]) == (clock.at(), clock.at())
    assert code["valid_to"] == "2026-10-21T14:13:20Z"  # thirty days
    assert desk.codes.get(code["id"]) == code
    assert desk.codes.page(mrn, 10, None) == ([code], None)
    with pytest.raises(NotFound):
        desk.codes.get(10**9)


def test_an_arrived_transit_is_acquitted_once(desk, mrn, clock) -> None:
    """acquit-qr, and its twin: the same code again."""
    code = desk.codes.issue("transit", mrn, by="amina", equipment_id="MSKU9070323")
    done = desk.scan(code["text"], gate="G1", office="NL000432", place=(52.1, 4.3))
    assert (done["outcome"], done["state"], done["mrn"]) == ("accepted", "discharged", mrn)
    assert done["effects"] == [{"machine": "movement", "event": "discharge", "outcome": "done", "detail": ""}]
    assert desk.file.done == [
        ("asked", mrn, clock.us),
        ("acquit", mrn, done["id"], clock.us, "amina", "NL000432"),
    ]
    assert (done["lat_deg"], done["lon_deg"], done["recorded_at"]) == (52.1, 4.3, clock.at())
    use = {"scan_id": done["id"], "at": clock.at(), "gate": "G1", "by": "amina"}
    assert done["first_use"] == use
    assert desk.codes.get(code["id"])["state"] == "used"
    clock.us += HOUR
    again = desk.scan(code["short"], gate="G2")
    assert (again["outcome"], again["first_use"], again["effects"]) == ("refused", use, [])
    assert again["reasons"][0]["rule"] == "already-used"
    assert "gate G1" in again["reasons"][0]["detail"]
    assert len(desk.file.done) == 2
    assert [s["id"] for s in desk.scans.page(10, None, code_id=code["id"])[0]] == [again["id"], done["id"]]
    assert [s["id"] for s in desk.scans.page(10, None, mrn=mrn, gate="G2")[0]] == [again["id"]]


def test_what_the_file_has_against_it_is_named_and_the_code_stays(desk, mrn) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    desk.file.against = [
        Fault("", "open-seal-alert", "seal-cut is open"),
        Fault("", "no-exit-read", "none was read"),
    ]
    assert desk.rules(code["text"]) == ["open-seal-alert", "no-exit-read"]
    assert desk.codes.get(code["id"])["state"] == "valid"
    desk.file.against = []
    assert desk.rules(code["text"]) == []


@pytest.mark.parametrize(
    "error",
    [
        Refused("no", [Fault("", "not-arrived", "it is en route")]),
        Conflict("it is en route"),
        NotFound("none"),
    ],
)
def test_what_the_file_refuses_at_the_last_moment_leaves_nothing(desk, mrn, error) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    before = desk.written()
    desk.file.at_the_last = error
    answer = desk.scan(code["text"])
    assert answer["outcome"] == "refused"
    assert answer["reasons"][0]["rule"] in {"not-arrived", "refused"}
    assert answer["first_use"] is None
    assert desk.written() == before
    assert desk.codes.get(code["id"])["state"] == "valid"
    desk.file.at_the_last = None
    assert desk.rules(code["text"]) == []
    assert desk.written() == before + 1


def test_a_fault_of_ours_keeps_neither_scan_nor_use(desk, mrn) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    desk.file.at_the_last = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        desk.scan(code["text"])
    assert desk.scans.page(10, None, mrn=mrn) == ([], None)
    desk.file.at_the_last = None
    assert desk.rules(code["text"]) == []


def test_without_a_customs_file_nothing_is_acquitted(db, keys, clock, mrn) -> None:
    store = CodeStore(db)
    codes = CodeDesk(store, keys, clock, 30)
    answer = ScanDesk(store, codes, clock).scan(
        Read(codes.issue("transit", mrn, by="amina")["text"], "amina")
    )
    assert (answer["outcome"], answer["state"]) == ("refused", None)
    assert answer["reasons"][0]["rule"] == "no-movement"


def test_the_steps_of_a_declaration_come_in_order(desk, mrn) -> None:
    """sad-barcode: every step before its turn is refused, in its turn accepted, after it used."""
    codes = {purpose: desk.codes.issue(purpose, mrn, by="amina") for purpose in CHAIN}
    for i, purpose in enumerate(CHAIN):
        for later in CHAIN[i + 1 :]:
            assert desk.rules(codes[later]["short"]) == ["out-of-order"]
        answer = desk.scan(codes[purpose]["short"], gate="G1", office="SZ1")
        assert answer["outcome"] == "accepted"
        assert desk.file.done[-1] == (purpose, mrn, None, answer["id"], desk.clock.us, "amina", "SZ1", "G1")
        for earlier in CHAIN[: i + 1]:
            assert desk.rules(codes[earlier]["text"]) == ["already-used"]
    blocked = desk.scan(codes["exit"]["text"], gate="G2")
    assert blocked["first_use"]["gate"] == "G1"
    assert not any(what == "asked" for what, *_ in desk.file.done)


def test_all_six_are_wanted_once_one_has_a_code(desk, mrn) -> None:
    payment = desk.codes.issue("payment", mrn, by="amina")
    answer = desk.scan(payment["text"])
    assert answer["reasons"][0]["rule"] == "out-of-order"
    assert "no code was issued" in answer["reasons"][0]["detail"]
    manifest = desk.codes.issue("manifest", mrn, by="amina")
    assert desk.rules(manifest["text"]) == []
    assert desk.rules(payment["text"]) == ["out-of-order"]


def test_a_container_waits_for_its_own_and_the_whole_for_all(desk, mrn) -> None:
    for purpose in CHAIN[:3]:
        assert desk.rules(desk.codes.issue(purpose, mrn, by="amina")["text"]) == []
    passes = {c: desk.codes.issue("container-pass", mrn, by="amina", equipment_id=c) for c in "AB"}
    release = {c: desk.codes.issue("release", mrn, by="amina", equipment_id=c) for c in ("A", "B", None)}
    assert desk.rules(passes["A"]["text"]) == []
    assert desk.rules(release["A"]["text"]) == []
    assert desk.rules(release["B"]["text"]) == ["out-of-order"]
    assert desk.rules(release[None]["text"]) == ["out-of-order"]
    assert desk.rules(passes["B"]["text"]) == []
    assert desk.rules(release["B"]["text"]) == []
    assert desk.rules(release[None]["text"]) == []


def test_a_void_step_is_no_step(desk, mrn) -> None:
    manifest = desk.codes.issue("manifest", mrn, by="amina")
    declaration = desk.codes.issue("declaration", mrn, by="amina")
    desk.codes.void(manifest["id"], by="amina", reason="the paper was lost")
    assert desk.rules(declaration["text"]) == ["out-of-order"]
    assert desk.rules(manifest["text"]) == ["void"]
    again = desk.codes.issue("manifest", mrn, by="amina")
    assert desk.rules(again["text"]) == []
    assert desk.rules(declaration["text"]) == []


def test_in_time_and_at_its_gate(desk, mrn, clock) -> None:
    code = desk.codes.issue(
        "exit", mrn, by="amina", gate="G1", valid_from_us=clock.us + HOUR, valid_to_us=clock.us + 2 * HOUR
    )
    text = code["text"]
    assert desk.rules(text, gate="G1") == ["not-yet-valid", "out-of-order"]
    assert desk.rules(text) == ["not-yet-valid", "wrong-gate", "out-of-order"]
    clock.us += HOUR
    assert desk.rules(text, gate="G2") == ["wrong-gate", "out-of-order"]
    assert desk.rules(text, gate="G1") == ["out-of-order"]
    clock.us += HOUR
    assert desk.rules(text, gate="G1") == ["expired", "out-of-order"]
    assert desk.rules(code["short"], gate="G1") == ["expired", "out-of-order"]
    # a scanner that was out of coverage tells when it read
    assert desk.rules(text, gate="G1", at_us=clock.us - S) == ["out-of-order"]
    assert desk.codes.get(code["id"])["state"] == "expired"
    with pytest.raises(Refused, match="5 minutes"):
        desk.scan(text, gate="G1", at_us=clock.us + 301 * S)


def test_what_is_no_code_of_ours(desk, mrn, keys, clock) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    text = code["text"]
    assert desk.rules(text[:-4] + "0000") == ["forged"]
    assert desk.rules("https://example.com") == ["malformed"]
    assert desk.rules("CKT1:") == ["malformed"]
    assert desk.rules("\0é") == ["malformed"]
    assert desk.rules("CKS1:" + text[5:]) == ["wrong-kind"]
    assert desk.rules("0123-4567-89AB0") == ["malformed"]
    unknown = Code("transit", mrn, None, None, clock.us, clock.us + DAY, 12345)
    assert desk.rules(keys.sign(unknown)[0]) == ["unknown-code"]
    number = desk.codes.store.get(code["id"])["number"]
    other = Code("exit", mrn, None, None, clock.us, clock.us + DAY, number)
    assert desk.rules(keys.sign(other)[0]) == ["unknown-code"]
    answer = desk.scan("CKT1:")
    assert (answer["code_id"], answer["mrn"], answer["purpose"]) == (None, None, None)
    assert desk.file.done == []
    assert desk.rules(text) == []


def test_a_revoked_key_and_its_short_codes(desk, mrn, keys) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    keys.revoke(code["kid"], by="amina", reason="stolen")
    assert desk.rules(code["text"]) == ["revoked-key"]
    assert desk.rules(code["short"]) == []  # looked up, not trusted for its signature


@pytest.mark.parametrize(
    "typed", ["{short}", "]C1{plain}\r\n", "{lower}", " {plain}\t", "]Q3{text}\r", "{small}"]
)
def test_hand_scanners_are_forgiven(desk, mrn, typed) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    plain = code["short"].replace("-", "")
    given_text = typed.format(
        short=code["short"], plain=plain, lower=plain.lower(), text=code["text"], small=code["text"].lower()
    )
    assert desk.rules(given_text) == []
    assert desk.rules(given_text) == ["already-used"]


def test_one_live_code_for_one_thing(desk, mrn, clock) -> None:
    code = desk.codes.issue("exit", mrn, by="amina", equipment_id="A")
    desk.codes.issue("exit", mrn, by="amina", equipment_id="B")
    desk.codes.issue("exit", mrn, by="amina")
    desk.codes.issue("release", mrn, by="amina", equipment_id="A")
    with pytest.raises(Conflict, match=f"code {code['id']}"):
        desk.codes.issue("exit", mrn, by="amina", equipment_id="A")
    assert desk.codes.void(code["id"], by="amina", reason="lost")["state"] == "void"
    with pytest.raises(Conflict, match="lost"):
        desk.codes.void(code["id"], by="amina", reason="again")
    other = desk.codes.issue("exit", mrn, by="amina", equipment_id="A")
    clock.us += 31 * DAY
    third = desk.codes.issue("exit", mrn, by="amina", equipment_id="A")
    old = desk.codes.get(other["id"])
    assert old["state"] == "void"
    assert old["void"]["reason"] == f"it ran out; code {third['id']} took its place"


def test_what_was_used_can_be_neither_void_nor_issued_again(desk, mrn, clock) -> None:
    code = desk.codes.issue("manifest", mrn, by="amina")
    assert desk.rules(code["text"]) == []
    with pytest.raises(Conflict, match="was used"):
        desk.codes.void(code["id"], by="amina", reason="late")
    clock.us += 400 * DAY
    with pytest.raises(Conflict, match="done once"):
        desk.codes.issue("manifest", mrn, by="amina")
    assert desk.codes.get(code["id"])["state"] == "used"


@pytest.mark.parametrize(("start", "end"), [(0, 0), (10, 5), (None, 0), (None, -DAY), (-2 * DAY, -DAY)])
def test_a_code_that_is_never_valid_is_not_issued(desk, mrn, clock, start, end) -> None:
    with pytest.raises(Refused, match="never valid"):
        desk.codes.issue(
            "transit",
            mrn,
            by="amina",
            valid_from_us=None if start is None else clock.us + start,
            valid_to_us=clock.us + end,
        )


def test_a_word_that_would_print_too_fine_is_refused(desk, mrn) -> None:
    with pytest.raises(Refused, match="64 bytes"):
        desk.codes.issue("transit", mrn, by="amina", equipment_id="é" * 33)
    assert desk.codes.issue("transit", mrn, by="amina", equipment_id="é" * 32)["state"] == "valid"


def test_the_table_itself_lets_no_code_be_used_twice(desk, mrn, db) -> None:
    code = desk.codes.issue("transit", mrn, by="amina")
    desk.scan(code["text"])
    with pytest.raises(IntegrityError), db.write() as connection:
        connection.execute(code_uses.insert().values(code_id=code["id"], scan_id=10**6))


def test_two_gates_at_once(desk, mrn) -> None:
    """Twenty codes, each read by four gates at the same moment: one has it, three are told who."""
    texts = [desk.codes.issue("transit", f"{mrn}-{n}", by="amina")["text"] for n in range(20)]
    ready = threading.Barrier(4)

    def gate(name: str) -> list[dict[str, Any]]:
        ready.wait()
        return [desk.scans.scan(Read(text, name, gate=name)) for text in texts]

    with ThreadPoolExecutor(4) as pool:
        lanes = list(pool.map(gate, ["G1", "G2", "G3", "G4"]))
    for answers in zip(*lanes, strict=True):
        winners = [a for a in answers if a["outcome"] == "accepted"]
        assert len(winners) == 1
        for loser in answers:
            if loser is not winners[0]:
                assert [r["rule"] for r in loser["reasons"]] == ["already-used"]
                assert loser["first_use"]["scan_id"] == winners[0]["id"]
                assert loser["first_use"]["gate"] == winners[0]["gate"]
    assert len([d for d in desk.file.done if d[0] == "acquit"]) == 20


@given(st.lists(st.tuples(st.sampled_from(CHAIN), st.sampled_from(["issue", "scan", "void"])), max_size=25))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_way_leads_past_a_step(desk, steps) -> None:
    """Against an oracle of three lines: a step is done if its code was scanned while the one before was done."""
    chain_mrn = f"HYP{next(_numbers)}"
    live: dict[str, dict[str, Any]] = {}
    done: set[str] = set()
    for purpose, act in steps:
        before = CHAIN[CHAIN.index(purpose) - 1] if purpose != CHAIN[0] else None
        if act == "issue" and purpose not in live:
            live[purpose] = desk.codes.issue(purpose, chain_mrn, by="amina")
        elif act == "void" and purpose in live and purpose not in done:
            desk.codes.void(live.pop(purpose)["id"], by="amina", reason="lost")
        elif act == "scan" and purpose in live:
            accepted = desk.scan(live[purpose]["text"])["outcome"] == "accepted"
            assert accepted is (purpose not in done and (before is None or before in done))
            if accepted:
                done.add(purpose)
