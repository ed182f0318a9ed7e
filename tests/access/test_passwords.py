"""Passwords: how they are kept, and which are refused."""

import re

import pytest

from cocket.access.passwords import Passwords
from cocket.core.config import Access
from cocket.core.errors import Refused

CHEAP = Passwords(Access(argon2_memory_kib=8, argon2_passes=1))


def test_the_default_is_what_owasp_asks_for() -> None:
    """OWASP Password Storage Cheat Sheet: argon2id with m=19456 (19 MiB), t=2, p=1."""
    hashing = Passwords(Access())
    kept = hashing.hashed("brown kettle under a stairway")
    assert re.match(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$", kept)
    assert hashing.verified("brown kettle under a stairway", kept)
    assert not hashing.verified("brown kettle under a stairwaz", kept)
    assert not hashing.verified("nobody has this password", None), "the one that is compared for nobody"
    assert hashing.hashed("brown kettle under a stairway") != kept
    assert not hashing.stale(kept)
    assert Passwords(Access(argon2_passes=3)).stale(kept)


def test_one_password_from_every_keyboard() -> None:
    """NFKC: an accent in one character or in two, a ligature, a wide letter."""
    kept = CHEAP.hashed("caf\u00e9 \ufb01nal kettle")
    assert CHEAP.verified("cafe\u0301 final kettle", kept)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("short words", "too-short"),
        ("x" * 257, "too-long"),
        ("aaaaaaaaaaaaaaaa", "repetition"),
        ("abcabcabcabcabc", "repetition"),
        ("Password1234!", "common"),
        ("P@ssw0rd2026!!", "common"),
        ("welcome!!!2026", "common"),
        ("summercustoms1", "common"),
        ("Cocket-Password", "common"),
        ("qwertyuiop123", "key-run"),
        ("123456789012", "key-run"),
        ("lkjhgfdsa0987", "key-run"),
        ("amina.kipkemei1", "own-name"),
    ],
)
def test_what_guessers_try_first_is_refused(given, rule) -> None:
    with pytest.raises(Refused) as refusal:
        CHEAP.check(given, "amina.kipkemei")
    assert refusal.value.faults[0].rule == rule
    assert given not in str(refusal.value), "it is not repeated in the answer"


@pytest.mark.parametrize(
    "given",
    [
        "correct horse battery staple",
        "v7#kd0Qm2!pz",
        "un café au lait sans sucre",
        "\u5317\u4eac\u7684\u79cb\u5929\u5f88\u7f8e\u4e3d\u6211\u5f88\u559c\u6b22",
        "password of nobody in particular",
        "amina walked to the harbour on foot",
    ],
)
def test_what_is_long_and_one_s_own_is_taken(given) -> None:
    CHEAP.check(given, "amina")


def test_words_of_the_house_are_refused() -> None:
    ours = Passwords(Access(argon2_memory_kib=8, argon2_passes=1, own_words=("Malaba", "e-Forodha")))
    for given in ("Malaba-2026-11!", "eForodha Malaba1", "m4l4b4 customs 1"):
        CHEAP.check(given)
        with pytest.raises(Refused) as refusal:
            ours.check(given)
        assert refusal.value.faults[0].rule == "common", given
    ours.check("malaba is where the lorries sleep")
