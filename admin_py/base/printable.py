"""Text as it may be shown: what would steer a terminal, break a page or hide itself becomes an escape."""

from __future__ import annotations

import functools
import re
import unicodedata

_MARKED = "\u25cc"
"""The circle that Unicode's charts put below a mark which stands alone."""

_JOINERS = "\u200c\u200d"
"""Invisible, but parts of how letters of some scripts and emoji are written."""

# Controls (NUL and ESC among them), lone surrogates, what turns the direction of writing or is invisible, the
# separators of lines and paragraphs, private letters, places without a letter.
_HIDDEN = ("Cc", "Cs", "Cf", "Zl", "Zp", "Co", "Cn")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Text in which all characters can be seen and none does anything.

    Controls such as NUL and ESC, lone surrogates, marks that turn the direction of writing, private and
    unassigned code points become escapes as Python writes them; a byte of a file name that is no UTF-8
    becomes ``\xff``. A combining mark at the beginning is put on a circle, so that it joins nothing.

    Parameters
    ----------
    text : str
    lines : bool
        Leave line feeds and tabs as they are.

    Examples
    --------
    >>> print(printable("a\x1b[31m b\x00\u202e"), printable("é 猫 🐕"), printable("\udcff"))
    a\x1b[31m b\x00\u202e é 猫 🐕 \xff
    >>> print(printable("1\n2"), repr(printable("1\n2", lines=True)))
    1\n2 '1\n2'
    """
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(one if _is_shown(one, lines) else _escaped(one) for one in text)
    return _MARKED + shown if unicodedata.category(text[0]).startswith("M") else shown


def _is_shown(one: str, lines: bool) -> bool:
    if one in "\n\t":
        return lines
    return one in _JOINERS or unicodedata.category(one) not in _HIDDEN


def _escaped(one: str) -> str:
    point = ord(one)
    if 0xDC80 <= point <= 0xDCFF:  # a byte that was no UTF-8, as Python keeps it in names
        return f"\\x{point - 0xDC00:02x}"
    return one.encode("unicode_escape", "surrogatepass").decode("ascii")


def shown_bytes(data: bytes) -> str:
    r"""Bytes that are part of a letter, as its pieces are told apart: ``<E5A4>``.

    Examples
    --------
    >>> shown_bytes("天".encode()[:2])
    '<E5A4>'
    """
    return f"<{data.hex().upper()}>"


_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def csv_text(text: str) -> str:
    r"""A cell of a table of text: one that a spreadsheet would compute begins with an apostrophe.

    Numbers stay as they are. Controls are escaped as by `printable`.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("-0.5"), csv_text("house"), csv_text("@@")
    ("'=1+1", '-0.5', 'house', "'@@")
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return printable(text, lines=True)
