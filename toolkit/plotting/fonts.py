"""Fonts for names in any script: what the machine has, and what to write where it has none."""

from __future__ import annotations

from functools import cache

__all__ = ["font_families", "printable"]

_FIRST = "DejaVu Sans"  # comes with matplotlib: Latin, Greek, Cyrillic and much else
_FURTHER = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "PingFang SC"),
    *("Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Noto Sans Thai", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu"),
    *("Noto Sans Ethiopic", "Noto Sans Khmer", "Noto Sans Symbols", "Noto Sans Symbols2", "Noto Emoji"),
)


@cache
def font_families() -> list[str]:
    """Families on this machine, in the order in which a letter is looked for in them."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [_FIRST, *(name for name in _FURTHER if name in there)]


@cache
def _known_letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = (get_font(findfont(FontProperties(family=name))) for name in font_families())
    return frozenset(code for font in fonts for code in font.get_charmap())


def printable(text: str) -> str:
    """Text in one line; letters that no font has are written as escapes, which is better than a box."""
    line = " ".join(text.split())
    return "".join(
        letter if ord(letter) in _known_letters() else letter.encode("unicode_escape").decode() for letter in line
    )
