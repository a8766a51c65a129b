"""The readable part of an evidence file: a PDF in one language, with the pictures of each case side by side."""

import io
import string
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from xml.sax.saxutils import escape

from PIL import Image as Picture
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, KeepTogether, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

from detector.calibration import Calibration
from records.casework.case_history import DecisionMade
from records.reports.evidence import Evidence, EvidenceCase
from web.console.embedded_font import embedded_font
from web.console.evidence_words import (
    ABOUT,
    CHECK,
    DECISIONS,
    HOW,
    STAGES,
    TRIGGERS,
    AccountPolicy,
    account_of,
    error_rates,
    findings_of,
    moment,
)
from web.languages import ENGLISH, N_, Language

MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN
PADDING = 6
"""Points that reportlab leaves free within the margins."""
PICTURE = 72 * mm
"""The longest side of a picture."""
NOTO = "Noto"
"""What embedded_font.py makes for the document at hand."""
LATIN, BOLD = "Helvetica", "Helvetica-Bold"
"""In English; every PDF reader has them."""
_ONE_AT_A_TIME = threading.Lock()
"""reportlab keeps fonts by their names, for the whole process."""
INK, GREY, LINE, BAND = (colors.HexColor(code) for code in ("#1d2433", "#5b6474", "#c9ced8", "#f2f4f8"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What an evidence file is made of. by: the id of who releases it; now: aware; software: name and version."""

    evidence: Evidence
    accounts: AccountPolicy
    platform: str
    calibration: Calibration | None
    by: str
    now: datetime
    software: str


def evidence_pdf(facts: Facts, language: Language) -> bytes:
    """The PDF, A4, with the letters that it needs."""
    title = f"{language.text(N_('Evidence file'))} {facts.evidence.report.number}"
    numbered = language.text(N_("Page %(number)s"), number=string.digits)
    draft = _Pages(facts, language, LATIN, draft=True)
    list(draft.all())  # only to know which letters there are
    font = LATIN if language is ENGLISH else NOTO
    written = io.BytesIO()
    with _noto({*string.printable, *title, *numbered, *draft.letters}):
        document = SimpleDocTemplate(
            written,
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=MARGIN,
            bottomMargin=MARGIN + 6 * mm,
            title=title,
            author=facts.software,
            lang=language.tag,
        )
        footer = partial(_footer, language=language, text=title, font=font)
        document.build(list(_Pages(facts, language, font).all()), onFirstPage=footer, onLaterPages=footer)
    return written.getvalue()


@contextmanager
def _noto(letters: Iterable[str]) -> Iterator[None]:
    """While it lasts, the font NOTO has these letters."""
    with _ONE_AT_A_TIME:
        font = TTFont(NOTO, io.BytesIO(embedded_font(letters)))
        registerFont(font)
        try:
            yield
        finally:
            font.unregister()


class _Pages:
    """The document's flowables, in one language; `letters`: those in them so far. draft: nobody sees them."""

    def __init__(self, facts: Facts, language: Language, font: str, *, draft: bool = False) -> None:
        self._facts = facts
        self._language = language
        self._text = language.text
        self.letters: set[str] = set()
        self._draft = draft
        wrap = None if language is ENGLISH else "CJK"
        body = {"fontName": font, "textColor": INK, "wordWrap": wrap, "splitLongWords": 1}
        self._plain = ParagraphStyle("plain", fontSize=9.5, leading=14, spaceAfter=5, **body)
        self._small = ParagraphStyle("small", parent=self._plain, fontSize=8.5, leading=11.5, spaceAfter=0)
        self._label = ParagraphStyle("label", parent=self._small, textColor=GREY)
        self._caption = ParagraphStyle("caption", parent=self._label, alignment=TA_CENTER, spaceBefore=2)
        bold = BOLD if font == LATIN else font
        self._title = ParagraphStyle("title", parent=self._plain, fontName=bold, fontSize=20, leading=26, spaceAfter=4)
        self._head = ParagraphStyle("head", parent=self._plain, fontName=bold, fontSize=13, leading=18, spaceBefore=12)

    def all(self) -> Iterator[Flowable]:
        yield Paragraph(self._marked(self._text(N_("Evidence file"))), self._title)
        yield self._table(self._summary())
        yield Spacer(1, 4 * mm)
        for text in ABOUT:
            yield self._sentence(self._text(text))
        yield KeepTogether([self._heading(N_("How the comparison works")), *self._how()])
        yield KeepTogether(
            [self._heading(N_("How to check this file")), *(self._sentence(self._text(text)) for text in CHECK)]
        )
        for number, one in enumerate(self._facts.evidence.cases, 1):
            yield PageBreak()
            yield from self._case(number, one)

    def _summary(self) -> list[tuple[str, str]]:
        facts, report = self._facts, self._facts.evidence.report
        at = partial(moment, self._language)
        count, more = len(facts.evidence.cases), facts.evidence.left_out
        too_many = N_("%(count)s, and %(more)s older ones that are left out")
        counted = self._text(too_many, count=count, more=more) if more else str(count)
        rows = [
            (N_("Case number"), report.number),
            (N_("Platform"), facts.platform),
            (N_("Report received"), at(report.created_at)),
            (N_("Identity checked and report approved"), at(report.decided_at)),
            (N_("Compared with avatars since"), at(facts.evidence.protected_since)),
            (N_("Consent lasts until"), at(report.ends_at)),
            (N_("Confirmed cases"), counted),
            (N_("This file was made"), at(facts.now)),
            (N_("Released by"), facts.by),
            (N_("Software"), facts.software),
        ]
        return [(self._text(name), said) for name, said in rows if said]

    def _case(self, number: int, one: EvidenceCase) -> Iterator[Flowable]:
        case, at = one.case, partial(moment, self._language)
        of = self._text(N_("Case %(number)s of %(count)s"), number=number, count=len(self._facts.evidence.cases))
        accounts = {
            "account_id": N_("Account"),
            "handle": N_("Handle"),
            "display_name": N_("Display name"),
            "account_sha256": N_("Account (SHA-256 of its id)"),
        }
        rows = [(N_("Case"), case.id)]
        rows += [(accounts[name], said) for name, said in account_of(case, self._facts.accounts).items()]
        rows += [
            (N_("Avatar uploaded"), at(case.uploaded_at)),
            (N_("Avatar compared"), at(case.screened_at)),
            (N_("Confirmed"), at(one.confirmed_at)),
        ]
        yield KeepTogether(
            [
                Paragraph(self._marked(of), self._head),
                self._side_by_side(one),
                Spacer(1, 4 * mm),
                self._table([(self._text(name), said) for name, said in rows]),
            ]
        )
        found = [*findings_of(one, self._facts.evidence.report.identity_id), TRIGGERS[case.trigger]]
        yield KeepTogether([self._heading(N_("What was found")), *(self._sentence(self._text(text)) for text in found)])
        yield KeepTogether([self._heading(N_("What people decided")), self._decisions(one.decisions)])

    def _side_by_side(self, one: EvidenceCase) -> Table:
        captions = N_("Photo that the reporter sent"), N_("Avatar of the account")
        gone = N_("Not kept any more")
        with_them = N_("It stayed with the reporter, who sent its fingerprint only")
        missing = with_them if self._facts.evidence.report.kind == "hashes" else gone
        pictures = [self._picture(one.reference, missing), self._picture(one.avatar, gone)]
        named = [Paragraph(self._marked(self._text(caption)), self._caption) for caption in captions]
        table = Table([pictures, named], colWidths=[WIDTH / 2] * 2)
        table.setStyle([("ALIGN", (0, 0), (-1, -1), "CENTER"), ("VALIGN", (0, 0), (-1, 0), "BOTTOM")])
        return table

    def _picture(self, jpeg: bytes | None, gone: str) -> Flowable:
        if jpeg is None:
            return Paragraph(self._marked(self._text(gone)), self._caption)
        with Picture.open(io.BytesIO(jpeg)) as opened:
            width, height = opened.size
        scale = PICTURE / max(width, height)
        return Image(io.BytesIO(jpeg), width * scale, height * scale)

    def _decisions(self, decisions: Sequence[DecisionMade]) -> Table:
        names = (N_("When"), N_("Who"), N_("What"))
        rows = [[Paragraph(self._marked(self._text(name)), self._label) for name in names]]
        for made in decisions:
            when, what = moment(self._language, made.decided_at), self._text(DECISIONS[made.decision])
            who = self._text(N_("%(stage)s: %(who)s"), stage=self._text(STAGES[made.stage]), who=made.decided_by)
            rows.append([Paragraph(self._marked(text), self._small) for text in (when, who, what)])
        table = Table(rows, colWidths=[WIDTH * 0.3, WIDTH * 0.35, WIDTH * 0.35], repeatRows=1)
        table.setStyle([("BACKGROUND", (0, 0), (-1, 0), BAND), *_RULES])
        return table

    def _how(self) -> Iterator[Flowable]:
        for text in HOW:
            yield self._sentence(self._text(text))
        newest = self._facts.evidence.cases[-1]
        for text in error_rates(self._language, newest, self._facts.calibration):
            yield self._sentence(text)

    def _table(self, rows: Sequence[tuple[str, str]]) -> Table:
        cells = [
            [Paragraph(self._marked(name), self._label), Paragraph(self._marked(said), self._small)]
            for name, said in rows
        ]
        table = Table(cells, colWidths=[WIDTH * 0.35, WIDTH * 0.65])
        table.setStyle(_RULES)
        return table

    def _heading(self, text: str) -> Paragraph:
        return Paragraph(self._marked(self._text(text)), self._head)

    def _sentence(self, text: str) -> Paragraph:
        return Paragraph(self._marked(text), self._plain)

    def _marked(self, text: str) -> str:
        """For a paragraph: nothing in it is markup, and in English letters that Helvetica lacks come from Noto."""
        self.letters |= set(text)
        if self._language is not ENGLISH or self._draft:
            return escape(text)
        runs = groupby(text, lambda letter: bool(letter.encode("cp1252", errors="ignore")))
        parts = [(known, escape("".join(run))) for known, run in runs]
        return "".join(part if known else f'<font name="{NOTO}">{part}</font>' for known, part in parts)


_RULES: list[tuple[object, ...]] = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
    ("TOPPADDING", (0, 0), (-1, -1), 3.5),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
]


def _footer(canvas: Canvas, document: SimpleDocTemplate, *, language: Language, text: str, font: str) -> None:
    canvas.saveState()
    canvas.setFont(font, 8)
    canvas.setFillColor(GREY)
    side, page = MARGIN + PADDING, language.text(N_("Page %(number)s"), number=document.page)
    canvas.drawString(side, 12 * mm, text)
    canvas.drawRightString(A4[0] - side, 12 * mm, page)
    canvas.restoreState()
