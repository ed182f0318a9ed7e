"""Electronic Product Codes: the bits of a tag to URIs, and back.

Document: GS1 EPC Tag Data Standard 2.3 (sections 6, 7, 14 and 15; the schemes of 1.13 are in it unchanged). Every scheme
is a table of fields that reads and writes. Example::

    read(bytes.fromhex("3066C4409047E140075BCD15")).urn     # "urn:epc:id:sgtin:95060001343.05.123456789"
    uri(bytes.fromhex("E2801190A5021F80055817CA"))          # "urn:epc:raw:96.xE2801190A5021F80055817CA"

``EpcError`` says why bits are no EPC. Schemes with ``+`` (TDS 2.0) have no URN: their URI is the Digital Link. Of ``++``
schemes (TDS 2.3) the host name is passed over: the canonical one stands in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from cocket.core.epcbits import (
    Cage,
    EpcError,
    Field,
    Integer,
    Numeric,
    Partition,
    Reader,
    Six,
    Text,
    Writer,
    alphanumeric,
    delimited,
    digits,
    escape,
    numeric,
    rest,
)
from cocket.core.gs1 import Elements, Gs1Error, checked, link
from cocket.core.ids import equipment_flags

_MOST_BITS: Final = 512

_ITEM: Final = rest(13, 4, 7, 10, 14, 17, 20, 24)
_SERVICE: Final = rest(17, 18, 21, 24, 28, 31, 34, 38)
_PLACE: Final = rest(12, 1, 4, 7, 11, 14, 17, 21)
_ASSET: Final = rest(12, 4, 7, 10, 14, 17, 20, 24)
_OWN: Final = Partition(lambda p: Integer((42, 45, 48, 52, 55, 58, 62)[p]))
_OWN_TEXT: Final = Partition(lambda p: Text((148, 151, 154, 158, 161, 164, 168)[p]))
_COMPONENT: Final = Partition(lambda p: Integer((11, 14, 17, 21, 24, 27, 31)[p]))
_COMPONENT_TEXT: Final = Partition(lambda p: Six(1, 18 + p))
_PIECES: Final = (Integer(7, 2), Integer(7, 2))
_FILTER: Final = Integer(3)

_SCHEMES: Final[dict[int, tuple[str, tuple[Field, ...]]]] = {
    0x2C: ("gdti-96", (_FILTER, _PLACE, Integer(41))),
    0x2D: ("gsrn-96", (_FILTER, _SERVICE)),
    0x2E: ("gsrnp-96", (_FILTER, _SERVICE)),
    0x2F: ("usdod-96", (Integer(4), Cage(8), Integer(36))),
    0x30: ("sgtin-96", (_FILTER, _ITEM, Integer(38))),
    0x31: ("sscc-96", (_FILTER, _SERVICE)),
    0x32: ("sgln-96", (_FILTER, _PLACE, Integer(41))),
    0x33: ("grai-96", (_FILTER, _ASSET, Integer(38))),
    0x34: ("giai-96", (_FILTER, _OWN)),
    0x35: ("gid-96", (Integer(28), Integer(24), Integer(36))),
    0x36: ("sgtin-198", (_FILTER, _ITEM, Text(140))),
    0x37: ("grai-170", (_FILTER, _ASSET, Text(112))),
    0x38: ("giai-202", (_FILTER, _OWN_TEXT)),
    0x39: ("sgln-195", (_FILTER, _PLACE, Text(140))),
    0x3A: ("gdti-113", (_FILTER, _PLACE, Numeric(58))),
    0x3B: ("adi-var", (Integer(6), Cage(6), Six(0, 32), Six(1, 30))),
    0x3C: ("cpi-96", (_FILTER, _COMPONENT, Integer(31))),
    0x3D: ("cpi-var", (_FILTER, _COMPONENT_TEXT, Integer(40))),
    0x3E: ("gdti-174", (_FILTER, _PLACE, Text(119))),
    0x3F: ("sgcn-96", (_FILTER, _PLACE, Numeric(41))),
    0x40: ("itip-110", (_FILTER, _ITEM, *_PIECES, Integer(38))),
    0x41: ("itip-212", (_FILTER, _ITEM, *_PIECES, Text(140))),
}
"""Coding tables by header (14.6): the fields behind it, in order. What follows the last one is zero bits."""

_HEADERS: Final = {name: header for header, (name, _) in _SCHEMES.items()}

_PLUS: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    0xE6: ("cpi++", ("8010", "8011")), 0xE7: ("gsrn++", ("8018",)), 0xE8: ("gsrnp++", ("8017",)),
    0xE9: ("sgln++", ("414", "254")), 0xEA: ("gdti++", ("253",)), 0xEB: ("grai++", ("8003",)),
    0xEC: ("sgcn++", ("255",)), 0xED: ("itip++", ("8006", "21")), 0xEE: ("giai++", ("8004",)),
    0xEF: ("sscc++", ("00",)), 0xF0: ("cpi+", ("8010", "8011")), 0xF1: ("grai+", ("8003",)),
    0xF2: ("sgln+", ("414", "254")), 0xF3: ("itip+", ("8006", "21")), 0xF4: ("gsrn+", ("8018",)),
    0xF5: ("gsrnp+", ("8017",)), 0xF6: ("gdti+", ("253",)), 0xF7: ("sgtin+", ("01", "21")),
    0xF8: ("sgcn+", ("255",)), 0xF9: ("sscc+", ("00",)), 0xFA: ("giai+", ("8004",)),
    0xFB: ("dsgtin+", ("date", "01", "21")), 0xFC: ("dsgtin++", ("date", "01", "21")),
    0xFD: ("sgtin++", ("01", "21")),
}  # fmt: skip
"""Schemes of TDS 2.0 and 2.3 by header: the AIs behind toggle bit and filter value (14.6)."""

_DIGITS: Final = {
    "00": 18,
    "01": 14,
    "253": 13,
    "255": 13,
    "414": 13,
    "8003": 14,
    "8006": 18,
    "8017": 18,
    "8018": 18,
}
"""AIs that begin with so many digits of 4 bits each (table F)."""

_DATES: Final = ("11", "13", "15", "16", "17", "7006", "7007")


@dataclass(frozen=True, slots=True)
class Epc:
    """What a tag's bits say. ``urn`` is the pure identity, ``tag_uri`` the one with scheme and filter; both None for ``+``.

    ``elements`` are the GS1 element string's, empty where the scheme has none (gid, usdod, adi).
    """

    scheme: str
    filter: int | None
    urn: str | None
    tag_uri: str | None
    elements: Elements

    @property
    def digital_link(self) -> str | None:
        """The canonical GS1 Digital Link URI; None where the scheme has no GS1 key."""
        return link(self.elements) if self.elements else None

    @property
    def uri(self) -> str:
        """The pure identity, else the Digital Link."""
        return self.urn or link(self.elements)


def read(data: bytes) -> Epc:
    """The EPC in the bits of a tag (its EPC bank from bit 20h), or ``EpcError``."""
    if not 0 < len(data) * 8 <= _MOST_BITS:
        raise EpcError(f"{len(data) * 8} bits; an EPC has 1 to {_MOST_BITS}")
    bits = Reader(data)
    header = bits.take(8)
    try:
        if header in _PLUS:
            return _read_plus(*_PLUS[header], bits)
        if header not in _SCHEMES:
            raise EpcError(f"header {header:02X} is none of the Tag Data Standard's")
        scheme, fields = _SCHEMES[header]
        parts = [part for field in fields for part in field.read(bits)]
        kind = scheme.partition("-")[0]
        name = parts if kind == "gid" else parts[1:]
        urn = f"urn:epc:id:{kind}:{'.'.join(name)}"
        own = None if kind == "gid" else int(parts[0])
        return Epc(scheme, own, urn, f"urn:epc:tag:{scheme}:{'.'.join(parts)}", elements_of(urn) or {})
    except Gs1Error as error:
        raise EpcError(str(error)) from None


def uri(data: bytes, afi: int | None = None) -> str:
    """The tag's URI: pure identity or Digital Link, else the raw URI ``urn:epc:raw:96.xE28…`` (15.2.3).

    ``afi`` is the application family identifier of a tag whose toggle bit says that it holds no EPC (ISO 17363 to 17367).
    """
    if afi is not None:
        return f"urn:epc:raw:{len(data) * 8}.x{afi:02X}.x{data.hex().upper()}"
    try:
        return read(data).uri
    except EpcError:
        return f"urn:epc:raw:{len(data) * 8}.x{data.hex().upper()}"


def write(tag_uri: str) -> bytes:
    """The bits of ``urn:epc:tag:…`` or ``urn:epc:raw:…``, in whole words of 16 bits. ``EpcError`` if they cannot hold it."""
    raw = re.fullmatch(r"urn:epc:raw:(\d{1,4})\.x([0-9A-F]*)", tag_uri)
    if raw is not None:
        if int(raw[1]) != len(raw[2]) * 4 or int(raw[1]) % 16:
            raise EpcError(f"{tag_uri[:60]!r}: the bits are not as many as it says")
        return bytes.fromhex(raw[2])
    found = re.fullmatch(r"urn:epc:tag:([a-z]+-(?:\d+|var)):(\S+)", tag_uri)
    if found is None or found[1] not in _HEADERS:
        raise EpcError(f"{tag_uri[:60]!r} is no EPC Tag URI")
    header = _HEADERS[found[1]]
    fields = _SCHEMES[header][1]
    wanted = sum(f.parts for f in fields)
    parts = found[2].split(".", wanted - 1)  # the last may hold dots
    if len(parts) != wanted:
        raise EpcError(f"{tag_uri[:60]!r} has not as many parts as its scheme")
    out = Writer()
    out.put(header, 8)
    at = 0
    for field in fields:
        field.write(parts[at : at + field.parts], out)
        at += field.parts
    if found[1].endswith("-96"):
        out.put(0, 96 - out.bits)
    return out.bytes()


def tag_of(urn: str, scheme: str | None = None, filter_value: int = 0) -> bytes:
    """The bits of a pure identity in one of its schemes, else in the shortest that can hold it; of a tag or raw URI, too.

    Example: ``tag_of("urn:epc:id:sscc:952012.03456789123")`` (in sscc-96).
    """
    kind, _, body = urn.removeprefix("urn:epc:id:").partition(":")
    if not urn.startswith("urn:epc:id:"):
        return write(urn)
    refused = f"{urn[:60]!r} has no scheme {scheme or 'for tags'}"
    for name in [
        n for n in sorted(_HEADERS, key=_length) if n.partition("-")[0] == kind and scheme in {None, n}
    ]:
        try:
            return write(
                f"urn:epc:tag:{name}:{body}" if kind == "gid" else f"urn:epc:tag:{name}:{filter_value}.{body}"
            )
        except EpcError as error:
            refused = str(error)
    raise EpcError(refused)


def _length(scheme: str) -> tuple[int, str]:
    return len(scheme), scheme


def container_urn(number: str) -> str:
    """The URN of a container with a BIC code (6.3.16; it has no bits of its own). ``EpcError`` if it is none."""
    plain = re.sub(r"[\s-]", "", number.upper())
    if not re.fullmatch(r"[A-Z]{3}[UJZ][0-9]{7}", plain) or equipment_flags(plain):
        raise EpcError(f"{number[:20]!r} is no container number, or its check digit is wrong")
    return f"urn:epc:id:bic:{plain}"


def elements_of(urn: str) -> Elements | None:
    """The GS1 elements of a pure identity URN (section 7); None where the scheme has none. ``EpcError`` if it is no URN."""
    kind, _, body = urn.removeprefix("urn:epc:id:").partition(":")
    part = body.split(".", 2)
    try:
        if kind == "sgtin":
            company, item, serial = part
            return {"01": checked(item[0] + company + item[1:]), "21": unquote(serial)}
        if kind == "upui":
            company, item, serial = part
            return {"01": checked(item[0] + company + item[1:]), "235": unquote(serial)}
        if kind == "itip":
            company, item, piece, total, serial = body.split(".", 4)
            return {"8006": checked(item[0] + company + item[1:]) + piece + total, "21": unquote(serial)}
        if kind == "sscc":
            return {"00": checked(part[1][0] + part[0] + part[1][1:])}
        if kind == "sgln":
            extension = {} if part[2] == "0" else {"254": unquote(part[2])}
            return {"414": checked(part[0] + part[1])} | extension
        if kind in _JOINED:
            ai, before, has_serial = _JOINED[kind]
            behind = unquote(part[2]) if has_serial else ""
            return {ai: before + checked(part[0] + part[1]) + behind}
        if kind in {"giai", "ginc"}:
            company, own = body.split(".", 1)
            return {"8004" if kind == "giai" else "401": company + unquote(own)}
        if kind == "cpi":
            return {"8010": part[0] + unquote(part[1]), "8011": part[2]}
    except (ValueError, IndexError):
        raise EpcError(f"{urn[:60]!r} is no URN of its scheme") from None
    if kind not in {"gid", "usdod", "adi", "bic", "imovn"}:
        raise EpcError(f"{urn[:60]!r} is no pure identity URN")
    return None


_JOINED: Final = {
    "grai": ("8003", "0", True),
    "gdti": ("253", "", True),
    "sgcn": ("255", "", True),
    "gsrn": ("8018", "", False),
    "gsrnp": ("8017", "", False),
    "gsin": ("402", "", False),
    "pgln": ("417", "", False),
}
"""Keys that are prefix, reference and check digit run together: AI, what stands before, whether a serial follows."""


def urn_of(elements: Elements, company_digits: int) -> str:
    """The pure identity of GS1 elements, whose company prefix has so many digits (section 7). ``EpcError`` if there is none."""
    n = company_digits
    if not 6 <= n <= 12:
        raise EpcError(f"a GS1 Company Prefix has 6 to 12 digits, not {n}")
    e = elements
    if "00" in e:
        return f"urn:epc:id:sscc:{e['00'][1 : n + 1]}.{e['00'][0]}{e['00'][n + 1 : 17]}"
    if "01" in e and ("21" in e or "235" in e):
        kind, serial = ("sgtin", e["21"]) if "21" in e else ("upui", e["235"])
        return f"urn:epc:id:{kind}:{_item(e['01'], n)}.{escape(serial)}"
    if "8006" in e and "21" in e:
        both = e["8006"]
        return f"urn:epc:id:itip:{_item(both, n)}.{both[14:16]}.{both[16:18]}.{escape(e['21'])}"
    if "414" in e:
        return f"urn:epc:id:sgln:{e['414'][:n]}.{e['414'][n:12]}.{escape(e.get('254', '0'))}"
    for kind, ai in (("giai", "8004"), ("ginc", "401")):
        if ai in e:
            return f"urn:epc:id:{kind}:{e[ai][:n]}.{escape(e[ai][n:])}"
    if "8010" in e and "8011" in e:
        return f"urn:epc:id:cpi:{e['8010'][:n]}.{escape(e['8010'][n:])}.{e['8011']}"
    for kind, (ai, before, has_serial) in _JOINED.items():
        if ai in e:
            whole = e[ai][len(before) :]
            size = 12 if ai in {"8003", "253", "255", "417"} else 16 if ai == "402" else 17
            name = f"urn:epc:id:{kind}:{whole[:n]}.{whole[n:size]}"
            if not has_serial:
                return name
            if len(whole) > size + 1:
                return f"{name}.{escape(whole[size + 1 :])}"
    raise EpcError(f"({')('.join(e)[:60]}) is no key of one thing")


def _item(gtin: str, n: int) -> str:
    return f"{gtin[1 : n + 1]}.{gtin[0]}{gtin[n + 1 : 13]}"


def _read_plus(scheme: str, ais: tuple[str, ...], bits: Reader) -> Epc:
    bits.take(1)  # whether more data follows the EPC
    own = bits.take(3)
    found: Elements = {}
    for ai in ais:
        if ai == "date":
            key = bits.take(4)
            if key >= len(_DATES):
                raise EpcError(f"there is no kind of date {key}")
            date = f"{bits.take(7):02d}{bits.take(4):02d}{bits.take(5):02d}"
            if len(date) != 6 or not "01" <= date[2:4] <= "12":
                raise EpcError(f"{date} is no date yymmdd")
            found[_DATES[key]] = date
        elif ai in {"8004", "8010"}:
            found[ai] = delimited(bits)
        elif ai == "8011":
            found[ai] = numeric(bits, bits.take(4))
        elif ai in _DIGITS:
            found[ai] = digits(bits, _DIGITS[ai])
            if ai in {"253", "8003"}:
                found[ai] += alphanumeric(bits)
            elif ai == "255":
                found[ai] += numeric(bits, bits.take(4))
        else:
            found[ai] = alphanumeric(bits)
    elements = {ai: value for ai, value in found.items() if ai not in _DATES}
    elements |= {ai: value for ai, value in found.items() if ai in _DATES}
    return Epc(scheme, own, None, None, elements)
