"""Copies and pickles of everything a user holds: the same, with nothing shared, and checked when rebuilt."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from small_models import PAIRS, TEXT, both, small

import admin_py as ap
from admin_py.data import CharacterTokenizer, Dataset, NumberTokenizer, SubwordTokenizer, WordTokenizer
from admin_py.schemes import Residual, Scale

OWN = ap.Scheme(
    "grows", lambda site: Residual(norm_post="layer", omega=Scale("scalar", 1 + site.layer, trained=True))
)
"""Its rule is a lambda, which cannot be pickled."""


def joblibbed(thing: Any, folder: Path) -> Any:
    joblib.dump(thing, folder / "thing.joblib")
    return joblib.load(folder / "thing.joblib")


WAYS: dict[str, Callable[[Any, Path], Any]] = {
    "copy": lambda thing, folder: copy.copy(thing),
    "deepcopy": lambda thing, folder: copy.deepcopy(thing),
    "joblib": joblibbed,
    **{
        f"pickle {protocol}": lambda thing, folder, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}
ways = pytest.mark.parametrize("way", WAYS)


def trained(dtype: str = "float32", batch: ap.Batch = PAIRS, **changes: Any) -> ap.Transformer:
    """A model after a step, so that its weights are not those of its seed."""
    model = small(dtype, **changes)
    model.profile(batch)
    if model.config.kind != "encoder":
        model.backward(batch)
        ap.SGD(0.1).step(model)
    model.seed = 2**64 - 3
    return model


MODELS: dict[str, Callable[[str], ap.Transformer]] = {
    "admin": lambda dtype: trained(dtype),
    "hybrid": lambda dtype: trained(dtype, scheme="post_ln/pre_ln", positions="learned"),
    "language model": lambda dtype: trained(dtype, TEXT, encoder=0),
    "encoder": lambda dtype: trained(dtype, TEXT, decoder=0),
    "own scheme": lambda dtype: trained(dtype, scheme=OWN),
    "own hybrid": lambda dtype: trained(dtype, scheme=("deepnorm", OWN)),
    "folded": lambda dtype: trained(dtype, scheme="admin").reparameterise(),
}


def state_of(model: Any) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in model.parameters.items()}


@both
@ways
@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, way: str, dtype: str, tmp_path: Path) -> None:
    model = MODELS[name](dtype)
    batch = PAIRS if len(model.config.stacks) == 2 else TEXT
    before, seen = state_of(model), model.forward(batch, training=True, step=5)
    model.step = 9
    again = WAYS[way](model, tmp_path)
    assert type(again) is ap.Transformer
    assert again.step == 9
    assert (again.config, again.seed, again.dtype) == (model.config, 2**64 - 3, dtype)
    np.testing.assert_equal(state_of(again), before)
    np.testing.assert_array_equal(again.forward(batch, training=True, step=5), seen)
    for stack, omega in model.omega.items():
        np.testing.assert_array_equal(again.omega[stack], omega)
    for value in again.parameters.values():
        value[...] = 7
    again.seed = 1
    np.testing.assert_equal(state_of(model), before)
    assert model.seed == 2**64 - 3


@ways
def test_models_that_have_diverged(way: str, tmp_path: Path) -> None:
    model = small()
    model.parameters["embedding.weight"][0, 0] = np.nan
    np.testing.assert_equal(state_of(WAYS[way](model, tmp_path)), state_of(model))


def test_copies_in_the_process_keep_the_rule_of_a_scheme() -> None:
    """So that the configuration of a copy may still be changed in its depth."""
    for again in (copy.copy, copy.deepcopy):
        assert again(small(scheme=OWN)).config.replace(encoder_layers=3).encoder_layers == 3


class OwnModel(ap.Transformer):
    """With nothing of its own but its name."""


@ways
def test_models_of_a_class_of_ones_own(way: str, tmp_path: Path) -> None:
    assert type(WAYS[way](OwnModel(small().config), tmp_path)) is OwnModel


LAYERS: dict[str, Callable[[str], Any]] = {
    "encoder": lambda dtype: ap.EncoderLayer(8, 2, 16, seed=3, omega=2.0, dtype=dtype),
    "of many": lambda dtype: ap.EncoderLayer(8, 2, 16, scheme="ds_init", layer=3, num_layers=9, dtype=dtype),
    "causal": lambda dtype: ap.EncoderLayer(8, 2, 16, causal=True, activation="gelu", dtype=dtype),
    "own scheme": lambda dtype: ap.EncoderLayer(8, 2, 16, scheme=OWN, layer=1, num_layers=2, dtype=dtype),
    "decoder": lambda dtype: ap.DecoderLayer(8, 2, 16, seed=4, dtype=dtype),
    "without memory": lambda dtype: ap.DecoderLayer(8, 2, 16, cross=False, causal=False, dtype=dtype),
}


def read(layer: Any) -> np.ndarray:
    """What a layer makes of two sequences, and of a memory where it reads one."""
    random = np.random.default_rng(1)
    x, memory = (random.standard_normal((m, 8)).astype(layer.dtype) for m in (5, 7))
    crossed = (memory, [3, 4]) if "cross_attn.q.weight" in layer.parameters else ()
    return layer.forward(x, [3, 2], *crossed, training=True, step=5)


@both
@ways
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, way: str, dtype: str, tmp_path: Path) -> None:
    layer = LAYERS[name](dtype)
    for value in layer.parameters.values():
        value += 0.125
    layer.seed = 9
    seen, before = read(layer), state_of(layer)
    again = WAYS[way](layer, tmp_path)
    assert type(again) is type(layer)
    assert (again.seed, again.dtype, repr(again)) == (9, dtype, repr(layer))
    with pytest.raises(RuntimeError, match="forward"):
        again.backward(seen)
    np.testing.assert_array_equal(again.omega, layer.omega)
    np.testing.assert_array_equal(read(again), seen)
    for value in again.parameters.values():
        value[...] = 7
    np.testing.assert_equal(state_of(layer), before)
    layer.backward(seen)  # through its own pass, which copies have left alone


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: ap.SGD(0.1),
    "momentum": lambda: ap.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: ap.Adam(0.01, betas=(0.9, 0.98), eps=1e-9),
    "adamw": lambda: ap.AdamW(0.01),
    "radam": lambda: ap.RAdam(0.01, weight_decay=1e-4),
    "novograd": lambda: ap.NovoGrad(0.01),
}


@both
@ways
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_on_where_they_were(name: str, way: str, dtype: str, tmp_path: Path) -> None:
    """The next step of a copy is that of the original, bit for bit, and does not change the original."""
    model, optimizer = small(dtype), OPTIMIZERS[name]()
    for step in range(6):  # RAdam moves nothing in its first steps
        model.backward(PAIRS, step=step)
        optimizer.step(model)
    other, again = model.copy(), WAYS[way](optimizer, tmp_path)
    optimizer.lr = 0.5
    assert type(again) is type(optimizer)
    assert again.to_dict() == {**optimizer.to_dict(), "lr": again.lr}
    kept = {key: np.copy(value) for key, value in optimizer.state.items()}
    other.backward(PAIRS, step=6)
    moved = again.step(other)
    np.testing.assert_equal({key: np.copy(value) for key, value in optimizer.state.items()}, kept)
    model.backward(PAIRS, step=6)
    assert optimizer.step(model, lr=again.lr) == moved
    np.testing.assert_equal(state_of(model), state_of(other))
    wrong = small("float64" if dtype == "float32" else "float32")
    with pytest.raises(ValueError, match="model must have the dtype"):
        again.step(wrong)


@ways
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_before_their_first_model(name: str, way: str, tmp_path: Path) -> None:
    optimizer = OPTIMIZERS[name]()
    again = WAYS[way](optimizer, tmp_path)
    assert again.to_dict() == optimizer.to_dict()
    assert again.state == {"step": 0, "m": None, "v": None}
    model = small("float64")
    model.backward(PAIRS)
    assert again.step(model) >= 0


class OwnAdam(ap.Adam):
    """An optimiser of a user's own, with another constructor."""

    def __init__(self) -> None:
        super().__init__(0.25, betas=(0.5, 0.75))


@ways
def test_optimizers_of_a_class_of_ones_own(way: str, tmp_path: Path) -> None:
    again = WAYS[way](OwnAdam(), tmp_path)
    assert type(again) is OwnAdam
    assert again.to_dict()["betas"] == [0.5, 0.75]


TEXTS = ["the cat sat", "die Katze saß", "the  cat", ""]
TOKENIZERS: dict[str, Callable[[], Any]] = {
    "words": lambda: WordTokenizer.train(TEXTS),
    "characters": lambda: CharacterTokenizer("".join(TEXTS)),
    "subwords": lambda: SubwordTokenizer.train(TEXTS, vocab_size=270),
    "numbers": lambda: NumberTokenizer(),
}


@ways
@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(name: str, way: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[name]()
    again = WAYS[way](tokenizer, tmp_path)
    assert type(again) is type(tokenizer)
    assert again == tokenizer
    for mine, its in zip(tokenizer.encode_lines(TEXTS), again.encode_lines(TEXTS), strict=True):
        np.testing.assert_array_equal(mine, its)
        assert again.decode(its) == tokenizer.decode(mine)


@ways
@pytest.mark.parametrize("batch", [PAIRS, TEXT], ids=["pairs", "text"])
def test_batches(batch: ap.Batch, way: str, tmp_path: Path) -> None:
    again = WAYS[way](batch, tmp_path)
    assert again == batch
    assert not again.source.tokens.flags.writeable
    model = small(encoder=2 if batch is PAIRS else 0)
    np.testing.assert_array_equal(model.forward(again), model.forward(batch))


@ways
@pytest.mark.parametrize("name", ["numbers", "copy"])
def test_datasets(name: str, way: str, tmp_path: Path) -> None:
    make = {"numbers": ap.data.number_words, "copy": ap.data.copy_task}[name]
    data = make(train=40, valid=8)
    data.split("valid").lengths  # kept by the split once it is asked for  # noqa: B018
    again = WAYS[way](data, tmp_path)
    assert type(again) is Dataset
    assert (again.name, again.kind, again.splits) == (data.name, data.kind, data.splits)
    assert again.fingerprint == data.fingerprint
    assert again.tokenizer == data.tokenizer
    assert again.pairs() == data.pairs()
    assert str(again.describe()) == str(data.describe())
    assert list(again.batches(max_tokens=64, seed=1)) == list(data.batches(max_tokens=64, seed=1))
    assert not again.split("train").source.tokens.flags.writeable


SCHEDULES = [
    ap.schedules.inverse_sqrt(1e-3, 40, initial=1e-7),
    ap.schedules.constant(1e-3),
    ap.schedules.linear(1e-3, 4, steps=30, final=1e-5),
    ap.schedules.cosine(1e-3, 4, steps=30),
    ap.schedules.polynomial(1e-3, 4, steps=30, power=3.0),
]


@ways
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules(schedule: Any, way: str, tmp_path: Path) -> None:
    again = WAYS[way](schedule, tmp_path)
    assert again == schedule
    assert again(np.arange(1, 50)).tolist() == schedule(np.arange(1, 50)).tolist()


@ways
@pytest.mark.parametrize("scheme", [*ap.schemes.names(), "post_ln/pre_ln", OWN, ("rezero", OWN)], ids=str)
def test_configurations(scheme: Any, way: str, tmp_path: Path) -> None:
    config = ap.TransformerConfig(
        vocab_size=30, encoder_layers=3, decoder_layers=2, d_model=8, heads=2, d_ff=16, scheme=scheme
    )
    again = WAYS[way](config, tmp_path)
    assert again == config
    assert again.to_core() == config.to_core()


# What is in a pickle

KEPT: dict[str, Callable[[], Any]] = {
    "model": lambda: small(scheme=OWN),
    "layer": lambda: ap.DecoderLayer(8, 2, 16),
    "optimizer": lambda: ap.Adam(),
    "tokenizer": TOKENIZERS["words"],
    "subwords": TOKENIZERS["subwords"],
    "batch": lambda: PAIRS,
    "data": lambda: ap.data.copy_task(train=40, valid=8),
    "schedule": lambda: SCHEDULES[0],
    "config": lambda: small(scheme=OWN).config,
}


def assert_plain(value: Any) -> None:
    """Plain values, arrays, classes, and what functions of this package make of them: no state set later."""
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, (type, np.ndarray)):
        return
    if type(value) in (dict, list, tuple):
        for one in value.values() if type(value) is dict else value:
            assert_plain(one)
        return
    function, arguments = value.__reduce__()
    assert function.__module__.startswith("admin_py.")
    named: Any = sys.modules[function.__module__]
    for part in function.__qualname__.split("."):
        named = getattr(named, part)
    assert named == function
    assert_plain(arguments)


@pytest.mark.parametrize("name", KEPT)
def test_a_pickle_is_plain_data_for_functions_of_modules(name: str) -> None:
    assert_plain(KEPT[name]())


def damaged(thing: Any, change: Callable[[list[Any]], None]) -> Any:
    function, arguments = thing.__reduce__()
    given = list(arguments)
    change(given)
    return function(*given)


def test_what_is_rebuilt_is_checked() -> None:
    def drop(given: list[Any]) -> None:
        del given[-3]["encoder.0.self_attn.q.weight"]

    with pytest.raises(ValueError, match=r"state must hold 'encoder\.0\.self_attn\.q\.weight'"):
        damaged(small(), drop)
    with pytest.raises(ValueError, match="must have one decoder layer, got 0"):
        damaged(ap.EncoderLayer(8, 2, 16), lambda given: given.__setitem__(0, ap.DecoderLayer))
    with pytest.raises(ValueError, match="beta"):
        damaged(ap.Adam(), lambda given: given[2].update(beta1=2.0))
    with pytest.raises(ValueError, match="words must be all different"):
        damaged(WordTokenizer(["a", "b"]), lambda given: given[1].update(words=["a", "a"]))
    with pytest.raises(ValueError, match="offsets"):
        damaged(PAIRS.source, lambda given: given.__setitem__(1, np.array([0, 99])))
    with pytest.raises(ValueError, match="lr must be positive"):
        damaged(SCHEDULES[0], lambda given: given[1].update(lr=-1.0))
    with pytest.raises(ValueError, match="splits must have 'train'"):
        damaged(ap.data.copy_task(train=40, valid=8), lambda given: given[3].pop("train"))


def test_another_process_reads_what_was_pickled(tmp_path: Path) -> None:
    """Where the function of the scheme is not at hand."""
    model = trained(scheme=OWN)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, PAIRS, model.forward(PAIRS))))
    code = (
        "import pickle, sys\n"
        "model, batch, seen = pickle.loads(open(sys.argv[1], 'rb').read())\n"
        "print((model.forward(batch) == seen).all())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout == "True\n"
