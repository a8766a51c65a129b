"""A font for the letters of one document, to be embedded in its PDF: readers that have no Chinese font show it, too.

It is a part of Noto Sans SC (SIL Open Font License), whose cubic outlines are made quadratic, as PDFs made by reportlab
need them.
"""

import io
from collections.abc import Iterable

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont, newTable
from pylopdf_fonts_zh_cn import sans_path

LARGEST_ERROR = 1.0
"""Of an outline, in units of which an em has 1,000."""
LIMITS = {
    "maxZones": 1,
    **dict.fromkeys(("maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"), 0),
    **dict.fromkeys(("maxStackElements", "maxSizeOfInstructions", "maxComponentElements"), 0),
}


def embedded_font(letters: Iterable[str]) -> bytes:
    """A TrueType font with these letters, as far as Noto Sans SC has them, and a box for those that it lacks."""
    with TTFont(sans_path(), lazy=True) as font:
        _take(font, letters)
        _make_quadratic(font)
        written = io.BytesIO()
        font.save(written)
    return written.getvalue()


def _take(font: TTFont, letters: Iterable[str]) -> None:
    options = Options(notdef_outline=True, layout_features=[], hinting=False, desubroutinize=True)
    options.drop_tables += ["BASE", "GDEF", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[ord(letter) for letter in letters])
    subsetter.subset(font)


def _make_quadratic(font: TTFont) -> None:
    """As https://github.com/fonttools/fonttools/blob/main/Snippets/otf2ttf.py does."""
    order, drawn = font.getGlyphOrder(), font.getGlyphSet()
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(None)
        drawn[name].draw(Cu2QuPen(pen, LARGEST_ERROR, reverse_direction=True))
        glyphs[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, glyphs
    del font["CFF "]
    font["glyf"].compile(font)
    limits = font["maxp"]
    limits.tableVersion = 0x00010000
    for name, value in LIMITS.items():
        setattr(limits, name, value)
    limits.recalc(font)
    names = font["post"]
    names.formatType, names.extraNames, names.mapping, names.glyphOrder = 2.0, [], {}, order
    font.sfntVersion = "\x00\x01\x00\x00"
