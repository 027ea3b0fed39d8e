"""Letters that the fonts in use lack: another installed font's, or an escape, never a box and a warning."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from admin_py.base.printable import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist

NO_LETTERS = ("lastresort", "last resort")
"""Fonts that have a picture of a box for everything."""


def legible(text: str) -> str:
    r"""A text with escapes in place of what no installed font has a letter for, control characters too.

    Examples
    --------
    >>> legible("caf\u00e9"), legible("a\x01b"), legible("two\nlines")
    ('café', 'a\\x01b', 'two\\nlines')
    """
    return "".join(character if is_plain(character) else _shown(character) for character in text)


def is_plain(character: str) -> bool:
    """Whether it can be drawn: it is no control character, and some font has it."""
    if " " <= character <= "~":
        return True
    if unicodedata.category(character) in ("Cc", "Cs", "Cn", "Zl", "Zp"):
        return False
    return bool(_has(character, _families())) or fallback(character) is not None


def _shown(character: str) -> str:
    escaped = printable(character)
    return escaped if escaped.isascii() else character.encode("unicode_escape").decode("ascii")


def dress(artist: Artist) -> None:
    """Give every text under an artist the fonts that have the letters which its own lack."""
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        assert isinstance(text, Text)
        written = text.get_text()
        if not written.isascii():
            families = tuple(text.get_fontfamily())
            more = more_families(written, families)
            if more:
                text.set_fontfamily([*families, *more])


def more_families(text: str, families: tuple[str, ...]) -> list[str]:
    """Fonts, beside those in use, that have the letters of a text which these lack."""
    more: list[str] = []
    for character in dict.fromkeys(text):
        if character > "~" and not _has(character, (*families, *more)):
            found = fallback(character)
            if found is not None:
                more.append(found)
    return more


@lru_cache(4096)
def fallback(character: str) -> str | None:
    """An installed font that has a character, or None."""
    from matplotlib.font_manager import fontManager

    regular: dict[str, str] = {}
    # The upright one of usual weight is what a family's name means.
    for entry in sorted(fontManager.ttflist, key=lambda entry: _boldness(entry.weight)):
        if entry.style == "normal" and not any(word in entry.name.lower() for word in NO_LETTERS):
            regular.setdefault(entry.name, entry.fname)
    # Sans first: the letters stand among others without serifs.
    for name in sorted(regular, key=lambda name: ("Sans" not in name, name)):
        if ord(character) in _letters(regular[name]):
            return name
    return None


def _boldness(weight: int | str) -> int:
    from matplotlib.font_manager import weight_dict

    return abs((weight if isinstance(weight, int) else weight_dict.get(weight, 400)) - 400)


def _families() -> tuple[str, ...]:
    from matplotlib import rcParams

    return tuple(rcParams["font.family"])


def _has(character: str, families: Iterable[str]) -> bool:
    return any(ord(character) in _letters(path) for path in _paths(tuple(families), _named()))


def _named() -> tuple[tuple[str, ...], ...]:
    """What the generic families are at present: on it depends which files they mean."""
    from matplotlib import rcParams

    generic = ("serif", "sans-serif", "cursive", "fantasy", "monospace")
    return tuple(tuple(rcParams[f"font.{name}"]) for name in generic)


@lru_cache(256)
def _paths(families: tuple[str, ...], _: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Files of the families that are installed."""
    from matplotlib.font_manager import FontProperties, findfont

    paths = []
    for family in families:
        try:
            paths.append(str(findfont(FontProperties(family=[family]), fallback_to_default=False)))
        except ValueError:  # it is not installed
            continue
    return tuple(paths) or (str(findfont(FontProperties())),)


@cache
def _letters(path: str) -> frozenset[int]:
    """Code points of a font; none of one that cannot be drawn, such as pictures of emoji."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError, ValueError, NotImplementedError):
        return frozenset()
