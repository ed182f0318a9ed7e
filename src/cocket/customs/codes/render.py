"""Codes as pictures: QR (ISO/IEC 18004) by segno, Code 128 (ISO/IEC 15417) of the short code, and labels as PDF.

A QR code is printed at 2.5 cm with its quiet zone of four modules. Its modules are 0.33 mm or more, which a desk printer
and a phone manage, for versions up to 12; error correction is M where that fits, else L. A Code 128 has a module of
0.25 mm and quiet zones of ten. SVG and PDF carry lengths in millimetres, PNG the resolution that makes them so.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

QR_MM: Final = 25.0
LEAST_MODULE_MM: Final = 0.33
MOST_VERSION: Final = 12
QUIET: Final = 4
BAR_MM: Final = 0.25
BAR_QUIET: Final = 10
BAR_HEIGHT_MM: Final = 10.0
LABEL_MM: Final = (62.0, 54.0)
"""A label of the common 62 mm roll."""

_WORDS_MM: Final = 28.0
"""Height for the words of a label, above its bars: the longest legal ones fit in small letters."""
_PNG_SCALE: Final = 8
_BAR_SCALE: Final = 4
_MM_PT: Final = 72 / 25.4
_LEADING: Final = 1.25
_SHEET: Final = (4, 8)
_CELL_MM: Final = (48.0, 34.0)
_MARGIN_MM: Final = (9.0, 12.5)


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed beside a QR code: lines of words, and the short code for the bars below it."""

    text: str
    lines: tuple[str, ...]
    short: str | None = None


def qr_matrix(text: str) -> list[bytes]:
    """The modules of a text's QR code, row by row, 1 dark, without the quiet zone; the smallest version that takes it."""
    import segno

    code = segno.make_qr(text, mode="alphanumeric", error="m", boost_error=False)
    if len(code.matrix) > 17 + 4 * MOST_VERSION:
        code = segno.make_qr(text, mode="alphanumeric", error="l", version=MOST_VERSION, boost_error=False)
    return [bytes(v & 1 for v in row) for row in code.matrix]


def module_mm(matrix: list[bytes]) -> float:
    """The side of one module in a print of 2.5 cm."""
    return QR_MM / (len(matrix) + 2 * QUIET)


def qr_svg(text: str) -> bytes:
    """A QR code of 2.5 cm as SVG."""
    matrix = qr_matrix(text)
    return _svg(matrix, QUIET, QR_MM, QR_MM)


def qr_png(text: str) -> bytes:
    """A QR code as PNG, one bit a pixel, which prints at 2.5 cm."""
    matrix = qr_matrix(text)
    return _png(matrix, QUIET, _PNG_SCALE, module_mm(matrix))


def bars(short: str) -> bytes:
    """The modules of a Code 128, 1 dark, without the quiet zones."""
    from reportlab.graphics.barcode.code128 import Code128

    code = Code128(short, quiet=0)
    code.validate()
    code.encode()
    code.decompose()
    # one letter a bar or space, its width as its place in the alphabet; capitals are bars
    return b"".join(
        (b"\1" if letter.isupper() else b"\0") * (ord(letter.lower()) - 96) for letter in code.decomposed
    )


def bars_svg(short: str) -> bytes:
    """A Code 128 as SVG."""
    row = bars(short)
    return _svg([row], BAR_QUIET, (len(row) + 2 * BAR_QUIET) * BAR_MM, BAR_HEIGHT_MM)


def bars_png(short: str) -> bytes:
    """A Code 128 as PNG, which prints with modules of 0.25 mm."""
    row = bars(short)
    return _png([row] * round(BAR_HEIGHT_MM / BAR_MM), BAR_QUIET, _BAR_SCALE, BAR_MM)


def label_pdf(label: Label) -> bytes:
    """One label: QR code, words, Code 128 of the short code."""
    out = io.BytesIO()
    canvas = _canvas(out, LABEL_MM)
    width, height = LABEL_MM
    _draw_qr(canvas, label.text, 1.0, height - QR_MM - 1.0)
    beside = width - QR_MM - 3.0
    size = 8.0 if _height_mm(label.lines, 8.0, beside) <= _WORDS_MM else 6.0
    _draw_lines(canvas, label.lines, QR_MM + 2.0, height - 5.0, size, beside)
    if label.short is not None:
        row = bars(label.short)
        left = (width - len(row) * BAR_MM) / 2
        canvas.setFillGray(0)
        for start, length in _dark(row):
            canvas.rect(
                (left + start * BAR_MM) * _MM_PT,
                9.0 * _MM_PT,
                length * BAR_MM * _MM_PT,
                BAR_HEIGHT_MM * _MM_PT,
                0,
                1,
            )
        canvas.setFont("Courier-Bold", 11)
        canvas.drawCentredString(width / 2 * _MM_PT, 4.0 * _MM_PT, label.short)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def sheet_pdf(labels: Iterable[Label]) -> bytes:
    """Many labels on A4 sheets, four by eight, each with a QR code of 2.5 cm."""
    out = io.BytesIO()
    canvas = _canvas(out, (210.0, 297.0))
    columns, rows = _SHEET
    n = -1
    for n, label in enumerate(labels):
        place = n % (columns * rows)
        if n and not place:
            canvas.showPage()
        x = _MARGIN_MM[0] + place % columns * _CELL_MM[0]
        y = 297.0 - _MARGIN_MM[1] - (place // columns + 1) * _CELL_MM[1]
        _draw_qr(canvas, label.text, x, y + _CELL_MM[1] - QR_MM - 1.0)
        _draw_lines(
            canvas, label.lines, x + QR_MM + 1.0, y + _CELL_MM[1] - 5.0, 6.0, _CELL_MM[0] - QR_MM - 2.0
        )
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _canvas(out: io.BytesIO, size_mm: tuple[float, float]) -> Canvas:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(out, (size_mm[0] * _MM_PT, size_mm[1] * _MM_PT), invariant=1)
    canvas.setTitle("Cocket")
    return canvas


def _draw_qr(canvas: Canvas, text: str, x_mm: float, y_mm: float) -> None:
    """A QR code whose square with its quiet zone has its lower left corner there."""
    matrix = qr_matrix(text)
    side = module_mm(matrix)
    canvas.setFillGray(0)
    for i, row in enumerate(matrix):
        y = y_mm + QR_MM - (QUIET + i + 1) * side
        for start, length in _dark(row):
            x = x_mm + (QUIET + start) * side
            canvas.rect(x * _MM_PT, y * _MM_PT, length * side * _MM_PT, side * _MM_PT, 0, 1)


def _draw_lines(
    canvas: Canvas, lines: Iterable[str], x_mm: float, y_mm: float, size_pt: float, width_mm: float
) -> None:
    """Lines of words, the first one bold; a long one goes on below. The fonts know Latin letters: others become ``?``."""
    y = y_mm * _MM_PT
    for font, part in _parts(lines, size_pt, width_mm):
        canvas.setFont(font, size_pt)
        canvas.drawString(x_mm * _MM_PT, y, part)
        y -= size_pt * _LEADING


def _height_mm(lines: Iterable[str], size_pt: float, width_mm: float) -> float:
    return sum(1 for _ in _parts(lines, size_pt, width_mm)) * size_pt * _LEADING / _MM_PT


def _parts(lines: Iterable[str], size_pt: float, width_mm: float) -> Iterator[tuple[str, str]]:
    """(font, what stands on one line) of every line, long ones in parts."""
    for i, line in enumerate(lines):
        font = "Helvetica" if i else "Helvetica-Bold"
        plain = line.encode("cp1252", "replace").decode("cp1252")
        for part in _wrapped(plain, font, size_pt, width_mm * _MM_PT):
            yield font, part


def _wrapped(line: str, font: str, size_pt: float, width_pt: float) -> Iterator[str]:
    """A line in parts that fit, cut between any two characters: numbers have no spaces."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    part = ""
    for character in line:
        if part and stringWidth(part + character, font, size_pt) > width_pt:
            yield part
            part = ""
        part += character
    yield part


def _dark(row: bytes) -> Iterator[tuple[int, int]]:
    """(start, length) of each run of dark modules."""
    start = None
    for i, dark in enumerate([*row, 0]):
        if dark and start is None:
            start = i
        elif not dark and start is not None:
            yield start, i - start
            start = None


def _svg(matrix: list[bytes], quiet: int, width_mm: float, height_mm: float) -> bytes:
    across = len(matrix[0]) + 2 * quiet
    down = len(matrix) + 2 * quiet if len(matrix) > 1 else 1
    top = quiet if len(matrix) > 1 else 0
    path = "".join(
        f"M{quiet + start} {top + i}h{length}v1h-{length}z"
        for i, row in enumerate(matrix)
        for start, length in _dark(row)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm:g}mm" height="{height_mm:g}mm" '
        f'viewBox="0 0 {across} {down}" preserveAspectRatio="none" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{across}v{down}h-{across}z"/><path d="{path}"/></svg>\n'
    ).encode()


def _png(matrix: list[bytes], quiet: int, scale: int, side_mm: float) -> bytes:
    from PIL import Image

    above = quiet if len(matrix[0]) == len(matrix) else 0
    width = len(matrix[0]) + 2 * quiet
    blank = b"\xff" * width
    edge = b"\xff" * quiet
    rows = [edge + bytes(0 if dark else 255 for dark in row) + edge for row in matrix]
    pixels = b"".join([blank] * above + rows + [blank] * above)
    image: Any = Image.frombytes("L", (width, len(rows) + 2 * above), pixels)
    image = image.resize((width * scale, image.height * scale), Image.Resampling.NEAREST).convert("1")
    out = io.BytesIO()
    dpi = 25.4 / side_mm * scale
    image.save(out, "PNG", dpi=(dpi, dpi))
    return out.getvalue()
