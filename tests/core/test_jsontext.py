"""JSON that others wrote: typed access by path, and nothing but ``Undecodable`` for whatever stands there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.jsontext import each, get, load, moment, named, number, text, truth, whole
from cocket.core.protocol import Undecodable

DOC = load(
    b'{"a":{"n":"12.5","i":7,"t":" x ","b":"on","e":"","z":null},"l":[{"r":-70}],"at":"2026-11-22T08:30:00Z"}'
)


def test_values_by_path() -> None:
    assert number(DOC, "a", "n") == 12.5
    assert number(DOC, "l", 0, "r") == -70.0
    assert whole(DOC, "a", "i") == 7
    assert text(DOC, "a", "t") == "x"
    assert text(DOC, "a", "i") == "7"
    assert truth(DOC, "a", "b") is True
    assert each(DOC, "l") == [{"r": -70}]


@pytest.mark.parametrize(
    "path", [("a", "z"), ("a", "e"), ("a", "none"), ("none", "x"), ("l", "x"), ("a", 0), ("l", 9)]
)
def test_what_is_missing_null_or_empty_is_none(path: tuple[str | int, ...]) -> None:
    for ask in (number, whole, text, truth, moment):
        assert ask(DOC, *path) is None, path
    if path != ("a", "e"):
        assert get(DOC, *path) is None
        assert each(DOC, *path) == []


@pytest.mark.parametrize(
    ("ask", "value"),
    [
        (number, True),
        (number, {}),
        (number, "1_0"),
        (number, "nan"),
        (number, "0x10"),
        (number, 10**400),
        (whole, 1 << 63),
        (whole, 10**400),
        (moment, 10**400),
        (text, 10**400),
        (whole, 1.5),
        (whole, "1.5"),
        (text, []),
        (text, False),
        (truth, 2),
        (truth, "perhaps"),
        (truth, {}),
        (each, {}),
        (each, "x"),
        (moment, "yesterday"),
        (moment, "2026-13-01T00:00:00Z"),
        (moment, []),
        (moment, True),
    ],
)
def test_the_wrong_type_names_its_path(ask: Callable[..., Any], value: Any) -> None:
    with pytest.raises(Undecodable, match=r"^\$\.a\[1\]\.b: ") as caught:
        ask({"a": [0, {"b": value}]}, "a", 1, "b")
    assert caught.value.rule == "malformed"


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22T08:30:00Z",
        "2026-11-22T08:30:00",
        "2026-11-22 08:30:00",
        "2026-11-22 08:30",
        "2026-11-22T10:30:00+02:00",
        "2026-11-22T10:30:00.000+0200",
        "2026-11-22T03:00:00-05:30",
        "2026-11-22T08:30:00.000000000Z",
        1795336200,
        1795336200.0,
        "1795336200",
        1795336200000,
        1795336200000000,
        1795336200000000000,
        "1795336200000",
    ],
)
def test_times_of_every_form(value: Any) -> None:
    assert moment({"t": value}, "t") == 1_795_336_200_000_000


def test_fractions_of_a_second() -> None:
    assert moment({"t": "1970-01-01T00:00:01.5Z"}, "t") == 1_500_000
    assert moment({"t": "1970-01-01T00:00:00.1234567Z"}, "t") == 123_456
    assert moment({"t": 1.25}, "t") == 1_250_000


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"NaN",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"\xff",
        b'"\xff"',
        b"1 2",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b" " * (1 << 20) + b"1",
    ],
    ids=range(12),
)
def test_what_is_no_document(frame: bytes) -> None:
    with pytest.raises(Undecodable) as caught:
        load(frame)
    assert caught.value.rule == "malformed"


def test_brackets_in_text_are_not_depth() -> None:
    assert load(json.dumps({"a": "[" * 100, "b": '\\"[' * 50}).encode())["a"] == "[" * 100
    assert load(b"[" * 64 + b"]" * 64)
    assert load(b"[" + b"[]," * 500 + b"[]]")
    assert load(b"\xef\xbb\xbf[1]") == [1]


def test_text_without_an_end_takes_linear_time() -> None:
    with pytest.raises(Undecodable):
        load(b"[" * 65 + b'"' + b'\\"' * 400_000)


def test_paths_are_named() -> None:
    assert named(("rxInfo", 0, "rssi")) == "$.rxInfo[0].rssi"


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    )
)
def test_nothing_else_is_raised(doc: Any) -> None:
    for ask in (get, number, whole, text, truth, each, moment):
        for path in ((), ("a",), (0,), ("a", "b"), ("a", 0, "b")):
            with contextlib.suppress(Undecodable):
                ask(doc, *path)
