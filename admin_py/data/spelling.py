"""Whole numbers in English and German words."""

from __future__ import annotations

from admin_py.base.checks import check_integer

LIMIT = 1_000_000

ENGLISH_ONES = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
ENGLISH_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

# One before a further part of the word is "ein", at the end "eins".
GERMAN_ONE = "ein"
GERMAN_ONES = [
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
GERMAN_TENS = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]


def english(number: int) -> str:
    """A number below a million in (British) English words.

    Raises
    ------
    ValueError
        If it is negative, or a million or more.

    Examples
    --------
    >>> english(412), english(21_000), english(1_007)
    ('four hundred and twelve', 'twenty-one thousand', 'one thousand and seven')
    """
    number = _checked(number)
    if number == 0:
        return "zero"
    thousands, rest = divmod(number, 1000)
    parts = []
    if thousands:
        parts.append(f"{_english_below_thousand(thousands)} thousand")
    if thousands and 0 < rest < 100:
        parts.append("and")
    if rest:
        parts.append(_english_below_thousand(rest))
    return " ".join(parts)


def _english_below_thousand(number: int) -> str:
    """Words of 1 .. 999."""
    hundreds, rest = divmod(number, 100)
    parts = []
    if hundreds:
        parts.append(f"{ENGLISH_ONES[hundreds - 1]} hundred")
    if hundreds and rest:
        parts.append("and")
    if 0 < rest < 20:
        parts.append(ENGLISH_ONES[rest - 1])
    elif rest:
        tens, ones = divmod(rest, 10)
        parts.append(ENGLISH_TENS[tens - 2] + (f"-{ENGLISH_ONES[ones - 1]}" if ones else ""))
    return " ".join(parts)


def german(number: int) -> str:
    """A number below a million as one German word.

    Raises
    ------
    ValueError
        If it is negative, or a million or more.

    Examples
    --------
    >>> german(412), german(21_000), german(101_001)
    ('vierhundertzwölf', 'einundzwanzigtausend', 'einhunderteintausendeins')
    """
    number = _checked(number)
    if number == 0:
        return "null"
    thousands, rest = divmod(number, 1000)
    word = f"{_german_below_thousand(thousands, GERMAN_ONE)}tausend" if thousands else ""
    return word + _german_below_thousand(rest, GERMAN_ONES[0])


def _german_below_thousand(number: int, final_one: str) -> str:
    """Word of 0 .. 999 ("" for 0); final_one: how a one at its end is spelled."""
    hundreds, rest = divmod(number, 100)
    word = ""
    if hundreds:
        word = (GERMAN_ONE if hundreds == 1 else GERMAN_ONES[hundreds - 1]) + "hundert"
    if rest == 1:
        return word + final_one
    if rest < 20:
        return word + (GERMAN_ONES[rest - 1] if rest else "")
    tens, ones = divmod(rest, 10)
    if ones:
        word += (GERMAN_ONE if ones == 1 else GERMAN_ONES[ones - 1]) + "und"
    return word + GERMAN_TENS[tens - 2]


def _checked(number: int) -> int:
    number = check_integer("number", number, 0)
    if number >= LIMIT:
        raise ValueError(f"number must be below {LIMIT:,}, got {number:,}")
    return number
