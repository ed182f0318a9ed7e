"""Codes of the second factor, against the test vectors of their standards."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image

from cocket.access import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()
US = 1_000_000


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc_6238_appendix_b(at_s, code) -> None:
    """Its table has eight digits; six are the last of them (RFC 4226, 5.3: modulo)."""
    assert totp.code(SECRET, at_s // 30) == code[2:]
    assert totp.step_of(SECRET, code[2:], at_s * US, 0) == at_s // 30


@pytest.mark.parametrize(
    ("count", "code"), list(enumerate(["755224", "287082", "359152", "969429", "338314", "254676"]))
)
def test_rfc_4226_appendix_d(count, code) -> None:
    assert totp.code(SECRET, count) == code


def test_a_step_before_or_after_is_taken_and_no_other() -> None:
    now = 1_000_000 * 30
    for off, taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        code = totp.code(SECRET, 1_000_000 + off)
        assert (totp.step_of(SECRET, code, now * US, 0) is not None) == taken
    assert totp.step_of(SECRET, totp.code(SECRET, 1_000_000), now * US, 1_000_000) is None, "used up"
    for text in ("", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "\ud800"):
        assert totp.step_of(SECRET, text, now * US, 0) is None


def test_the_picture_says_what_the_app_wants() -> None:
    secret = totp.new_secret()
    assert len(base64.b32decode(secret)) == 20
    uri = totp.uri(secret, "amina")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Cocket:amina")
    assert parse_qs(parts.query) == {"secret": [secret], "issuer": ["Cocket"]}
    svg = totp.picture(uri)
    assert "<script" not in svg
    assert _read(svg) == uri


def _read(svg: str) -> str:
    """By a reader of another house, from the squares of the drawing."""
    import re

    size = int(re.search(r'width="(\d+)"', svg)[1]) // 4
    picture = Image.new("L", (size, size), 255)
    x = y = 0
    path = re.search(r'class="qrline"[^>]* d="([^"]+)"', svg) or re.search(
        r'd="(M[^"]*m?[^"]*h[^"]+)" class', svg
    )
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([Mmhv])([-0-9. ]+)", path[1]):
        values = [float(v) for v in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        elif command == "h":
            for i in range(int(values[0])):
                picture.putpixel((int(x) + i, int(y)), 0)
            x += values[0]
    found = zxingcpp.read_barcodes(picture.resize((size * 8, size * 8), Image.Resampling.NEAREST))
    return found[0].text
