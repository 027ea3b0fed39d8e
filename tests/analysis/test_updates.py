"""Norms of matrices over a training: against NumPy, table, histogram, and the two ways to get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import DATA, make_model, make_optimizer, train

import admin_py as ap
from admin_py.analysis import UpdateNorms, updates


@pytest.fixture(scope="module")
def history() -> ap.History:
    return train(make_model(), ap.Adam(0.01), steps=7, observe_every=0, observe=2)


@pytest.fixture(scope="module")
def found(history: ap.History) -> UpdateNorms:
    return updates(history)


def step_by_step(steps: int, **options: Any) -> list[dict[str, dict[str, np.ndarray]]]:
    """What `train` does, with NumPy beside it: gradient, weights and update of each matrix."""
    model, optimizer = make_model(**options), ap.Adam(0.01)
    feed = DATA.batches(max_tokens=90, seed=model.seed)
    rows = []
    for step in range(1, steps + 1):
        batch = next(feed)
        model.backward(batch, label_smoothing=0.1, step=step - 1)
        matrices = [name for name in model.trained if model.parameters[name].ndim == 2]
        gradients = {name: model.gradients[name].astype(np.float64) for name in matrices}
        before = {name: model.parameters[name].astype(np.float64) for name in matrices}
        optimizer.step(model)
        change = {name: model.parameters[name] - before[name] for name in matrices}
        rows.append({"grad_norm": gradients, "norm": before, "update_norm": change})
    return rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_are_those_of_the_arrays(dtype: str) -> None:
    rows = step_by_step(3, dtype=dtype)
    settings: dict[str, Any] = {"schedule": None, "accumulate": 1, "clip_norm": None, "valid_every": None}
    seen = updates(
        train(make_model(dtype=dtype), ap.Adam(0.01), steps=3, observe_every=0, observe=1, **settings)
    )
    assert seen.steps.tolist() == [1, 2, 3]
    for quantity in ("grad_norm", "norm", "update_norm"):
        for j, row in enumerate(rows):
            assert list(row[quantity]) == list(seen.names)
            norms = [np.linalg.norm(value) for value in row[quantity].values()]
            # the order of a sum in float64 is all that differs
            np.testing.assert_allclose(seen.quantity(quantity)[j], norms, rtol=1e-12)


def test_gradients_are_whole_and_not_clipped(history: ap.History) -> None:
    """Over two batches a step; with the vectors' share left out they stay below the norm of all."""
    matrices = history.observations["matrices"]
    whole = np.sqrt((matrices["grad_norm"] ** 2).sum(axis=1))
    at = history.observations["step"] - 1
    assert (whole <= history.grad_norm[at] * (1 + 1e-12)).all()
    assert (whole > 0.8 * history.grad_norm[at]).all()
    assert history.grad_norm[0] > 1.0, "the case must be one that clips"
    reference, batches = make_model(), DATA.batches(max_tokens=90, seed=5)
    pair = [next(batches), next(batches)]
    tokens = np.array([batch.target.tokens.size - batch.num_sequences for batch in pair])
    sums = {name: np.zeros_like(reference.gradients[name]) for name in matrices["names"]}
    for i, (batch, share) in enumerate(zip(pair, tokens / tokens.sum(), strict=True)):
        reference.backward(batch, label_smoothing=0.1, step=i, scale=float(share))
        for name, total in sums.items():
            total += reference.gradients[name]
    norms = [np.linalg.norm(total.astype(float)) for total in sums.values()]
    np.testing.assert_allclose(matrices["grad_norm"][0], norms, rtol=1e-12)


def test_updates_of_all_matrices_make_up_most_of_the_step_s(history: ap.History) -> None:
    matrices = history.observations["matrices"]
    whole = np.sqrt((matrices["update_norm"] ** 2).sum(axis=1))
    at = history.observations["step"] - 1
    assert (whole <= history.update_norm[at] * (1 + 1e-6)).all()
    assert (whole > 0.8 * history.update_norm[at]).all()


def test_places_follow_from_the_names(found: UpdateNorms) -> None:
    table = dict(
        zip(found.names, zip(found.matrix_kinds, found.matrix_stacks, found.layers, strict=True), strict=True)
    )
    assert table["embedding.weight"] == ("embedding", "shared", -1)
    assert table["encoder.0.self_attn.out.weight"] == ("out", "encoder", 0)
    assert table["decoder.0.cross_attn.k.weight"] == ("k", "decoder", 0)
    assert table["decoder.0.feed_forward.fc2.weight"] == ("fc2", "decoder", 0)
    assert dict(found.sublayers) == {s: tuple(make_model().config.sublayer_names(s)) for s in found.omega}
    assert found.scheme == "admin"


def test_learned_positions_and_apart_embeddings_have_a_stack() -> None:
    model = make_model(positions="learned", share_embeddings="none")
    seen = updates(train(model, steps=1, observe_every=1))
    table = dict(zip(seen.names, zip(seen.matrix_kinds, seen.matrix_stacks, strict=True), strict=True))
    assert table["encoder.positions.weight"] == ("embedding", "encoder")
    assert table["decoder.embedding.weight"] == ("embedding", "decoder")
    assert table["output.weight"] == ("embedding", "decoder")


def test_omega_and_variances_come_along(found: UpdateNorms, history: ap.History) -> None:
    model = make_model()
    for stack, omega in model.omega.items():
        np.testing.assert_allclose(found.omega[stack][0], omega.mean(axis=1), rtol=1e-6)
        assert (found.omega_spread[stack][0] == 0).all(), "profiled to one number a sub-layer"
        assert (found.omega_spread[stack][-1] > 0).all(), "and trained as a vector"
        np.testing.assert_array_equal(found.var_branch[stack], history.observations[stack]["var_branch"])


def test_kinds_are_means_over_their_matrices(found: UpdateNorms) -> None:
    by_kind = found.by_kind("grad_norm")
    assert list(by_kind) == ["q", "k", "v", "out", "fc1", "fc2", "embedding"]
    queries = [i for i, name in enumerate(found.names) if name.endswith(".q.weight")]
    assert len(queries) == 3
    np.testing.assert_allclose(
        by_kind["q"], np.sqrt((found.grad_norm[:, queries] ** 2).mean(axis=1)), rtol=1e-14
    )
    encoder = found.by_kind("relative", stack="encoder")
    assert list(encoder) == ["q", "k", "v", "out", "fc1", "fc2"]
    np.testing.assert_allclose(
        encoder["fc1"], found.relative()[:, found.names.index("encoder.0.feed_forward.fc1.weight")]
    )
    assert list(found.by_kind(stack="shared")) == ["embedding"]


def test_the_histogram_counts_every_matrix_once(found: UpdateNorms) -> None:
    edges, counts = found.histogram(bins=12)
    assert edges.shape == (13,)
    assert counts.shape == (len(found.steps), 12)
    assert (counts.sum(axis=1) == len(found.names)).all()
    np.testing.assert_allclose(edges[1:] / edges[:-1], (edges[-1] / edges[0]) ** (1 / 12), rtol=1e-9)
    relative = found.relative()
    np.testing.assert_allclose([edges[0], edges[-1]], [relative.min(), relative.max()], rtol=1e-9)
    middle = (relative >= edges[5] * (1 + 1e-12)) & (relative < edges[6] * (1 - 1e-12))
    np.testing.assert_array_equal(counts[:, 5], middle.sum(axis=1))


def test_steps_that_change_nothing_are_in_no_bin() -> None:
    seen = updates(train(make_model(), steps=2, observe_every=1))  # RAdam waits
    assert (seen.update_norm == 0).all()
    assert (seen.relative() == 0).all()
    assert (seen.histogram()[1] == 0).all()
    assert (seen.histogram("norm")[1].sum(axis=1) == len(seen.names)).all()


def test_the_table_has_a_row_a_step_and_matrix(found: UpdateNorms) -> None:
    table = found.to_dataframe()
    assert list(table.columns) == [
        "step", "name", "stack", "kind", "layer", "grad_norm", "norm", "update_norm", "relative",
    ]  # fmt: skip
    assert len(table) == len(found.steps) * len(found.names)
    row = table[(table.step == 4) & (table.name == "decoder.0.self_attn.v.weight")].iloc[0]
    assert row.update_norm == found.update_norm[2, found.names.index("decoder.0.self_attn.v.weight")]
    assert (row.stack, row.kind, row.layer) == ("decoder", "v", 0)


def test_it_is_saved_and_loaded_whole(found: UpdateNorms, tmp_path: Path) -> None:
    found.save(tmp_path / "updates.json")
    assert UpdateNorms.load(tmp_path / "updates.json") == found
    assert "17 matrices at 4 steps, 1 to 6" in repr(found)


# A model's copy


def test_a_copy_of_the_model_is_trained() -> None:
    model, optimizer = make_model(), make_optimizer()
    train(model, optimizer, steps=6, observe_every=0, accumulate=1)
    before, moments = model.state, {name: np.copy(value) for name, value in optimizer.state.items()}
    options = {"max_tokens": 90, "clip_norm": 1.0, "schedule": ap.schedules.inverse_sqrt(0.01, 4)}
    seen = updates(model, DATA, optimizer=optimizer, steps=3, **options)
    np.testing.assert_equal(before, model.state)
    np.testing.assert_equal({name: np.copy(value) for name, value in optimizer.state.items()}, moments)
    again = train(model, optimizer, steps=3, accumulate=1, observe_every=1)
    assert optimizer.state["step"] == 9
    np.testing.assert_array_equal(seen.update_norm, again.observations["matrices"]["update_norm"])
    assert (seen.update_norm[0] > 0).all(), "the optimiser's state came along"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            lambda: (3,),
            {},
            TypeError,
            "source must be a History, a Recorder or a Transformer, got an object of type int",
        ),
        (lambda: (make_model(),), {}, TypeError, "data must be given with a model"),
        (lambda: (make_model(), DATA), {}, TypeError, "optimizer must be given with a model"),
        (lambda: (train(make_model(), steps=1, observe_every=0),), {}, ValueError, "give observe=10"),
        (
            lambda: (train(make_model(), steps=1), DATA),
            {},
            TypeError,
            "data and optimizer belong to a model",
        ),
    ],
)
def test_what_cannot_be_told_is_said(
    arguments: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        updates(*arguments(), **options)


def test_unknown_names_are_refused(found: UpdateNorms) -> None:
    with pytest.raises(ValueError, match="quantity must be one of 'update_norm', 'relative'"):
        found.by_kind("size")
    with pytest.raises(ValueError, match="stack must be one of 'shared', 'encoder', 'decoder', got 'middle'"):
        found.histogram(stack="middle")
    with pytest.raises(ValueError, match="bins must be an integer from 1"):
        found.histogram(bins=0)


def test_a_training_that_diverged_at_once_has_nothing_to_show() -> None:
    history = train(make_model(), ap.SGD(1e30), steps=3, schedule=None, clip_norm=None, observe_every=1)
    assert history.diverged_at is not None
    if history.observations["step"].size:
        assert history.observations["step"].max() < history.diverged_at
        assert np.isfinite(updates(history).update_norm).all()
    model = make_model()
    model.parameters["encoder.0.feed_forward.fc2.weight"][...] = 1e30
    model.parameters["encoder.0.feed_forward.fc1.weight"][...] = 1e30
    history = train(model, steps=3, observe_every=1)
    assert history.diverged_at == 1
    with pytest.raises(ValueError, match="diverged at step 1 before an observed step was done"):
        updates(history)
