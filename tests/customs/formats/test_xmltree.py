"""XML from strangers: what is refused, with which rule and where, and that it costs neither time nor memory."""

from __future__ import annotations

import threading

import pytest

from cocket.core.errors import Refused
from cocket.customs.formats import xmltree
from cocket.customs.formats.xmltree import parse

BOMB = "".join(
    [
        '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">',
        *(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)),
        "]><l>&j;</l>",
    ]
)
EXTERNAL = '<!-- a note -->\n<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]><a/>'
UTF_16 = '<?xml version="1.0" encoding="UTF-16"?>'


def refused(data: bytes, **limits: int) -> tuple[str, str]:
    """The rule and the words of the refusal."""
    with pytest.raises(Refused) as caught:
        parse(data, **limits)
    (fault,) = caught.value.faults
    assert fault.path == ""
    assert fault.detail in caught.value.detail
    return fault.rule, fault.detail


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (BOMB.encode(), "line 1, column 22"),
        (BOMB.replace('<?xml version="1.0"?>', UTF_16).encode("utf-16"), "line 1, column 40"),
        (EXTERNAL.encode(), "line 2, column 1"),
        (PARAMETER.encode(), "line 1, column 1"),
        (b'\xef\xbb\xbf<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>', "line 1, column 1"),
        (b"<?one two?> <!-- x --> <?three?>\n <!DOCTYPE a><a/>", "line 2, column 2"),
        (b"<!-- <a/> -->" * 50_000 + b"<!DOCTYPE a><a/>", "column 650001"),
    ],
    ids=["bomb", "bomb-utf-16", "external", "parameter", "mark", "instructions", "behind-much"],
)
def test_a_doctype_is_refused_before_anything_is_read_of_it(data: bytes, where: str) -> None:
    rule, words = refused(data)
    assert rule == "doctype"
    assert where in words


@pytest.mark.parametrize(
    "data", [b"<a><![CDATA[<!DOCTYPE a>]]></a>", b"<!-- <!DOCTYPE a> --><a/>", b"<?x <!DOCTYPE a> ?><a/>"]
)
def test_the_word_elsewhere_is_only_text(data: bytes) -> None:
    assert parse(data).tag == "a"


@pytest.mark.parametrize(
    ("data", "rule", "words"),
    [
        (b"", "empty", "nothing"),
        (b" \r\n\t", "empty", "nothing"),
        (b"hello", "not-well-formed", "line 1, column 1"),
        (b"<a>\n <b>tex", "not-well-formed", "line 2"),
        (b"<a>\n</b>", "not-well-formed", "line 2"),
        (b"<a/><b/>", "not-well-formed", "line 1, column 5"),
        (b"<a>&nbsp;</a>", "not-well-formed", "nbsp"),
        (b"<a>this & that</a>", "not-well-formed", "&amp;"),
        (b"<a>&#0;</a>", "not-well-formed", "line 1"),
        (b"<a>\x00</a>", "not-well-formed", "line 1"),
        (b'<a b="1" b="2"/>', "not-well-formed", "redefined"),
        (b"<p:a/>", "not-well-formed", "prefix p"),
        (b'\n<?xml version="1.0"?><a/>', "not-well-formed", "line 2"),
        (b'<?xml version="2.0"?><a/>', "not-well-formed", "version"),
        (b"<a/><!DOCTYPE a>", "not-well-formed", "line 1, column 5"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "encoding", "'UTF-7'"),
        ('<?xml version="1.0" encoding="cp037"?><a/>'.encode("cp037"), "encoding", "EBCDIC"),
        ("<a>é</a>".encode("utf-16-le"), "encoding", "UTF-16"),
        ("<a>é</a>".encode("utf-32"), "encoding", "UTF-32"),
        ("<a>é</a>".encode("utf-32-be"), "encoding", "UTF-32"),
        ("<a>é</a>".encode("latin-1"), "encoding", "line 1"),
        (b"<a>\xed\xa0\x80</a>", "encoding", "line 1"),
        (b"<a>\xc0\xbc</a>", "encoding", "line 1"),
        ('<?xml version="1.0" encoding="us-ascii"?><a>é</a>'.encode(), "encoding", "line 1"),
        ('<?xml version="1.0" encoding="utf-8"?><a/>'.encode("utf-16"), "encoding", "byte order mark"),
        (b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "encoding", "byte order mark"),
        (b'<?xml version="1.0" encoding="UTF-16"?><a/>', "encoding", "UTF-16"),
        (f"{UTF_16}<a>\ud800</a>".encode("utf-16", "surrogatepass"), "encoding", "line 1"),
    ],
)
def test_what_is_no_xml_is_refused_with_its_place(data: bytes, rule: str, words: str) -> None:
    found = refused(data)
    assert found[0] == rule
    assert words in found[1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<a>é</a>".encode(), "é"),
        ("\ufeff<a>é</a>".encode(), "é"),
        (f"{UTF_16}<a>é</a>".encode("utf-16"), "é"),
        (b"\xfe\xff" + "<a>é</a>".encode("utf-16-be"), "é"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), "é"),
        ("<?xml version='1.0' encoding='windows-1252'?><a>€</a>".encode("cp1252"), "€"),
        (b"<a>x<!-- c -->y<?p q?>z<![CDATA[<&]]></a>", "xyz<&"),
        (b'\n <a x="1">&lt;&#233;</a>', "<é"),
    ],
)
def test_what_is_xml_is_read(data: bytes, text: str) -> None:
    root = parse(data)
    assert (root.tag, root.text, len(root)) == ("a", text, 0)


def test_depth_is_bounded() -> None:
    assert parse(b"<a>" * 100 + b"</a>" * 100).tag == "a"
    assert refused(b"<a>\n" * 101 + b"</a>" * 101) == (
        "too-deep",
        "elements are nested more than 100 deep, from line 101 on",
    )
    assert refused(b"<a>" * 500_000)[0] == "too-deep"
    assert refused(b"<a><b><c/></b></a>", most_depth=2)[0] == "too-deep"


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        b"<a " + b" ".join(b'a%d=""' % i for i in range(1_000_001)) + b"/>",
        b"<a>" + b"<!---->" * 1_000_000 + b"</a>",
        b"<a>" + b"x" * 10_100_000 + b"</a>",
        b'<a b="' + b"x" * 10_100_000 + b'"/>',
        b"<" + b"x" * 100_000 + b"/>",
        b" " * (xmltree.MOST_BYTES + 1),
    ],
    ids=["elements", "attributes", "comments", "text", "value", "name", "bytes"],
)
def test_size_is_bounded(data: bytes) -> None:
    assert refused(data)[0] == "too-large"


def test_a_limit_that_is_given_holds() -> None:
    assert refused(b"<a>" + b"<b/>" * 100 + b"</a>", most_nodes=100)[0] == "too-large"
    assert refused(b"<a/>  ", most_bytes=5)[0] == "too-large"


def test_the_attributes_of_one_element_are_bounded() -> None:
    attributes = b" ".join(b'a%d=""' % i for i in range(251))
    assert refused(b"<a><b " + attributes + b"/></a>") == (
        "too-large",
        "an element has more than 250 attributes",
    )
    assert len(parse(b"<a>" + b'<b c=""/>' * 1000 + b"</a>")) == 1000


def test_strange_names_do_not_pile_up() -> None:
    before = threading.active_count()
    for number in range(4):
        names = b"".join(b"<n%d-%d/>" % (number, i) for i in range(15_000))
        assert len(parse(b"<a>" + names + b"</a>")) == 15_000
    assert len(xmltree._vocabulary) <= 20_000
    assert threading.active_count() == before
    rule, words = refused(b"<a><fresh-name></a>")  # in a thread of its own, too
    assert rule == "not-well-formed"
    assert "line 1" in words
