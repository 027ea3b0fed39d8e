"""Text that is shown does nothing: no control, no turned direction, no formula, whatever is in the corpus."""

import csv
import io
import sys
import unicodedata

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from admin_py.base.csv_files import to_csv
from admin_py.base.printable import csv_text, printable, shown_bytes

ANYTHING = st.text(st.characters(codec=None, min_codepoint=0, max_codepoint=0x10FFFF))
"""Lone surrogates included."""


def test_controls_marks_of_direction_and_separators_become_escapes():
    assert printable("a\x00b\x1b[2Jc\x7f\x9b") == r"a\x00b\x1b[2Jc\x7f\x9b"
    assert printable("\u202egpj\u2066\u200e") == r"\u202egpj\u2066\u200e"
    assert printable("one\u2028two\u2029\r\n\tend") == r"one\u2028two\u2029\r\n\tend"
    assert printable("one\n\ttwo\r", lines=True) == "one\n\ttwo\\r"


def test_bytes_of_names_that_are_no_utf_8_are_shown_as_bytes():
    assert printable(b"caf\xe9.txt".decode("utf-8", "surrogateescape")) == r"caf\xe9.txt"
    assert printable("\ud800") == r"\ud800"


def test_letters_of_all_scripts_and_joined_emoji_stay():
    for text in ("Grüße", "猫が好き", "שלום", "नमस्ते", "👩‍👩‍👧‍👦", "می‌خواهم", "é and e\u0301", "", "<b>&amp;"):
        assert printable(text) == text


def test_a_mark_that_stands_alone_stands_on_a_circle():
    assert printable("\u0301") == "\u25cc\u0301"
    assert printable("\u093e") == "\u25cc\u093e"


@given(ANYTHING)
def test_whatever_comes_out_can_be_printed_and_encoded(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp", "Co") for one in shown)
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


def test_every_code_point_alone_can_be_shown():
    for point in range(sys.maxunicode + 1):
        assert printable(chr(point)).isprintable() or chr(point) in "\u200c\u200d" or chr(point).isspace()


def test_bytes_of_a_letter_are_told_apart():
    assert shown_bytes(b"\xe5\xa4") != shown_bytes(b"\xe5")


def test_cells_that_a_spreadsheet_would_compute_are_text():
    for formula in ("=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", " =1", "\t=1", "@@", "-"):
        assert csv_text(formula).startswith("'")
    for number in ("-0.5", "+3", "-1e-5", "-inf", "nan", "12"):
        assert csv_text(number) == number


@given(st.lists(ANYTHING, min_size=1), st.floats(allow_nan=False))
def test_a_table_comes_back_without_formulas_and_with_its_numbers(texts, number):
    table = pd.DataFrame({"=piece": pd.Series(texts, dtype=object), "value": number})
    rows = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert rows[0] == ["'=piece", "value"]
    assert len(rows) == 1 + len(texts)
    for text, row in zip(texts, rows[1:], strict=True):
        cell = row[0] if row else ""
        assert cell == csv_text(text)
        assert not cell.lstrip().startswith(("=", "@"))
        assert float(row[1]) == number


def test_a_table_without_rows_or_with_columns_of_one_name_is_written():
    assert to_csv(pd.DataFrame({"a": []})) == "a\n"
    twice = pd.DataFrame([["=x", 1]], columns=["a", "a"])
    assert to_csv(twice) == "a,a\n'=x,1\n"
