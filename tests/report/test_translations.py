"""The report's section on translations: scores, differences, and sentences by a rule."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_bleu import translated
from made_results import made_study

from admin_py.experiments.study.results import Study
from admin_py.report.page import render, write_report
from admin_py.report.translations import SENTENCES, section

pytest.importorskip("sacrebleu")

ENDS = {"post_ln": [2.65, 2.7], "pre_ln": [0.17, 0.15], "admin": [0.16, None]}


@pytest.fixture(scope="module")
def study() -> Study:
    return translated(made_study(ENDS))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_without_translations_the_page_has_no_word_of_them() -> None:
    study = made_study(ENDS)
    assert section(study) is None
    assert "BLEU" not in render(study).replace("28.38 BLEU", "").replace("29.03 BLEU", "")
    assert 'id="translations"' not in render(study)


def test_scores_differences_and_how_they_were_found_are_there(study: Study) -> None:
    html, compared = render(study), study.bleu()
    text = flat(html)
    for run in study.runs:
        assert run.translations is None or f"<td>{run.bleu:.2f}</td>" in html
    assert compared.together.signature.split("|bs:")[0] in html
    for row in compared.to_dataframe().itertuples():
        assert f"{row.difference:+.2f}".replace("-", "\N{MINUS SIGN}") in html
        assert f"{row.p_value:.3f}" in html
    assert "1,000 times, as many sentences are drawn as there are" in text
    assert "BLEU is the mean over a scheme&#39;s seeds" in text
    assert "not for other seeds" in text
    assert "Post-LN is above Admin" in text
    assert 'id="bleu"' in html, "the figure"


def test_of_one_seed_no_word_is_lost_on_seeds() -> None:
    text = flat(render(translated(made_study({"post_ln": [0.2], "admin": [0.3]}))))
    assert "over a scheme" not in text
    assert text.count("Admin less Post-LN") == 1, "no row that repeats the one of the seed"


def test_of_one_scheme_it_says_that_nothing_is_compared() -> None:
    text = flat(render(translated(made_study({"admin": [0.3, 0.2]}))))
    assert "Not compared: only one scheme has translations." in text


def test_a_scheme_that_diverged_has_none(study: Study) -> None:
    gone = translated(made_study({"post_ln": [None, None], "admin": [0.3, 0.2]}))
    assert "none (it diverged)" in render(gone)


def test_sentences_are_those_in_the_middle_of_equal_parts(study: Study) -> None:
    html = render(study)
    places = [5, 15, 25, 35]
    assert len(places) == SENTENCES
    found = study.run("pre_ln").translations
    for place in range(40):
        assert (f">{found.sources[place]}<" in html) == (place in places)
    for place in places:
        assert found.references[place] in html
        for scheme in study.schemes:
            assert study.run(scheme).translations.hypotheses[place] in html


def test_texts_of_models_do_nothing_in_the_page(study: Study) -> None:
    bad = "<script>alert(1)</script>"
    run = study.runs[0]
    told = {**run.translations.to_dict(), "hypotheses": [bad] * 40, "sources": [bad] * 40}
    odd = type(run.translations).from_dict(told)
    html = render(study.with_members([replace(run, translations=odd), *study.runs[1:]]))
    assert bad not in html
    assert "&lt;script&gt;" in html


def test_its_numbers_and_texts_are_written_as_tables(study: Study, tmp_path: Path) -> None:
    html = write_report(study, tmp_path).read_text("utf-8")
    translations = pd.read_csv(tmp_path / "data" / "translations.csv")
    assert list(translations.columns) == ["scheme", "seed", "source", "reference", "translation"]
    assert len(translations) == 5 * 40
    pairs = pd.read_csv(tmp_path / "data" / "bleu-pairs.csv")
    assert len(pairs) == 2 + 1 + 1 + 3, "those of seeds that both have, and of all together"
    runs = pd.read_csv(tmp_path / "data" / "bleu-runs.csv")
    assert list(runs["score"]) == pytest.approx([run.bleu for run in study.runs if run.translations])
    for name in ("translations", "bleu-pairs", "bleu-runs", "bleu"):
        assert (tmp_path / "data" / f"{name}.csv").exists()
        assert f'href="data/{name}.csv"' in html


def test_where_the_library_is_missing_the_rest_is_told(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("sacrebleu"):
            raise ModuleNotFoundError("no", name=name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    text = flat(render(study))
    assert "Not compared: sacrebleu is not installed: pip install admin-py[translation]." in text
    assert f"{study.runs[0].bleu:.2f}" in text
