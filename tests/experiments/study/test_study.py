"""Studies: what they run, what their runs hold, and what they refuse."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_results import made_study
from small_study import SMALL, same_numbers

import admin_py as ap
from admin_py.experiments.outcomes import DIVERGED, FINISHED, STUCK, TRAINS
from admin_py.experiments.study.results import Study
from admin_py.experiments.study.runner import decode_samples
from admin_py.experiments.study.study import study
from admin_py.schemes import Residual, Scheme


def test_every_scheme_is_run_from_every_seed(small: Study) -> None:
    assert [(run.scheme, run.seed) for run in small.runs] == [
        ("post_ln", 1),
        ("post_ln", 2),
        ("admin", 1),
        ("admin", 2),
    ]
    assert small.schemes == ("post_ln", "admin")
    assert small.seeds == (1, 2)
    assert not small.interrupted
    for run in small.runs:
        assert run.history.num_steps == 4
        assert run.history.valid["step"][-1] == 4
        assert run.num_parameters > 1000
        assert len(run.samples) == 4
        assert run.metadata["dtype"] == "float32"
        assert set(run.gradients.outputs) == {"encoder", "decoder"}


def test_only_admin_is_given_its_omega_by_profiling(small: Study) -> None:
    assert (small.run("post_ln").profile.omega("decoder") == 1.0).all()
    omega = small.run("admin").profile.omega("decoder")
    assert omega[0] == 1.0
    assert (np.diff(omega) > 0).all()


def test_a_run_is_what_the_parts_give_one_after_the_other(small: Study, data) -> None:
    """Profile on the first training batch, gradients, then training: the same numbers by hand."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=1,
        decoder_layers=1,
        d_model=8,
        d_ff=16,
        heads=2,
        dropout=0.1,
        scheme="admin",
        max_length=96,
    )
    model = ap.Transformer(config, seed=2)
    batch = next(data.batches(max_tokens=128, seed=2))
    run = small.run("admin", 2)
    np.testing.assert_array_equal(model.profile(batch, seed=2).omega("encoder"), run.profile.omega("encoder"))
    norms = ap.analysis.gradients(model, batch, label_smoothing=0.1).outputs["decoder"]
    np.testing.assert_array_equal(norms, run.gradients.outputs["decoder"])
    history = ap.train(
        model,
        data,
        optimizer=ap.Adam(1e-3, betas=(0.9, 0.98), eps=1e-9),
        schedule=ap.schedules.inverse_sqrt(1e-3, 100),
        steps=4,
        max_tokens=128,
        valid_every=1,
        progress=False,
    )
    np.testing.assert_array_equal(history.nll, run.history.nll)
    np.testing.assert_array_equal(history.valid["nll"], run.history.valid["nll"])
    assert decode_samples(model, data, 4) == run.samples
    # Ended by the model alone, or where it can read no more: not after so many tokens for each of the source.
    sources = data.encode([sample.source for sample in run.samples])
    longest = ap.generation.greedy(model, sources, max_new_tokens=96)
    assert [sample.output for sample in run.samples] == data.decode(longest)
    assert max(ids.size for ids in longest) == 1 + 96


def test_the_samples_are_held_out_examples_and_their_references(small: Study, data) -> None:
    pairs = [(sample.source, sample.expected) for sample in small.run("admin").samples]
    assert pairs == data.pairs("valid")[:4]


def test_it_repeats_bit_for_bit(small: Study, data) -> None:
    again = study(data, schemes=["post_ln", "admin"], seeds=[1, 2], **SMALL)
    assert same_numbers(small, again)


def test_every_run_has_the_analyses(small: Study) -> None:
    """Before and after training, on the batch that training begins with; none is left out in silence."""
    for run in small.runs:
        before, after = run.dependency_before, run.dependency_after
        assert not run.without
        assert before is not None
        assert after is not None
        assert before.scheme == run.scheme
        assert not np.array_equal(before.variances["encoder"], after.variances["encoder"])
        assert run.diagnosis is not None
        assert run.diagnosis.own("encoder").shape == (2 * SMALL["layers"],)
        assert run.output_change is not None
        assert run.output_change.perturbation == "random"
        assert run.updates is not None
        assert run.updates.steps[-1] == run.history.num_steps


def test_a_scheme_that_cannot_be_taken_apart_says_why(data) -> None:
    scheme = Scheme("tanh after the sum", lambda site: Residual(norm_post="dyt"), source="a test")
    run = study(data, schemes=scheme, **SMALL).runs[0]
    assert run.dependency_before is None
    assert "linear" in run.without["dependency_before"]
    assert run.output_change is not None


def test_hybrids(data, tmp_path: Path) -> None:
    found = study(data, schemes=[("post_ln", "pre_ln"), "pre_ln/post_ln"], out=tmp_path, **SMALL)
    assert found.schemes == ("post_ln/pre_ln", "pre_ln/post_ln")
    assert Study.load(tmp_path) == found


@pytest.mark.parametrize("optimizer", [ap.RAdam, ap.SGD, lambda lr: ap.AdamW(lr, weight_decay=0.1)])
def test_optimisers(data, optimizer) -> None:
    found = study(data, schemes=["pre_ln"], optimizer=optimizer, **SMALL)
    assert found.runs[0].setup["optimizer"]["lr"] == 1e-3
    assert np.isfinite(found.runs[0].history.loss).all()


@pytest.mark.usefixtures("no_pictures")
def test_language_models(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog sat on the cat. " * 40, encoding="utf-8")
    data = ap.data.text(text, context=64)
    found = study(data, schemes=["post_ln", "admin"], out=tmp_path / "out", **SMALL)
    assert found.stacks == ("decoder",)
    assert list(found.run("admin").gradients.outputs) == ["decoder"]
    sample = found.run("admin").samples[0]
    assert sample.source
    assert sample.source + sample.expected in "the cat sat on the mat, and the dog sat on the cat. " * 41
    page = found.report(tmp_path / "out").read_text("utf-8")
    assert "1 decoder layers" in page


@pytest.mark.usefixtures("no_pictures")
def test_divergence_is_a_result_with_its_step(data, tmp_path: Path) -> None:
    options = {**SMALL, "steps": 20, "lr": 1e30, "warmup": 0, "optimizer": ap.SGD, "out": tmp_path}
    found = study(data, schemes=["post_ln", "pre_ln"], **options)
    run = next(run for run in found.runs if run.history.diverged_at is not None)
    assert run.outcome == DIVERGED
    assert math.isnan(run.valid_nll)
    assert run.samples == ()
    assert Study.load(tmp_path) == found
    page = found.report(tmp_path).read_text("utf-8")
    assert f"step {run.history.diverged_at} (seed 1)" in page


@pytest.mark.parametrize(
    ("valid", "entropy", "outcome"),
    [(0.5, 2.8, TRAINS), (2.65, 2.8, STUCK), (2.65, None, FINISHED)],
)
def test_outcomes_say_no_more_than_the_numbers(valid: float, entropy: float | None, outcome: str) -> None:
    run = made_study({"post_ln": [valid]}, entropy=entropy).runs[0]
    assert run.valid_nll == valid
    assert run.outcome == outcome
    assert "diverged" not in run.outcome


def test_the_summary_is_over_seeds() -> None:
    found = made_study({"post_ln": [2.6, 2.8], "admin": [0.1, None]})
    post, admin = found.summary()
    assert post.valid_nll.tolist() == [2.6, 2.8]
    assert post.outcomes == (STUCK, STUCK)
    assert admin.outcomes == (TRAINS, DIVERGED)
    assert admin.diverged_at[0] is None
    assert admin.diverged_at[1] is not None
    assert post.seconds == pytest.approx(10 * 0.25)
    assert post.tokens_per_second == pytest.approx(400.0)
    table = found.to_dataframe()
    assert len(table) == 4
    assert table["valid_nll"].tolist()[:3] == [2.6, 2.8, 0.1]


def test_repr_html_and_plot(small: Study) -> None:
    assert "4 runs" in repr(small)
    assert "<table" in small._repr_html_()
    import matplotlib

    matplotlib.use("Agg", force=True)
    left, right = small.plot()
    import matplotlib.pyplot as plt

    plt.close("all")
    for ax, losses in ((left, "nll"), (right, "valid")):
        shown = {float(y) for line in ax.lines for y in line.get_ydata()}
        for run in small.runs:
            assert {*(run.history.nll if losses == "nll" else run.history.valid["nll"])} <= shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be an integer from 1"),
        ({"steps": 1.5}, "steps must be an integer"),
        ({"seeds": []}, "seeds must have at least one value"),
        ({"seeds": [1, 1]}, "seeds must have values that are all different, got 1 twice"),
        (
            {"seeds": (1, 2)},
            r"seeds must be one value, or a list of values to compare, got the tuple \(1, 2\)",
        ),
        ({"seeds": -1}, "seeds must be an integer from 0"),
        ({"schemes": []}, "schemes must have at least one value"),
        (
            {"schemes": ("admin", "pre_ln", "post_ln")},
            "schemes must be one scheme, or two as a model's encoder",
        ),
        ({"schemes": ["admin", "admin"]}, "'admin' twice"),
        ({"schemes": "admni"}, "did you mean 'admin'"),
        ({"steps": [1, 2]}, r"steps must be an integer, got"),
        ({"callbacks": print}, "callbacks must be a list of callables"),
        ({"keep_models": 1}, "keep_models must be True or False"),
        ({"workers": 0}, "workers must be an integer from 1"),
        ({"workers": 2, "executor": object()}, "executor or workers, not both"),
        ({"out": 3}, "out must be a path, got"),
        ({"layers": 0}, "layers must be an integer from 1"),
        ({"layers": (1, 2, 3)}, "layers must be one number, or two as one model's"),
        ({"heads": 3}, "heads must divide d_model"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"lr": math.nan}, "lr must be a finite number"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"samples": -1}, "samples must be an integer from 0"),
        ({"max_tokens": 2}, "max_tokens"),
        ({"valid_every": 0}, "valid_every must be an integer from 1"),
        ({"progress": 1}, "progress must be True or False"),
    ],
)
def test_bad_arguments_are_one_clear_error_before_anything_is_written(
    data, tmp_path: Path, options, message
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        study(data, **{**SMALL, "schemes": "admin", "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_data_without_a_held_out_part_are_refused() -> None:
    with pytest.raises(ValueError, match="data must have a split 'valid'"):
        study(ap.data.copy_task(train=20, valid=0), **SMALL)


def test_there_is_an_error_for_a_run_that_is_not_there(small: Study) -> None:
    with pytest.raises(ValueError, match="no run of 'pre_ln' with seed 1; the study has post_ln seed 1"):
        small.run("pre_ln", 1)


# Where runs are trained


def test_workers_give_the_same_bits_and_the_same_models(small: Study, data, tmp_path: Path) -> None:
    found = study(data, schemes=["post_ln", "admin"], seeds=[1, 2], workers=2, out=tmp_path, **SMALL)
    assert same_numbers(found, small)
    assert {run.metadata["threads"] for run in found.runs} == {1}
    for run in found.runs:
        mine, theirs = run.model, small.run(run.scheme, run.seed).model
        assert mine is not None
        assert theirs is not None
        assert all(np.array_equal(mine.parameters[name], theirs.parameters[name]) for name in mine.parameters)


def test_any_executor(small: Study, data) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = study(data, schemes=["post_ln", "admin"], seeds=[1, 2], executor=executor, **SMALL)
    assert same_numbers(found, small)


def test_models_are_kept_and_can_be_left_out(small: Study, data, tmp_path: Path) -> None:
    """In memory, and in the folder; the model is the one that was trained."""
    run = small.run("admin", 2)
    assert run.model is not None
    assert decode_samples(run.model, data, 4) == run.samples
    small.save(tmp_path)
    again = Study.load(tmp_path).run("admin", 2).model
    assert again is not None
    assert decode_samples(again, data, 4) == run.samples
    bare = study(data, schemes="admin", keep_models=False, out=tmp_path / "bare", **SMALL)
    assert bare.runs[0].model is None
    assert not list((tmp_path / "bare").rglob("model*"))


# A list is an axis, a tuple is one value


@pytest.mark.usefixtures("no_pictures")
def test_axes_beside_schemes_and_seeds(data, tmp_path: Path) -> None:
    found = study(
        data,
        schemes=["post_ln", "admin"],
        out=tmp_path,
        **{**SMALL, "layers": [1, (1, 2)], "d_model": [8, 12]},
    )
    assert found.several == ("scheme", "layers", "d_model")
    assert found.values("layers") == (1, (1, 2))
    assert len(found.runs) == 8
    assert Study.load(tmp_path) == found
    config = found.run("admin", layers=(1, 2), d_model=12).setup["config"]
    assert (config["encoder_layers"], config["decoder_layers"], config["d_model"]) == (1, 2, 12)
    with pytest.raises(ValueError, match=r"layers varies too \(1, 1-2\); choose one with select"):
        found.run("admin")
    with pytest.raises(ValueError, match="varies too"):
        found.plot()
    assert [words for words, _ in found.places()] == [
        f"layers {depth}, d_model {width}" for depth in ("1", "1-2") for width in (8, 12)
    ]
    assert set(found.to_dataframe()["layers"]) == {1, "1-2"}
    page = found.report(tmp_path / "pages").read_text("utf-8")
    links = re.findall(r'href="([^"]+/report.html)"', page)
    assert len(links) == 4
    for link in links:
        assert "Post-LN" in (tmp_path / "pages" / link).read_text("utf-8")


def test_a_pair_of_layers_is_one_model(data) -> None:
    found = study(data, schemes="admin", **{**SMALL, "layers": (1, 2), "steps": 1})
    assert [run.values["layers"] for run in found.runs] == [(1, 2)]
    assert found.runs[0].setup["config"]["decoder_layers"] == 2


@pytest.mark.parametrize("optimizer", ["radam", ap.RAdam(3e-3, betas=(0.9, 0.98), eps=1e-9)])
def test_optimisers_by_name_or_as_objects(data, optimizer) -> None:
    run = study(data, schemes="admin", optimizer=optimizer, **SMALL).runs[0]
    made = run.setup["optimizer"]
    assert (made["kind"], made["betas"], made["eps"]) == ("radam", (0.9, 0.98), 1e-9)
    assert run.values["lr"] == (1e-3 if isinstance(optimizer, str) else 3e-3)
