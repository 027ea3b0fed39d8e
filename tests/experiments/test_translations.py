"""BLEU in studies and grids: what is translated, what is kept, and that it goes on without training again."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap
from admin_py.experiments import train_job
from admin_py.experiments.study.files import TRANSLATIONS_FILE, run_folder
from admin_py.experiments.translations import Translations

pytest.importorskip("sacrebleu")

DATA = ap.data.copy_task(train=80, valid=10, test=12, symbols=6, max_length=6)
SMALL: dict[str, Any] = {
    "schemes": ["post_ln", "admin"],
    "layers": 1,
    "d_model": 8,
    "d_ff": 16,
    "heads": 2,
    "steps": 4,
    "max_tokens": 128,
    "progress": False,
}
BOTH = pytest.mark.parametrize("call", [ap.study, ap.grid])


def of(found: Any) -> list[Translations]:
    return [one.translations for one in found.members]


@BOTH
def test_held_out_sentences_are_translated_as_a_beam_search_does(call: Callable[..., Any]) -> None:
    found = call(DATA, bleu={"beam": 3, "length_penalty": 0.5}, keep_models=True, **SMALL)
    table = found.to_dataframe()
    for place, one in enumerate(found.members):
        searched = ap.generation.beam_search(
            one.model, DATA.split("test").source, beam=3, length_penalty=0.5, bos=DATA.bos, eos=DATA.eos
        )
        assert list(one.translations.hypotheses) == [DATA.decode(best.ids) for best, *_ in searched]
        sources, references = zip(*DATA.pairs("test"), strict=True)
        assert (one.translations.sources, one.translations.references) == (sources, references)
        score = ap.scores.bleu(one.translations.hypotheses, references, convention="published")
        assert one.bleu == score.score == table["bleu"][place]
        assert table["bleu_signature"][place] == score.signature
        assert table["bleu_convention"][place] == "published"
        assert f"BLEU {score.score:.2f}" in one.last_words()


@BOTH
def test_without_it_nothing_tells_of_it(call: Callable[..., Any], tmp_path: Path) -> None:
    found = call(DATA, out=tmp_path, **SMALL)
    assert not [name for name in found.to_dataframe().columns if "bleu" in name]
    assert not [path for path in tmp_path.rglob("*") if "translations" in path.name]
    for path in tmp_path.rglob("*.json"):
        text = path.read_text()
        assert "translations" not in text
        assert "bleu" not in text
    assert of(found) == [None, None]
    assert np.isnan(found.members[0].bleu)


@BOTH
def test_translating_changes_no_number_of_the_training(call: Callable[..., Any]) -> None:
    plain, asked = call(DATA, **SMALL), call(DATA, bleu=True, **SMALL)
    for one, other in zip(plain.members, asked.members, strict=True):
        assert np.array_equal(one.history.loss, other.history.loss)
        assert one.valid_nll == other.valid_nll


@BOTH
def test_what_is_loaded_equals_what_was_found(call: Callable[..., Any], tmp_path: Path) -> None:
    found = call(DATA, bleu=True, out=tmp_path / "kept", **SMALL)
    assert ap.load(tmp_path / "kept") == found
    assert all(one is not None for one in of(found))
    found.save(tmp_path / "copy")
    again = ap.load(tmp_path / "copy")
    assert of(again) == of(found)
    again.with_members(replace(one, translations=None) for one in again.members).save(tmp_path / "copy")
    assert of(ap.load(tmp_path / "copy")) == [None, None], "those of another do not stay"


@BOTH
@pytest.mark.parametrize("workers", [None, 2])
def test_what_is_whole_is_translated_and_not_trained_again(
    call: Callable[..., Any], workers: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = call(DATA, out=tmp_path, keep_models=True, **SMALL)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/**/*.json")}
    if workers is None:
        monkeypatch.setattr(train_job, "train", lambda *_, **__: pytest.fail("trained again"))
    found = call(DATA, bleu=True, out=tmp_path, keep_models=True, workers=workers, **SMALL)
    assert all(one is not None for one in of(found))
    assert [one.history for one in found.members] == [one.history for one in before.members]
    assert files == {path: path.stat().st_mtime_ns for path in files}
    assert found.members[0].model is not None


def test_a_translation_that_is_missing_alone_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ap.study(DATA, bleu=True, out=tmp_path, **SMALL)
    path = run_folder(tmp_path, found.run("admin").name) / TRANSLATIONS_FILE
    kept = run_folder(tmp_path, found.run("post_ln").name) / TRANSLATIONS_FILE
    path.unlink()
    when = kept.stat().st_mtime_ns
    assert ap.load(tmp_path).interrupted, "one is missing that was asked for"
    monkeypatch.setattr(train_job, "train", lambda *_, **__: pytest.fail("trained again"))
    again = ap.study(DATA, bleu=True, out=tmp_path, **SMALL)
    assert not again.interrupted
    assert again == found
    assert kept.stat().st_mtime_ns == when


def test_a_stop_in_the_midst_of_translating_keeps_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are not done again, though the run was not whole."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("admin_py.experiments.translating.beam_search", stop)
        stopped = ap.study(DATA, bleu=True, out=tmp_path, **SMALL)
    assert stopped.interrupted
    assert stopped.runs == ()
    steps: list[int] = []
    found = ap.study(DATA, bleu=True, out=tmp_path, callbacks=[lambda step, *_: steps.append(step)], **SMALL)
    assert steps == [1, 2, 3, 4], "of the second scheme alone"
    assert of(found) == of(ap.study(DATA, bleu=True, **SMALL))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    found = ap.study(DATA, bleu=True, out=tmp_path, **SMALL)
    path = run_folder(tmp_path, found.runs[0].name) / TRANSLATIONS_FILE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"translations\.json"):
        ap.load(tmp_path)


def test_translations_of_other_options_are_refused(tmp_path: Path) -> None:
    ap.study(DATA, bleu=True, out=tmp_path, **SMALL)
    with pytest.raises(ValueError, match=r"holds 'post_ln, seed 1' translated with beam=5, not beam=4"):
        ap.study(DATA, bleu={"beam": 4}, out=tmp_path, **SMALL)
    assert all(ap.study(DATA, out=tmp_path, **SMALL).runs), "without it they stay"


def test_without_its_model_nothing_can_be_translated_and_that_is_said_first(tmp_path: Path) -> None:
    ap.grid(DATA, out=tmp_path, **SMALL)
    with pytest.raises(ValueError, match=r"'post_ln, seed 1' trained without its model being kept"):
        ap.grid(DATA, bleu=True, out=tmp_path, **SMALL)


def test_one_that_diverged_has_none_and_is_not_waited_for(tmp_path: Path) -> None:
    found = ap.study(
        DATA, bleu=True, out=tmp_path, **{**SMALL, "schemes": "post_ln", "lr": 1e30, "warmup": 0}
    )
    assert found.runs[0].history.diverged_at is not None
    assert of(found) == [None]
    assert not found.interrupted


# What is compared


def test_the_test_split_comes_before_valid_and_another_may_be_named() -> None:
    assert of(ap.study(DATA, bleu=True, **SMALL))[0].split == "test"
    assert of(ap.study(DATA, bleu={"split": "valid"}, **SMALL))[0].split == "valid"
    data = ap.data.copy_task(train=80, valid=10, symbols=6, max_length=6)
    assert of(ap.study(data, bleu=True, **SMALL))[0].split == "valid"


def test_numbers_are_scored_by_their_parts() -> None:
    data = ap.data.number_words(train=60, valid=6)
    first = of(ap.study(data, bleu=True, **SMALL))[0]
    assert first.score.convention == "published"
    assert [one.replace(" ", "") for one in first.references] == [german for _, german in data.pairs("valid")]
    assert any(" " in one for one in first.references)


def test_pretokenised_references_are_joined_as_translations_are(tmp_path: Path) -> None:
    english, german = tmp_path / "en", tmp_path / "de"
    english.write_text("a@@ b c .\nc a@@ b .\n" * 30)
    german.write_text("x@@ y z .\nz x@@ y .\n" * 30)
    data = ap.data.parallel_text(english, german, pretokenized=True, valid=10)
    first = of(ap.study(data, bleu=True, **SMALL))[0]
    assert set(first.references) <= {"xy z .", "z xy ."}
    assert first.score.convention == "published"


@pytest.mark.parametrize(
    ("convention", "reference"), [("published", "ein haus ."), ("detokenised", "ein haus.")]
)
def test_moses_text_is_compared_as_it_was_cut(tmp_path: Path, convention: str, reference: str) -> None:
    pytest.importorskip("sacremoses")
    english, german = tmp_path / "en", tmp_path / "de"
    english.write_text("A house.\n" * 40)
    german.write_text("Ein Haus.\n" * 40)
    data = ap.data.parallel_text(english, german, moses=("en", "de"), valid=5)
    usual = of(ap.study(data, bleu=True, **SMALL))[0]
    assert usual.score.convention == "published"
    first = of(ap.study(data, bleu={"convention": convention}, **{**SMALL, "steps": 60, "lr": 1e-2}))[0]
    assert set(first.references) == {reference}
    assert reference in first.hypotheses, "sixty steps learn one sentence"


def test_plain_text_is_compared_as_it_is() -> None:
    pairs = [("a house.", "Ein Haus."), ("a tree.", "Ein Baum.")] * 20
    data = ap.data.from_texts(pairs, vocab_size=270, valid=4)
    first = of(ap.study(data, bleu=True, **SMALL))[0]
    assert first.score.convention == "detokenised"
    assert set(first.references) <= {"Ein Haus.", "Ein Baum."}


# What is refused, before anything is trained


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "a number": (5, TypeError, "bleu must be True, False or a mapping of options, got 5"),
    "an unknown option": ({"beams": 5}, ValueError, "bleu: an option must be one of .*beam.* got 'beams'"),
    "no beam": ({"beam": 0}, ValueError, "bleu: beam must be"),
    "a split": ({"split": "dev"}, ValueError, "bleu: split must be one of .*got 'dev'"),
    "a convention": ({"convention": "cased"}, ValueError, "bleu: convention must be one of"),
    "a penalty": ({"penalty": "none"}, ValueError, "bleu: penalty must be one of"),
    "an end": ({"stop": "never"}, ValueError, "bleu: stop must be one of"),
    "a length": ({"max_length": "long"}, TypeError, "bleu: max_length"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_option_is_named(what: str, tmp_path: Path) -> None:
    given, kind, words = WRONG[what]
    with pytest.raises(kind, match=words):
        ap.study(DATA, bleu=given, out=tmp_path / "new", **SMALL)
    assert not (tmp_path / "new").exists()


def test_language_models_and_ids_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bleu is of translations, and .* is of language models"):
        ap.grid(ap.data.from_texts(["a man", "a cat"] * 20, level="char", valid=0.2), bleu=True, **SMALL)
    splits = {name: DATA.split(name) for name in DATA.splits}
    bare = {name: ap.data.Split(one.source, one.target) for name, one in splits.items()}
    ids = ap.data.Dataset("ids", "translation", DATA.tokenizer, bare)
    with pytest.raises(ValueError, match="bleu compares texts, and ids was made of ids"):
        ap.grid(ids, bleu=True, **SMALL)


def test_a_missing_library_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("sacrebleu"):
            raise ModuleNotFoundError("no", name=name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"sacrebleu is not installed: pip install admin-py"):
        ap.study(DATA, bleu=True, out=tmp_path / "new", **SMALL)
    assert not (tmp_path / "new").exists()


# The tables of a grid, and comparisons of a study


def test_a_grid_shows_bleu_where_it_has_it() -> None:
    found = ap.grid(DATA, bleu={"beam": 2}, lr=[1e-3, 1e-2], **SMALL)
    table = found.pivot("lr", "scheme", "bleu")
    assert table.loc["admin", 0.01] == found.select(scheme="admin", lr=1e-2).cells[0].bleu
    axes = found.plot("lr", "scheme", value="bleu")
    colors = axes.collections[0].get_cmap()
    assert colors(0.0) != ap.grid(DATA, **SMALL).plot().collections[0].get_cmap()(0.0), "more is better"
    assert len(found.plot_panels("scheme", "lr", "layers", value="bleu")) == 2
    with pytest.raises(ValueError, match="no cell has a BLEU"):
        ap.grid(DATA, **SMALL).pivot("lr", "scheme", "bleu")


def test_of_one_seed_a_comparison_is_the_paired_bootstrap() -> None:
    found = ap.study(DATA, bleu=True, seeds=[1, 2], **SMALL)
    compared = found.bleu(resamples=60, seed=5)
    table = compared.to_dataframe().set_index("seed")
    assert list(table.index) == ["1", "2", "all"]
    for seed in (1, 2):
        first, second = (found.run(scheme, seed).translations for scheme in ("post_ln", "admin"))
        expected = ap.scores.paired_bootstrap(
            {"post_ln": first.hypotheses, "admin": second.hypotheses},
            first.references,
            convention="published",
            resamples=60,
            seed=5,
        )
        row = table.loc[str(seed)]
        assert row["p_value"] == expected.p_values[1]
        assert [row["first_bleu"], row["second_bleu"]] == pytest.approx(list(expected.scores))
    means = [np.mean([run.bleu for run in found.of_scheme(scheme)]) for scheme in found.schemes]
    assert list(compared.together.scores) == pytest.approx(means)
    assert table.loc["all", "difference"] == pytest.approx(means[1] - means[0])


def test_a_comparison_needs_two_schemes_that_have_translated_the_same() -> None:
    found = ap.study(DATA, bleu=True, **SMALL)
    with pytest.raises(ValueError, match="at least two schemes with translations"):
        ap.study(DATA, **SMALL).bleu()
    with pytest.raises(ValueError, match=r"at least two schemes with translations.*here are 1"):
        found.select(scheme="admin").bleu()
    other = ap.study(DATA, bleu={"beam": 2}, **SMALL)
    with pytest.raises(ValueError, match="made and scored in one way"):
        found.with_members([found.run("post_ln"), other.run("admin")]).bleu()
    with pytest.raises(ValueError, match="lr varies too"):
        ap.study(DATA, bleu=True, lr=[1e-3, 1e-2], **SMALL).bleu()
