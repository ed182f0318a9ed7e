"""Text for PDF pages: what the fonts at hand can show, escaped for reportlab; what they cannot is replaced where one sees it.

DejaVu Sans (in ``fonts/``, embedded in the page) has Latin, Greek, Cyrillic, Armenian and Georgian. Chinese, Japanese
and Korean are set in the fonts that every PDF reader with Asian fonts knows (Adobe's character collections, not embedded).
Other scripts, those that need shaping or run right to left among them, become U+FFFD one for one and are counted.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

PLAIN: Final = "CocketSans"
BOLD: Final = "CocketSans-Bold"
_SPACE: Final = re.compile("[ \\t\\r\\n\\v\\f\\u2028\\u2029]+")
_BLANKS: Final = "\u00a0\u202f"
REPLACED: Final = "\ufffd"
_FONTS: Final = Path(__file__).parent / "fonts"
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYSMyeongJo-Medium"
_ASIAN: Final = (
    ("\u3040", "\u30ff", _JAPANESE),
    ("\uac00", "\ud7a3", _KOREAN),
    ("\u3000", "\u303f", _CHINESE),
    ("\u4e00", "\u9fff", _CHINESE),
    ("\uff01", "\uff5e", _CHINESE),
)
"""Ranges and the font that has them; Chinese characters beside kana are set as Japanese."""


@cache
def known() -> frozenset[str]:
    """Registers the fonts with reportlab, once; gives the characters that the embedded ones have."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont

    plain, bold = TTFont(PLAIN, _FONTS / "DejaVuSans.ttf"), TTFont(BOLD, _FONTS / "DejaVuSans-Bold.ttf")
    for font in (plain, bold):
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(PLAIN, PLAIN, BOLD, PLAIN, BOLD)
    for name in (_CHINESE, _JAPANESE, _KOREAN):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(map(chr, plain.face.charToGlyph)) & frozenset(map(chr, bold.face.charToGlyph))


class Printable:
    """Makes markup of texts and counts what could not be shown."""

    def __init__(self) -> None:
        self.replaced = 0
        self._known = known()

    def plain(self, text: str) -> str:
        """The text with what the embedded fonts cannot show replaced; for what is drawn without markup."""
        return "".join(
            c if self._font(c, kana=False) == PLAIN else self._replace(c) for c in self._clean(text)
        )

    def __call__(self, text: object) -> str:
        """Markup of a text for a reportlab Paragraph. Line ends become spaces, other controls are replaced."""
        letters = self._clean(str(text))
        kana = any("\u3040" <= c <= "\u30ff" for c in letters)
        out = []
        for font, run in groupby(letters, lambda c: self._font(c, kana=kana)):
            part = "".join(run)
            if font is None:
                out.append("".join(map(self._replace, part)))
            elif font == PLAIN:
                out.append(escape(part))
            else:
                out.append(f'<font name="{font}">{escape(part)}</font>')
        return "".join(out)

    def _clean(self, text: str) -> str:
        return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")

    def _replace(self, _character: str) -> str:
        self.replaced += 1
        return REPLACED

    def _font(self, character: str, *, kana: bool) -> str | None:
        if character in self._known and (character.isprintable() or character in _BLANKS):
            return PLAIN
        for first, last, font in _ASIAN:
            if first <= character <= last:
                return _JAPANESE if kana and font == _CHINESE else font
        return None
