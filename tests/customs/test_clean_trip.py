"""The rules of a clean trip, one by one on plain facts, and laws that hold for every trip."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocket.core.clock import US, parse_rfc3339
from cocket.core.config import Customs
from cocket.customs.machines.alert import STATES, TRIAGES
from cocket.customs.trip import words
from cocket.customs.trip.rules import (
    HARMLESS,
    SEAL_CODES,
    AlertFacts,
    Gap,
    IncidentFacts,
    SealFacts,
    Trip,
    Watched,
    reasons,
)

SETTINGS = Customs()
BEGAN = parse_rfc3339("2026-11-22T08:00:00Z")
HOUR = 3600 * US
ENDED = BEGAN + 10 * HOUR

WATCHED = Watched("MSKU9070323", ("SEAL-1",), 600, 60.0, 0.99, Gap(BEGAN, BEGAN + 300 * US), 612_000.0)
SEAL = SealFacts("SEAL-1", electronic=True, equipment_id="MSKU9070323", closed=True)
CLEAN = Trip("26NL0004327A1B2C35", BEGAN, ENDED, ENDED, ENDED + HOUR, (WATCHED,), (SEAL,))
ALERT = AlertFacts(
    "A1", "seal-cut", "critical", "raised", None, "SEAL-1", "MSKU9070323", BEGAN + HOUR, BEGAN + 2 * HOUR
)
INCIDENT = IncidentFacts(7, "accident", BEGAN + HOUR, "amina", resolved=True)


def rules(trip: Trip, settings: Customs = SETTINGS) -> list[str]:
    return [r.rule for r in reasons(trip, settings)]


def with_alert(**changes) -> Trip:
    return replace(CLEAN, alerts=(replace(ALERT, **changes),))


def with_seal(**changes) -> Trip:
    return replace(CLEAN, seals=(replace(SEAL, **changes),))


def with_watch(**changes) -> Trip:
    return replace(CLEAN, watched=(replace(WATCHED, **changes),))


def test_a_clean_trip_is_clean() -> None:
    assert rules(CLEAN) == []
    assert rules(replace(CLEAN, incidents=(INCIDENT,), verified=("intact", ENDED))) == []
    assert rules(replace(CLEAN, limit_us=None)) == []
    assert rules(replace(CLEAN, limit_us=ENDED)) == []


@pytest.mark.parametrize(
    ("trip", "expected"),
    [
        (replace(CLEAN, departed_us=None), ["no-departure"]),
        (replace(CLEAN, arrived_us=None), ["no-arrival"]),
        (replace(CLEAN, limit_us=ENDED - 1), ["late"]),
        (replace(CLEAN, undetected=3), ["undetected"]),
        (replace(CLEAN, watched=()), ["no-observations"]),
        (with_watch(judged=False), ["no-observations"]),
        (with_watch(observations=0, coverage=0.0, longest=Gap(BEGAN, ENDED)), ["no-observations"]),
        (with_watch(coverage=0.8999), ["low-coverage"]),
        (with_watch(longest=Gap(BEGAN, BEGAN + 1801 * US)), ["gap"]),
        (replace(CLEAN, seals=()), ["no-seal"]),
        (with_seal(closed=False), ["seal-opened"]),
        (with_seal(closed=False, opened=("the rope was cut", BEGAN + HOUR)), ["seal-opened"]),
        (with_seal(off_us=BEGAN + HOUR), ["seal-opened"]),
        (with_seal(closed=None), ["seal-unknown"]),
        (with_seal(electronic=False, closed=None), ["seal-unknown"]),
        (with_seal(alarm=("found cut", BEGAN + HOUR)), ["seals-not-intact"]),
        (with_seal(verified="broken"), ["seals-not-intact"]),
        (replace(CLEAN, verified=("missing", ENDED)), ["seals-not-intact"]),
        (replace(CLEAN, incidents=(replace(INCIDENT, resolved=False),)), ["open-incident"]),
        (replace(CLEAN, discrepancies_us=ENDED), ["discrepancies"]),
        (with_alert(), ["seal-alert"]),
        (with_alert(began_us=ENDED + 1, outside=True), ["seal-alert"]),
        (with_alert(code="restricted-zone", severity="high"), ["open-alert"]),
        (with_alert(code="restricted-zone", severity="high", state="acknowledged"), ["open-alert"]),
        (
            with_alert(code="restricted-zone", severity="high", state="closed", triage="genuine"),
            ["genuine-alert"],
        ),
    ],
)
def test_each_rule_alone(trip, expected) -> None:
    assert rules(trip) == expected


@pytest.mark.parametrize(
    "trip",
    [
        with_watch(coverage=0.9),
        with_watch(longest=Gap(BEGAN, BEGAN + 1800 * US)),
        # a device that reports every six hours is not silent after ten
        with_watch(period_s=21_600.0, longest=Gap(BEGAN, ENDED), coverage=1.0),
        replace(CLEAN, watched=(WATCHED, replace(WATCHED, equipment_id="B-1", judged=False, coverage=0.0))),
        with_seal(electronic=False, closed=True, verified="intact"),
        with_alert(code="speeding", severity="info"),
        with_alert(code="low-battery", severity="warn"),
        with_alert(code="restricted-zone", severity="high", state="closed", triage=None),
        with_alert(superseded=True),
        # a device that was switched off when it had arrived
        with_alert(code="silence", severity="high", began_us=ENDED + 1, ended_us=None, outside=True),
    ],
)
def test_what_is_just_good_enough(trip) -> None:
    assert rules(trip) == []


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("triage", [None, *TRIAGES])
@pytest.mark.parametrize("code", SEAL_CODES)
def test_a_seal_alert_counts_until_it_is_closed_as_harmless(code, state, triage) -> None:
    harmless = state == "closed" and triage in HARMLESS
    assert rules(with_alert(code=code, severity="info", state=state, triage=triage)) == (
        [] if harmless else ["seal-alert"]
    )


def test_each_thing_is_named() -> None:
    trip = replace(
        CLEAN,
        seals=(replace(SEAL, closed=False, opened=("the rope was cut", BEGAN + HOUR)),),
        watched=(replace(WATCHED, coverage=0.8996, longest=Gap(BEGAN, BEGAN + 7200 * US)),),
        alerts=(ALERT,),
        limit_us=ENDED - 90 * US,
    )
    by_rule = {r.rule: r.detail() for r in reasons(trip, SETTINGS)}
    assert by_rule == {
        "late": "It arrived at 2026-11-22 18:00:00 UTC, 1 min 30 s after its limit, 2026-11-22 17:58:30 UTC.",
        "gap": "MSKU9070323 (SEAL-1) did not report for 2 h, from 2026-11-22 08:00:00 UTC to 2026-11-22 10:00:00 UTC; "
        "at most 30 min is forgiven.",
        "low-coverage": "Reports of MSKU9070323 (SEAL-1) cover 89.9 % of the trip; at least 90 % is wanted.",
        "seal-opened": "Seal SEAL-1 on MSKU9070323 was open: the rope was cut at 2026-11-22 09:00:00 UTC.",
        "seal-alert": "The alert seal-cut of SEAL-1, since 2026-11-22 09:00:00 UTC, is raised; it counts until it is closed as "
        "false, technical or explained.",
    }
    french = " ".join(r.detail("fr") for r in reasons(trip, SETTINGS))
    assert "le câble était coupé" in french
    assert "«\xa0scellé coupé\xa0»" in french
    assert "89,9 %" in french


def test_thousands_of_reasons_are_counted() -> None:
    many = tuple(replace(ALERT, id=str(i)) for i in range(5000))
    found = reasons(replace(CLEAN, alerts=many), SETTINGS)
    assert [r.rule for r in found] == ["seal-alert"] * 21
    assert found[-1].detail() == "… and 4980 more of this kind."


def test_both_catalogues_say_the_same_things() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for catalogue in (words._SENTENCES, words.LABELS):
        assert list(catalogue["en"]) == list(catalogue["fr"])
        for name, text in catalogue["en"].items():
            assert places(text) == places(catalogue["fr"][name]), name
            assert text != catalogue["fr"][name] or name in {"mrn", "distance", "incidents", "incident"}, name


# laws

times = st.integers(BEGAN, ENDED)
gaps = st.tuples(times, times).map(lambda t: Gap(min(t), max(t)))
watches = st.builds(
    Watched,
    st.sampled_from(["MSKU9070323", "B-1"]),
    st.just(("SEAL-1",)),
    st.integers(0, 1000),
    st.floats(1, 1e5),
    st.floats(0, 1),
    gaps,
    st.floats(0, 1e6),
    judged=st.booleans(),
)
seals = st.builds(
    SealFacts,
    st.sampled_from(["S1", "S2"]),
    st.booleans(),
    st.just("MSKU9070323"),
    st.sampled_from([True, False, None]),
    st.none() | st.tuples(st.just("the rope was cut"), times),
    st.none() | times,
    st.none() | st.tuples(st.just("found cut"), times),
    st.sampled_from([None, "intact", "broken", "missing"]),
)
alerts = st.builds(
    AlertFacts,
    st.uuids().map(str),
    st.sampled_from([*SEAL_CODES, "silence", "restricted-zone", "speeding"]),
    st.sampled_from(["info", "warn", "high", "critical"]),
    st.sampled_from(STATES),
    st.sampled_from([None, *TRIAGES]),
    st.just("SEAL-1"),
    st.just("MSKU9070323"),
    times,
    st.none() | times,
    superseded=st.booleans(),
    outside=st.booleans(),
)
incidents = st.builds(
    IncidentFacts, st.integers(1, 99), st.just("accident"), times, st.just("a"), st.booleans()
)


def few(what):
    return st.lists(what, max_size=3).map(tuple)


trips = st.builds(
    Trip,
    st.just("26NL0004327A1B2C35"),
    st.none() | times,
    st.none() | times,
    st.just(ENDED),
    st.none() | times,
    few(watches),
    few(seals),
    few(alerts),
    few(incidents),
    st.none() | st.tuples(st.sampled_from(["intact", "broken", "missing"]), times),
    st.none() | times,
    st.integers(0, 2),
) | st.builds(lambda a, i: replace(CLEAN, alerts=a, incidents=i), few(alerts), few(incidents))


def said(trip: Trip) -> set[str]:
    return {r.detail() for r in reasons(trip, SETTINGS)}


@given(trips, alerts, incidents)
def test_bad_news_never_cleans_a_trip(trip, alert, incident) -> None:
    """Whatever a trip was, one more alert or incident leaves every reason there is, and may only add to them."""
    assert said(trip) <= said(replace(trip, alerts=(*trip.alerts, alert)))
    assert said(trip) <= said(replace(trip, incidents=(*trip.incidents, incident)))


@given(trips, alerts.filter(lambda a: a.code in SEAL_CODES and a.state != "closed" and not a.superseded))
def test_an_open_seal_alert_is_never_clean(trip, alert) -> None:
    assert "seal-alert" in rules(replace(trip, alerts=(alert, *trip.alerts)))


@given(trips, alerts)
def test_superseded_alerts_change_nothing(trip, alert) -> None:
    gone = replace(alert, superseded=True)
    assert reasons(trip, SETTINGS) == reasons(replace(trip, alerts=(*trip.alerts, gone)), SETTINGS)


@given(trips)
def test_what_is_not_known_is_not_clean(trip) -> None:
    """A clean trip has a departure, an arrival, an equipment that was watched, and seals that all were closed."""
    if rules(trip):
        return
    assert trip.departed_us is not None
    assert trip.arrived_us is not None
    assert any(w.judged and w.observations for w in trip.watched)
    assert trip.seals
    assert all(s.closed if s.electronic else s.verified == "intact" for s in trip.seals)


@given(trips, st.sampled_from(words.LANGUAGES))
def test_every_reason_has_its_words(trip, lang) -> None:
    for reason in reasons(trip, SETTINGS):
        assert reason.detail(lang).strip()
        assert "{" not in reason.detail(lang)


def test_the_page_names_every_rule() -> None:
    import cocket.customs.trip.rules as module

    rules_of_code = set(re.findall(r'Reason\(\s*"([a-z-]+)"', Path(module.__file__).read_text()))
    page = (Path(__file__).parents[2] / "docs" / "customs" / "clean-trip.md").read_text(encoding="utf-8")
    table = page.partition("| rule |")[2].partition("\n\n")[0]
    first = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    assert set(re.findall(r"`([a-z-]+)`", " ".join(first))) == rules_of_code
    assert len(rules_of_code) == 16
    for code in SEAL_CODES:
        assert f"`{code}`" in table
