"""The report of a study that ran: every analysis has its pictures, words and numbers, for all schemes."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_results import made_output_change, made_study

import admin_py as ap
from admin_py.base.words import number
from admin_py.data import Dataset
from admin_py.experiments.study.results import Study, StudyRun
from admin_py.report import output_change as report_output_change
from admin_py.report import pictures as report_pictures
from admin_py.report.summary import outcome
from admin_py.schemes import Residual, Scheme
from admin_py.schemes.labels import label

SMALL = {"layers": 2, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 12, "max_tokens": 128, "progress": False}
ALL = (
    *("losses", "updates", "update-histogram", "omega-drift"),
    *("omega", "variance", "dependency", "gradients", "gradient-bars", "matrix-gradients"),
    *("dependency-encoder-before", "dependency-decoder-before", "own-dependency"),
    *("output-change-encoder", "output-change-decoder"),
    *("dependency-encoder-after", "dependency-decoder-after", "attention"),
)


@pytest.fixture(scope="module")
def study() -> Study:
    data = ap.data.copy_task(train=100, valid=10, symbols=6, max_length=6)
    return ap.study(data, schemes=["post_ln", "admin"], seeds=[1, 2], lr=3e-2, **SMALL)


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory) -> Path:
    """The report of the study, which no test changes."""
    return study.report(tmp_path_factory.mktemp("report")).parent


def replace_run(run: StudyRun, **changes: object) -> StudyRun:
    return StudyRun(**{**vars(run), **changes})  # type: ignore[arg-type]


def test_all_pictures_are_there_with_words_and_numbers(study: Study, folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert tuple(re.findall(r'<h3 id="([^"]+)"', text)) == ALL
    for picture in report_pictures.pictures(study):
        assert picture.read.endswith(".")
        assert picture.found.endswith(".")
        assert "nan" not in picture.found
        table = pd.read_csv(folder / "data" / f"{picture.name}.csv")
        assert list(table.columns[:2]) == ["scheme", "seed"]
        assert set(table["scheme"]) == {"post_ln", "admin"}
        assert set(table["seed"]) <= {1, 2}
        assert np.isfinite(table.iloc[:, 2:].select_dtypes("number").to_numpy()).any()


def test_what_was_said_before_training_stands_beside_what_became_of_it(study: Study, folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    part = text[text.index('<h2 id="diagnosis">') : text.index('<h2 id="training">')]
    assert part.count("<details>") == 2
    for summary in study.summary():
        first = study.run(summary.scheme).diagnosis
        assert first is not None
        row = re.search(rf"<tr><th.*?{label(summary.scheme)}</th>(.*?)</tr>", part, flags=re.DOTALL)
        assert row is not None
        assert re.findall(r'<td class="words">(.*?)</td>', row[1]) == [first.level, outcome(summary)]
        totals = [
            np.mean([run.diagnosis.amplification(stack)[-1] for run in study.of_scheme(summary.scheme)])
            for stack in ("encoder", "decoder")
        ]
        assert re.findall(r"<td>([^<]+)<", row[1]) == [number(float(total)) for total in totals]
        assert escape(first.limits) in part
    table = pd.read_csv(folder / "data" / "diagnosis.csv")
    mine = table[(table["scheme"] == "admin") & (table["seed"] == 2) & (table["stack"] == "decoder")]
    np.testing.assert_array_equal(mine["own"], study.run("admin", 2).diagnosis.own("decoder"))


def test_the_words_hold_the_measured_numbers(study: Study) -> None:
    shown = {picture.name: picture for picture in report_pictures.pictures(study)}
    before = study.run("post_ln").dependency_before
    assert before is not None
    near = float((before.beta("encoder")[-1, 1:] ** 2).sum())
    assert f"Post-LN {100 * near:.0f} %" in shown["dependency-encoder-before"].found
    change = [run.output_change.mean("decoder")[-1] for run in study.of_scheme("admin")]
    low, high = (f"{value:.1e}" for value in (min(change), max(change)))
    assert f"({low} to {high})" in shown["output-change-decoder"].found
    norms = study.run("post_ln").gradients.matrices
    inside = [value for name, value in norms.items() if name.startswith("decoder.") and name.count(".") > 2]
    assert f"{number(max(inside) / min(inside))} (decoder)" in shown["matrix-gradients"].found
    seen = study.run("admin").attention
    assert seen is not None
    assert f"Admin {number(seen.probabilities.max(axis=1).mean())}" in shown["attention"].found
    assert f"over the {len(seen.keys)} tokens" in shown["attention"].found
    drift = study.run("admin").updates
    assert drift is not None
    largest = 100 * np.max(np.abs(drift.omega["encoder"] / drift.omega["encoder"][0] - 1))
    assert f"{largest:.2g} % (encoder)" in shown["omega-drift"].found


def test_the_output_change_is_that_of_all_seeds(study: Study) -> None:
    from matplotlib.figure import Figure

    shown = next(one for one in report_pictures.pictures(study) if one.name == "output-change-encoder")
    figure = Figure()
    shown.draw(figure)
    line = next(one for one in figure.axes[0].lines if str(one.get_label()).startswith("Post-LN"))
    changes = [run.output_change.change["encoder"] for run in study.of_scheme("post_ln")]
    np.testing.assert_allclose(line.get_ydata(), np.concatenate(changes).mean(axis=0), rtol=1e-12)
    assert f"over {len(changes[0])} draws for each of 2 seeds" in shown.read
    ends = {scheme: [run.output_change.mean("encoder")[-1] for run in study.of_scheme(scheme)]
            for scheme in ("post_ln", "admin")}  # fmt: skip
    ratios = np.array(ends["post_ln"]) / np.array(ends["admin"])
    told = f"Admin {number(float(np.exp(np.log(ratios).mean())))} ({number(ratios.min())} to"
    assert told in shown.found
    assert "4 sub-layers bear the distance between schemes, not the form of their growth" in shown.found


def test_a_deep_stack_bears_the_form_and_one_seed_does_not_bear_the_distance() -> None:
    made = made_study({"post_ln": [2.0], "admin": [0.5]})
    deep = [replace_run(run, output_change=made_output_change(run.scheme, layers=50)) for run in made.runs]
    told = report_output_change._told(deep, "encoder")[1]
    assert "100 sub-layers bear the distance between schemes and the form of their growth" in told
    assert "of one seed the distance can be several times too large" in told


BOUNDED = Scheme("bounded", lambda site: Residual(norm_post="dyt"), source="a test")


@pytest.fixture
def book() -> Dataset:
    return ap.data.from_texts(["to be or not to be, that is the question\n" * 40], context=16)


def test_odd_studies_have_reports_too(book, tmp_path: Path) -> None:
    """One scheme that cannot be taken apart, on a language model that is trained for a step."""
    found = ap.study(book, schemes=[BOUNDED, "pre_ln"], **{**SMALL, "steps": 1})
    shown = {picture.name: picture for picture in report_pictures.pictures(found)}
    assert "bounded has none (" in shown["dependency-decoder-before"].found
    assert "dependency-encoder-before" not in shown
    text = found.report(tmp_path).read_text("utf-8")
    assert re.findall(r'<h3 id="([^"]+)"', text) == list(shown)
    assert text.count("<svg") == len(shown)


def test_a_study_that_cannot_be_taken_apart_has_no_dependencies(book, tmp_path: Path, no_pictures) -> None:
    alone = ap.study(book, schemes=BOUNDED, **{**SMALL, "steps": 1})
    names = [picture.name for picture in report_pictures.pictures(alone)]
    assert names
    assert not [name for name in names if name.startswith("dependency-")]
    text = alone.report(tmp_path).read_text("utf-8")
    shown = re.findall(r'<h3 id="([^"]+)"', text)
    absent = ["dependency-before", "dependency-after"]
    assert [name for name in shown if name not in absent] == names
    assert [name for name in shown if name in absent] == absent
    assert text.count("Not measured: ") == 2
    assert "bounded" in text[text.index('<h3 id="dependency-before"') :].partition("</section>")[0]
