"""The clean-trip report as PDF, A4, in English or French: what a customs house prints, stamps and files.

Legible without colour. The same report gives the same bytes. All that others wrote (names, ids, causes) is escaped, wrapped
to its column, and shown as far as the fonts go (``printing``). Lists are cut at ``MOST_ROWS`` and say so.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from cocket import __version__
from cocket.core.clock import US, rfc3339
from cocket.core.words import metres
from cocket.customs.trip.printing import BOLD, PLAIN, Printable, known
from cocket.customs.trip.report import Report
from cocket.customs.trip.rules import AlertFacts, Watched
from cocket.customs.trip.words import label, moment, share, span, word

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

MOST_ROWS: Final = 300
_MOST_TEXT: Final = 600
_MOST_NAME: Final = 160
"""Of a name in a table's cell: no cell is higher than a page."""
_MM: Final = 72 / 25.4
_PAGE: Final = (210 * _MM, 297 * _MM)
_SIDE: Final = 18 * _MM
_WIDTH: Final = _PAGE[0] - 2 * _SIDE
_INK, _SOFT, _LINE, _BAND = "#16202b", "#5a6672", "#b9c2cb", "#eef1f4"
_GOOD, _BAD = "#1c6b3c", "#a11d1d"


def trip_pdf(report: Report, lang: str = "en") -> bytes:
    """The printed report. ``lang``: ``en`` or ``fr``."""
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    known()
    sheet = _Sheet(report, lang)
    story = sheet.story()
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=_PAGE,
        title=f"{label(lang, 'title')} {report.trip.mrn}",
        author="Cocket",
        lang=lang,
        invariant=1,
        leftMargin=_SIDE,
        rightMargin=_SIDE,
    )
    frame = Frame(_SIDE, 20 * _MM, _WIDTH, _PAGE[1] - 38 * _MM, 0, 0, 0, 0)
    document.addPageTemplates([PageTemplate(frames=[frame])])
    document.build(story, canvasmaker=_canvas_of(sheet))
    return out.getvalue()


class _Sheet:
    """One report being set in one language."""

    def __init__(self, report: Report, lang: str) -> None:
        from reportlab.lib.styles import ParagraphStyle

        self.report = report
        self.lang = lang
        self.show = Printable()

        def style(name: str, size: float, leading: float, **more: Any) -> Any:
            more = {"fontName": PLAIN, "textColor": _INK, "splitLongWords": 1, **more}
            return ParagraphStyle(name, fontSize=size, leading=leading, **more)

        self.body = style("body", 8.5, 11.5)
        self.cell = style("cell", 8, 10.5)
        self.strong = style("strong", 8, 10.5, fontName=BOLD)
        self.soft = style("soft", 7.5, 10, textColor=_SOFT)
        self.head = style(
            "head",
            10,
            13,
            fontName=BOLD,
            spaceBefore=4 * _MM,
            spaceAfter=1.5 * _MM,
        )
        self.title = style("title", 17, 21, fontName=BOLD)
        self.number = style("number", 12, 16, fontName=BOLD)
        self.verdict = style("verdict", 15, 19, fontName=BOLD)

    def t(self, name: str, **facts: Any) -> str:
        """A label, as markup."""
        return self.show(label(self.lang, name, **facts))

    def w(self, name: str | None) -> str:
        """A word of the house, as markup."""
        return self.text(word(self.lang, name))

    def text(self, value: object, most: int = _MOST_NAME) -> str:
        """What others wrote, as markup, cut where it is endless."""
        text = str(value)
        return self.show(text if len(text) <= most else text[:most] + " …")

    def at(self, us: int | None, otherwise: str) -> str:
        """A moment, as markup."""
        return self.t(otherwise) if us is None else self.show(f"{moment(rfc3339(us))} UTC")

    def para(self, markup: str, style: Any = None) -> Any:
        """A paragraph."""
        from reportlab.platypus import Paragraph

        return Paragraph(markup, style or self.cell)

    def heading(self, name: str) -> list[Any]:
        """A heading that is not left alone at the foot of a page."""
        from reportlab.platypus import CondPageBreak

        return [CondPageBreak(28 * _MM), self.para(self.t(name), self.head)]

    # parts of the page

    def story(self) -> list[Any]:
        """All of it, in order."""
        parts = [*self._top(), *self._movement(), *self._reasons(), *self._watch(), *self._seals()]
        parts += [*self._alerts(), *self._incidents(), *self._basis()]
        return parts

    def _top(self) -> list[Any]:
        from reportlab.platypus import Spacer, Table

        clean = self.report.clean
        colour = _GOOD if clean else _BAD
        name = "clean" if clean else "not-clean"
        box = Table(
            [
                [self.para(f'<font color="{colour}">{self.t(name)}</font>', self.verdict)],
                [self.para(self.t(f"{name}-help"), self.body)],
            ],
            [_WIDTH],
        )
        box.setStyle(
            [
                ("BOX", (0, 0), (-1, -1), 1.6, colour),
                ("LEFTPADDING", (0, 0), (-1, -1), 4 * _MM),
                ("TOPPADDING", (0, 0), (-1, 0), 2.5 * _MM),
                ("BOTTOMPADDING", (0, 0), (-1, 0), 0.5 * _MM),
                ("BOTTOMPADDING", (0, 1), (-1, 1), 3 * _MM),
            ]
        )
        return [
            self.para(self.t("title"), self.title),
            self.para(f"{self.t('mrn')} {self.text(self.report.trip.mrn)}", self.number),
            Spacer(0, 3 * _MM),
            box,
        ]

    def _movement(self) -> list[Any]:
        trip, declared = self.report.trip, self.report.declared
        risk = " · ".join(str(declared[k]) for k in ("risk", "goods") if declared.get(k))
        lasted = None if trip.departed_us is None else (trip.end_us - trip.departed_us) / US
        distance = max((w.distance_m for w in trip.watched), default=None)
        rows = [
            ("holder", self.text(declared.get("holder") or label(self.lang, "unknown"), _MOST_TEXT)),
            ("risk", self.text(risk or label(self.lang, "unknown"))),
            ("from", self._office("departure_office")),
            ("to", self._office("destination_office")),
            ("departed", self.at(trip.departed_us, "not-yet")),
            ("arrived", self.at(trip.arrived_us, "not-yet")),
            ("limit", self.at(trip.limit_us, "none")),
            ("duration", self.t("unknown") if lasted is None else self.show(span(self.lang, lasted))),
            ("distance", self.t("unknown") if distance is None else self.show(self._metres(distance))),
        ]
        return [*self.heading("movement"), self._pairs(rows)]

    def _pairs(self, rows: Sequence[tuple[str, str]]) -> Any:
        from reportlab.platypus import Table

        table = Table(
            [[self.para(self.t(name), self.soft), self.para(value)] for name, value in rows],
            [48 * _MM, _WIDTH - 48 * _MM],
        )
        table.setStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1.2 * _MM),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2 * _MM),
            ]
        )
        return table

    def _reasons(self) -> list[Any]:
        if self.report.clean:
            return []
        rows = [
            [
                self.para(str(i), self.cell),
                self.para(self.show(r.rule), self.strong),
                self.para(self.text(r.detail(self.lang), _MOST_TEXT)),
            ]
            for i, r in enumerate(self.report.reasons, 1)
        ]
        heads = ["", self.t("rule"), self.t("words")]
        return [
            *self.heading("reasons"),
            self._table(heads, rows, [8 * _MM, 32 * _MM, _WIDTH - 40 * _MM]),
        ]

    def _watch(self) -> list[Any]:
        from reportlab.platypus import Spacer

        trip = self.report.trip
        if not trip.watched:
            return []
        rows = [
            [
                self.para(self.text(w.equipment_id), self.strong if w.judged else self.cell),
                self.para(self.text(", ".join(w.device_ids))),
                self.para(self.show(str(w.observations))),
                self.para(self.show(span(self.lang, w.longest.seconds))),
                self.para(self.show(share(self.lang, w.coverage))),
                self.para(self.show(self._metres(w.distance_m))),
            ]
            for w in trip.watched[:MOST_ROWS]
        ]
        heads = [self.t(n) for n in ("equipment", "devices", "reports", "gap", "covered")]
        heads.append(self.show(label(self.lang, "distance").split(",")[0]))
        widths = [34 * _MM, 0, 17 * _MM, 30 * _MM, 24 * _MM, 20 * _MM]
        end = self.t("timeline-now" if trip.arrived_us is None else "timeline-arrived")
        parts = [*self.heading("watch"), self._table(heads, rows, widths)]
        parts += self._more(len(trip.watched))
        if trip.departed_us is not None and trip.end_us > trip.departed_us:
            parts += [Spacer(0, 1.5 * _MM), self.para(self.t("timeline", end=end), self.soft), Spacer(0, _MM)]
            parts += [
                _strip(w, trip.departed_us, trip.end_us, self.show.plain(w.equipment_id))
                for w in [w for w in trip.watched if w.judged][:8]
            ]
        return parts

    def _seals(self) -> list[Any]:
        seals = self.report.trip.seals
        if not seals:
            return []
        closed = {True: "yes", False: "no", None: "unknown"}
        rows = [
            [
                self.para(self.text(s.id), self.strong),
                self.para(self.t("electronic" if s.electronic else "mechanical")),
                self.para(self.text(s.equipment_id or "")),
                self.para(self.t(closed[s.closed]), self.strong if s.closed is not True else self.cell),
                self.para(self.t("not-yet") if s.verified is None else self.w(s.verified)),
            ]
            for s in seals[:MOST_ROWS]
        ]
        heads = [self.t(n) for n in ("seal", "kind", "equipment", "closed", "verified")]
        widths = [0, 26 * _MM, 38 * _MM, 32 * _MM, 34 * _MM]
        return [
            *self.heading("seals"),
            self._table(heads, rows, widths),
            *self._more(len(seals)),
        ]

    def _alerts(self) -> list[Any]:
        alerts = sorted(self.report.trip.alerts, key=lambda a: a.settled)
        parts = self.heading("alerts")
        if not alerts:
            return [*parts, self.para(self.t("no-alerts"), self.body)]
        heads = [self.t(n) for n in ("alert", "severity", "began", "ended", "state")]
        widths = [0, 23 * _MM, 34 * _MM, 34 * _MM, 46 * _MM]
        rows = [self._alert(a) for a in alerts[:MOST_ROWS]]
        return [*parts, self._table(heads, rows, widths), *self._more(len(alerts))]

    def _alert(self, alert: AlertFacts) -> list[Any]:
        found = [word(self.lang, alert.state), word(self.lang, alert.triage), alert.cause or ""]
        ended = self.t("ongoing") if alert.ended_us is None else self.show(moment(rfc3339(alert.ended_us)))
        return [
            self.para(
                f"{self.w(alert.code)}<br/><font size=7 color='{_SOFT}'>{self.text(alert.device_id)}</font>",
                self.cell if alert.settled else self.strong,
            ),
            self.para(self.w(alert.severity)),
            self.para(self.show(moment(rfc3339(alert.began_us)))),
            self.para(ended),
            self.para(self.text(" · ".join(f for f in found if f))),
        ]

    def _incidents(self) -> list[Any]:
        incidents = self.report.trip.incidents
        parts = self.heading("incidents")
        if not incidents:
            return [*parts, self.para(self.t("no-incidents"), self.body)]
        rows = [
            [
                self.para(f"{self.w(i.kind)}<br/>{self.text(i.text or '', _MOST_TEXT)}"),
                self.para(self.show(moment(rfc3339(i.at_us)))),
                self.para(self.text(i.by)),
                self.para(self.t("yes" if i.resolved else "no"), self.cell if i.resolved else self.strong),
            ]
            for i in incidents[:MOST_ROWS]
        ]
        heads = [self.t(n) for n in ("incident", "began", "by", "resolved")]
        table = self._table(heads, rows, [0, 34 * _MM, 36 * _MM, 20 * _MM])
        return [*parts, table, *self._more(len(incidents))]

    def _basis(self) -> list[Any]:
        from reportlab.platypus import KeepTogether, Spacer, Table

        limits = {
            "coverage": share(self.lang, self.report.least_coverage),
            "gap": span(self.lang, self.report.gap_s),
        }
        made = f"{moment(rfc3339(self.report.generated_us))} UTC"
        notes = [
            self.t("made", version=__version__, at=made),
            self.t("fingerprint", sha256=self.report.sha256()),
        ]
        if self.show.replaced:
            notes.append(self.t("unprintable", n=self.show.replaced))
        line = Table([[self.para(self.t("signature"), self.soft)]], [80 * _MM])
        line.setStyle([("LINEABOVE", (0, 0), (-1, -1), 0.6, _INK), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
        line.hAlign = "RIGHT"
        return [
            KeepTogether(
                [
                    self.para(self.t("basis"), self.head),
                    self.para(self.t("basis-words", **limits), self.soft),
                    Spacer(0, 2 * _MM),
                    *(self.para(n, self.soft) for n in notes),
                    Spacer(0, 13 * _MM),
                    line,
                ]
            )
        ]

    def _table(self, heads: Sequence[str], rows: Iterable[list[Any]], widths: Sequence[float]) -> Any:
        """A table with a head that comes again on each page; the column of width 0 takes what is left."""
        from reportlab.platypus import LongTable

        left = _WIDTH - sum(widths)
        table = LongTable(
            [[self.para(h, self.soft) for h in heads], *rows],
            [w or left for w in widths],
            repeatRows=1,
            splitInRow=1,
        )
        table.setStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), _BAND),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 1.5 * _MM),
                ("RIGHTPADDING", (0, 0), (-1, -1), 1.5 * _MM),
                ("TOPPADDING", (0, 0), (-1, -1), 1.1 * _MM),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.1 * _MM),
            ]
        )
        return table

    def _more(self, n: int) -> list[Any]:
        return [self.para(self.t("more-rows", n=n - MOST_ROWS), self.soft)] if n > MOST_ROWS else []

    def _office(self, name: str) -> str:
        office_id = self.report.declared.get(name)
        if office_id is None:
            return self.t("unknown")
        known_as = self.report.offices.get(str(office_id))
        return self.text(office_id if known_as in {None, office_id} else f"{known_as} ({office_id})")

    def _metres(self, m: float) -> str:
        text = metres(m)
        return text.replace(".", ",") if self.lang == "fr" else text


def _strip(watched: Watched, begin_us: int, end_us: int, name: str) -> Any:
    """A bar for a trip's time: filled where reports cover it, hollow where they do not."""
    from reportlab.graphics.shapes import Drawing, Rect, String
    from reportlab.lib.colors import HexColor, white
    from reportlab.pdfbase.pdfmetrics import stringWidth

    height, beside = 4 * _MM, 34 * _MM
    wide = _WIDTH - beside
    drawing = Drawing(_WIDTH, height + 2 * _MM)
    while name and stringWidth(name, PLAIN, 7.5) > beside - 2 * _MM:
        name = name[:-1]
    drawing.add(String(0, 1.2 * _MM, name, fontName=PLAIN, fontSize=7.5, fillColor=HexColor(_INK)))
    filled = HexColor(_INK) if watched.observations else white
    drawing.add(Rect(beside, 0, wide, height, fillColor=filled, strokeColor=HexColor(_INK), strokeWidth=0.6))
    for gap in watched.gaps:
        x = (gap.from_us - begin_us) / (end_us - begin_us) * wide
        width = max((gap.to_us - gap.from_us) / (end_us - begin_us) * wide, 0.5)
        drawing.add(
            Rect(beside + x, 0, width, height, fillColor=white, strokeColor=HexColor(_INK), strokeWidth=0.6)
        )
    return drawing


def _canvas_of(sheet: _Sheet) -> type[Canvas]:
    """A canvas that writes on each page which of how many it is: it holds the pages until the last is known."""
    from reportlab.pdfgen.canvas import Canvas as Plain

    report, lang = sheet.report, sheet.lang
    left = sheet.show.plain(f"{report.trip.mrn} · {moment(rfc3339(report.generated_us))} UTC")

    class Numbered(Plain):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._held: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._held.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for i, state in enumerate(self._held, 1):
                self.__dict__.update(state)
                self._foot(i, len(self._held))
                super().showPage()
            super().save()

        def _foot(self, page: int, pages: int) -> None:
            self.setFont(PLAIN, 7.5)
            self.setFillColor(_SOFT)
            self.drawString(_SIDE, 10 * _MM, left)
            self.drawRightString(_PAGE[0] - _SIDE, 10 * _MM, label(lang, "page", page=page, pages=pages))

    return Numbered
