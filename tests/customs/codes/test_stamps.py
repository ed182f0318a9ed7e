"""Excise stamps: ranges, what happens to them, and what the public is told and is not."""

import json
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from cocket.core.config import Codes
from cocket.core.errors import Conflict, NotFound, Refused
from cocket.customs.codes.claims import Code, Stamp
from cocket.customs.codes.intervals import TRANSITIONS
from cocket.customs.codes.signing import verify
from cocket.customs.codes.stamps import MOST_SERIAL, NewRange, StampDesk
from cocket.store.code_tables import stamp_checks
from cocket.store.stamps import StampStore

S = 1_000_000
MINUTE, HOUR = 60 * S, 3600 * S
DAY = 24 * HOUR
KUALA_LUMPUR = (3.1390, 101.6869)
PENANG = (5.4141, 100.3288)
_starts = count(1_000_000, 10_000)


@pytest.fixture
def desk(db, keys, clock) -> StampDesk:
    return StampDesk(StampStore(db), keys, clock, Codes())


@pytest.fixture
def stamps(desk) -> dict:
    """A range of its own for each test."""
    return desk.issue(NewRange("Whisky 0.7 l", "Highland Ltd", 100, next(_starts)), by="amina")


def text(desk, stamps, n: int = 0) -> str:
    serial = stamps["first"] + n
    return next(iter(desk.labels(stamps["id"], serial, serial, 1)))[1]


def activate(desk, stamps, n: int = 100) -> None:
    first = stamps["first"]
    desk.happened(stamps["id"], "activate", first, first + n - 1, reason="delivered", by="amina")


def verdict(desk, code, place=None) -> str:
    return desk.check(code, place)["verdict"]


def east(place: tuple[float, float], km: float) -> tuple[float, float]:
    """So far east, by another library's geodesics."""
    lon, lat, _ = Geod(ellps="WGS84").fwd(place[1], place[0], 90, km * 1000)
    return lat, lon


def test_a_range_as_it_is_issued(desk, stamps, clock) -> None:
    first = stamps["first"]
    assert stamps["states"] == [{"first": first, "last": first + 99, "state": "issued"}]
    assert (stamps["last"], stamps["count"], stamps["events"]) == (first + 99, 100, [])
    assert stamps["issued_at"] == clock.at()
    assert desk.range(stamps["id"]) == stamps
    with pytest.raises(NotFound):
        desk.range(10**9)


@pytest.mark.parametrize(("offset", "n"), [(0, 100), (-5, 6), (99, 1), (50, 1000), (-5, 1000)])
def test_no_number_is_issued_twice(desk, stamps, offset, n) -> None:
    with pytest.raises(Conflict, match=f"range {stamps['id']}"):
        desk.issue(NewRange("Rum", "Other Ltd", n, stamps["first"] + offset), by="amina")


def test_the_next_ones_lie_behind_the_last(desk, stamps) -> None:
    following = desk.issue(NewRange("Rum", "Other Ltd", 10), by="amina")
    assert following["first"] > stamps["last"]
    again = desk.issue(NewRange("Rum", "Other Ltd", 10), by="amina")
    assert again["first"] == following["last"] + 1
    with pytest.raises(Refused, match="highest"):
        desk.issue(NewRange("Rum", "Other Ltd", 2, MOST_SERIAL), by="amina")


def test_what_cannot_be_issued(desk, clock) -> None:
    with pytest.raises(Refused, match="never valid"):
        desk.issue(NewRange("Rum", "Other Ltd", 10, None, clock.us), by="amina")
    with pytest.raises(Refused, match="64 bytes"):
        desk.issue(NewRange("é" * 33, "Other Ltd", 10), by="amina")


def test_parts_of_a_range_have_their_own_lives(desk, stamps, clock) -> None:
    f, number = stamps["first"], stamps["id"]
    activate(desk, stamps)
    clock.us += HOUR
    desk.happened(number, "steal", f + 10, f + 19, reason="a lorry", by="li")
    desk.happened(number, "find", f + 12, f + 13, reason="in a shed", by="li")
    whole = desk.happened(number, "void", f + 12, f + 12, reason="wet", by="li")
    assert [(r["first"] - f, r["last"] - f, r["state"]) for r in whole["states"]] == [
        (0, 9, "active"),
        (10, 11, "stolen"),
        (12, 12, "void"),
        (13, 13, "found"),
        (14, 19, "stolen"),
        (20, 99, "active"),
    ]
    assert [(e["event"], e["reason"], e["by"]) for e in whole["events"]] == [
        ("activate", "delivered", "amina"),
        ("steal", "a lorry", "li"),
        ("find", "in a shed", "li"),
        ("void", "wet", "li"),
    ]
    assert whole["events"][1]["at"] == clock.at()
    assert desk.range(number) == whole
    listed = next(r for r in desk.ranges(1000, None)[0] if r["id"] == number)
    assert listed == {k: v for k, v in whole.items() if k != "events"}


def test_an_event_holds_for_all_or_for_none(desk, stamps) -> None:
    f, number = stamps["first"], stamps["id"]
    desk.happened(number, "void", f + 50, f + 51, reason="torn", by="li")
    before = desk.range(number)
    with pytest.raises(Conflict, match=rf"{f + 50} to {f + 51} are void.*possible is nothing"):
        desk.happened(number, "activate", f, f + 99, reason="delivered", by="li")
    with pytest.raises(Conflict, match="possible is activate, void, steal"):
        desk.happened(number, "find", f, f, reason="?", by="li")
    for first, last in ((f - 1, f), (f, f + 100), (f + 5, f + 4)):
        with pytest.raises(Refused, match="no part of range"):
            desk.happened(number, "activate", first, last, reason="?", by="li")
    assert desk.range(number) == before


# texts


def test_every_stamp_has_its_own_text_and_always_the_same(desk, stamps, keys, clock) -> None:
    printed = list(desk.labels(stamps["id"], None, None, 100))
    assert [s.serial for s, _ in printed] == list(range(stamps["first"], stamps["last"] + 1))
    assert len({t for _, t in printed}) == 100
    assert printed == list(desk.labels(stamps["id"], None, None, 100))
    assert printed[7:9] == list(desk.labels(stamps["id"], stamps["first"] + 7, stamps["first"] + 8, 2))
    for stamp, code in printed[:3]:
        assert (
            verify(code, keys.public, clock.us).claims == stamp == Stamp(stamp.serial, "Whisky 0.7 l", None)
        )
    assert max(len(t) for _, t in printed) < 180


def test_not_too_many_and_none_that_is_gone(desk, stamps) -> None:
    f, number = stamps["first"], stamps["id"]
    with pytest.raises(Refused, match="at most 99"):
        desk.labels(number, None, None, 99)
    with pytest.raises(Refused, match="no part of range"):
        desk.labels(number, f - 1, None, 1000)
    desk.happened(number, "steal", f + 10, f + 19, reason="a lorry", by="li")
    with pytest.raises(Conflict, match="are stolen"):
        desk.labels(number, f, f + 10, 1000)
    assert len(list(desk.labels(number, f, f + 9, 1000))) == 10


# what the public is told


def test_true_from_false(desk, stamps, keys, clock) -> None:
    """excise-stamp, and its first twin."""
    code = text(desk, stamps)
    assert desk.check(code, None) == {
        "verdict": "not-active",
        "says": "This stamp is not valid. Do not buy the goods; tell customs.",
        "product": None,
    }
    activate(desk, stamps)
    good = desk.check(code, KUALA_LUMPUR)
    assert (good["verdict"], good["product"]) == ("genuine", "Whisky 0.7 l")
    assert verdict(desk, "]Q3" + code.lower() + "\r\n") == "genuine"
    forged = code[:-5] + ("00000" if code[-5:] != "00000" else "11111")
    unissued = keys.sign(Stamp(5, "Whisky 0.7 l", None))[0]
    a_code = keys.sign(Code("transit", "26NL", None, None, clock.us, clock.us + DAY, 7))[0]
    answers = [desk.check(t, KUALA_LUMPUR) for t in (forged, unissued, a_code, "CKS1:", "hello", "é")]
    assert all(a == answers[0] for a in answers)
    assert answers[0]["verdict"] == "false"
    assert answers[0]["product"] is None
    assert answers[0].keys() == good.keys()


def test_every_state_but_active_is_the_same_answer(desk, stamps) -> None:
    f, number = stamps["first"], stamps["id"]
    activate(desk, stamps, 99)
    answers = [desk.check(text(desk, stamps, 99), None)]
    codes = {n: text(desk, stamps, n) for n in (1, 2, 3)}
    desk.happened(number, "void", f + 1, f + 1, reason="torn", by="li")
    desk.happened(number, "steal", f + 2, f + 3, reason="a lorry", by="li")
    desk.happened(number, "find", f + 3, f + 3, reason="a shed", by="li")
    answers += [desk.check(code, None) for code in codes.values()]
    assert [a["verdict"] for a in answers] == ["not-active"] * 4
    assert len({json.dumps(a) for a in answers}) == 1


def test_a_stamp_runs_out(desk, clock) -> None:
    stamps = desk.issue(NewRange("Rum", "Other Ltd", 1, next(_starts), clock.us + DAY), by="amina")
    activate(desk, stamps, 1)
    code = text(desk, stamps)
    assert verdict(desk, code) == "genuine"
    clock.us += DAY
    assert verdict(desk, code) == "not-active"


def test_a_revoked_key_makes_false_stamps(desk, stamps, keys) -> None:
    activate(desk, stamps)
    code = text(desk, stamps)
    kid = keys.jwks()[0]["kid"]
    keys.rotate(by="amina", reason="a new year")
    assert verdict(desk, code) == "genuine"
    keys.revoke(kid, by="amina", reason="stolen")
    assert verdict(desk, code) == "false"
    assert verdict(desk, text(desk, stamps)) == "genuine"


def statements(db, work) -> list[str]:
    """What is asked of the database while it is done."""
    said: list[str] = []

    def note(_c, _cursor, statement, *_):
        said.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    return said


def test_unknown_costs_what_known_costs(desk, stamps, keys, db) -> None:
    """The same statements in the same order, so that neither answer nor effort tells which numbers exist."""
    first = text(desk, stamps, 50)
    activate(desk, stamps)
    second = text(desk, stamps, 51)
    unissued = keys.sign(Stamp(6, "Whisky 0.7 l", None))[0]
    desk.check(first, KUALA_LUMPUR)
    asked = [
        statements(db, lambda t=t: desk.check(t, KUALA_LUMPUR))
        for t in (second, unissued, second[:-5] + "00000", "hello", text(desk, stamps, 52))
    ]
    assert all(a == asked[0] for a in asked)
    assert len(asked[0]) > 5


# suspected copies


def test_300_km_apart_within_an_hour_is_a_copy(desk, stamps, clock) -> None:
    """excise-stamp, and its second twin."""
    activate(desk, stamps)
    code = text(desk, stamps)
    assert verdict(desk, code, KUALA_LUMPUR) == "genuine"
    clock.us += 55 * MINUTE
    answer = desk.check(code, east(KUALA_LUMPUR, 300))
    assert answer == {
        "verdict": "suspect",
        "says": "The stamp is genuine, but it may have been copied onto other goods. Do not trust it; tell customs.",
        "product": "Whisky 0.7 l",
    }
    newest, earlier = desk.checks(10, None, serial=stamps["first"])[0]
    assert [s["rule"] for s in newest["suspicions"]] == ["impossible-travel"]
    assert "300 km" in newest["suspicions"][0]["detail"]
    assert "55 minutes" in newest["suspicions"][0]["detail"]
    assert (earlier["verdict"], earlier["suspicions"]) == ("genuine", [])
    assert [c["serial"] for c in desk.checks(1, None, verdict="suspect")[0]] == [stamps["first"]]


@pytest.mark.parametrize(
    ("km", "minutes", "suspected"),
    [
        (300, 60, True), (310, 60, True), (290, 60, False), (280, 55, True), (260, 55, False),
        (9, 0, False), (12, 0, True), (900, 240, False), (9000, 600, True), (0, 0, False),
    ],
)  # fmt: skip
def test_how_fast_a_stamp_may_travel(desk, stamps, clock, km, minutes, suspected) -> None:
    activate(desk, stamps)
    code = text(desk, stamps)
    verdict(desk, code, KUALA_LUMPUR)
    clock.us += minutes * MINUTE
    assert (verdict(desk, code, east(KUALA_LUMPUR, km)) == "suspect") is suspected


def test_two_stamps_are_two_and_no_place_is_no_travel(desk, stamps, clock) -> None:
    activate(desk, stamps)
    one, two = text(desk, stamps, 0), text(desk, stamps, 1)
    assert verdict(desk, one, KUALA_LUMPUR) == "genuine"
    clock.us += MINUTE
    assert verdict(desk, two, PENANG) == "genuine"
    assert verdict(desk, one, None) == "genuine"
    clock.us += MINUTE
    assert verdict(desk, one, KUALA_LUMPUR) == "genuine"


def test_a_forger_who_checks_forgeries_harms_no_stamp(desk, stamps, clock) -> None:
    activate(desk, stamps)
    code = text(desk, stamps)
    for _ in range(60):
        desk.check(code[:-5] + "00000", PENANG)
    clock.us += MINUTE
    assert verdict(desk, code, KUALA_LUMPUR) == "genuine"


def test_too_many_checks_in_a_day(db, keys, clock, stamps) -> None:
    desk = StampDesk(StampStore(db), keys, clock, Codes(clone_checks=5))
    activate(desk, stamps)
    code = text(desk, stamps)
    for _ in range(5):
        assert verdict(desk, code) == "genuine"
    clock.us += DAY
    for _ in range(5):
        assert verdict(desk, code) == "genuine"
    assert verdict(desk, code) == "suspect"
    newest = desk.checks(1, None, serial=stamps["first"])[0][0]
    assert newest["suspicions"] == [{"rule": "too-many-checks", "detail": "6 checks within 24 hours"}]


def test_a_suspicion_stays_until_an_officer_clears_it(desk, stamps, clock) -> None:
    activate(desk, stamps)
    f, code = stamps["first"], text(desk, stamps)
    verdict(desk, code, KUALA_LUMPUR)
    clock.us += MINUTE
    assert verdict(desk, code, PENANG) == "suspect"
    clock.us += 40 * DAY  # the checks themselves are gone
    assert verdict(desk, code, PENANG) == "suspect"
    clock.us += MINUTE
    cleared = desk.happened(
        stamps["id"], "clear", f, f, reason="looked at it: the first place was wrong", by="li"
    )
    assert cleared["states"] == [{"first": f, "last": f + 99, "state": "active"}]
    clock.us += MINUTE
    assert verdict(desk, code, KUALA_LUMPUR) == "genuine"
    clock.us += MINUTE
    assert verdict(desk, code, PENANG) == "suspect"


# what is kept of the public


def test_places_are_kept_rounded_and_for_some_days(db, keys, clock, stamps) -> None:
    desk = StampDesk(StampStore(db), keys, clock, Codes(check_days=7))
    activate(desk, stamps)
    code = text(desk, stamps)
    verdict(desk, code, (3.13904567, 101.68694567))

    def kept() -> list[tuple]:
        with db.read() as connection:
            query = sa.select(stamp_checks).where(stamp_checks.c.serial == stamps["first"])
            return [tuple(r) for r in connection.execute(query)]

    assert [row[4:] for row in kept()] == [(3.14, 101.69)]
    assert set(stamp_checks.c.keys()) == {"id", "at_us", "serial", "verdict", "lat_deg", "lon_deg"}
    clock.us += 7 * DAY - S
    assert len(desk.checks(10, None, serial=stamps["first"])[0]) == 1
    clock.us += S
    assert desk.checks(10, None, serial=stamps["first"])[0] == []
    clock.us += HOUR
    desk.checks(1, None)
    assert kept() == []


def test_of_a_forgery_no_number_is_kept(desk, stamps) -> None:
    activate(desk, stamps)
    desk.check(text(desk, stamps)[:-5] + "00000", PENANG)
    newest = desk.checks(1, None)[0][0]
    assert (newest["serial"], newest["verdict"]) == (None, "false")
    assert (newest["lat_deg"], newest["lon_deg"]) == (5.41, 100.33)
    assert desk.checks(10, None, serial=stamps["first"])[0] == []


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(TRANSITIONS)), st.integers(0, 4), st.integers(0, 4)), max_size=8
    )
)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_check_sees_the_state_that_the_range_shows(desk, wanted) -> None:
    """The newest event over one stamp, as the check asks for it, against the fold of all."""
    stamps = desk.issue(NewRange("Rum", "Other Ltd", 5, next(_starts)), by="amina")
    codes = {s.serial: t for s, t in desk.labels(stamps["id"], None, None, 5)}
    for event, a, b in wanted:
        first, last = sorted((stamps["first"] + a, stamps["first"] + b))
        try:
            stamps = desk.happened(stamps["id"], event, first, last, reason="so", by="li")
        except Conflict:
            continue
    for run in stamps["states"]:
        for serial in range(run["first"], run["last"] + 1):
            assert (verdict(desk, codes[serial]) == "genuine") is (run["state"] == "active")
