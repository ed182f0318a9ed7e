"""EPCs against the summary examples of the standard itself (GS1 TDS 2.3, section E.3; TDS 1.13, E.3 for the rest)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocket.core import epc
from cocket.core.epc import EpcError

OLD = """
3066C4409047E140075BCD15 sgtin-96:3.95060001343.05.123456789 01/09506000134352/21/123456789
3666C4409047E159B2C2BF100000000000000000000000000000 sgtin-198:3.95060001343.05.32a%2Fb 01/09506000134352/21/32a%2Fb
311BA1B300CE0A6A83000000 sscc-96:0.952012.03456789123 00/095201234567891235
3276451FD46072000000162E sgln-96:3.9521141.12345.5678 414/9521141123454/254/5678
3976451FD46072CD9615F8800000000000000000000000000000 sgln-195:3.9521141.12345.32a%2Fb 414/9521141123454/254/32a%2Fb
3376451FD40C0E400000162E grai-96:3.9521141.12345.5678 8003/095211411234545678
3776451FD40C0E59B2C2BF1000000000000000000000 grai-170:3.9521141.12345.32a%2Fb 8003/0952114112345432a%2Fb
3476451FD40000000000162E giai-96:3.9521141.5678 8004/95211415678
3876451FD59B2C2BF10000000000000000000000000000000000 giai-202:3.9521141.32a%2Fb 8004/952114132a%2Fb
2D76451FD4499602D2000000 gsrn-96:3.9521141.1234567890 8018/952114112345678906
2E76451FD4499602D2000000 gsrnp-96:3.9521141.1234567890 8017/952114112345678906
2C76451FD46072000000162E gdti-96:3.9521141.12345.5678 253/95211411234545678
3E76451FD7039B061438997367D0C18B266D1AB66EE0 gdti-174:3.9521141.98765.ABCDefgh012345678 253/9521141987650ABCDefgh012345678
3C76451FD400C0E680003039 cpi-96:3.9521141.98765.12345 8010/952114198765/8011/12345
3D76451FD75411DEF6B4CC00000003039000 cpi-var:3.9521141.5PQ7%2FZ43.12345 8010/95211415PQ7%2FZ43/8011/12345
3F76451FD612640000019907 sgcn-96:3.9521141.67890.04711 255/952114167890904711
3500E86F8000A9E000000586 gid-96:952056.2718.1414 -
2F320434147455900000162E usdod-96:3.CAGEY.5678 -
3B0E0CF5E76C9047759AD00373DC7602E7200 adi-var:3.35962.PQ7VZ4.M37GXB92 -
4076451FD40C0E40820000000F54 itip-110:3.9521141.012345.01.02.981 8006/095211411234540102/21/981
4176451FD40C0E4082DBDD8B36600000000000000000000000000000 itip-212:3.9521141.012345.01.02.mw133 8006/095211411234540102/21/mw133
3074257BF7194E4000001A85 sgtin-96:3.0614141.812345.6789 01/80614141123458/21/6789
3174257BF4499602D2000000 sscc-96:3.0614141.1234567890 00/106141412345678908
3274257BF46072000000162E sgln-96:3.0614141.12345.5678 414/0614141123452/254/5678
2F02032533139342DFDC1C35 usdod-96:0.2S194.12345678901 -
"""

PLUS = """
F73795211411234538566CB0AFC4 sgtin+ 01/79521141123453/21/32a%2Fb
FB342CDE795211411234538566CB0AFC4 dsgtin+ 01/79521141123453/21/32a%2Fb?17=220630
FD3795211411234538566CB0AFC525065F1876F0D996D800 sgtin++ 01/79521141123453/21/32a%2Fb
FC342CDE795211411234538566CB0AFC525065F1876F0D996D80 dsgtin++ 01/79521141123453/21/32a%2Fb?17=220630
F90095201234567891235 sscc+ 00/095201234567891235
F2395211411234548566CB0AFC4 sgln+ 414/9521141123454/254/32a%2Fb
E9395211411234548566CB0AFC525065F1876F0D996D8000 sgln++ 414/9521141123454/254/32a%2Fb
F13095211411234548566CB0AFC4 grai+ 8003/0952114112345432a%2Fb
EB3095211411234548566CB0AFC525065F1876F0D996D800 grai++ 8003/0952114112345432a%2Fb
FA3952114132E83C2BF10 giai+ 8004/952114132a%2Fb
EE3952114132E83C2BF1494197C61DBC3665B600 giai++ 8004/952114132a%2Fb
F43952114112345678906 gsrn+ 8018/952114112345678906
E7395211411234567890692832F8C3B786CCB6C0 gsrn++ 8018/952114112345678906
F53952114112345678906 gsrnp+ 8017/952114112345678906
E8395211411234567890692832F8C3B786CCB6C0 gsrnp++ 8017/952114112345678906
F6395211411234540458B8 gdti+ 253/95211411234545678
EA395211411234540458BA4A0CBE30EDE1B32DB0 gdti++ 253/95211411234545678
F0395211415E87A145BAFB4D19A8C0E4 cpi+ 8010/95211415PQ7%2FZ43/8011/12345
E6395211415E87A145BAFB4D19A8C0E64A0CBE30EDE1B32DB000 cpi++ 8010/95211415PQ7%2FZ43/8011/12345
F839521141678909509338 sgcn+ 255/952114167890904711
EC3952114167890950933C94197C61DBC3665B60 sgcn++ 255/952114167890904711
F3309521141123454010266AE27FDF35 itip+ 8006/095211411234540102/21/rif981
"""


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def bits(text: str) -> bytes:
    return bytes.fromhex(text + "0" * (len(text) % 2))


@pytest.mark.parametrize(("text", "tag", "link"), rows(OLD), ids=lambda v: v[:12])
def test_examples_of_the_standard(text: str, tag: str, link: str) -> None:
    found = epc.read(bits(text))
    assert found.tag_uri == f"urn:epc:tag:{tag}"
    assert found.scheme == tag.partition(":")[0]
    assert found.digital_link == (None if link == "-" else f"https://id.gs1.org/{link}")
    kind, parts = tag.partition("-")[0], tag.partition(":")[2]
    assert found.urn == f"urn:epc:id:{kind}:{parts if kind == 'gid' else parts.partition('.')[2]}"
    assert found.filter == (None if kind == "gid" else int(parts.partition(".")[0]))
    assert found.uri == found.urn == epc.uri(bits(text))
    written = epc.write(found.tag_uri).hex().upper()
    assert written.rstrip("0") == text.rstrip("0")
    assert epc.tag_of(found.urn, found.scheme, found.filter or 0).hex().upper() == written
    if found.elements:
        prefix = found.urn.split(":")[4].partition(".")[0]
        assert epc.urn_of(found.elements, len(prefix)) == found.urn


@pytest.mark.parametrize(("text", "scheme", "link"), rows(PLUS), ids=lambda v: v[:12])
def test_examples_of_the_schemes_without_a_partition(text: str, scheme: str, link: str) -> None:
    found = epc.read(bits(text))
    assert found.scheme == scheme
    assert found.urn is None
    assert found.tag_uri is None
    assert found.digital_link == found.uri == f"https://id.gs1.org/{link}"


@pytest.mark.parametrize(
    ("indicator", "body", "serial"),
    [
        ("001", "00101" + "00011010101111001101", "1ABCD"),
        ("010", "00011" + "000110101011", "1ab"),
        ("011", "00010" + "011010" + "111111", "a_"),
        ("100", "00010" + "0100001" + "1011010", "!Z"),
        ("101", "00100" + f"{1600 * 1 + 40 * 27 + 30 + 1:016b}" + f"{1600 * 31 + 1:016b}", "A-01"),
        ("000", "00011" + f"{7:010b}", "007"),
    ],
)
def test_every_encoding_of_a_serial(indicator: str, body: str, serial: str) -> None:
    text = "11110111" + "0" + "011" + f"{0x79521141123453:056b}" + indicator + body
    size = -(-len(text) // 16) * 16
    found = epc.read(int(text.ljust(size, "0"), 2).to_bytes(size // 8, "big"))
    assert found.elements == {"01": "79521141123453", "21": serial}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "E2801190A5021F80055817CA",  # a TID, or a tag that nobody wrote
        "307C000000000000000000",  # partition 7
        "3043FFFFFFFFFFFFFFFFFFFF",  # a company prefix of 13 digits
        "3074257BF7194E",  # ends too early
        "3A00000000000000000000000000000000",  # digits without their 1
        "F737A5211411234538566CB0AFC4",  # a letter in the GTIN
        "F737952114112345385E",  # ends in its serial
        "F7379521141123453C0",  # encoding 6
        "FB3F2CDE795211411234538566CB0AFC40",  # kind of date 15
        "FAA0" + "95" * 40,  # digits without an end
        "FF00000000000000",
    ],
)
def test_what_is_no_epc_has_a_raw_uri(text: str) -> None:
    data = bits(text)
    with pytest.raises(EpcError):
        epc.read(data)
    assert epc.uri(data) == f"urn:epc:raw:{len(data) * 8}.x{data.hex().upper()}"


@given(st.binary(max_size=40))
def test_no_bits_raise_but_an_epc_error(data: bytes) -> None:
    assert epc.uri(data).startswith(("urn:epc:", "https://id.gs1.org/"))


@given(
    st.sampled_from([0x2C, 0x2D, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3C]),
    st.binary(min_size=11, max_size=11),
)
def test_what_is_read_is_written_again(header: int, rest: bytes) -> None:
    try:
        found = epc.read(bytes([header]) + rest)
    except EpcError:
        return
    assert found.tag_uri is not None
    again = epc.read(epc.write(found.tag_uri))
    assert again == found


@pytest.mark.parametrize(
    "uri",
    [
        "urn:epc:id:sgtin:0614141.812345.6789",
        "urn:epc:tag:sgtin-96:3.0614141.81234.6789",  # one digit too few
        "urn:epc:tag:sgtin-96:3.0614141.812345.06789",  # a leading zero
        "urn:epc:tag:sgtin-96:3.0614141.812345.274877906944",  # 2**38
        "urn:epc:tag:sgtin-96:8.0614141.812345.6789",
        "urn:epc:tag:sgtin-96:3.06141412.812345.6789",
        "urn:epc:tag:sgtin-97:3.0614141.812345.6789",
        "urn:epc:tag:sgtin-198:3.0614141.812345.aaaaaaaaaaaaaaaaaaaaa",
        "urn:epc:tag:sscc-96:3.0614141",
        "urn:epc:tag:usdod-96:3.CAGEI.5678",
        "urn:epc:tag:adi-var:3.35962.pq7.M37",
        "urn:epc:raw:96.x00",
    ],
)
def test_what_cannot_be_written_is_refused(uri: str) -> None:
    with pytest.raises(EpcError):
        epc.write(uri)


def test_raw_bits_are_written_as_they_are() -> None:
    assert epc.write("urn:epc:raw:96.xE2801190A5021F80055817CA").hex() == "e2801190a5021f80055817ca"


def test_a_pure_identity_in_the_shortest_scheme() -> None:
    assert epc.tag_of("urn:epc:id:sgtin:95060001343.05.123456789")[0] == 0x30
    assert epc.tag_of("urn:epc:id:sgtin:95060001343.05.32a%2Fb")[0] == 0x36
    assert epc.tag_of("urn:epc:id:sgtin:95060001343.05.123456789", "sgtin-198")[0] == 0x36
    assert epc.tag_of("urn:epc:tag:gid-96:952056.2718.1414")[0] == 0x35
    for wrong in ("urn:epc:id:bic:CSQU3054383", "hello"):
        with pytest.raises(EpcError):
            epc.tag_of(wrong)


def test_a_tag_of_iso_has_its_family_in_the_raw_uri() -> None:
    assert (
        epc.uri(bytes.fromhex("3074257BF7194E4000001A85"), 0xA9)
        == "urn:epc:raw:96.xA9.x3074257BF7194E4000001A85"
    )


def test_keys_that_have_no_bits() -> None:
    assert epc.elements_of("urn:epc:id:pgln:0123456789.01") == {"417": "0123456789012"}
    assert epc.elements_of("urn:epc:id:gsin:061414.0123456789") == {"402": "06141401234567891"}
    assert epc.elements_of("urn:epc:id:ginc:061411.01ABc%2FD") == {"401": "06141101ABc/D"}
    assert epc.elements_of("urn:epc:id:upui:1234567.089456.51qIgY)%3C%26Jp3*j7'SDB") == {
        "01": "01234567894560",
        "235": "51qIgY)<&Jp3*j7'SDB",
    }
    assert epc.urn_of({"402": "06141401234567891"}, 6) == "urn:epc:id:gsin:061414.0123456789"
    assert epc.urn_of({"417": "0123456789012"}, 10) == "urn:epc:id:pgln:0123456789.01"
    assert epc.elements_of("urn:epc:id:bic:CSQU3054383") is None
    assert epc.elements_of("urn:epc:id:sgln:0614141.12345.0") == {"414": "0614141123452"}


def test_containers() -> None:
    assert epc.container_urn("CSQU 305438-3") == "urn:epc:id:bic:CSQU3054383"
    for wrong in ("CSQU3054384", "CSQX3054383", "hello"):
        with pytest.raises(EpcError):
            epc.container_urn(wrong)


def test_urns_that_are_none() -> None:
    for wrong in (
        "urn:epc:id:sgtin:0614141",
        "urn:epc:id:nothing:1",
        "hello",
        "urn:epc:id:sscc:a.b",
        "urn:epc:id:sscc:1.",
    ):
        with pytest.raises(EpcError):
            epc.elements_of(wrong)
    for elements, digits in (
        ({"10": "a"}, 7),
        ({"00": "095201234567891235"}, 5),
        ({"253": "9521141123454"}, 7),
    ):
        with pytest.raises(EpcError):
            epc.urn_of(elements, digits)
