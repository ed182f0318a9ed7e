"""Short codes: every single wrong character and every exchange of two is found."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.customs.codes.shortcode import ALPHABET, BITS, LENGTH, fresh, of, read, shown

numbers = st.integers(0, 2**BITS - 1)


@given(numbers)
@settings(deadline=None)
def test_there_and_back_as_people_type_it(number) -> None:
    short = of(number)
    assert len(short) == LENGTH
    assert set(short) <= set(ALPHABET)
    assert not set(ALPHABET) & set("ILOU")
    typed = shown(short).lower().replace("0", "o").replace("1", "l")
    assert read(short) == read(shown(short)) == read(typed) == number


@given(numbers)
@settings(deadline=None)
def test_every_wrong_character_is_found(number) -> None:
    short = of(number)
    for i, right in enumerate(short):
        for wrong in ALPHABET:
            if wrong != right:
                assert read(short[:i] + wrong + short[i + 1 :]) is None


@given(numbers)
@settings(deadline=None)
def test_every_exchange_of_two_is_found(number) -> None:
    short = of(number)
    for i, j in combinations(range(LENGTH), 2):
        if short[i] != short[j]:
            turned = list(short)
            turned[i], turned[j] = turned[j], turned[i]
            assert read("".join(turned)) is None


def test_other_texts_are_none() -> None:
    short = of(fresh())
    for text in ("", short[:-1], short + "0", short[:-1] + "*", "CKT1:ABCDEFGH", "é" * LENGTH):
        assert read(text) is None


def test_two_are_never_alike() -> None:
    assert len({of(fresh()) for _ in range(2000)}) == 2000
