"""The report: whole HTML that needs nothing from elsewhere, with honest words and every text escaped."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_results import made_diagnosis, made_study

from admin_py.base.words import number
from admin_py.experiments.study.results import Sample, Study, StudyRun
from admin_py.plots.style import scheme_style
from admin_py.report import gradients as report_gradients
from admin_py.report import losses as report_losses
from admin_py.report import profile as report_profile
from admin_py.report import summary
from admin_py.report.page import duration, render, write_report
from admin_py.report.pictures import pictures
from admin_py.report.svg import inline_svg

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class Page(HTMLParser):
    """The elements of a page, its text, and whether what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.stack, self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def study() -> Study:
    return made_study({"post_ln": [2.65, 2.7], "pre_ln": [0.17, 0.15], "admin": [0.16, None]})


@pytest.fixture(scope="module")
def written(study: Study, tmp_path_factory) -> Path:
    """The report as it is written, which no test changes."""
    return write_report(study, tmp_path_factory.mktemp("report") / "new")


@pytest.fixture(scope="module")
def html(written: Path) -> str:
    return written.read_text("utf-8")


def flat(text: str) -> str:
    return " ".join(text.split())


def test_it_has_its_parts_in_order(html: str) -> None:
    page = Page(html)
    parts = [attributes["id"] for attributes in page.all("h2")]
    assert parts == [
        *("results", "diagnosis", "training", "before-training", "after-training", "samples", "settings")
    ]
    places = [attributes["id"] for attributes in page.all("h3")]
    figures = [
        *("losses", "omega", "variance", "dependency", "gradients", "gradient-bars", "matrix-gradients")
    ]
    absent = ["dependency-before", "output-change", "dependency-after", "attention"]
    assert places == [*figures, *absent]
    assert len(page.all("svg")) == len(page.all("figcaption")) == len(figures)
    assert page.text.count("In the paper") == len(figures)
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html")[0] == {"lang": "en"}


def test_it_needs_nothing_from_elsewhere(html: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|<script|<link|<iframe", html, flags=re.IGNORECASE)
    for _, attributes in Page(html).elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "data"):
                assert value is not None
                assert value.startswith(("#", "data/")), value
    assert not re.search(r"url\((?!#)", html)


def test_ids_are_unique_and_references_are_met(html: str) -> None:
    elements = Page(html).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert wanted
    assert wanted <= set(ids)


def test_every_picture_says_in_words_what_it_shows(html: str, study: Study) -> None:
    for picture in Page(html).all("svg"):
        assert picture["role"] == "img"
        assert picture["aria-label"] is not None
        assert len(picture["aria-label"]) > 60


def test_pictures_have_the_schemes_colours_and_the_pages_ink(html: str, study: Study) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    for picture in pictures:
        for scheme in study.schemes:
            # Kinds of matrices have colours of their own.
            assert "atrices" in picture or scheme_style(scheme).color.lower() in picture
        assert "currentColor" in picture
        assert "#1b1f24" not in picture
        assert "#ffffff" not in picture


def test_the_table_has_a_row_a_scheme_with_its_numbers(html: str, study: Study) -> None:
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", html, flags=re.DOTALL)
    assert len(rows) == 3
    post, pre, admin = (flat(Page(row).text) for row in rows)
    assert post.startswith("Post-LNdoes not train within this budget 2.67(2.65 to 2.70)")
    assert "trains" in pre
    assert "0.160(0.150 to 0.170)" in pre
    assert "step 7 (seed 2)" in admin
    assert "400" in post
    assert "2.5 s" in post
    assert "1,234" in post


@pytest.mark.usefixtures("no_pictures")
def test_only_what_diverged_is_said_to_have_diverged(html: str) -> None:
    sentence = flat(Page(html).text)
    assert "Admin diverged at step 7 (seed 2)" in sentence
    assert "Post-LN diverged" not in sentence
    calm = flat(Page(render(made_study({"post_ln": [2.65], "admin": [0.16]}))).text)
    assert "diverged at" not in calm
    assert "Post-LN does not train within this budget, validation ending at 2.65" in calm


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("seeds", [1, 2])
def test_several_seeds_are_told_of_where_there_are_several(seeds: int) -> None:
    made = made_study({"post_ln": [2.65, 2.7][:seeds], "admin": [0.16, 0.17][:seeds]})
    made = made.with_members([replaced(run, diagnosis=made_diagnosis(run.scheme)) for run in made.runs])
    text = flat(Page(render(made)).text)
    for words in ("whiskers", "Means over seeds", "the range", "first seed"):
        assert (words in text) == (seeds > 1), words


def test_a_training_loss_that_falls_is_told_apart_from_one_that_does_not() -> None:
    """The last training losses made up here are near 0.5, far below the entropy."""
    _, found = report_losses._told(made_study({"post_ln": [2.7]}))
    assert "the training loss of Post-LN does fall, to 0." in found
    _, found = report_losses._told(made_study({"post_ln": [2.7]}, entropy=0.4))
    assert "the training loss of Post-LN stays as high (0." in found


def test_ties_are_ties() -> None:
    apart = made_study({"post_ln": [2.6, 2.7], "admin": [0.1, 0.2]})
    assert summary.ties(apart) == "The ranges of the final validation loss over seeds do not overlap."
    tie = made_study({"pre_ln": [0.1, 0.3], "admin": [0.2, 0.4]})
    assert "overlap for Pre-LN and Admin: a tie" in summary.ties(tie)
    assert summary.ties(made_study({"admin": [0.2]})).startswith("One seed was run")


def test_the_words_hold_the_measured_numbers(study: Study) -> None:
    profile, norms = study.run("post_ln").profile, study.run("post_ln").gradients
    total = number(float(profile.beta2("encoder").sum()))
    assert f"Post-LN {total} (encoder)" in report_profile._told_dependency(study)[1]
    assert "not measured" in report_profile._told_dependency(study)[1]
    low = min(profile.var_branch(stack).min() for stack in profile.stacks)
    assert f"Post-LN {number(low)} to" in report_profile._told_variance(study)[1]
    one = made_study({"post_ln": [2.6]})
    norms = one.run("post_ln").gradients.outputs["decoder"]
    assert f"{number(norms[-1] / norms[1])} (decoder)" in report_gradients._told_norms(one)[1]
    omega = profile.omega("decoder")
    assert f"{number(omega[0])} to {number(omega[-1])} in the decoder" in report_profile._told_omega(study)[1]


def test_vanishing_is_said_of_gradients_that_fall_tenfold() -> None:
    study = made_study({"post_ln": [2.6]})
    run = study.runs[0]
    falls = {"encoder": np.array([1.0, 1.0, 1.0, 1.0, 1.0]), "decoder": np.geomspace(1e-3, 1.0, 7)}
    norms = type(run.gradients)(**{**vars(run.gradients), "outputs": falls})
    found = report_gradients._told_norms(study.with_members([replaced(run, gradients=norms)]))[1]
    assert "vanishing towards the bottom of the decoder" in found
    assert "bottom of the encoder" not in found


def replaced(run: StudyRun, **changes: object) -> StudyRun:
    return StudyRun(**{**vars(run), **changes})  # type: ignore[arg-type]


def test_every_caption_is_two_sentences(study: Study) -> None:
    for words in (
        report_losses._told,
        report_profile._told_omega,
        report_profile._told_variance,
        report_profile._told_dependency,
        report_gradients._told_norms,
    ):
        sentences = words(study)
        assert len(sentences) == 2
        for sentence in sentences:
            assert sentence.endswith(".")
            assert not re.search(r"[a-z)]\. [A-Z]", sentence), sentence


def test_the_introduction_is_three_sentences(study: Study) -> None:
    assert len(re.findall(r"[a-z0-9)]\.(?: |$)", summary.introduction(study))) == 3


def test_a_name_of_the_settings_stands_there_once(html: str) -> None:
    settings = html[html.index('<dl class="settings">') :]
    told = re.findall(r"<dt>(.*?)</dt>", settings)
    assert len(told) == len(set(told))
    assert {"dtype", "threads", "admin-py", "steps"} <= set(told)


@pytest.mark.usefixtures("no_pictures")
def test_what_was_not_measured_says_why_where_its_picture_would_be(study: Study) -> None:
    reasons = {"attention": "the training was stopped"}
    runs = [replaced(run, without=reasons) for run in study.runs]
    page = Page(render(study.with_members(runs)))
    text = flat(page.text)
    assert "Attention of the last layer Not measured: the training was stopped." in text
    assert "Output change Not measured: it was not computed." in text
    assert "Diagnosis before training Not measured: it was not computed." in text
    assert text.count("Not measured:") == 5
    assert not any("attention" in (link["href"] or "") for link in page.all("a") if link["href"][0] != "#")


@pytest.mark.usefixtures("no_pictures")
def test_a_loss_that_there_is_not_says_why() -> None:
    made = made_study({"post_ln": [None, None], "admin": [0.2, None]})
    html = render(made)
    assert "<td>none<small>(it diverged)</small></td>" in html
    assert "n/a" not in Page(html).text
    assert "Validation loss with the sources of other examples: Post-LN and Admin have none (it was" in html


@pytest.mark.usefixtures("no_pictures")
def test_without_samples_the_reason_is_told() -> None:
    study = made_study({"post_ln": [None], "admin": [0.2]})
    text = flat(Page(render(study.with_members([replaced(run, samples=()) for run in study.runs]))).text)
    assert "Exactly right: Post-LN has none (it diverged); Admin has none (none was asked for)." in text


@pytest.mark.parametrize("claim", ["post_ln", "pre_ln", "admin"])
def test_the_paper_is_cited_only_for_what_was_run(claim: str) -> None:
    """No scheme that was not run is named in what the paper says."""
    alone = made_study({claim: [0.2]})
    others = {"post_ln": "Post-LN", "pre_ln": "Pre-LN", "admin": "Admin"}
    name = others.pop(claim)
    told = [picture.paper for picture in pictures(alone)]
    assert any(name in words for words in told)
    for words in told:
        assert not [other for other in others.values() if other in words], words


def test_a_scheme_that_the_paper_has_not_is_not_compared_with_it() -> None:
    told = [picture.paper for picture in pictures(made_study({"rezero": [0.2]}))]
    assert sum("tells of none of these schemes" in words for words in told) >= 3
    assert not re.search("Post-LN|Pre-LN|Admin", " ".join(told))


def test_several_schemes_share_a_sentence() -> None:
    study = made_study({"post_ln": [2.7, None], "b2t": [2.7, None], "admin": [2.7, 2.6]}, entropy=1.0)
    found = report_losses._told(study)[1]
    assert found.count("training loss") == 1
    assert "the training losses of Post-LN, B2T and Admin do fall, to 0." in found
    assert found.count("diverged") == 1
    assert "Post-LN and B2T diverged (Post-LN at step 7 (seed 2); B2T at step 7 (seed 2))" in found


CONTROLS = "a\x00b\x07c\x1b[31md\x7fe\u202ef\u2066g\u2028h\ud800i"


def test_no_control_reaches_the_page() -> None:
    """Through names, samples, descriptions, settings and the pages of diagnoses; line ends stay."""
    made = made_study({CONTROLS: [0.2], "admin": [0.1]}, name=CONTROLS, description=f"1\n{CONTROLS}\n2")
    sample = Sample(CONTROLS, CONTROLS, CONTROLS)
    runs = [replaced(run, samples=(sample,), diagnosis=made_diagnosis(run.scheme)) for run in made.runs]
    html = render(made.with_members(runs, settings={**made.settings, CONTROLS: CONTROLS}))
    assert not [one for one in html if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl") and one != "\n"]
    assert r"a\x00b\x07c\x1b[31md\x7fe\u202ef\u2066g\u2028h\ud800i" in Page(html).text
    html.encode("utf-8")


@pytest.mark.usefixtures("no_pictures")
def test_limits_of_diagnoses_are_told_once(study: Study) -> None:
    runs = [replaced(run, diagnosis=made_diagnosis(run.scheme)) for run in study.runs]
    html = render(study.with_members(runs))
    assert html.count("<details>") == 3
    assert flat(Page(html).text).count("How often such diagnoses were right about other trainings") == 1
    assert "Limits" not in Page(html).text
    assert "Limits" in made_diagnosis()._repr_html_()


EVIL = '<b onclick="alert(1)">&amp;{{ 7*7 }}'


@pytest.mark.usefixtures("no_pictures")
def test_every_text_of_users_and_data_is_escaped() -> None:
    study = made_study({EVIL: [0.2], "admin": [0.1]}, name=EVIL, description=EVIL)
    sample = Sample(EVIL, EVIL, EVIL)
    runs = tuple(replaced(run, samples=(sample,)) for run in study.runs)
    html = render(
        study.with_members(runs, settings={**study.settings, "note": EVIL}, metadata={"machine": EVIL})
    )
    page = Page(html)
    assert not page.all("b")
    assert "{{ 7*7 }}" in page.text
    assert "&amp;49" not in html
    assert page.text.count(EVIL) >= 6
    assert EVIL in (page.all("svg")[0]["aria-label"] or "")


@pytest.mark.usefixtures("no_pictures")
def test_long_outputs_are_cut(study: Study) -> None:
    sample = Sample("source", "short", "hundert" * 500)
    html = render(study.with_members([replaced(study.runs[0], samples=(sample,))]))
    assert "hundert" * 10 in html
    assert "hundert" * 30 not in html


@pytest.mark.usefixtures("no_pictures")
def test_right_outputs_are_marked_and_counted(study: Study) -> None:
    samples = (Sample("a", "b", "b"), Sample("c", "d", "e"))
    one = study.with_members([replaced(study.runs[0], samples=samples)])
    page = Page(render(one))
    assert page.text.count("exact") == 1
    assert "Exactly right: Post-LN 1 of 2." in flat(page.text)


@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_study_says_so(study: Study, html: str) -> None:
    stopped = study.with_members(study.runs[:1])
    assert "was stopped before all its runs were whole" in flat(Page(render(stopped)).text)
    assert "was stopped" not in flat(Page(html).text)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_was_stopped_is_not_said_to_fail() -> None:
    study = made_study({"post_ln": [2.7]})
    run = study.runs[0]
    half = type(run.history)(**{**vars(run.history), "interrupted": True})
    html = render(study.with_members([replaced(run, history=half)]))
    assert "does not train" not in Page(html).text
    assert "Post-LN was stopped, validation ending at 2.70" in flat(Page(html).text)


def test_light_dark_and_print_have_their_styles(html: str) -> None:
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    for rule in ("prefers-color-scheme: dark", "@media print", "@page", "break-inside: avoid"):
        assert rule in style.group(1)
    assert style.group(1).count("{") == style.group(1).count("}")


@pytest.mark.usefixtures("no_pictures")
def test_what_is_written_is_what_is_rendered(study: Study, tmp_path: Path) -> None:
    path = write_report(study, tmp_path / "a" / "new")
    assert path == tmp_path / "a" / "new" / "report.html"
    assert path.read_text("utf-8") == render(study)


def test_the_numbers_of_every_picture_are_beside_the_report(study: Study, html: str, written: Path) -> None:
    path, page = written, Page(html)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["data", "report.html"]
    links = [link["href"] or "" for link in page.all("a") if (link["href"] or "").startswith("data/")]
    assert sorted(links) == sorted(f"data/{entry.name}" for entry in (path.parent / "data").iterdir())
    assert len(links) == len(page.all("svg"))
    for link in links:
        table = pd.read_csv(path.parent / link)
        assert list(table.columns[:2]) == ["scheme", "seed"]
        assert set(zip(table["scheme"], table["seed"], strict=True)) == {
            (run.scheme, run.seed) for run in study.runs
        }
        assert table.columns.is_unique
    losses = pd.read_csv(path.parent / "data" / "losses.csv")
    run = study.run("pre_ln", 2)
    mine = losses[(losses["scheme"] == "pre_ln") & (losses["seed"] == 2)]
    np.testing.assert_array_equal(mine["nll"], run.history.nll)


def test_a_study_without_runs_has_no_report(study: Study) -> None:
    with pytest.raises(ValueError, match="has no run"):
        render(study.with_members([]))


def test_texts_in_and_of_pictures_are_escaped() -> None:
    text = str(inline_svg(lambda figure: figure.suptitle(EVIL), 2.0, name="x", alt=EVIL))
    page = Page(text)
    assert page.all("svg")[0]["aria-label"] == EVIL
    assert not page.all("b")
    assert EVIL not in text


def test_pictures_are_the_same_each_time(study: Study) -> None:
    def draw(figure) -> None:
        figure.subplots().plot([1, 2, 3])

    first, second = (inline_svg(draw, 2.0, name="x", alt="a line") for _ in range(2))
    assert first == second


def test_durations() -> None:
    shown = [duration(seconds) for seconds in (0.04, 59.94, 61, 3600)]
    assert shown == ["0.0 s", "59.9 s", "1 min 1 s", "1 h 0 min"]
