"""Numbers in words, and the copy task."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_py.data import NumberTokenizer, copy_task, number_words
from admin_py.data.spelling import english, german

SPELLED = [
    (0, "zero", "null"),
    (1, "one", "eins"),
    (6, "six", "sechs"),
    (7, "seven", "sieben"),
    (10, "ten", "zehn"),
    (11, "eleven", "elf"),
    (12, "twelve", "zwölf"),
    (13, "thirteen", "dreizehn"),
    (16, "sixteen", "sechzehn"),
    (17, "seventeen", "siebzehn"),
    (20, "twenty", "zwanzig"),
    (21, "twenty-one", "einundzwanzig"),
    (30, "thirty", "dreißig"),
    (34, "thirty-four", "vierunddreißig"),
    (40, "forty", "vierzig"),
    (66, "sixty-six", "sechsundsechzig"),
    (77, "seventy-seven", "siebenundsiebzig"),
    (99, "ninety-nine", "neunundneunzig"),
    (100, "one hundred", "einhundert"),
    (101, "one hundred and one", "einhunderteins"),
    (111, "one hundred and eleven", "einhundertelf"),
    (412, "four hundred and twelve", "vierhundertzwölf"),
    (700, "seven hundred", "siebenhundert"),
    (999, "nine hundred and ninety-nine", "neunhundertneunundneunzig"),
    (1000, "one thousand", "eintausend"),
    (1001, "one thousand and one", "eintausendeins"),
    (1016, "one thousand and sixteen", "eintausendsechzehn"),
    (1100, "one thousand one hundred", "eintausendeinhundert"),
    (2024, "two thousand and twenty-four", "zweitausendvierundzwanzig"),
    (8000, "eight thousand", "achttausend"),
    (17_017, "seventeen thousand and seventeen", "siebzehntausendsiebzehn"),
    (21_000, "twenty-one thousand", "einundzwanzigtausend"),
    (100_000, "one hundred thousand", "einhunderttausend"),
    (101_000, "one hundred and one thousand", "einhunderteintausend"),
    (101_101, "one hundred and one thousand one hundred and one", "einhunderteintausendeinhunderteins"),
    (
        345_678,
        "three hundred and forty-five thousand six hundred and seventy-eight",
        "dreihundertfünfundvierzigtausendsechshundertachtundsiebzig",
    ),
    (
        999_999,
        "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
        "neunhundertneunundneunzigtausendneunhundertneunundneunzig",
    ),
]


@pytest.mark.parametrize(("number", "words", "wort"), SPELLED)
def test_spelling(number, words, wort):
    assert english(number) == words
    assert german(number) == wort


def read_english(words):
    """The number that English words name: an independent way back."""
    ones = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    ones = dict(zip((ones + " sixteen seventeen eighteen nineteen").split(), range(20), strict=True))
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
    value = thousands = 0
    for word in re.split("[ -]", words):
        if word in ones:
            value += ones[word]
        elif word in tens:
            value += 20 + 10 * tens.index(word)
        elif word == "hundred":
            value *= 100
        elif word == "thousand":
            thousands, value = 1000 * value, 0
        else:
            assert word == "and"
    return thousands + value


def read_german(word):
    """The number that a German word names: an independent way back."""
    if "tausend" in word:
        thousands, rest = word.split("tausend")
        return 1000 * read_german(thousands) + (read_german(rest) if rest else 0)
    hundreds, _, rest = word.rpartition("hundert")
    ones = {"ein": 1, "eins": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7}
    ones |= {"acht": 8, "neun": 9, "zehn": 10, "elf": 11, "zwölf": 12, "sechzehn": 16, "siebzehn": 17, "": 0}
    ones |= {f"{name}zehn": 10 + ones[name] for name in ("drei", "vier", "fünf", "acht", "neun")}
    tens = {"zwan": 20, "drei": 30, "vier": 40, "fünf": 50, "sech": 60, "sieb": 70, "acht": 80, "neun": 90}
    value = 100 * read_german(hundreds) if hundreds else 0
    if match := re.fullmatch("(?:(.+)und)?(.+)(?:zig|ßig)", rest):
        assert rest.endswith("dreißig") == (match[2] == "drei") == rest.endswith("ßig")
        return value + ones[match[1] or ""] + tens[match[2]]
    return value + ones[rest]


@given(st.integers(1, 999_999))
def test_spelling_can_be_read_back(number):
    assert read_english(english(number)) == number
    assert read_german(german(number)) == number


def test_no_two_numbers_are_spelled_alike():
    """Below a thousand and around; beyond, a number is its thousands and the rest."""
    numbers = [*range(2100), *range(100_000, 102_100), *range(998_000, 1_000_000)]
    assert len({english(number) for number in numbers}) == len(numbers)
    assert len({german(number) for number in numbers}) == len(numbers)


@pytest.mark.parametrize("spell", [english, german])
def test_numbers_that_are_not_spelled(spell):
    for number in (-1, 1_000_000):
        with pytest.raises(ValueError, match=r"number must be "):
            spell(number)
    with pytest.raises(TypeError, match="number must be an integer"):
        spell(1.5)


@given(st.integers(1, 999_999))
def test_numbers_are_encoded_without_unknown_parts_and_come_back(number):
    tokenizer = NumberTokenizer()
    for spelled in (english(number), german(number)):
        ids = tokenizer.encode_lines([spelled])[0]
        assert min(ids) > 3
        assert tokenizer.decode(ids) == spelled


def test_what_is_no_number_is_unknown():
    tokenizer = NumberTokenizer()
    ids = tokenizer.encode_lines(["one house", "", "zwanzigX"])
    assert tokenizer.decode(ids[0]).startswith("one <unk>")
    assert ids[1].size == 0
    assert tokenizer.decode(ids[2]) == "zwanzig <unk>"


@pytest.fixture(scope="module")
def default():
    return number_words()


def test_number_words(default):
    data = default
    assert (data.num_sequences("train"), data.num_sequences("valid")) == (20_000, 500)
    assert data.vocab_size == 4 + 30 + 31
    numbers = [read_english(source) for split in data.splits for source, _ in data.pairs(split)]
    assert len(set(numbers)) == 20_500  # disjoint
    assert 1 <= min(numbers) <= max(numbers) < 1_000_000
    assert np.mean(numbers) == pytest.approx(500_000, abs=5 * 288_675 / np.sqrt(20_500))
    for split in data.splits:
        for source, target in data.pairs(split):
            assert read_german(target) == read_english(source)
        decoded = zip(
            data.decode(list(data.split(split).source)),
            data.decode(list(data.split(split).target)),
            strict=True,
        )
        assert list(decoded) == data.pairs(split)


def test_every_piece_of_number_words_occurs(default):
    tokens = default.split("train")
    used = set(tokens.source.tokens) | set(tokens.target.tokens)
    assert used == set(range(65)) - {0, 3}  # nothing is padded or unknown


def test_unigram_entropy_of_number_words(default):
    """2.83 nats is what an independent tokenisation into such parts has."""
    assert default.unigram_entropy() == pytest.approx(2.83, abs=0.02)


def test_numbers_of_a_seed_stay_the_same(default):
    assert default.pairs("train")[0][1] == german(150_051)
    one, same, other = (number_words(train=50, valid=5, seed=seed) for seed in (1, np.int64(1), 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_all_numbers_below_a_limit():
    data = number_words(train=90, valid=9, limit=100)
    numbers = {read_english(source) for split in data.splits for source, _ in data.pairs(split)}
    assert numbers == set(range(1, 100))
    assert number_words(train=9, valid=0, limit=10).splits == ("train",)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"limit": 100},
            ValueError,
            "train [+] valid [+] test is 20,500, but only 99 numbers lie below limit",
        ),
        ({"limit": 1_000_001}, ValueError, "limit must be at most 1,000,000, got 1,000,001"),
        ({"limit": 1}, ValueError, "limit must be at least 2, got 1"),
        ({"train": 0}, ValueError, "train must be at least 1, got 0"),
        ({"valid": -1}, ValueError, "valid must be at least 0, got -1"),
        ({"seed": 0.5}, TypeError, "seed must be an integer, got 0.5"),
    ],
)
def test_bad_arguments_of_number_words(arguments, error, message):
    with pytest.raises(error, match=message):
        number_words(**arguments)


@pytest.mark.parametrize("reverse", [False, True])
def test_copy_task(reverse):
    data = copy_task(symbols=5, min_length=2, max_length=9, reverse=reverse, train=300, valid=30, seed=2)
    pairs = [pair for split in data.splits for pair in data.pairs(split)]
    assert len({source for source, _ in pairs}) == len(pairs) == 330
    for source, target in pairs:
        assert target.split() == source.split()[:: -1 if reverse else 1]
        assert 2 <= len(source.split()) <= 9
    assert {symbol for source, _ in pairs for symbol in source.split()} == set("01234")
    assert data.vocab_size == 9
    lengths = data.split("train").source.lengths
    assert set(lengths) == set(range(3, 11))


def test_copy_task_depends_on_its_seed_alone():
    assert copy_task(seed=1).fingerprint == copy_task(seed=1).fingerprint != copy_task(seed=2).fingerprint


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"symbols": 0}, ValueError, "symbols must be at least 1, got 0"),
        ({"min_length": 0}, ValueError, "min_length must be at least 1, got 0"),
        ({"min_length": 9, "max_length": 8}, ValueError, "max_length must be at least 9, got 8"),
        ({"train": 0}, ValueError, "train must be at least 1, got 0"),
        ({"symbols": 2, "max_length": 12}, ValueError, "only 8,176 sequences of 4 to 12 of 2 symbols"),
        ({"reverse": 1}, TypeError, "reverse must be True or False, got 1"),
    ],
)
def test_bad_arguments_of_copy_task(arguments, error, message):
    with pytest.raises(error, match=message):
        copy_task(**arguments)
