"""Signed texts, read by a second implementation that knows COSE and base45 only from their RFCs."""

import json
from datetime import UTC, datetime

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.errors import Malformed
from cocket.customs.codes import base45
from cocket.customs.codes.claims import PURPOSES, Code, Stamp
from cocket.customs.codes.render import (
    LEAST_MODULE_MM,
    MOST_VERSION,
    module_mm,
    qr_matrix,
)
from cocket.customs.codes.signing import (
    MOST_CHARACTERS,
    PublicKey,
    described,
    jwk,
    keys_of,
    kid_of,
    public_of,
    sign,
    verify,
)

S = 1_000_000
NOW = 1_790_000_000 * S
DAY = 86_400 * S

# RFC 8032, section 7.1, test 1 and 2
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
OTHER_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")

KEY = Ed25519PrivateKey.from_private_bytes(SEED)
OTHER = Ed25519PrivateKey.from_private_bytes(OTHER_SEED)


def ring(*keys: Ed25519PrivateKey, state: str = "current") -> dict[str, PublicKey]:
    return {kid_of(public_of(k)): PublicKey(kid_of(public_of(k)), public_of(k), state) for k in keys}


def code(**other) -> Code:
    fields = {
        "purpose": "transit",
        "mrn": "26NL0004327A1B2C35",
        "equipment_id": "MSKU9070323",
        "gate": None,
        "valid_from_us": NOW - DAY,
        "valid_to_us": NOW + DAY,
        "number": 123_456_789_012,
    }
    return Code(**{**fields, **other})


TEXT = sign(code(), KEY)
STAMP = sign(Stamp(1_000_123, "Whisky 0.7 l", NOW + DAY), KEY)


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052, section 4.4, by a general encoder of CBOR."""
    return cbor2.dumps(["Signature1", protected, b"", payload])


def unpacked(text: str) -> tuple[dict, dict, bytes, bytes, bytes]:
    """Protected header, unprotected one, payload, signature, protected bytes: RFC 9285 and 9052 by other code."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    digits = [alphabet.index(c) for c in text.partition(":")[2]]
    data = b""
    while digits:
        group, digits = digits[:3], digits[3:]
        data += sum(d * 45**i for i, d in enumerate(group)).to_bytes(len(group) - 1, "big")
    tag = cbor2.loads(data)
    assert tag.tag == 18
    protected, unprotected, payload, signature = tag.value
    return cbor2.loads(protected), unprotected, payload, signature, protected


def test_the_second_implementation_reads_the_working_groups_example() -> None:
    """github.com/cose-wg/Examples, eddsa-examples/eddsa-sig-02: so that it may judge ours."""
    public = "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180"
    message = bytes.fromhex(
        "d28443a10127a10445336434343854546869732069732074686520636f6e74656e742e5872988240a3a2f189bd486de14aa77f54686c576a"
        "09f2e7ed9bae910df9139c2ac3be7c27b7e10a20fa17c9d57d3510a2cf1f634bc0345ab9be00849842171d1e9e98b2674c0e38bfcf6c557a1"
        "692b01b71015a47ac9f7748840cad1da80cbb5b349309febb912672b377c8b2072af1598b3700"
    )
    protected, unprotected, payload, signature = cbor2.loads(message).value
    assert (cbor2.loads(protected), unprotected) == ({1: -8}, {4: b"3d448"})
    Ed448PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
        signature, sig_structure(protected, payload)
    )


@pytest.mark.parametrize("text", [TEXT, STAMP])
def test_a_text_is_a_cose_sign1_of_its_kid(text) -> None:
    protected, unprotected, payload, signature, raw = unpacked(text)
    assert protected == {1: -8, 4: bytes.fromhex(kid_of(PUBLIC))}
    assert unprotected == {}
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, sig_structure(raw, payload))
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public_of(OTHER)).verify(signature, sig_structure(raw, payload))


def test_what_it_says_is_a_cbor_web_token() -> None:
    claims = cbor2.loads(unpacked(TEXT)[2])
    assert claims == {
        2: "26NL0004327A1B2C35",
        4: (NOW + DAY) // S,
        5: (NOW - DAY) // S,
        7: (123_456_789_012).to_bytes(8, "big"),
        -65537: [1, "MSKU9070323"],
    }
    assert datetime.fromtimestamp(claims[4], UTC).isoformat().startswith("2026-09")
    assert cbor2.loads(unpacked(STAMP)[2]) == {4: (NOW + DAY) // S, -65538: [1_000_123, "Whisky 0.7 l"]}


PRINTED = (
    "CKT1:RRQT 9P60GO0HD4WD6ZHKYNK8CKH-7-D0TF6J+9646A46BL6F:6AA6.F6EL6FN0:LD6$H1T0-LD9QTJ-0000S"
    "00D4OGD3/E7V50+20380+Y9PN9FA7//6BL64M6F58X06Z0D0HFVHS/R5B2E1VE :S*XELMP1Z8*UK/.EY-B$75R57D"
    "%D +8: 5-.I4C2O:Q H9B0OI*37XMPRJ0$3I0DRPC.AW30"
)
PRINTED_STAMP = (
    "CKS1:RRQT 9P60GO0HD4WD6ZHKYNK8CK/:3FN0:LD6$H/E7V50Q80-C3 -1AVNB2B+EDIQD534-$5K4427BE9962O6"
    "RI44NG7P3*U-IUI*V-USUBT7QHN:DZFP$TR*%C5CJM4RWWOG7DRLVI%6*VIH:GJ%8HXORCCD-PC134XEJ.T0:C ND"
)
"""The same claims under the same key, written by other hands: pycose 1.1.0 and the package base45 0.4.4."""


def test_a_text_is_for_ever_the_same() -> None:
    """A paper that was printed must be readable in years."""
    assert sign(code(), KEY) == PRINTED
    assert sign(Stamp(1_000_123, "Whisky 0.7 l", NOW + DAY), KEY) == PRINTED_STAMP


words = st.text(min_size=1, max_size=64).filter(lambda w: len(w.encode()) <= 64)
seconds = st.integers(-62_135_596_800, 253_402_300_799)
codes = st.builds(
    Code,
    st.sampled_from(PURPOSES),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:~+@-]{0,63}", fullmatch=True),
    st.none() | words,
    st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:~+@-]{0,63}", fullmatch=True),
    seconds.map(lambda s: s * S),
    seconds.map(lambda s: s * S),
    st.integers(0, 2**60 - 1),
)
stamps = st.builds(Stamp, st.integers(1, 2**53 - 1), words, st.none() | seconds.map(lambda s: s * S))


@given(codes | stamps)
@settings(deadline=None)
def test_there_and_back(claims) -> None:
    text = sign(claims, KEY)
    assert len(text) <= MOST_CHARACTERS
    verdict = verify(text, ring(OTHER, KEY), NOW)
    assert verdict.claims == claims
    assert verdict.kid == kid_of(PUBLIC)


@pytest.mark.parametrize(
    ("claims", "version", "least_mm"),
    [
        (code(), 9, 0.40),
        (Stamp(10**9, "Whisky 0.7 l", NOW), 8, 0.40),
        (code(mrn="M" * 64, equipment_id="é" * 32, gate="G" * 64, valid_to_us=253402300799 * S, number=2**60 - 1), 12, 0.34),
        (Stamp(2**53 - 1, "é" * 32, 253402300799 * S), 12, 0.34),
    ],
)  # fmt: skip
def test_even_the_longest_prints_at_2_5_cm(claims, version, least_mm) -> None:
    matrix = qr_matrix(sign(claims, KEY))
    assert (len(matrix) - 17) // 4 <= version <= MOST_VERSION
    assert module_mm(matrix) >= least_mm > LEAST_MODULE_MM
    assert module_mm(matrix) * (len(matrix) + 8) == pytest.approx(25)


# refusals


def rule(text: str, keys, now: int = NOW) -> str | None:
    refusal = verify(text, keys, now).refusal
    return None if refusal is None else refusal.rule


def test_why_a_text_is_not_accepted() -> None:
    keys = ring(KEY)
    assert rule(TEXT, keys) is None
    assert rule(TEXT, ring(OTHER)) == "wrong-key"
    assert rule(TEXT, {}) == "wrong-key"
    assert rule(TEXT, ring(KEY, state="revoked")) == "revoked-key"
    assert rule(TEXT, ring(KEY, state="retired")) is None
    assert rule(TEXT, keys, NOW - DAY - 1) == "not-yet-valid"
    assert rule(TEXT, keys, NOW - DAY) is None
    assert rule(TEXT, keys, NOW + DAY - 1) is None
    assert rule(TEXT, keys, NOW + DAY) == "expired"
    # another key under the first one's id
    assert rule(TEXT, {kid_of(PUBLIC): PublicKey(kid_of(PUBLIC), public_of(OTHER))}) == "forged"
    assert verify(TEXT, ring(KEY, state="revoked"), NOW).claims is None
    assert verify(TEXT, ring(OTHER), NOW).claims is None


def test_another_prefix_is_another_kind() -> None:
    assert rule("CKS1:" + TEXT[5:], ring(KEY)) == "malformed"
    assert rule("CKT1:" + STAMP[5:], ring(KEY)) == "malformed"


def again(message: bytes) -> str:
    return "CKT1:" + base45.encode(message)


def test_the_same_message_written_otherwise_is_refused() -> None:
    """Only the payload and the protected header are signed; the frame around them has one spelling with us."""
    message = base45.decode(TEXT[5:])
    _, _, payload, signature, protected = unpacked(TEXT)
    others = [
        message[1:],  # untagged
        message + b"\0",
        message.replace(b"\xa0\x58", b"\xa1\x01\x02\x58"),  # something in the unprotected header
        message.replace(b"\xa0\x58" + bytes([len(payload)]), b"\xa0\x59\0" + bytes([len(payload)])),
        b"\xd2" + cbor2.dumps([protected, {}, payload, signature + b"\0"]),
        cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload])),
        cbor2.dumps(cbor2.CBORTag(98, [protected, {}, payload, signature])),
    ]
    assert len(set(others)) == len(others)
    assert message not in others
    for other in others:
        assert rule(again(other), ring(KEY)) == "malformed"
    assert again(b"\xd2" + cbor2.dumps([protected, {}, payload, signature])) == TEXT


@pytest.mark.parametrize(
    "signed",
    [
        b"",
        b"\xff",
        cbor2.dumps([1, 2]),
        cbor2.dumps({2: "26NL", 4: 1, 5: 1, 7: b"12345678"}),
        cbor2.dumps({2: "26NL", 4: 1, 5: 1, 7: b"12345678", -65537: [99]}, canonical=True),
        cbor2.dumps({2: "26NL", 4: 1, 5: 1, 7: b"12345678", -65537: [0]}, canonical=True),
        cbor2.dumps({2: "26NL", 4: 1, 5: 1, 7: b"123456789012", -65537: [1]}, canonical=True),
        cbor2.dumps({2: "26NL", 4: 1.5, 5: 1, 7: b"12345678", -65537: [1]}, canonical=True),
        cbor2.dumps({2: 5, 4: 1, 5: 1, 7: b"12345678", -65537: [1]}, canonical=True),
        cbor2.dumps({2: "26NL", 4: 1, 5: 1, 7: b"12345678", -65537: [1], 99: 1}, canonical=True),
        cbor2.dumps({-65538: "stamp"}),
        cbor2.dumps({-65538: [True, "Whisky"]}),
    ],
)
def test_what_our_key_signed_and_is_no_code_is_refused(signed) -> None:
    """So a key that signs other things too cannot be made to sign codes with them."""
    protected = cbor2.dumps({1: -8, 4: bytes.fromhex(kid_of(PUBLIC))})
    signature = KEY.sign(sig_structure(protected, signed))
    assert (
        rule(again(cbor2.dumps(cbor2.CBORTag(18, [protected, {}, signed, signature]))), ring(KEY))
        == "malformed"
    )


@given(st.data())
@settings(deadline=None)
def test_every_changed_character_is_refused(data) -> None:
    text = data.draw(st.sampled_from([TEXT, STAMP]))
    i = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(base45.ALPHABET + "_é\0") | st.characters())
    changed = text[:i] + other + text[i + 1 :]
    if changed.isascii() and changed.upper() == text:
        assert rule(changed, ring(KEY)) is None  # hand scanners may send small letters
    else:
        verdict = verify(changed, ring(KEY, OTHER), NOW)
        assert verdict.refusal is not None
        assert verdict.claims is None
        assert verdict.refusal.rule in {"malformed", "wrong-key", "forged"}


def test_every_place_of_a_text_counts() -> None:
    for i, right in enumerate(TEXT):
        changed = TEXT[:i] + base45.ALPHABET[(base45.ALPHABET.index(right) + 1) % 45] + TEXT[i + 1 :]
        assert verify(changed, ring(KEY), NOW).claims is None, i
        assert verify(TEXT[:i] + TEXT[i + 1 :], ring(KEY), NOW).claims is None, i
        assert verify(TEXT[:i], ring(KEY), NOW).claims is None, i


@given(st.text(max_size=300) | st.text(base45.ALPHABET, max_size=400).map("CKT1:".__add__))
@settings(deadline=None)
def test_whatever_is_read_has_an_answer(text) -> None:
    verdict = verify(text, ring(KEY), NOW)
    assert verdict.claims is None
    assert verdict.refusal.detail


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_whatever_bytes_have_an_answer(data) -> None:
    assert verify(again(bytes.fromhex("d2844da201270448") + data), ring(KEY), NOW).claims is None


@pytest.mark.parametrize("before", ["", "]Q3", "]Q1", "]C1", " ", "\t", "]d2"])
@pytest.mark.parametrize("after", ["", "\r", "\r\n", "\n", "\t", " ", "\x1d"])
def test_what_hand_scanners_add_is_forgiven(before, after) -> None:
    assert rule(before + TEXT + after, ring(KEY)) is None
    assert rule((before + TEXT + after).lower(), ring(KEY)) is None


# key sets


def test_a_jwk_set_there_and_back() -> None:
    keys = ring(KEY, OTHER)
    document = json.loads(json.dumps({"keys": [jwk(k) for k in keys.values()]}))
    assert keys_of(document) == keys
    assert document["keys"][0]["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # RFC 8037, appendix A.2
    assert keys_of({"keys": [{"kty": "EC", "crv": "P-256"}, *document["keys"]]}) == keys


def test_a_key_cannot_take_anothers_id() -> None:
    lied = {**jwk(ring(OTHER)[kid_of(public_of(OTHER))]), "kid": kid_of(PUBLIC)}
    assert rule(TEXT, keys_of({"keys": [lied]})) == "wrong-key"


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"keys": {}},
        {"keys": [{"kty": "OKP", "crv": "Ed25519"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 5}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "state": "odd"}]},
    ],
)  # fmt: skip
def test_what_is_no_key_set(document) -> None:
    with pytest.raises(Malformed):
        keys_of(document)


def test_what_a_code_says_in_words() -> None:
    assert described(code()) == {
        "kind": "code",
        "purpose": "transit",
        "mrn": "26NL0004327A1B2C35",
        "equipment_id": "MSKU9070323",
        "gate": None,
        "valid_from": "2026-09-20T14:13:20Z",
        "valid_to": "2026-09-22T14:13:20Z",
    }
    assert described(Stamp(5, "Whisky", None)) == {
        "kind": "stamp",
        "serial": 5,
        "product": "Whisky",
        "valid_to": None,
    }
