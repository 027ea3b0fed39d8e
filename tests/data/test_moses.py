"""Moses's tokens and subword-nmt's codes: known lines, real text bit for bit, plain text through a model."""

from __future__ import annotations

import copy
import gzip
import io
import pickle
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_file

import admin_py as ap
from admin_py.data import Moses, MosesTokenizer, SubwordCodes, load_tokenizer, remove_bpe

pytest.importorskip("sacremoses")
pytest.importorskip("subword_nmt")

ENGLISH = [
    "A man, in a hat, doesn't sleep.",
    "Two dogs (big ones) run.",
    "The cat sat on Mr. Smith's mat.",
] * 4
GERMAN = ["Ein Mann mit Hut schläft nicht.", "Zwei Hunde (große) laufen.", "Die Katze saß auf der Matte."] * 4


def learned(merges: int = 60) -> SubwordCodes:
    lines = [*Moses("en").tokenize_lines(ENGLISH), *Moses("de").tokenize_lines(GERMAN)]
    return SubwordCodes.learn(lines, merges=merges)


# Moses


@pytest.mark.parametrize(
    ("language", "plain", "tokens"),
    [
        ("en", "Hello, world!", "hello , world !"),
        ("en", "The cat doesn't sleep at Mr. Smith's.", "the cat doesn &apos;t sleep at mr. smith &apos;s ."),
        ("de", "Ein „großer“ Hund – mit 3,5 kg.", "ein &quot; großer &quot; hund - mit 3,5 kg ."),
        ("fr", "L'homme dort.", "l&apos; homme dort ."),
        ("en", "a blond-haired boy & a [dog]", "a blond-haired boy &amp; a &#91; dog &#93;"),
        ("en", "", ""),
        ("en", "   ", ""),
    ],
)
def test_known_lines(language: str, plain: str, tokens: str) -> None:
    assert Moses(language).tokenize(plain) == tokens


def test_tokens_become_the_text_again() -> None:
    for language, lines in (("en", ENGLISH), ("de", GERMAN)):
        moses = Moses(language)
        assert [moses.detokenize(one) for one in moses.tokenize_lines(lines)] == [
            one.lower() for one in lines
        ]
    assert list(Moses("en").detokenize_lines(["it &apos;s"])) == ["it's"]


def test_case_and_punctuation_are_kept_where_it_is_asked() -> None:
    assert Moses("de", lowercase=False).tokenize("Ein Haus.") == "Ein Haus ."
    assert Moses("de", normalize=False).tokenize("„Haus“") == "„ haus “"


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "text.en.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in ENGLISH))
    lines = Moses("en").tokenize_file(path)
    assert next(lines) == "a man , in a hat , doesn &apos;t sleep ."
    assert len(list(lines)) == len(ENGLISH) - 1
    taken = iter(["A", "B", 3])
    lines = Moses("en").tokenize_lines(taken)  # type: ignore[arg-type]
    assert (next(lines), next(taken)) == ("a", "B")  # one read for one given
    with pytest.raises(TypeError, match="lines: number 1 must be a string, got 3"):
        next(lines)


@pytest.mark.parametrize("lines", ["one text", b"bytes", 3, None])
def test_what_is_no_list_of_lines_is_refused(lines: object) -> None:
    for call in (Moses("en").tokenize_lines, Moses("en").detokenize_lines, learned().segment_lines):
        with pytest.raises(TypeError, match="lines must be a list of strings, or what gives them"):
            list(call(lines))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["", "EN", "english", "e", "../en"])
def test_a_language_is_a_code(language: str) -> None:
    with pytest.raises(ValueError, match="language must be a code of two or three small letters"):
        Moses(language)


# Codes


def test_codes_are_learned_as_by_the_command_and_read_from_their_file(tmp_path: Path) -> None:
    from subword_nmt.learn_bpe import learn_bpe

    codes = learned(30)
    codes.save(tmp_path / "codes")
    assert SubwordCodes.load(tmp_path / "codes") == codes
    written = io.StringIO()
    lines = [*Moses("en").tokenize_lines(ENGLISH), *Moses("de").tokenize_lines(GERMAN)]
    learn_bpe(lines, written, 30)
    assert (tmp_path / "codes").read_text("utf-8") == written.getvalue()


def test_pieces_are_joined_again() -> None:
    codes = learned(30)
    for line in Moses("de").tokenize_lines(GERMAN):
        cut = codes.segment(line)
        assert "@@ " in cut
        assert remove_bpe(cut) == line
    assert remove_bpe(["ein@@ s zwei", "drei@@"]) == ["eins zwei", "drei"]


WORDS = st.text("abcß@é猫", min_size=1, max_size=9).filter(lambda word: not word.endswith("@@"))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.text("abcß@é猫", min_size=1, max_size=9).filter(lambda word: not word.endswith("@@")), max_size=6
    )
)
def test_any_words_are_joined_again(words: list[str]) -> None:
    line = " ".join(words)
    assert remove_bpe(learned().segment(line)) == line


def test_pieces_that_a_language_has_seldom_are_cut_further() -> None:
    codes = learned(200)
    text = list(Moses("de").tokenize_lines(GERMAN))
    assert codes.segment("katze saß") == "katze saß"
    counts = Counter(word for line in codes.segment_lines(text) for word in line.split())
    counts["katze"] = 1
    seldom = SubwordCodes(codes.merges, vocabulary=counts, threshold=2)
    assert seldom.segment("saß") == "saß"
    assert seldom.segment("katze") != "katze"
    assert remove_bpe(seldom.segment("katze")) == "katze"


def test_codes_of_the_older_version_cut_as_it_did(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text("a b\nab </w>\n", encoding="utf-8")
    codes = SubwordCodes.load(tmp_path / "codes")
    assert codes.version == "0.1"
    assert codes.segment("ab abc") == "ab ab@@ c"
    codes.save(tmp_path / "again")
    assert SubwordCodes.load(tmp_path / "again").version == "0.1"


WRONG_FILES = {
    "": "merges must have at least one",
    "#version: 0.2\n": "merges must have at least one",
    "#version: 0.3\na b\n": "has codes of version '0.3', expected 0.1, 0.2",
    "#version: 0.2\na b\nabc\n": "merges: number 1 must be two pieces with a space between them, got 'abc'",
    '{"kind": "history"}\nx y z': "merges: number 0|number 1",
}


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_file_of_something_else_is_one_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "codes").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=WRONG_FILES[text]) as caught:
        SubwordCodes.load(tmp_path / "codes")
    assert "codes" in str(caught.value)


def test_text_of_which_nothing_can_be_learned_is_one_error() -> None:
    for lines in ([], ["", "a b c"], ["abc def"]):
        with pytest.raises(ValueError, match="lines have no pair of letters that is seen 2 times"):
            SubwordCodes.learn(lines)
    assert SubwordCodes.learn(["ab"], min_frequency=1).merges == ("a b</w>",)


def test_line_ends_inside_a_line_become_no_pieces(tmp_path: Path) -> None:
    codes = SubwordCodes.learn(["ab\rab ab", "ab\r"])
    assert codes.merges == ("a b</w>",)
    codes.save(tmp_path / "codes")
    assert SubwordCodes.load(tmp_path / "codes") == codes
    with pytest.raises(ValueError, match="lines have no pair"):
        SubwordCodes.learn(["a\r"])


@settings(deadline=None, max_examples=100)
@given(st.text(), st.sampled_from(["en", "de", "fr", "ja"]))
def test_tokens_of_any_text_are_one_line_without_spaces_around(text: str, language: str) -> None:
    tokens = Moses(language).tokenize(text)
    assert tokens == tokens.strip()
    assert "\n" not in tokens + Moses(language).detokenize(tokens)


def test_wrong_arguments_of_codes() -> None:
    for merges in ("a b", ["a"], ["a b c"], ["a  b"], [3], []):
        with pytest.raises((TypeError, ValueError), match="merges"):
            SubwordCodes(merges)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="version must be one of"):
        SubwordCodes(["a b"], version="1")
    with pytest.raises(ValueError, match="threshold goes with a vocabulary"):
        SubwordCodes(["a b"], threshold=3)
    with pytest.raises(ValueError, match="vocabulary has no piece that was seen 3 times"):
        SubwordCodes(["a b"], vocabulary={"a": 1}, threshold=3)


def test_codes_are_copied_and_told_apart() -> None:
    codes = SubwordCodes(["a b"], vocabulary={"a@@": 1, "b": 3}, threshold=2)
    for again in (copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
        assert again == codes
        assert again.segment("ab") == codes.segment("ab")
    assert codes != SubwordCodes(["a b"])
    assert repr(codes) == "SubwordCodes(1 merges, 1 pieces known)"


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = learned()
    for name in ("sacremoses", "subword_nmt", "subword_nmt.apply_bpe", "subword_nmt.learn_bpe"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: Moses("nl").tokenize("een huis"), lambda: SubwordCodes(codes.merges).segment("ab")):
        with pytest.raises(
            ModuleNotFoundError, match=r"is not installed: pip install admin-py\[translation\]$"
        ):
            call()


# Real text


SPLITS = ("train", "val", "test2016")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_multi30k_is_cut_as_it_was_published(language: str, split: str) -> None:
    plain = real_file(f"multi30k/{split}.{language}.gz")
    codes = SubwordCodes.load(real_file("multi30k_bpe10k/codes.gz"))
    with gzip.open(real_file(f"multi30k_bpe10k/{split}.bpe.{language}.gz"), "rt", encoding="utf-8") as file:
        expected = file.read().split("\n")[:-1]
    assert list(codes.segment_lines(Moses(language).tokenize_file(plain))) == expected


# The tokenizer


def tokenizer(vocab_size: int | None = None) -> MosesTokenizer:
    return MosesTokenizer.train(
        ENGLISH, GERMAN, languages=("en", "de"), codes=learned(), vocab_size=vocab_size
    )


def test_plain_text_goes_in_and_comes_out() -> None:
    made = tokenizer()
    for line in GERMAN:
        assert made.decode(made.encode_targets([line])[0]) == line.lower()
    pieces = [made.piece(int(i)) for i in made.encode_lines(["A man sat."])[0]]
    assert remove_bpe(" ".join(pieces)) == "a man sat ."


def test_each_side_is_cut_in_its_language() -> None:
    made = MosesTokenizer.train(["It's here."], ["C'est ici."], languages=("en", "fr"))
    source, target = made.encode_lines(["C'est"])[0], made.encode_targets(["C'est"])[0]
    assert [made.piece(int(i)) for i in target] == ["c&apos;", "est"]
    assert len(source) == 2
    assert source.tolist() != target.tolist()


def test_it_comes_back_from_its_file_a_pickle_and_a_copy(tmp_path: Path) -> None:
    made = tokenizer()
    made.save(tmp_path / "tokenizer.json")
    for again in (
        load_tokenizer(tmp_path / "tokenizer.json"),
        pickle.loads(pickle.dumps(made)),
        copy.deepcopy(made),
    ):
        assert again == made
        assert again.fingerprint == made.fingerprint
        assert again.encode_lines(ENGLISH).tokens.tolist() == made.encode_lines(ENGLISH).tokens.tolist()
    whole = MosesTokenizer(["a", "b"], ("en", "de"))
    whole.save(tmp_path / "whole.json")
    assert ap.load(tmp_path / "whole.json") == whole


def test_words_that_are_seldom_are_left_out_of_a_small_vocabulary() -> None:
    made = tokenizer(vocab_size=20)
    assert made.vocab_size == 20
    assert "<unk>" in made.decode(made.encode_targets(["Zebra."])[0])


def test_a_dataset_of_plain_text_makes_a_model_that_takes_and_gives_it(tmp_path: Path) -> None:
    english, german = tmp_path / "train.en", tmp_path / "train.de"
    for path, lines in ((english, ENGLISH), (german, GERMAN)):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    learned().save(tmp_path / "codes")
    data = ap.data.parallel_text(english, german, moses=("en", "de"), codes=tmp_path / "codes", valid=2)
    assert data.decode(data.encode(GERMAN[0], side="target")) == GERMAN[0].lower()
    assert data.describe().tokenizer == "moses"
    in_memory = ap.data.from_texts(
        list(zip(ENGLISH, GERMAN, strict=True)), moses=("en", "de"), codes=learned(), valid=2
    )
    assert in_memory.fingerprint == data.fingerprint
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=32, heads=2, d_ff=64
    )
    model = ap.Transformer(config, seed=1)
    ap.train(model, data, optimizer="adam", lr=3e-3, steps=150, progress=False, label_smoothing=0.0)
    ap.TrainedModel(model, data.tokenizer).save(tmp_path / "run")
    found = ap.load(tmp_path / "run").translate(ENGLISH[:3])
    assert found == [line.lower() for line in GERMAN[:3]]


def test_wrong_arguments_of_a_dataset_of_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a b\n" * 5, encoding="utf-8")
    codes = learned()
    wrong: list[tuple[dict[str, object], str]] = [
        ({"codes": codes}, "codes goes with moses"),
        ({"moses": ("en",)}, "moses: languages must be two codes"),
        ({"moses": ("en", "German")}, "moses: languages: language must be a code"),
        ({"moses": "en"}, "moses: languages"),
        ({"moses": ("en", "de"), "pretokenized": True}, "moses and pretokenized exclude each other"),
        ({"moses": ("en", "de"), "tokenizer": tokenizer()}, "moses and tokenizer exclude each other"),
        ({"moses": ("en", "de"), "codes": 3}, "codes must be SubwordCodes or the path"),
    ]
    for options, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            ap.data.parallel_text(path, path, **options)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError), match=message):
            ap.data.from_texts([("a", "b")] * 5, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="moses does not apply where texts are strings"):
        ap.data.from_texts(["a b"] * 5, moses=("en", "de"))


def test_multi30k_of_plain_text_has_the_ids_of_the_published_pieces() -> None:
    plain = [real_file(f"multi30k/train.{language}.gz") for language in ("en", "de")]
    cut = [real_file(f"multi30k_bpe10k/train.bpe.{language}.gz") for language in ("en", "de")]
    codes = real_file("multi30k_bpe10k/codes.gz")
    options = {"max_lines": 2000, "valid": 100}
    mine = ap.data.parallel_text(*plain, moses=("en", "de"), codes=codes, **options)
    published = ap.data.parallel_text(*cut, pretokenized=True, **options)
    assert mine.fingerprint == published.fingerprint
    assert mine.decode(mine.split("valid").target[0]) == mine.pairs("valid")[0][1].lower()
