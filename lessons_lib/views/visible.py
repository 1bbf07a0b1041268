"""Tokens made visible: spaces, line ends and characters that a font cannot draw."""

import unicodedata
from functools import lru_cache

SPACE, LINE_END, TAB = "▁", "↵", "⇥"
_STAND_INS = {" ": SPACE, "\n": LINE_END, "\t": TAB}
_UNSEEN = {
    "Cc",
    "Cf",
    "Cn",
    "Co",
    "Cs",
    "Zl",
    "Zp",
    "Zs",
}  # control, format, unassigned, private, surrogate, separators


def visible(token: str | bytes) -> str:
    """`token` with spaces as ▁, line ends as ↵, tabs as ⇥, and other characters without a shape as their code point.

    Bytes are read as UTF-8; those that are no whole character appear as "<E4>".
    """
    if isinstance(token, bytes):
        token = token.decode("utf-8", errors="surrogateescape")
    return "".join(map(_visible_character, token))


def _visible_character(c: str) -> str:
    if c in _STAND_INS:
        return _STAND_INS[c]
    if "\udc80" <= c <= "\udcff":  # where "surrogateescape" puts a byte that it could not read
        return f"<{ord(c) - 0xDC00:02X}>"
    return code_point(c) if unicodedata.category(c) in _UNSEEN else c


def code_point(character: str) -> str:
    """The name of a character in figures: "U+4E2D" for 中."""
    return f"U+{ord(character):04X}"


def drawable(token: str | bytes, font: str = "DejaVu Sans") -> str:
    """`token` made visible, and what `font` has no glyph for as its code point: a figure never shows an empty box."""
    glyphs = _glyphs(font)
    return "".join(c if ord(c) in glyphs else code_point(c) for c in visible(token))


@lru_cache
def _glyphs(font: str) -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=font))).get_charmap())
