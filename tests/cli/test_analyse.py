"""``admin-py analyse``: schemes and seeds side by side, the files it writes, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import Picture, pdf_marks, svg_colors

import admin_py as ap
from admin_py.analysis import Dependency, GradientNorms, UpdateNorms, pool
from admin_py.cli import analyse as analyse_command
from admin_py.cli import entry as cli

SMALL = ["--task", "copy", "--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]
SEVERAL = ["--schemes", "post_ln", "post_ln/pre_ln", "--seeds", "1", "2"]


def run(folder: Path, *arguments: str) -> int:
    return cli.main(["analyse", *arguments, *SMALL, "--out", str(folder)])


def test_one_model_writes_every_analysis(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "all"
    assert run(folder, "all", "--steps", "41", "--optimizer", "sgd", "--lr", "0.01") == 0
    text = capsys.readouterr().out
    for word in ("Dependency(", "OutputChange(", "GradientNorms(", "UpdateNorms(", "Limits"):
        assert word in text
    stems = ("dependency", "output_change", "gradients", "updates", "diagnose")
    files = {f"{stem}.{ending}" for stem in stems for ending in ("json", "csv")}
    pictures = (
        *("dependency_encoder", "dependency_decoder", "dependency_own"),
        *("output_change_encoder", "output_change_decoder", "gradients", "gradients_matrices"),
        *("updates", "updates_histogram", "updates_omega", "diagnose"),
    )
    files |= {"gradients_matrices.csv", *(f"{name}.png" for name in pictures)}
    assert {path.name for path in folder.iterdir()} == files
    named = set(re.findall(r"[\w~-]+\.(?:json|csv|png)", text))
    assert named == files, "what is said is what is written"
    assert all(Picture(folder / f"{name}.png").drawn > 0.01 for name in pictures)
    # The short training was of so many steps, and of a copy: an analysis after it is as it is alone.
    steps = UpdateNorms.load(folder / "updates.json").steps
    assert [*steps[:3], steps[-1]] == [1, 2, 4, 40]
    assert run(tmp_path / "alone", "gradients") == 0
    alone, after = (GradientNorms.load(tmp_path / name / "gradients.json") for name in ("alone", "all"))
    assert alone == after


def test_schemes_and_seeds_stand_side_by_side(tmp_path: Path) -> None:
    assert run(tmp_path, "all", *SEVERAL, "--steps", "3") == 0
    pairs = {("post_ln", 1), ("post_ln", 2), ("post_ln/pre_ln", 1), ("post_ln/pre_ln", 2)}
    for stem in ("dependency", "output_change", "gradients", "gradients_matrices", "updates", "diagnose"):
        table = pd.read_csv(tmp_path / f"{stem}.csv")
        assert set(zip(table["scheme"], table["seed"], strict=True)) == pairs
    one = GradientNorms.load(tmp_path / "gradients-post_ln~pre_ln-seed2.json")
    rows = pd.read_csv(tmp_path / "gradients.csv").query("scheme == 'post_ln/pre_ln' and seed == 2")
    np.testing.assert_allclose(rows["grad_norm"], np.concatenate([x[1:] for x in one.outputs.values()]))
    assert {"diagnose-post_ln.png", "diagnose-post_ln~pre_ln.png"} <= {p.name for p in tmp_path.iterdir()}


def test_a_model_is_the_one_its_scheme_and_seed_name(tmp_path: Path) -> None:
    assert run(tmp_path, "dependency", "--schemes", "pre_ln", "--seeds", "5") == 0
    data = ap.data.copy_task()
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=1,
        decoder_layers=1,
        d_model=8,
        heads=2,
        d_ff=16,
        dropout=0.1,
        max_length=data.longest,
        scheme="pre_ln",
    )
    model = ap.Transformer(config, seed=5)
    batch = next(data.batches(max_tokens=512, seed=5))
    model.profile(batch, seed=5)
    found = Dependency.load(tmp_path / "dependency.json")
    np.testing.assert_array_equal(found.beta("decoder"), ap.analysis.dependency(model, batch).beta("decoder"))


def test_pictures_come_in_the_formats_asked_for_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(tmp_path / name, "gradients", *SEVERAL, "--format", "svg", "pdf", "png") == 0
    for stem in ("gradients", "gradients_matrices"):
        for ending in ("svg", "pdf", "png"):
            first, second = ((tmp_path / name / f"{stem}.{ending}").read_bytes() for name in ("a", "b"))
            assert first == second
        assert Picture(tmp_path / "a" / f"{stem}.png").drawn > 0.01
        assert sum(svg_colors(tmp_path / "a" / f"{stem}.svg").values()) > 20
        assert pdf_marks(tmp_path / "a" / f"{stem}.pdf") > 20


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    assert run(tmp_path, "output-change", "--format", "svg") == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv", ".svg"}


def test_pictures_hold_all_schemes_and_pooled_seeds() -> None:
    """Error bars and bands are over the seeds; heatmaps are of the first."""
    data = ap.data.copy_task(train=40, valid=8)
    batch = next(data.batches(max_tokens=256, seed=1))
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    models = [
        ap.Transformer(config.replace(scheme=name), seed=seed)
        for name in ("post_ln", "pre_ln")
        for seed in (1, 2)
    ]
    changes = [ap.analysis.output_change(model, batch) for model in models]
    pooled = pool(changes)
    assert [one.repeats for one in pooled] == [6, 6]
    both = np.concatenate([one.change["decoder"] for one in changes[:2]])
    np.testing.assert_array_equal(pooled[0].mean("decoder"), both.mean(axis=0))
    np.testing.assert_array_equal(pooled[0].spread("decoder"), both.std(axis=0, ddof=1))
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    drawn = {one.name: one for one in analyse_command.PICTURES["output-change"](changes)}
    drawn["output_change_decoder"].draw(figure)
    lines = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert all(list(one.mean("decoder")) in lines for one in pooled)
    norms = [ap.analysis.gradients(model, batch) for model in models]
    figure = Figure(layout="constrained")
    next(iter(analyse_command.PICTURES["gradients"](norms))).draw(figure)
    for ax, one in zip(figure.axes, pool(norms), strict=True):
        bars = [bar for box in ax.containers if hasattr(box, "patches") for bar in box]
        tops = sorted(bar.get_y() + bar.get_height() for bar in bars)
        assert tops == pytest.approx(sorted(np.concatenate(list(one.middle.values()))))


def test_seeds_that_do_not_belong_together_are_refused() -> None:
    data = ap.data.copy_task(train=40, valid=8)
    batch = next(data.batches(max_tokens=256, seed=1))
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    model = ap.Transformer(config, seed=1)
    one = ap.analysis.output_change(model, batch)
    other = ap.analysis.output_change(model, batch, size=1e-3)
    with pytest.raises(ValueError, match="results: those of 'admin' differ in size"):
        pool([one, other])
    with pytest.raises(ValueError, match=r"results: expected at least one, all .* OutputChange, got none"):
        pool([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gradients", "--schemes", "admni"], "did you mean 'admin'"),
        (["gradients", "--schemes", "admin", "post_ln", "admin"], "--schemes: got admin twice"),
        (["gradients", "--seeds", "3", "3"], "--seeds: got 3 twice"),
        (["updates", "--steps", "0"], "steps"),
        (["updates", "--lr", "-1"], "lr must be"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, capsys, arguments, message: str) -> None:
    assert run(tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_format_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "gradients", "--format", "jpg")
    assert stop.value.code == 2
