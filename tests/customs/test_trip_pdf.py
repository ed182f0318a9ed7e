"""The printed report takes whatever others wrote: nothing raises, nothing vanishes, nothing is markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cocket.core.clock import US, parse_rfc3339
from cocket.core.config import Customs
from cocket.customs.trip.pdf import trip_pdf
from cocket.customs.trip.printing import REPLACED, Printable, known
from cocket.customs.trip.report import Report
from cocket.customs.trip.rules import AlertFacts, Gap, IncidentFacts, SealFacts, Trip, Watched, reasons

BEGAN = parse_rfc3339("2026-11-22T08:00:00Z")
ENDED = BEGAN + 10 * 3600 * US


def report(text: str, *, alerts: int = 1) -> Report:
    """A bad trip in which somebody wrote ``text`` wherever something can be written."""
    watched = Watched(text, (text,), 5, 60.0, 0.5, Gap(BEGAN, ENDED), 1000.0, (Gap(BEGAN, ENDED),))
    seal = SealFacts(text, electronic=True, equipment_id=text, alarm=(text, BEGAN))
    alert = AlertFacts("A", text, "critical", "raised", None, text, text, BEGAN, None, text)
    incident = IncidentFacts(1, text, BEGAN, text, False, text, text)
    trip = Trip(
        text,
        BEGAN,
        ENDED,
        ENDED,
        None,
        (watched,),
        (seal,),
        (alert,) * alerts,
        (incident,),
        ("broken", ENDED),
    )
    declared = dict.fromkeys(("holder", "risk", "goods", "departure_office", "destination_office"), text)
    found = tuple(reasons(trip, Customs()))
    return Report(trip, found, ENDED, declared, {text: text}, 0.9, 1800.0)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=700), st.sampled_from(["en", "fr"]))
def test_any_text_can_be_printed(text, lang) -> None:
    assert trip_pdf(report(text), lang).startswith(b"%PDF-")


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b> <font size=99> <para> & &amp; <!-- --> </para>",
        "W" * 5000,
        "中" * 3000,
        "\x00\x07\x1b[31m\u202e\ufeff\U0001f69a\U000e0001",
        "<img src='file:///etc/hostname'/>",
    ],
)
def test_odd_texts_can_be_printed(text) -> None:
    assert trip_pdf(report(text)).startswith(b"%PDF-")


def test_the_same_report_is_the_same_page() -> None:
    assert trip_pdf(report("x")) == trip_pdf(report("x"))
    assert trip_pdf(report("x"), "fr") != trip_pdf(report("x"))


def test_thousands_of_rows_are_cut_and_counted() -> None:
    long = trip_pdf(report("x", alerts=5000))
    assert len(re.findall(rb"/Type /Page\b(?!s)", long)) < 20


@given(st.text())
def test_every_letter_is_shown_or_replaced(text) -> None:
    show = Printable()
    markup = show(text)
    said = unescape(re.sub(r'</?font(?: name="[A-Za-z0-9-]+")?>', "", markup))
    assert said.count(REPLACED) == show.replaced + text.count(REPLACED)
    assert all(c in known() or "\u3000" <= c <= "\uff5e" for c in said)
    ascii_words = re.findall(r"[!-~]+", text)
    assert all(word in said for word in ascii_words)


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("Société Żółć Ζαχαρίας Київ", "Société Żółć Ζαχαρίας Київ"),
        ("e\u0301", "é"),
        ("<a> & b", "&lt;a&gt; &amp; b"),
        ("中远", '<font name="STSong-Light">中远</font>'),
        ("日本カーゴ", '<font name="HeiseiKakuGo-W5">日本カーゴ</font>'),
        ("한국", '<font name="HYSMyeongJo-Medium">한국</font>'),
        ("شركة", REPLACED * 4),
        ("a\r\n\tb", "a b"),
        ("a\x07b", f"a{REPLACED}b"),
        ("12\u00a0%", "12\u00a0%"),
    ],
)
def test_scripts(text, markup) -> None:
    assert Printable()(text) == markup


def test_a_clean_trip_has_no_reasons_on_its_page() -> None:
    bad = report("x")
    clean = replace(bad, reasons=())
    assert len(trip_pdf(clean)) < len(trip_pdf(bad))
