"""The Transformer as a user holds it: parameters, files, passes, omega, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file
from small_models import PAIRS, TEXT, both, config, small

import admin_py as ap
from admin_py.base.tensors import MODEL, read
from admin_py.model.config import BIASES

# What it is


@both
def test_what_it_says_of_itself(dtype: str) -> None:
    model = small(dtype)
    assert model.config == config()
    assert (model.dtype, model.seed) == (dtype, 1)
    assert model.num_parameters == model.config.num_parameters
    size = model.memory["weights"] / 1e6
    assert repr(model) == (
        "Transformer(encoder 2 layers + decoder 2 layers, d_model=8, heads=2, d_ff=16, vocab_size=20, "
        f"scheme='admin', {model.num_parameters:,} parameters, {dtype}, {size:.1f} MB)"
    )
    model.seed = 5
    assert model.seed == 5


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (
            ({"vocab_size": 9},),
            {},
            TypeError,
            "config must be a TransformerConfig, got an object of type dict",
        ),
        (
            (config(),),
            {"seed": -1},
            ValueError,
            "seed must be an integer from 0 to 18446744073709551615, got -1",
        ),
        ((config(),), {"seed": 1.5}, TypeError, "seed must be an integer, got 1.5"),
        (
            (config(),),
            {"dtype": "float16"},
            ValueError,
            "dtype must be one of 'float32', 'float64', got 'float16'",
        ),
        ((config(), 1), {}, TypeError, "positional"),
    ],
)
def test_making_one_refuses(arguments: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ap.Transformer(*arguments, **options)


# Parameters


@both
def test_parameters_and_gradients_are_views(dtype: str) -> None:
    model = small(dtype, dropout=0.0)
    before = model.loss(PAIRS)
    name = "decoder.1.cross_attn.q.weight"
    model.parameters[name][...] *= 2
    assert model.loss(PAIRS) != before
    model.backward(PAIRS)
    gradient = model.gradients[name]
    assert gradient.any()
    model.backward(PAIRS, scale=0.0)
    assert not gradient.any()
    assert list(model.parameters) == list(model.gradients)
    assert set(model.trained) == set(model.parameters)
    with pytest.raises(TypeError):
        model.parameters[name] = gradient  # type: ignore[index]


def test_views_outlive_the_model() -> None:
    expected = small().state
    views = small().parameters
    for _ in range(10):
        small().backward(PAIRS)
    assert all(np.array_equal(view, expected[name]) for name, view in views.items())


@both
def test_state_is_a_copy_that_can_be_loaded(dtype: str) -> None:
    model, other = small(dtype), ap.Transformer(config(), seed=2, dtype=dtype)
    state = model.state
    model.backward(PAIRS)
    ap.SGD(0.1).step(model)
    assert not np.array_equal(model.parameters["embedding.weight"], state["embedding.weight"])
    other.load_state(state)
    model.load_state(state)
    assert np.array_equal(model.forward(PAIRS), other.forward(PAIRS))


def test_another_precision_is_rounded() -> None:
    double = small("float64")
    for value in double.parameters.values():
        value += 1e-12
    single = small("float32")
    single.load_state(double.state)
    assert all(
        np.array_equal(v, double.parameters[k].astype(np.float32)) for k, v in single.parameters.items()
    )
    assert np.allclose(
        double.copy(dtype="float32").forward(PAIRS), double.forward(PAIRS), rtol=1e-4, atol=1e-5
    )
    assert np.array_equal(double.copy().forward(PAIRS), double.forward(PAIRS))


NAME = "encoder.0.self_attn.q.weight"
NAN = np.full((8, 8), np.nan)
BAD_STATES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({NAME: None}, TypeError, f"{NAME} must be an array of floating point numbers, got object"),
    (
        {NAME: np.ones((8, 8), int)},
        TypeError,
        f"{NAME} must be an array of floating point numbers, got int64",
    ),
    ({NAME: np.ones((8, 9))}, ValueError, rf"{NAME} must have shape \(8, 8\), got \(8, 9\)"),
    ({NAME: NAN}, ValueError, rf"{NAME} must be finite in float32, got nan at \[0, 0\]"),
    (
        {NAME: np.full((8, 8), 1e300)},
        ValueError,
        rf"{NAME} must be finite in float32, got 1e\+300 at \[0, 0\]",
    ),
    ({"new": np.ones(1)}, ValueError, "state must not hold 'new', which the model has not"),
]


@pytest.mark.parametrize(("changes", "error", "words"), BAD_STATES)
def test_load_state_refuses(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    model = small()
    before = model.state
    bad = {name: value + 1 for name, value in before.items()} | changes
    with pytest.raises(error, match=words):
        model.load_state(bad)
    assert all(np.array_equal(model.parameters[name], value) for name, value in before.items())


def test_load_state_names_what_is_missing() -> None:
    model = small()
    with pytest.raises(
        ValueError, match=r"state must hold 'encoder.0.self_attn.q.weight', .* and 91 more, which"
    ):
        model.load_state({"embedding.weight": model.parameters["embedding.weight"]})
    with pytest.raises(TypeError, match="state must be a mapping, got \\[\\]"):
        model.load_state([])  # type: ignore[arg-type]


def test_values_that_are_not_finite_are_loaded_when_asked_for() -> None:
    model = small()
    model.load_state(model.state | {NAME: NAN}, allow_nonfinite=True)
    assert np.isnan(model.parameters[NAME]).all()
    with pytest.raises(TypeError, match="allow_nonfinite must be True or False"):
        model.load_state(model.state, allow_nonfinite=1)  # type: ignore[arg-type]


# Files


@both
@pytest.mark.parametrize("scheme", ["admin", ("post_ln", "pre_ln"), "own"])
def test_a_saved_model_comes_back_bit_for_bit(tmp_path: Path, dtype: str, scheme: Any) -> None:
    if scheme == "own":
        scheme = ap.Scheme(
            "own", lambda site: ap.Residual(norm_post="layer", omega=ap.Scale("scalar", 1.5)), "here"
        )
    model = ap.Transformer(config(scheme=scheme, dropout=0.5), seed=2**64 - 1, dtype=dtype)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = ap.Transformer.load(path)
    assert (loaded.config, loaded.seed, loaded.dtype) == (model.config, model.seed, dtype)
    assert np.array_equal(
        loaded.forward(PAIRS, training=True, step=3), model.forward(PAIRS, training=True, step=3)
    )
    assert ap.Transformer.load(str(path), dtype="float64").dtype == "float64"
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert set(load_file(path)) == set(model.parameters)


def test_files_of_the_librarys_writer_are_read(tmp_path: Path) -> None:
    """As older versions wrote them, with tensors in the order of their names."""
    model = small("float64")
    model.save(tmp_path / "a")
    header, arrays = read(tmp_path / "a", MODEL)
    (tmp_path / "b").write_bytes(save({name: arrays[name] for name in sorted(arrays)}, metadata=header))
    again = ap.Transformer.load(tmp_path / "b")
    assert (again.config, again.seed, again.dtype) == (model.config, model.seed, "float64")
    np.testing.assert_equal(dict(again.parameters), dict(model.parameters))


def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    small().save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for size in [0, 1, 7, 8, 9, 100, len(whole) - 1, *rng.integers(0, len(whole), 20)]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model.safetensors' is cut off or not a safetensors file"):
            ap.Transformer.load(path)


def test_damaged_bytes_never_crash(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    small().save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(4)
    header = int.from_bytes(whole[:8], "little") + 8
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(0, header)] ^= 1 << rng.integers(0, 8)
        path.write_bytes(damaged)
        try:
            ap.Transformer.load(path)
        except (ValueError, OSError) as error:
            refused += "model.safetensors" in str(error)
    assert refused > 50, "seed 4"


def foreign(path: Path, case: str) -> None:
    """A file that is not a model's."""
    model = small()
    state = dict(model.parameters)
    meta = {
        "format": MODEL.name,
        "version": MODEL.version,
        "config": json.dumps(model.config.to_dict()),
        "seed": "1",
    }
    if case == "other format":
        meta = {"format": "pt"}
    elif case == "no header":
        meta = {}
    elif case == "newer version":
        meta["version"] = "99"
    elif case == "no config":
        del meta["config"]
    elif case == "bad config":
        meta["config"] = json.dumps({"vocab_size": -1})
    elif case == "bad seed":
        meta["seed"] = "one"
    elif case == "missing tensor":
        del state[NAME]
    elif case == "wrong shape":
        state[NAME] = np.ones((8, 9), np.float32)
    elif case == "nan":
        state[NAME] = NAN.astype(np.float32)
    elif case == "integers":
        state = {name: value.astype(np.int32) for name, value in state.items()}
    save_file(state, path, metadata=meta)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("other format", "is a safetensors file, but not a model of admin-py"),
        ("no header", "is a safetensors file, but not a model of admin-py"),
        ("newer version", "is a model of version '99' of the format, expected '1'"),
        ("no config", "has a damaged header: 'config'"),
        ("bad config", "has a damaged header: vocab_size must be"),
        ("bad seed", "has a damaged header"),
        ("missing tensor", f"does not hold a whole model: state must hold '{NAME}'"),
        ("wrong shape", f"does not hold a whole model: {NAME} must have shape"),
        ("nan", f"does not hold a whole model: {NAME} must be finite"),
        ("integers", "must hold arrays of float32 or of float64, got int32"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, case: str, words: str) -> None:
    path = tmp_path / "model.safetensors"
    foreign(path, case)
    with pytest.raises(ValueError, match=words) as caught:
        ap.Transformer.load(path)
    assert str(path) in str(caught.value)


def test_files_that_are_not_there_or_not_writable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ap.Transformer.load(tmp_path / "none.safetensors")
    with pytest.raises(OSError, match="irectory"):
        ap.Transformer.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        small().save(tmp_path / "file" / "model.safetensors")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk."""
    path = tmp_path / "model.safetensors"
    small().save(path)
    code = f"""
import resource, signal
import admin_py as ap
model = ap.Transformer.load({str(path)!r})
model.parameters[{NAME!r}][...] = 1
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    model.save({str(path)!r})
except OSError as error:
    print("refused", error.errno is not None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused True", done.stderr
    assert np.array_equal(ap.Transformer.load(path).parameters[NAME], small().parameters[NAME])
    assert os.listdir(tmp_path) == ["model.safetensors"]


# Passes


@both
def test_losses_are_means_in_nats(dtype: str) -> None:
    model = small(dtype)
    loss = model.loss(PAIRS, label_smoothing=0.1)
    logits = model.forward(PAIRS).astype(np.float64)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = [9, 10, 2, 11, 2]
    nll = -logp[np.arange(5), labels].mean()
    assert loss.num_tokens == 5
    assert loss.nll == pytest.approx(nll, rel=1e-6)
    assert loss.loss == pytest.approx(0.9 * nll - 0.1 * logp.mean(), rel=1e-6)
    assert loss.perplexity == pytest.approx(np.exp(nll), rel=1e-6)
    more = model.loss(PAIRS, label_smoothing=0.1, z_loss=0.5)
    squares = np.log(np.exp(logits).sum(axis=1)) ** 2
    assert more.nll == loss.nll
    assert more.loss == pytest.approx(loss.loss + 0.5 * squares.mean(), rel=1e-6)


def test_all_kinds_of_model_read_their_batches() -> None:
    assert small().forward(PAIRS).shape == (5, 20)
    assert small(encoder=0).forward(TEXT).shape == (4, 20)
    encoder = small(decoder=0)
    assert encoder.forward(TEXT).shape == (6, 8)
    for act in (encoder.loss, encoder.backward):
        with pytest.raises(ValueError, match="an encoder predicts no tokens, so it has no loss"):
            act(TEXT)


@pytest.mark.parametrize("act", ["forward", "loss", "backward", "observe", "profile"])
def test_passes_refuse_what_is_no_batch(act: str) -> None:
    model = small()
    with pytest.raises(TypeError, match=r"batch must be a Batch( or None)?, got an object of type list"):
        getattr(model, act)([[4, 5]])
    with pytest.raises(IndexError, match="source: token id 20 of sequence 0 at position 1"):
        getattr(model, act)(ap.Batch([[4, 20]], [[1, 2]]))
    with pytest.raises(ValueError, match="as many target as source sequences, got 0 and 2"):
        getattr(model, act)(TEXT)


@both
@pytest.mark.parametrize("segments", [True, 1, 2, 5])
@pytest.mark.parametrize("gated", [False, True])
def test_activations_computed_again_change_no_bit(dtype: str, segments: bool | int, gated: bool) -> None:
    model, batch = small(dtype, encoder=3, decoder=4, dropout=0.1, activation_dropout=0.2, gated=gated), PAIRS
    expected = model.backward(batch, step=3)
    kept = model._core.gradient_buffer.copy()
    assert model.backward(batch, step=3, checkpoint_activations=segments) == expected
    np.testing.assert_array_equal(model._core.gradient_buffer, kept)
    observed = model.backward(batch, step=3, checkpoint_activations=segments, observe=True)
    assert observed == expected


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0, ValueError, "checkpoint_activations must be an integer from 1 to 2147483647, got 0"),
        ("all", TypeError, "checkpoint_activations must be True, False or an integer, got 'all'"),
    ],
)
def test_segments_that_cannot_be(value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        small().backward(PAIRS, checkpoint_activations=value)


@both
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("gated", [False, True])
def test_parameters_follow_gates_and_biases(dtype: str, bias: str, gated: bool, tmp_path: Path) -> None:
    """As the configuration counts them; the others are missing; a file keeps what there is."""
    model = small(dtype, bias=bias, gated=gated, activation="silu", output_bias=gated, logits_scale=0.5)
    assert model.num_parameters == model.config.num_parameters
    biases = {name.split(".")[-2] for name in model.parameters if name.endswith(".bias")}
    expected = {"q", "k", "v"} if bias in ("all", "qkv", "attention") else set()
    expected |= {"out"} if bias in ("all", "attention") else set()
    expected |= {"fc1", "fc2"} | ({"gate"} if gated else set()) if bias in ("all", "feed_forward") else set()
    assert biases == expected | ({"output"} if gated else set())
    model.save(tmp_path / "model.safetensors")
    again = ap.Transformer.load(tmp_path / "model.safetensors")
    assert again.config == model.config
    np.testing.assert_array_equal(again.forward(PAIRS), model.forward(PAIRS))


def test_observe_gives_named_activations() -> None:
    model = small("float64")
    seen = model.observe(PAIRS)
    names = [name for stack in ("encoder", "decoder") for name in model.config.sublayer_names(stack)]
    sites = ("input", "normed", "branch", "sum", "output")
    expected = {f"{name}.{site}" for name in names for site in sites}
    expected |= {f"{name}.probabilities" for name in names if name.endswith("attn")}
    ends = {f"{stack}.{end}" for stack in ("encoder", "decoder") for end in ("input", "output")}
    assert set(seen) == expected | ends | {"logits"}
    assert np.array_equal(seen["logits"], model.forward(PAIRS))
    assert seen["decoder.1.cross_attn.branch"].shape == (5, 8)
    for stack in ("encoder", "decoder"):
        outputs = [seen[f"{stack}.input"], *(seen[f"{name}.output"] for name in seen.names[stack])]
        branches = [seen[f"{name}.branch"] for name in seen.names[stack]]
        assert np.allclose(seen.var_input[stack], [np.var(x) for x in outputs[:-1]], rtol=1e-10)
        assert np.allclose(seen.var_branch[stack], [np.var(a) for a in branches], rtol=1e-10)
    table = seen.to_dataframe()
    assert list(table["name"]) == names
    assert list(table["index"]) == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    assert repr(seen).startswith("Observation(encoder 4 sub-layers, decoder 6 sub-layers; 61 activations, ")


def test_observe_keeps_what_is_asked_for() -> None:
    model = small()
    assert list(model.observe(PAIRS, activations="*.1.*.output")) == [
        *(f"encoder.1.{kind}.output" for kind in ("self_attn", "feed_forward")),
        *(f"decoder.1.{kind}.output" for kind in ("self_attn", "cross_attn", "feed_forward")),
    ]
    nothing = model.observe(PAIRS, activations=[])
    assert len(nothing) == 0
    assert nothing.var_input["encoder"].shape == (4,)
    with pytest.raises(KeyError, match="no activation 'logits' was kept; there are none"):
        nothing["logits"]
    with pytest.raises(ValueError, match=r"no name matches 'q\*'; names are such as encoder.input"):
        model.observe(PAIRS, activations=["logits", "q*"])
    with pytest.raises(ValueError, match=r"names are such as encoder\.0\.self_attn\.branch"):
        model.observe(PAIRS, activations="encoder.0.self_atn.branch")
    with pytest.raises(TypeError, match="activations must be strings, but number 0 is 3"):
        model.observe(PAIRS, activations=[3])  # type: ignore[list-item]
