"""Readers: what we send to an LLRP reader, what its answers mean, and pictures that are too large or large and fine."""

from __future__ import annotations

import io

import pytest

from cocket.core.framing import Stream
from cocket.core.protocol import Session, Undecodable
from cocket.decoders import barcode, llrp, protocol
from cocket.observations.frames import read_frame

ADD_ROSPEC = (
    "0414" "0000004b" "00000004"  # ADD_ROSPEC, 75 bytes, number 4
    "00b10041" "00000001" "00" "00"  # ROSpec 1, priority 0, disabled
    "00b20012" "00b30005" "00" "00b60009" "00" "00000000"  # no trigger starts it, none stops it
    "00b70018" "0001" "0000"  # AISpec: all antennas
    "00b80009" "00" "00000000"  # without end
    "00ba0007" "0001" "01"  # EPC Gen 2
    "00ed000d" "01" "0001"  # a report after each tag, and at the end
    "00ee0006" "1780"  # with antenna, RSSI, first and last time, count
)  # fmt: skip


def test_what_sets_a_reader_reading() -> None:
    sent = [piece.data.hex() for piece in Stream(protocol("llrp")).feed(llrp.start())]
    assert sent == [
        ("0402" "00000011" "00000001" "0000" "01" "0000" "0000"),  # GET_READER_CONFIG: identification
        ("0403" "00000014" "00000002" "00" "00dc0009" "01" "00007530"),  # SET_READER_CONFIG: keepalive 30 s
        ("0415" "0000000e" "00000003" "00000000"),  # DELETE_ROSPEC: all
        ADD_ROSPEC,
        ("0418" "0000000e" "00000005" "00000001"),  # ENABLE_ROSPEC
        ("0416" "0000000e" "00000006" "00000001"),  # START_ROSPEC
    ]  # fmt: skip
    assert protocol("llrp").opening == llrp.start()


def test_variants_of_what_is_sent() -> None:
    assert llrp.set_reader_config(1, 0, factory=True).hex() == "040300000014000000018000dc00090000000000"
    two = llrp.add_rospec(4, 7, (1, 3), 20)
    assert bytes.fromhex("00000007") in two
    assert bytes.fromhex("000200010003") in two
    assert bytes.fromhex("00ed000d010014") in two


def test_commands() -> None:
    commands = protocol("llrp").commands
    started = commands["start"].build("x", {"keepalive_s": 10}, 2)
    assert started == llrp.start(32, 10)
    assert commands["stop"].build("x", {}, 1).hex() == "04170000000e0000001000000001"
    for wrong in (0, 4000, "10"):
        with pytest.raises(Undecodable):
            commands["start"].build("x", {"keepalive_s": wrong}, 1)


@pytest.mark.parametrize(
    ("frame", "command", "good", "text"),
    [
        ("041e00000012000000040" + "11f000800000000", "add-rospec", True, ""),
        (
            "041e0000001a00000004011f0010" + "0064" + "0008" + b"no\xffmemor".hex()[:16],
            "add-rospec",
            False,
            "100: no",
        ),
        ("0464000000120000000a011f0008006d0000", "error", False, "109"),
        ("043f000000140000000100f6000a010000060000", "connect", True, ""),
        ("043f000000140000000100f6000a010000060002", "connect", False, "another client holds the reader"),
        ("043f000000140000000100f6000a010000060009", "connect", False, "status 9"),
    ],
)
def test_answers(frame: str, command: str, good: bool, text: str) -> None:
    reading = read_frame(protocol("llrp"), bytes.fromhex(frame), Session())
    assert reading.fault is None
    assert not reading.rows
    [result] = reading.results
    assert (result.command, result.good) == (command, good)
    assert result.text.startswith(text)


def test_a_reader_that_the_gateway_knows_keeps_its_name() -> None:
    session = Session("gate-3")
    hello = protocol("llrp").simulation
    assert hello is not None
    read_frame(protocol("llrp"), hello.hello("001625fffe12abcd"), session)
    assert session.device_id == "gate-3"


def test_simulated_tags_carry_code_antenna_and_signal() -> None:
    for name in ("llrp", "rfid"):
        p = protocol(name)
        assert p.simulation is not None
        row = {
            "device_id": "001625fffe000001",
            "observed_us": 1_795_336_200_000_000,
            "code": "urn:epc:id:grai:9521141.12345.32a%2Fb",
            "reader_id": "4",
            "rssi_dbm": -60.0,
        }
        back = read_frame(p, p.simulation.report(row, 1), Session("001625fffe000001")).rows[0]
        assert back == {**row, "symbology": "epc"}


def _noise(width: int, height: int, kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (width, height), 200).save(out, kind)
    return out.getvalue()


def test_a_large_photograph_is_made_smaller_first() -> None:
    from PIL import Image

    picture = _noise(6000, 4000, "JPEG")
    assert barcode._pixels(picture).size == (3000, 2000)
    assert barcode._pixels(_noise(1500, 2000, "JPEG")).size == (1500, 2000)
    assert isinstance(Image.MAX_IMAGE_PIXELS, int)
    with pytest.raises(Undecodable) as refused:
        barcode._pixels(_noise(6000, 4000, "PNG"))
    assert refused.value.rule == "image-too-large"
    with pytest.raises(Undecodable) as refused:
        barcode._picture(b"\x89PNG\r\n\x1a\n" + bytes(barcode.MOST_BYTES), Session(), None)  # type: ignore[arg-type]
    assert refused.value.rule == "length"


def test_a_code_that_is_too_long_does_not_cost_the_others() -> None:
    import numpy as np
    import zxingcpp
    from PIL import Image

    codes = [
        np.array(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode).to_image(scale=3))
        for text in ("A" * 600, "CSQU3054383")
    ]
    canvas = np.full(
        (sum(c.shape[0] for c in codes) + 60, max(c.shape[1] for c in codes) + 40), 255, np.uint8
    )
    at = 20
    for c in codes:
        canvas[at : at + c.shape[0], 20 : 20 + c.shape[1]] = c
        at += c.shape[0] + 20
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "PNG")
    reading = read_frame(protocol("barcode"), out.getvalue(), Session("desk"))
    assert [row["code"] for row in reading.rows] == ["CSQU3054383"]
    assert reading.fault is not None
    assert reading.fault.rule == "length"


def test_a_picture_is_one_frame_and_lines_are_many() -> None:
    stream = Stream(protocol("barcode"))
    picture = _noise(20, 20, "PNG")
    assert [p.data for p in stream.feed(b"AB\r\nCD\n")] == [b"AB", b"CD"]
    assert [p.data for p in stream.feed(picture)] == [picture]
