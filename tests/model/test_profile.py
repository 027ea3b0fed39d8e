"""Profiles: omega and variances against their definitions, files, and what they refuse."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import PAIRS, TEXT, both, config, small

import admin_py as ap
from admin_py.results import run_metadata

MODELS = {
    "encoder-decoder": ({}, PAIRS),
    "language model": ({"encoder": 0}, TEXT),
    "encoder": ({"decoder": 0}, TEXT),
}
kinds = pytest.mark.parametrize("kind", MODELS)


def variances(model: ap.Transformer, batch: ap.Batch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Stack -> Var(x_{i-1}) and Var(a_i) of every sub-layer, by NumPy from the activations, dropout off."""
    seen = model.observe(batch)
    found = {}
    for stack, names in seen.names.items():
        x = [seen[f"{stack}.input"], *(seen[f"{name}.output"] for name in names[:-1])]
        a = [seen[f"{name}.branch"] for name in names]
        found[stack] = np.array([np.var(v) for v in x]), np.array([np.var(v) for v in a])
    return found


# The three methods


@kinds
def test_clinic_accumulates_the_variance_of_the_sum(kind: str) -> None:
    """acc = 1; omega_i = acc, acc = sqrt(Var(omega_i x_{i-1}) + Var(a_i)); encoder and decoder apart."""
    changes, batch = MODELS[kind]
    model = small("float64", **changes)
    profile = model.profile(batch, dropout=False)
    assert profile.stacks == model.config.stacks
    for stack, (var_input, var_branch) in variances(model, batch).items():
        accumulated, expected = 1.0, []
        for vx, va in zip(var_input, var_branch):
            expected.append(accumulated)
            accumulated = math.sqrt(accumulated**2 * vx + va)
        assert np.allclose(profile.omega(stack), expected, rtol=1e-12)
        assert np.allclose(profile.var_input(stack), var_input, rtol=1e-10)
        assert np.allclose(profile.var_branch(stack), var_branch, rtol=1e-10)
        assert np.array_equal(model.omega[stack], np.repeat(profile.omega(stack)[:, None], 8, axis=1))


@kinds
def test_paper_adds_the_variances_at_omega_one(kind: str) -> None:
    """omega_i = sqrt(1 + sum_{j<i} Var(a_j)), measured at omega = 1."""
    changes, batch = MODELS[kind]
    model = small("float64", **changes)
    model.profile(batch)
    reference = small("float64", **changes)
    profile = model.profile(batch, method="paper", dropout=False)
    for stack, (_, var_branch) in variances(reference, batch).items():
        expected = np.sqrt(1 + np.concatenate([[0], np.cumsum(var_branch)[:-1]]))
        assert np.allclose(profile.omega(stack), expected, rtol=1e-12)
        assert np.allclose(model.omega[stack][:, 3], expected, rtol=1e-12)


@kinds
@pytest.mark.parametrize("output_change", ["log n", "1", "n"])
def test_admin_torch_needs_the_depth_alone(kind: str, output_change: str) -> None:
    changes, batch = MODELS[kind]
    model = small("float64", **changes)
    profile = model.profile(method="admin_torch", output_change=output_change)
    for stack in model.config.stacks:
        r = model.config.num_sublayers(stack)
        squared = {"log n": (r + 1) / math.log(r + 1) - 1, "1": r, "n": 1}[output_change]
        assert np.allclose(profile.omega(stack), math.sqrt(squared), rtol=1e-15)
        assert np.allclose(model.omega[stack], math.sqrt(squared), rtol=1e-15)
        assert np.isnan(profile.var_branch(stack)).all()
        assert np.isnan(profile.beta2(stack)).all()
    measured = model.profile(batch, method="admin_torch", output_change=output_change, dropout=False)
    for stack, (var_input, var_branch) in variances(model, batch).items():
        assert np.allclose(measured.var_input(stack), var_input, rtol=1e-10)
        assert np.allclose(measured.var_branch(stack), var_branch, rtol=1e-10)


@both
@pytest.mark.parametrize("options", [{}, {"method": "paper"}, {"method": "admin_torch"}], ids=str)
def test_a_profile_that_is_not_applied_leaves_the_model(dtype: str, options: dict[str, Any]) -> None:
    model, twin = small(dtype), small(dtype)
    model.set_omega({"encoder": np.linspace(0.5, 2, 4)})
    before = model.state
    profile = model.profile(PAIRS, apply=False, seed=3, **options)
    assert all(np.array_equal(model.parameters[name], value) for name, value in before.items())
    assert model.seed == 1
    applied = twin.profile(PAIRS, seed=3, **options)
    assert np.allclose(profile.omega("encoder"), applied.omega("encoder"), rtol=1e-6)
    assert np.allclose(twin.omega["encoder"].mean(axis=1), applied.omega("encoder"), rtol=1e-6)


@pytest.mark.parametrize("method", ["clinic", "paper", "admin_torch"])
def test_dropout_of_a_profile_is_as_in_training(method: str) -> None:
    model = small("float64", dropout=0.5)
    profiles = [model.profile(PAIRS, method=method, apply=False, seed=seed) for seed in (1, 1, 2)]
    plain = model.profile(PAIRS, method=method, apply=False, dropout=False)
    first, again, other, without = (profile.var_branch("decoder") for profile in (*profiles, plain))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, without)


@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "deepnorm", "admin_torch"])
@pytest.mark.parametrize("method", ["clinic", "paper", "admin_torch"])
def test_schemes_that_are_not_profiled_keep_their_omega(scheme: str, method: str) -> None:
    model = small("float64", scheme=scheme)
    before = model.state
    profile = model.profile(PAIRS, method=method, dropout=False)
    assert all(np.array_equal(model.parameters[name], value) for name, value in before.items())
    assert profile.scheme == scheme
    for stack, (var_input, var_branch) in variances(model, PAIRS).items():
        expected = [residual.omega.value for residual in model.config.residuals(stack)]
        assert np.allclose(profile.omega(stack), expected, rtol=1e-15)
        assert np.allclose(profile.var_input(stack), var_input, rtol=1e-10)
        assert np.allclose(profile.var_branch(stack), var_branch, rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"method": "admin"},
            ValueError,
            "method must be one of 'clinic', 'paper', 'admin_torch', got 'admin'",
        ),
        ({"dropout": 1}, TypeError, "dropout must be True or False, got 1"),
        ({"apply": None}, TypeError, "apply must be True or False, got None"),
        ({"seed": -1}, ValueError, "seed must be an integer from 0"),
        (
            {"method": "admin_torch", "output_change": "log"},
            ValueError,
            "output_change must be one of 'log n', '1'",
        ),
        ({"batch": None}, ValueError, "method='clinic' needs a batch, got none"),
        ({"batch": None, "method": "paper"}, ValueError, "method='paper' needs a batch, got none"),
    ],
)
def test_profile_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    model = small()
    before = model.state
    with pytest.raises(error, match=words):
        model.profile(**{"batch": PAIRS, **options})
    assert all(np.array_equal(model.parameters[name], value) for name, value in before.items())


def test_a_batch_that_cannot_be_read_leaves_omega_as_it_was() -> None:
    model = small()
    model.set_omega({"encoder": [1.5] * 4})
    with pytest.raises(IndexError, match="token id 20"):
        model.profile(ap.Batch([[20]], [[1, 2]]), method="admin_torch")
    assert np.all(model.omega["encoder"] == 1.5)
    assert np.all(model.omega["decoder"] == 1)


# Omega


def test_omega_is_set_as_numbers_and_as_vectors() -> None:
    model = small("float64")
    vectors = np.random.default_rng(1).uniform(0.5, 2, (4, 8))
    model.set_omega({"encoder": vectors, "decoder": np.arange(1, 7)})
    assert np.array_equal(model.omega["encoder"], vectors)
    assert np.array_equal(model.omega["decoder"][:, 5], np.arange(1, 7))
    assert np.array_equal(model.parameters["encoder.1.feed_forward.omega"], vectors[3])
    model.omega["encoder"][...] = 7  # a copy
    assert np.array_equal(model.omega["encoder"], vectors)
    model.set_omega({"encoder": np.ones((4, 1))})
    assert np.all(model.omega["encoder"] == 1)
    profile = small("float64").profile(PAIRS)
    model.set_omega(profile)
    assert np.array_equal(model.omega["decoder"][:, 0], profile.omega("decoder"))


def test_omega_of_scalars_and_of_none() -> None:
    scalars = small(scheme="admin_torch")
    assert scalars.omega["encoder"].shape == (4,)
    scalars.set_omega({"encoder": np.repeat([[1], [2], [3], [4]], 8, axis=1)})
    assert scalars.omega["encoder"].tolist() == [1, 2, 3, 4]
    plain = small(scheme="post_ln")
    assert plain.omega["decoder"].tolist() == [1] * 6
    plain.set_omega({"decoder": [1] * 6})


VECTORS = np.ones((4, 8))
VECTORS[2, 5] = 2
BAD_OMEGAS: list[tuple[str, Any, type[Exception], str]] = [
    ("admin", [1, 2, 3, 4], TypeError, "omega must be a mapping, got"),
    ("admin", {"middle": [1]}, ValueError, "omega must be of the stacks encoder, decoder, got 'middle'"),
    (
        "admin",
        {"encoder": [1]},
        ValueError,
        r"omega of the encoder must have shape \(4,\) or \(4, 8\), got \(1,\)",
    ),
    (
        "admin",
        {"encoder": 1.0},
        ValueError,
        r"omega of the encoder must have shape \(4,\) or \(4, 8\), got \(\)",
    ),
    ("admin", {"encoder": ["1"] * 4}, TypeError, "omega of the encoder must be an array of numbers, got"),
    (
        "admin",
        {"encoder": [1, 1, np.nan, 1]},
        ValueError,
        "omega of encoder.1.self_attn must be finite, got nan",
    ),
    (
        "admin",
        {"encoder": [1, 1, 1, 1e300]},
        ValueError,
        "omega of encoder.1.feed_forward must be finite, got inf",
    ),
    (
        "admin_torch",
        {"encoder": VECTORS},
        ValueError,
        "omega of encoder.1.self_attn must be one number, got 8",
    ),
    (
        "post_ln",
        {"encoder": VECTORS},
        ValueError,
        "omega of encoder.1.self_attn must be 1, for its scheme has none",
    ),
]


@pytest.mark.parametrize(("scheme", "omega", "error", "words"), BAD_OMEGAS)
def test_set_omega_refuses(scheme: str, omega: Any, error: type[Exception], words: str) -> None:
    model = small(scheme=scheme)
    before = model.state
    with pytest.raises(error, match=words):
        model.set_omega({"decoder": [1.0] * 6} | omega if isinstance(omega, dict) else omega)
    assert all(np.array_equal(model.parameters[name], value) for name, value in before.items())


# The object


def profile_of(**columns: Any) -> ap.VarianceProfile:
    table = {"var_input": [2.0, 1.0], "var_branch": [1.0, 0.5], "omega": [1.0, 1.5], **columns}
    return ap.VarianceProfile.from_arrays({"encoder": table}, scheme="admin")


def test_beta2_is_the_share_of_the_branch() -> None:
    assert np.allclose(profile_of().beta2("encoder"), [1 / 3, 0.5 / 2.75])
    zero = profile_of(var_input=[0.0, 1.0], var_branch=[0.0, 0.0]).beta2("encoder")
    assert np.isnan(zero[0])
    assert zero[1] == 0


def test_the_table_has_a_row_for_each_sub_layer() -> None:
    profile = small().profile(PAIRS)
    table = profile.to_dataframe()
    assert list(table) == ["stack", "index", "name", "kind", "var_input", "var_branch", "omega", "beta2"]
    assert list(table["index"]) == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    assert list(table["name"][4:7]) == [
        "decoder.0.self_attn",
        "decoder.0.cross_attn",
        "decoder.0.feed_forward",
    ]
    assert list(table["kind"][:2]) == ["self_attn", "feed_forward"]
    assert np.array_equal(table["omega"][4:], profile.omega("decoder"))
    html = profile._repr_html_()
    assert "decoder.1.cross_attn" in html
    assert repr(profile).startswith("VarianceProfile(admin, clinic: encoder 4 sub-layers, omega 1 to ")
    assert profile.metadata["seed"] == 1
    assert profile.metadata["dtype"] == "float32"
    assert set(run_metadata()) <= set(profile.metadata)


def test_a_profile_is_frozen() -> None:
    profile = small().profile(PAIRS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.scheme = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        profile.omega("encoder")[0] = 2
    with pytest.raises(TypeError):
        profile.tables["encoder"] = {}  # type: ignore[index]
    with pytest.raises(ValueError, match="stack must be one of 'encoder', 'decoder', got 'middle'"):
        profile.omega("middle")


@both
def test_a_saved_profile_comes_back_equal(tmp_path: Path, dtype: str) -> None:
    profile = small(dtype).profile(PAIRS)
    profile.save(tmp_path / "profile.json")
    assert ap.VarianceProfile.load(tmp_path / "profile.json") == profile
    unmeasured = small(dtype).profile(method="admin_torch")
    unmeasured.save(tmp_path / "profile.json")
    assert ap.VarianceProfile.load(tmp_path / "profile.json") == unmeasured != profile
    (tmp_path / "profile.json").write_text('{"kind": "history"}')
    with pytest.raises(ValueError, match=r"profile\.json"):
        ap.VarianceProfile.load(tmp_path / "profile.json")


def test_a_plot_draws_omega_and_branch_variance() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    profile = small().profile(PAIRS)
    ax = Figure().subplots()
    assert profile.plot(ax) is ax
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
    for stack in profile.stacks:
        assert all(np.isclose(drawn, value, rtol=1e-12).any() for value in profile.omega(stack))


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "must map at least one stack"),
        (
            {"middle": {"omega": [1.0], "var_input": [1.0], "var_branch": [1.0]}},
            "a stack must be one of 'encoder', 'decoder', got 'middle'",
        ),
        ({"encoder": {"omega": [1.0]}}, "columns of the encoder must be name, var_input, var_branch, omega"),
        (
            {"encoder": {"omega": [1.0], "var_input": [1.0, 2.0], "var_branch": [1.0]}},
            "var_input of the encoder must",
        ),
        (
            {"encoder": {"omega": [], "var_input": [], "var_branch": []}},
            r"must have shape \(0,\) and an element",
        ),
        (
            {"encoder": {"omega": [np.inf], "var_input": [1.0], "var_branch": [1.0]}},
            "must be finite, got inf",
        ),
    ],
)
def test_a_profile_refuses_tables(tables: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ap.VarianceProfile.from_arrays(tables, scheme="admin")


# The release's text format


@kinds
@both
def test_clinic_files_come_back_exactly(tmp_path: Path, kind: str, dtype: str) -> None:
    changes, batch = MODELS[kind]
    model, path = small(dtype, **changes), tmp_path / "profile.txt"
    profile = model.profile(batch)
    profile.to_clinic(path)
    layers = {f"{stack}_layers": model.config.stack_layers(stack) for stack in ("encoder", "decoder")}
    back = ap.VarianceProfile.from_clinic(path, **layers)
    for stack in profile.stacks:
        assert np.array_equal(back.omega(stack), profile.omega(stack))
        assert back.names(stack) == profile.names(stack)
        assert np.isnan(back.var_branch(stack)).all()
    other = ap.Transformer(model.config, seed=1, dtype=dtype)
    other.set_omega(back)
    assert np.array_equal(other.forward(batch), model.forward(batch))


def test_clinic_lines_number_each_stack_from_one(tmp_path: Path) -> None:
    path = tmp_path / "profile.txt"
    small().profile(PAIRS).to_clinic(path)
    indices = [int(line.split()[0]) for line in path.read_text().splitlines()]
    assert indices == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    path.write_text("1 1.0\n2 2.5\n\n1 1\n2 3.5e0\n3 4\n")
    read = ap.VarianceProfile.from_clinic(path, encoder_layers=1, decoder_layers=1)
    assert read.omega("encoder").tolist() == [1, 2.5]
    assert read.omega("decoder").tolist() == [1, 3.5, 4]
    assert (read.scheme, read.method) == ("admin", "file")
    path.write_text("1.0\n2.5\n\n1\n3.5e0\n4\n")  # as DeepNet's release writes it
    assert ap.VarianceProfile.from_clinic(path, encoder_layers=1, decoder_layers=1) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "has 0 lines, expected 2 for these layers"),
        (b"1 1\n2 1\n3 1\n", "has 3 lines, expected 2"),
        (b"1 1\n3 1\n", "line 2: expected sub-layer 2, got 3"),
        (b"1 1\n2\n", "line 2: expected 'index omega', got '2'"),
        (b"1 1\n2 1 1\n", "line 2: expected 'index omega', got '2 1 1'"),
        (b"1.5\n2.5\n3.5\n", "has 3 lines, expected 2"),
        (b"1.5\nnan\n", "line 2: omega must be finite, got nan"),
        (b"1.5\n2 2.5\n", "line 1: expected 'index omega', got '1.5'"),
        (b"1 1\n2 one\n", "line 2: expected 'index omega', got '2 one'"),
        (b"1 nan\n2 1\n", "line 1: omega must be finite, got nan"),
        (b"1 1\n2 1e999\n", "line 2: omega must be finite, got 1e999"),
        (b"\x80\x04\x95", "is not plain text"),
    ],
)
def test_clinic_files_that_are_refused(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "profile.txt"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=words) as caught:
        ap.VarianceProfile.from_clinic(path, encoder_layers=1, decoder_layers=0)
    assert str(path) in str(caught.value)


def test_clinic_needs_a_file_and_layers(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ap.VarianceProfile.from_clinic(tmp_path / "none", encoder_layers=1, decoder_layers=0)
    with pytest.raises(ValueError, match="must not both be 0"):
        ap.VarianceProfile.from_clinic(tmp_path / "none", encoder_layers=0, decoder_layers=0)
    with pytest.raises(TypeError, match="encoder_layers must be an integer"):
        ap.VarianceProfile.from_clinic(tmp_path / "none", encoder_layers=1.0, decoder_layers=0)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        profile_of().to_clinic(tmp_path / "file" / "profile.txt")


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=8).filter(
        lambda v: len(v) % 2 == 0
    )
)
def test_any_omega_survives_the_text_format(
    tmp_path_factory: pytest.TempPathFactory, omega: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "profile.txt"
    same = [1.0] * len(omega)
    table = {"var_input": same, "var_branch": same, "omega": omega}
    ap.VarianceProfile.from_arrays({"encoder": table}, scheme="admin").to_clinic(path)
    read = ap.VarianceProfile.from_clinic(path, encoder_layers=len(omega) // 2, decoder_layers=0)
    assert read.omega("encoder").tolist() == omega


def test_the_configuration_of_these_tests_is_profiled() -> None:
    assert all(residual.profiled for residual in config().residuals("encoder"))
