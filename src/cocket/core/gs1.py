"""GS1 identification: check digits, element strings and Digital Link URIs, read and written.

Documents: GS1 General Specifications 25 (sections 3.2, 7.8 and 7.9); GS1 Digital Link standard, URI syntax 1.6. The
elements are kept as a dict from Application Identifier (AI) to value, in the order in which they stood::

    parse("(01)09506000134352(10)AB-1")     # {"01": "09506000134352", "10": "AB-1"}
    link({"01": "09506000134352", "10": "AB-1"})
    # "https://id.gs1.org/01/09506000134352/10/AB-1"

Every reader raises ``Gs1Error`` with the AI that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

Elements: TypeAlias = "dict[str, str]"

GS: Final = "\x1d"
"""What a scanner sends for FNC1 behind an element of variable length (ASCII group separator)."""

RESOLVER: Final = "https://id.gs1.org"
"""The stem of a canonical Digital Link URI (Digital Link 1.6, section 6.3)."""

_SET: Final = {
    "n": "[0-9]",
    "x": '[!"%-?A-Z_a-z]',  # 82 characters of ISO/IEC 646 (General Specifications, figure 7.11-1)
    "y": "[#\\-/0-9A-Z]",  # 39 characters (figure 7.11-2)
    "z": "[0-9A-Za-z_=-]",  # file-safe base 64 (figure 7.11-3)
    "m": "-",
}

_AIS: Final = """
00 n18c | 01-03 n14c | 10 x..20 | 11-13 n6d | 15-17 n6d | 20 n2 | 21-22 x..20 | 235 x..28 | 240-241 x..30
242 n..6 | 243 x..20 | 250-251 x..30 | 253 n13c x0..17 | 254 x..20 | 255 n13c n0..12 | 30 n..8
3100-3169 n6 | 3200-3379 n6 | 3400-3579 n6 | 3600-3699 n6 | 37 n..8
3900-3909 n..15 | 3910-3919 n3 n..15 | 3920-3929 n..15 | 3930-3939 n3 n..15 | 3940-3943 n4 | 3950-3955 n6
400-401 x..30 | 402 n17c | 403 x..30 | 410-417 n13c | 420 x..20 | 421 n3 x..9 | 422 n3 | 423 n3..15 | 424 n3
425 n3..15 | 426 n3 | 427 x..3 | 4300-4301 x..35 | 4302-4306 x..70 | 4307 x2 | 4308 x..30 | 4309 n20
4310-4311 x..35 | 4312-4316 x..70 | 4317 x2 | 4318 x..20 | 4319 x..30 | 4320 x..35 | 4321-4323 n1
4324-4325 n10 | 4326 n6 | 4330-4333 n6 m0..1 | 7001 n13 | 7002 x..30 | 7003 n10 | 7004 n..4 | 7005 x..12
7006 n6d | 7007 n6..12 | 7008 x..3 | 7009 x..10 | 7010 x..2 | 7011 n6..10 | 7020-7022 x..20 | 7023 x..30
7030-7039 n3 x..27 | 7040 n1 x3 | 7041 x..4 | 710-717 x..20 | 7230-7239 x2 x..28 | 7240 x..20 | 7241 n2
7242 x..25 | 7250 n8 | 7251 n12 | 7252 n1 | 7253-7254 x..40 | 7255 x..10 | 7256 x..90 | 7257 x..70
7258 n3 | 7259 x..40 | 8001 n14 | 8002 x..20 | 8003 n14c x0..16 | 8004 x..30 | 8005 n6 | 8006 n14c n4
8007 x..34 | 8008 n8..12 | 8009 x..50 | 8010 y..30 | 8011 n..12 | 8012 x..20 | 8013-8014 x..25 | 8017-8018 n18c
8019 n..10 | 8020 x..25 | 8026 n14c n4 | 8030 z..90 | 8110 x..70 | 8111 n4 | 8112 x..70 | 8200 x..70
90 x..30 | 91-99 x..90
"""
"""Format of every AI: sets of characters with their count; ``c``: ends with a check digit, ``d``: a date yymmdd.

(General Specifications, figure 3.2-1.)"""

_WHOLE_LENGTH: Final = {
    "00": 20,
    "01": 16,
    "02": 16,
    "03": 16,
    "04": 18,
    "20": 4,
    "41": 16,
    **{str(n): 8 for n in range(11, 20)},
    **{str(n): 10 for n in range(31, 37)},
}
"""Characters of an element, its AI included, that needs no FNC1 behind it, by the AI's first two digits (figure 7.8.5-2)."""

_WIDTHS: Final = (2, 3, 4)

PRIMARY: Final[dict[str, tuple[str, ...]]] = {
    "00": (),
    "01": ("22", "10", "21", "235"),
    "253": (),
    "255": (),
    "401": (),
    "402": (),
    "414": ("254", "7040"),
    "415": ("8020",),
    "417": ("7040",),
    "8003": (),
    "8004": ("7040",),
    "8006": ("22", "10", "21"),
    "8010": ("8011",),
    "8013": (),
    "8017": ("8019",),
    "8018": ("8019",),
}
"""Keys of a Digital Link URI's path, each with its qualifiers in their order (Digital Link 1.6, section 5.4)."""

_WORDS: Final = {
    "sscc": "00", "gtin": "01", "gdti": "253", "gcn": "255", "ginc": "401", "gsin": "402", "gln": "414",
    "payTo": "415", "party": "417", "grai": "8003", "giai": "8004", "itip": "8006", "cpid": "8010",
    "gmn": "8013", "gsrnp": "8017", "gsrn": "8018", "cpv": "22", "lot": "10", "ser": "21", "glnx": "254",
    "cpsn": "8011", "srin": "8019", "refno": "8020",
}  # fmt: skip
"""Words that Digital Link 1.0 and 1.1 had for AIs in the path; still on printed labels."""

_AIM: Final = re.compile(r"\](?:C1|e0|e1|d2|Q3|J1)")
_BRACKETS: Final = re.compile(r"\(([0-9]{2,4})\)")
_LINK: Final = re.compile(r"https?://([^/?#\s]+)(/[^?#\s]*)(?:\?([^#\s]*))?(?:#\S*)?", re.IGNORECASE)
_MOST: Final = 2048


class Gs1Error(ValueError):
    """Not what the General Specifications or Digital Link say; the words name the AI."""


def check_digit(digits: str) -> str:
    """The check digit behind these digits: weights 3 and 1 from the right, modulo 10 (section 7.9.1)."""
    total = sum(int(d) * (1 if i % 2 else 3) for i, d in enumerate(reversed(digits)))
    return str(-total % 10)


def checked(digits: str) -> str:
    """The digits with their check digit."""
    return digits + check_digit(digits)


class _Format:
    """What the value of one AI looks like."""

    __slots__ = ("check", "date", "pattern", "words")

    def __init__(self, spec: str) -> None:
        self.words = spec
        self.check = 0
        self.date = "d" in spec
        out = ""
        for part in spec.split():
            least, ranged, most = part[1:].rstrip("cd").rpartition("..")
            count = f"{{{least or 1},{most}}}" if ranged else f"{{{most}}}"
            if part.endswith("c"):
                self.check = int(most)
            out += _SET[part[0]] + count
        self.pattern = re.compile(out)


@cache
def _formats() -> dict[str, _Format]:
    out: dict[str, _Format] = {}
    for entry in re.split(r"[|\n]", _AIS):
        ais, _, spec = entry.strip().partition(" ")
        if spec:
            first, _, last = ais.partition("-")
            found = _Format(spec)
            out |= {f"{n:0{len(first)}d}": found for n in range(int(first), int(last or first) + 1)}
    return out


def is_ai(ai: str) -> bool:
    """Whether the General Specifications know this AI."""
    return ai in _formats()


def verify(ai: str, value: str) -> None:
    """``Gs1Error`` if the value is not as its AI wants it: characters, length, check digit, date."""
    found = _formats().get(ai)
    if found is None:
        raise Gs1Error(f"no AI is called ({ai[:8]})")
    if not found.pattern.fullmatch(value):
        raise Gs1Error(f"({ai}): {value[:90]!r} is not as {found.words}")
    if found.check and check_digit(value[: found.check - 1]) != value[found.check - 1]:
        right = check_digit(value[: found.check - 1])
        raise Gs1Error(f"({ai}): the check digit of {value[:90]} should be {right}")
    if found.date and not ("01" <= value[2:4] <= "12" and value[4:6] <= "31"):
        raise Gs1Error(f"({ai}): {value} is no date yymmdd")


def parse(text: str) -> Elements:
    """An element string in either form, or a Digital Link URI."""
    if text.startswith("("):
        return parse_bracketed(text)
    if text[:4].lower() == "http":
        return parse_link(text)
    return parse_elements(text)


def parse_elements(text: str) -> Elements:
    """An element string as a scanner sends it: AIs and values run together, a GS behind those of variable length.

    A leading AIM identifier (``]C1``, ``]d2``, ``]Q3`` …) or GS is passed over (section 7.8).
    """
    _short(text)
    aim = _AIM.match(text)
    at = aim.end() if aim else 0
    out: Elements = {}
    while at < len(text):
        if text[at] == GS:
            at += 1
            continue
        ai = _ai_at(text, at)
        whole = _WHOLE_LENGTH.get(ai[:2])
        end = text.find(GS, at) if whole is None else at + whole
        if end < 0 or end > len(text):
            end = len(text)
        _add(out, ai, text[at + len(ai) : end])
        at = end
    return _some(out)


def parse_bracketed(text: str) -> Elements:
    """An element string as it is printed for people, AIs in round brackets."""
    _short(text)
    marks = [m for m in _BRACKETS.finditer(text) if is_ai(m[1])]
    if not marks or marks[0].start() != 0:
        raise Gs1Error(f"{text[:40]!r} does not begin with a known AI in brackets")
    out: Elements = {}
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        _add(out, mark[1], text[mark.end() : None if after is None else after.start()])
    return out


def parse_link(uri: str) -> Elements:
    """A Digital Link URI: key and qualifiers in the path, attributes in the query. Compressed ones are not read."""
    _short(uri)
    found = _LINK.fullmatch(uri)
    if found is None:
        raise Gs1Error(f"{uri[:60]!r} is no URI of the web")
    steps = [s for s in found[2].split("/")[1:] if s]
    start = next((i for i in range(len(steps) % 2, len(steps), 2) if _key(steps[i]) in PRIMARY), None)
    if start is None:
        raise Gs1Error(f"{uri[:60]!r} has no GS1 key in its path")
    out: Elements = {}
    for step, value in zip(steps[start::2], steps[start + 1 :: 2], strict=True):
        _add_from_uri(out, _key(step), value)
    key = next(iter(out))
    for ai in list(out)[1:]:
        if ai not in PRIMARY[key]:
            raise Gs1Error(f"({ai}) is no qualifier of ({key})")
    for part in re.split("[&;]", found[3] or ""):
        name, _, value = part.partition("=")
        if name.isascii() and name.isdigit() and is_ai(name):
            _add_from_uri(out, name, value)
    return out


def _key(step: str) -> str:
    return _WORDS.get(step, step)


def _add_from_uri(out: Elements, ai: str, value: str) -> None:
    try:
        plain = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise Gs1Error(f"({ai}): {value[:40]!r} is no text") from None
    if ai == "01" and len(plain) in {8, 12, 13}:
        plain = plain.rjust(14, "0")
    _add(out, ai, plain)


def _ai_at(text: str, at: int) -> str:
    for width in _WIDTHS:
        ai = text[at : at + width]
        if is_ai(ai):
            return ai
    raise Gs1Error(f"{text[at : at + 8]!r} at character {at} begins with no known AI")


def _add(out: Elements, ai: str, value: str) -> None:
    verify(ai, value)
    if out.setdefault(ai, value) != value:
        raise Gs1Error(f"({ai}) stands twice, with two values")


def _some(out: Elements) -> Elements:
    if not out:
        raise Gs1Error("the element string is empty")
    return out


def _short(text: str) -> None:
    if len(text) > _MOST:
        raise Gs1Error(f"{len(text)} characters; at most {_MOST} are read")


def bracketed(elements: Mapping[str, str]) -> str:
    """The element string as it is printed for people."""
    return "".join(f"({ai}){value}" for ai, value in elements.items())


def element_string(elements: Mapping[str, str]) -> str:
    """The element string as a scanner sends it: a GS behind each value of variable length but the last."""
    out, fixed = "", True
    for ai, value in elements.items():
        if not fixed:
            out += GS
        out += ai + value
        fixed = ai[:2] in _WHOLE_LENGTH
    return out


def link(elements: Mapping[str, str], stem: str = RESOLVER) -> str:
    """The Digital Link URI: the first key that may stand in a path, its qualifiers, and the rest as a query."""
    key = next((ai for ai in elements if ai in PRIMARY), None)
    if key is None:
        raise Gs1Error(f"none of {', '.join(elements)[:60]} is a key of a Digital Link URI")
    path = [key, *(ai for ai in PRIMARY[key] if ai in elements)]
    rest = [ai for ai in elements if ai not in path]
    uri = stem.rstrip("/") + "".join(f"/{ai}/{quote(elements[ai], safe='')}" for ai in path)
    return uri + ("?" + "&".join(f"{ai}={quote(elements[ai], safe='')}" for ai in rest) if rest else "")
