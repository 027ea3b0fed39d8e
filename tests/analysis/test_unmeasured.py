"""A measure that cannot be taken is None with its reason, and ends neither a run nor a page."""

from __future__ import annotations

import html

import numpy as np
import pytest

import admin_py as ap
from admin_py.analysis.unmeasured import Measures, Unmeasured
from admin_py.cli import main

PAIRS = [(f"a b {i}", f"c d {i}") for i in range(24)]
SMALL = {"schemes": "admin", "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 2, "progress": False}


def pairs(texts, valid):
    return ap.data.from_texts(texts, pretokenized=True, valid=valid)


ODD = {
    "one held-out pair": (lambda: pairs(PAIRS, 1), "has one pair"),
    "sources alike": (lambda: pairs([("x y", b) for _, b in PAIRS], 4), "the same source in all its pairs"),
    "one word alone": (lambda: pairs([("x", "x")] * 24, 4), "the same source in all its pairs"),
    "unknown words alone": (lambda: pairs(PAIRS, [("q", "r")] * 3), "the same source in all its pairs"),
    "one letter": (lambda: ap.data.from_texts(["a" * 90], context=8), "got a language_model"),
    "two letters held out": (
        lambda: ap.data.from_texts(["abc" * 30], context=8, valid=["ab"]),
        "language_model",
    ),
}


DRAWN = "unknown words alone"
"""The one whose pictures are drawn: they are the same of all."""


@pytest.mark.parametrize("name", ODD)
def test_studies_and_grids_of_odd_data_come_to_their_end_and_say_what_is_missing(name, tmp_path, request):
    if name != DRAWN:
        request.getfixturevalue("no_pictures")
    make, why = ODD[name]
    data = make()
    study = ap.study(data, **SMALL)
    run = study.runs[0]
    assert run.source_use is None
    assert why in run.without["source_use"]
    assert run.attention is not None
    page = html.unescape(study.report(tmp_path).read_text(encoding="utf-8"))
    assert run.without["source_use"] in page
    assert "could not be drawn" not in page
    cell = ap.grid(data, **SMALL).cells[0]
    assert cell.other_source_nll is None
    assert cell.without["other_source_nll"] == run.without["source_use"]
    assert cell.valid_nll == run.valid_nll
    assert type(cell).from_dict(cell.to_dict()).without == cell.without


def test_runs_that_diverged_say_so_once_a_measure():
    cell = ap.grid(ap.data.from_texts(PAIRS, pretokenized=True), **{**SMALL, "lr": 1e30}).cells[0]
    assert dict(cell.without) == {"other_source_nll": "it diverged"}


@pytest.mark.parametrize("gain", [1e-30, 1e18, 1e30])
def test_weights_of_no_sense_end_neither_studies_nor_grids_and_every_picture_is_drawn(gain, tmp_path, capsys):
    given = {**SMALL, "schemes": ["admin", "pre_ln"], "init_gain": gain}
    data = ap.data.copy_task(train=40, valid=8)
    study, grid = ap.study(data, **given), ap.grid(data, **given)
    for run, cell in zip(study.runs, grid.cells, strict=True):
        np.testing.assert_array_equal(run.history.loss, cell.history.loss)
        assert (run.profile is None) == (gain == 1e30 and run.scheme == "admin")  # the one that needs it
        if run.profile is None:
            assert "must be finite" in run.without["profile"]
            assert run.history.diverged_at == 1
    capsys.readouterr()
    page = study.report(tmp_path).read_text(encoding="utf-8")
    assert "could not be drawn" not in page + capsys.readouterr().err
    study.save(tmp_path)
    again = ap.Study.load(tmp_path)
    assert [run.profile is None for run in again.runs] == [run.profile is None for run in study.runs]


@pytest.mark.usefixtures("no_pictures")
def test_a_report_where_nothing_is_missing_has_no_such_part(tmp_path):
    study = ap.study(ap.data.copy_task(train=40, valid=8), **SMALL)
    assert dict(study.runs[0].without) == {}
    assert 'id="unmeasured"' not in study.report(tmp_path).read_text(encoding="utf-8")


def test_asked_for_alone_it_is_one_error():
    data = pairs(PAIRS, 1)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    with pytest.raises(Unmeasured, match="split 'valid' has one pair: there is no other source"):
        ap.analysis.source_use(ap.Transformer(config), data)
    with pytest.raises(ValueError, match="split must be one of"):
        ap.analysis.source_use(ap.Transformer(config), data, split="test")


SIZES = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--max-tokens", "64"]
COMMAND = ["analyse", "--task", "copy", *SIZES, "--quiet"]


def test_of_all_analyses_those_that_are_there_are_written(tmp_path, monkeypatch, capsys):
    dependency = ap.analysis.dependency

    def not_of_post_ln(model, batch):
        if model.config.scheme_name == "post_ln":
            raise Unmeasured("no sum of parts is left")
        return dependency(model, batch)

    monkeypatch.setattr(ap.analysis, "dependency", not_of_post_ln)
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "dependency", "--scheme", "post_ln"]) == 1
    assert capsys.readouterr().err == "admin-py: error: no sum of parts is left\n"
    assert main([*COMMAND, "all", "--scheme", "post_ln", "--steps", "2", "--out", "all"]) == 0
    told = capsys.readouterr().err
    assert told == "dependency of post_ln, seed 1: not measured: no sum of parts is left\n"
    assert (tmp_path / "all" / "gradients.csv").exists()
    assert not (tmp_path / "all" / "dependency.csv").exists()
    assert main([*COMMAND, "dependency", "--schemes", "post_ln", "admin", "--out", "two"]) == 0
    assert "dependency of post_ln" in capsys.readouterr().err
    assert "post_ln" not in (tmp_path / "two" / "dependency.csv").read_text()


def test_wrong_options_are_no_missing_measure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "all", "--repeats", "0"]) == 1
    assert "not measured" not in capsys.readouterr().err


def test_errors_that_are_no_reasons_are_passed_on():
    measures = Measures()
    assert measures.take("ratio", lambda: 1 / 0) is None
    with pytest.raises(TypeError):
        measures.take("sum", lambda: 1 + "1")
    assert measures.without == {"ratio": "division by zero"}
