"""Pictures of codes, read by zxing-cpp: what is printed is what was meant, at the size that was promised."""

import base64
import io
import re
import zlib

import pytest
import zxingcpp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cocket.customs.codes import render, shortcode
from cocket.customs.codes.base45 import ALPHABET

TEXT = "CKT1:" + "6BFOXN%TS3DH 0YOJ+-." * 11
texts = st.text(ALPHABET, min_size=40, max_size=530).map("CKT1:".__add__)


def read(png: bytes) -> list[tuple[str, str]]:
    image = Image.open(io.BytesIO(png)).convert("L")
    return [(b.format.name, b.text) for b in zxingcpp.read_barcodes(image)]


@given(texts)
@settings(deadline=None, max_examples=30)
def test_a_qr_code_is_read_as_it_was_meant(text) -> None:
    assert read(render.qr_png(text)) == [("QRCode", text)]


@given(st.integers(0, 2**60 - 1))
@settings(deadline=None, max_examples=30)
@example(number=shortcode.read("B72BG4P4H4KN3"))
def test_a_bar_code_is_read_as_it_was_meant(number) -> None:
    """One in a thousand is read a second time and wrongly (`B7(BG4P4H7KN3`): the short code's own check finds it."""
    short = shortcode.of(number)
    first, *others = read(render.bars_png(short))
    assert first == ("Code128", short)
    assert all(shortcode.read(text) is None for _, text in others)


def test_a_printed_and_photographed_code_is_read() -> None:
    """At 300 dots an inch, turned a little, dirty: error correction is M."""
    image = Image.open(io.BytesIO(render.qr_png(TEXT))).convert("L").resize((295, 295))
    image = image.rotate(7, fillcolor=255, expand=True)
    ImageDraw.Draw(image).ellipse((150, 150, 172, 172), fill=0)
    assert [b.text for b in zxingcpp.read_barcodes(image)] == [TEXT]


def test_png_prints_at_its_size() -> None:
    image = Image.open(io.BytesIO(render.qr_png(TEXT)))
    assert image.width == image.height
    assert image.width / image.info["dpi"][0] * 25.4 == pytest.approx(25.0, abs=0.05)
    bars = Image.open(io.BytesIO(render.bars_png("0123456789ABC")))
    modules = len(render.bars("0123456789ABC")) + 20
    assert bars.width / bars.info["dpi"][0] * 25.4 == pytest.approx(modules * 0.25, abs=0.1)
    assert modules * 0.25 < 62


def drawn(svg: bytes, pixels: int) -> Image.Image:
    """An SVG of rectangles, drawn by the letters of its paths: M x y h w v1 h-w z."""
    text = svg.decode()
    width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    down = pixels * (height if height > 1 else 40)
    image = Image.new("L", (width * pixels, down), 255)
    pen = ImageDraw.Draw(image)
    for x, y, w in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", text.split('<path d="')[1]):
        box = (int(x) * pixels, int(y) * pixels, (int(x) + int(w)) * pixels - 1, (int(y) + 1) * pixels - 1)
        pen.rectangle((*box[:3], down - 1 if height == 1 else box[3]), fill=0)
    return image


def test_svg_says_the_same_at_its_size() -> None:
    svg = render.qr_svg(TEXT)
    assert b'width="25mm" height="25mm"' in svg
    assert [b.text for b in zxingcpp.read_barcodes(drawn(svg, 5))] == [TEXT]
    bars = render.bars_svg("0123456789ABC")
    assert [b.text for b in zxingcpp.read_barcodes(drawn(bars, 3))] == ["0123456789ABC"]
    for picture in (svg, bars):
        assert b"<script" not in picture
        assert picture.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')


def page(
    pdf: bytes, number: int, size_mm: tuple[float, float]
) -> tuple[Image.Image, list[tuple[float, ...]]]:
    """The filled rectangles of a page, drawn at 20 pixels a millimetre, and as (x, y, w, h) in millimetres."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    contents = [zlib.decompress(base64.a85decode(b"<~" + s.strip(), adobe=True)) for s in streams]
    image = Image.new("L", (round(size_mm[0] * 20), round(size_mm[1] * 20)), 255)
    pen = ImageDraw.Draw(image)
    boxes = []
    for found in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re", contents[number]):
        x, y, w, h = (float(v) * 25.4 / 72 for v in found)
        boxes.append((x, y, w, h))
        top = size_mm[1] - y - h
        pen.rectangle((x * 20, top * 20, (x + w) * 20, (top + h) * 20), fill=0)
    return image, boxes


def test_a_label_holds_both_codes_at_their_size() -> None:
    label = render.Label(TEXT, ("TRANSIT", "M" * 64, "E" * 64, "G" * 64, "until 2026-12-01"), "0123456789ABC")
    image, boxes = page(render.label_pdf(label), 0, render.LABEL_MM)
    assert {b.text for b in zxingcpp.read_barcodes(image)} == {TEXT, "0123456789ABC"}
    qr = [b for b in boxes if b[3] < 1]
    modules = len(render.qr_matrix(TEXT))
    across = max(x + w for x, _, w, _ in qr) - min(x for x, *_ in qr)
    assert across == pytest.approx(25 * modules / (modules + 8), abs=0.01)
    bars = [b for b in boxes if b[3] > 5]
    assert min(w for _, _, w, _ in bars) == pytest.approx(0.25, abs=0.001)
    assert all(x > 0 and y > 0 and x + w < 62 and y + h < 54 for x, y, w, h in boxes)


def test_a_label_with_other_letters_is_printed() -> None:
    assert render.label_pdf(render.Label(TEXT, ("RELEASE", "船 123", "Größe"), "0123456789ABC"))


def test_a_sheet_holds_32_and_then_another_begins() -> None:
    wanted = [f"CKS1:{n:04d}" + "ABCDE" * 30 for n in range(33)]
    pdf = render.sheet_pdf(render.Label(t, (f"No {t[5:9]}", "Whisky 0.7 l")) for t in wanted)
    first, boxes = page(pdf, 0, (210.0, 297.0))
    second, _ = page(pdf, 1, (210.0, 297.0))
    assert {b.text for b in zxingcpp.read_barcodes(first)} == set(wanted[:32])
    assert {b.text for b in zxingcpp.read_barcodes(second)} == set(wanted[32:])
    assert all(0 < x < 210 and 0 < y < 297 for x, y, _, _ in boxes)


def test_the_same_label_is_the_same_file() -> None:
    label = render.Label(TEXT, ("EXIT",), "0123456789ABC")
    assert render.label_pdf(label) == render.label_pdf(label)
