"""Memory: plans agree with what processes really take, buffers come when they are first used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import admin_py as ap
from admin_py.cli import entry as cli
from admin_py.training import buffers
from admin_py.training.buffers import Shared, Whole

SIZES: dict[str, Any] = {"encoder_layers": 6, "decoder_layers": 6, "d_model": 64, "heads": 4, "d_ff": 256}
MIB = 2**20

PEAK = """
import json, sys
import numpy as np
import admin_py as ap

def packed(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.zeros(offsets[-1], np.int32), offsets

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

sizes, segments, max_tokens = json.loads(sys.argv[1])
ap.set_num_threads(1)
config = ap.TransformerConfig(**sizes)
plan = ap.plan_memory(config, max_tokens=max_tokens, checkpoint_activations=segments)
lengths = [32] * (max_tokens // 32)
batch = ap.Batch(packed(lengths), packed([33] * len(lengths)))
small = ap.TransformerConfig(vocab_size=20, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=8)
def step(config, batch, segments):
    model = ap.Transformer(config)
    model.backward(batch, checkpoint_activations=segments)
    ap.Adam(lr=1e-3).step(model)
step(small, ap.Batch([[4]], [[1, 2]]), False)  # libraries and their own buffers are there from now on
before = peak()
step(config, batch, segments)
print(json.dumps([plan.total, peak() - before]))
"""


@pytest.mark.parametrize("segments", [False, True, 2])
def test_a_plan_is_the_peak_of_a_process(segments: bool | int) -> None:
    """Within 6 %: pages of 2 MiB that no buffer fills, Python's objects, and what BLAS holds beside."""
    given = json.dumps([{"vocab_size": 4000, **SIZES}, segments, 4096])
    found = subprocess.run(
        [sys.executable, "-c", PEAK, given], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    planned, taken = json.loads(found)
    print(f"planned {planned / MIB:.1f} MiB, taken {taken / MIB:.1f} MiB")
    assert planned > 60 * MIB
    assert taken == pytest.approx(planned, rel=0.06, abs=8 * MIB)


@pytest.mark.parametrize("scheme", ap.schemes.names())
def test_an_encoder_layer_keeps_little_of_a_token(scheme: str) -> None:
    """At most (8 D + F) numbers; beside them a number a head and two a norm."""
    config = ap.TransformerConfig(vocab_size=100, scheme=scheme, **{**SIZES, "encoder_layers": 30})
    plan = ap.plan_memory(config, max_tokens=2048)
    beside = 4 * (config.heads + 12)
    assert plan.per_token_and_layer("encoder") <= plan.bound + beside
    if scheme in ("post_ln", "pre_ln", "admin"):
        assert plan.per_token_and_layer("encoder") <= plan.bound - 4 * config.d_model


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "novograd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_and_parts_are_those_of_a_training(
    optimizer: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one process exactly; of several, what the rank with the largest part has."""
    monkeypatch.setattr(buffers, "pays", lambda comm: False)
    config = ap.TransformerConfig(vocab_size=3000, **SIZES)
    model = ap.Transformer(config, dtype=dtype)
    model.backward(ap.Batch([[4]], [[1, 2]]))
    whole = Whole(model)
    with whole.adding(first=True, last=False):
        pass
    alone = ap.plan_memory(config, optimizer=optimizer, dtype=dtype)
    several = ap.plan_memory(config, optimizer=optimizer, dtype=dtype, accumulate=2)
    assert alone.parts["summed"] == 0
    assert several.parts["summed"] == whole._sum.nbytes
    assert several.total == alone.total + whole._sum.nbytes
    assert several.activations == alone.activations
    comm = SimpleNamespace(Alltoallv=lambda *_: None)
    parts = [Shared(model, SimpleNamespace(size=3, rank=rank, comm=comm)) for rank in range(3)]
    for part in parts:
        with part.adding(first=True, last=False):
            pass
    plan = ap.plan_memory(config, optimizer=optimizer, dtype=dtype, accumulate=6, ranks=3)
    block = whole._module.block_length(model._core.trained_length) * np.dtype(dtype).itemsize
    taken = max(part._sums.nbytes + part._staging.nbytes for part in parts)
    assert plan.parts["summed"] == pytest.approx(taken, abs=2 * block)  # the largest of both regions
    largest = max(part._sums.nbytes for part in parts) / whole._sum.nbytes
    assert plan.parts["moments"] == pytest.approx(largest * alone.parts["moments"], abs=2 * block)


def test_depth_costs_an_output_a_segment_where_activations_are_computed_again() -> None:
    def total(layers: int, **options: Any) -> int:
        sizes = {**SIZES, "encoder_layers": layers, "decoder_layers": layers}
        plan = ap.plan_memory(ap.TransformerConfig(vocab_size=100, **sizes), max_tokens=2048, **options)
        return plan.activations

    a_layer = (total(64) - total(16)) / 48
    again = (total(64, checkpoint_activations=True) - total(16, checkpoint_activations=True)) / 48
    assert again < a_layer / 4


def test_weights_are_packed_for_both_passes_unless_memory_is_to_be_saved() -> None:
    config = ap.TransformerConfig(vocab_size=128, **SIZES)  # whole panels
    both = ap.plan_memory(config, max_tokens=2048).parts["packed"]
    one = ap.plan_memory(config, max_tokens=2048, checkpoint_activations=True).parts["packed"]
    assert both == 2 * one > 0


def test_the_yardstick_is_printed_in_the_words_of_the_documentation() -> None:
    plan = ap.plan_memory(ap.TransformerConfig(vocab_size=100, **SIZES), max_tokens=100, dtype="float64")
    assert plan.bound == 8 * (8 * plan.config.d_model + plan.config.d_ff)
    page = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text("utf-8")
    for stack in plan.stacks:
        kept = f"{plan.per_token_and_layer(stack):,.0f} bytes (8 D + F numbers are {plan.bound:,})"
        assert re.search(rf"kept of a token in a layer, {stack} +{re.escape(kept)}", repr(plan))
    assert re.search(r"\*\*8 D \+ F\s+numbers\*\*", page)


def test_a_plan_says_what_it_is_of() -> None:
    config = ap.TransformerConfig(vocab_size=100, **SIZES)
    plan = ap.plan_memory(config, max_tokens=1000, optimizer=ap.SGD(lr=1.0))
    assert plan.parts["moments"] == 0
    assert plan.rows == {"encoder": 1000, "decoder": 1000}
    assert plan.total == sum(plan.parts.values())
    text = repr(plan)
    assert text.startswith("Memory of a training step of 1,000 encoder and 1,000 decoder tokens, float32")
    assert f"{plan.bound:,}" in text
    double = ap.plan_memory(config, max_tokens=1000, dtype="float64")
    assert double.parts["weights"] == 2 * plan.parts["weights"]


def test_a_plan_of_a_batch_is_what_the_model_takes() -> None:
    config = ap.TransformerConfig(vocab_size=100, encoder_layers=0, decoder_layers=3, d_model=32, heads=2)
    model, batch = ap.Transformer(config), ap.Batch([[4, 5, 6, 7], [8, 9]])
    plan = ap.plan_memory(config, batch)
    model.backward(batch)
    assert plan.activations == model.memory["activations"]
    assert plan.rows == {"decoder": 4}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"config": 1}, TypeError, "config must be a TransformerConfig"),
        ({"batch": [1]}, TypeError, "batch must be a Batch"),
        ({"optimizer": None}, TypeError, "optimizer must be an Optimizer"),
        ({"optimizer": "adm"}, ValueError, "optimizer must be one of 'adam'"),
        ({"max_tokens": 0}, ValueError, "max_tokens must be an integer from 1"),
        ({"dtype": "int"}, ValueError, "dtype must be one of"),
        ({"accumulate": 0}, ValueError, "accumulate must be an integer from 1"),
        ({"ranks": 1.5}, TypeError, "ranks must be an integer"),
        ({"accumulate": 4, "ranks": 3}, ValueError, "accumulate must be a multiple of the 3 ranks, got 4"),
        ({"checkpoint_activations": 0}, ValueError, "checkpoint_activations must be an integer from 1"),
        ({"batch": ap.Batch([[200]], [[1, 2]])}, IndexError, "outside the vocabulary"),
    ],
)
def test_what_cannot_be_planned(change: dict[str, Any], error: type[Exception], words: str) -> None:
    config = ap.TransformerConfig(vocab_size=100, **SIZES)
    with pytest.raises(error, match=words):
        ap.plan_memory(**{"config": config, **change})
    with pytest.raises(ValueError, match="config must have a decoder"):
        ap.plan_memory(ap.TransformerConfig(vocab_size=100, **{**SIZES, "decoder_layers": 0}))


def test_buffers_come_when_they_are_first_used() -> None:
    config = ap.TransformerConfig(vocab_size=100, **SIZES)
    model, batch = ap.Transformer(config), ap.Batch([[4, 5]], [[1, 6, 2]])
    optimizer = ap.Adam(lr=1e-3)
    assert model.memory["activations"] == 0
    model.loss(batch)
    model.profile(batch)
    ap.analysis.dependency(model, batch)
    assert model.memory["gradients"] == 0
    model.backward(batch)
    assert model.memory["gradients"] == model.memory["weights"]
    assert optimizer.state["m"] is None
    optimizer.step(model)
    assert optimizer.state["m"] is not None


def test_the_workspace_grows_only_while_larger_batches_come() -> None:
    data = ap.data.number_words(train=300, valid=20)
    config = ap.TransformerConfig(vocab_size=data.vocab_size, max_length=data.longest, **SIZES)
    model = ap.Transformer(config)
    held = 0
    for epoch in range(2):
        for batch in data.batches(max_tokens=256, seed=epoch):
            needed = ap.plan_memory(config, batch).activations
            model.backward(batch)
            held = max(held, needed)
            assert model.memory["activations"] == held


def test_info_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", "--memory", "--layers", "12", "--d-model", "64", "--d-ff", "256", "--heads", "4"]
    assert cli.main([*command, "--vocab-size", "100", "--max-tokens", "1000"]) == 0
    config = ap.TransformerConfig(
        vocab_size=100, encoder_layers=12, decoder_layers=12, d_model=64, d_ff=256, heads=4, scheme="admin"
    )
    text = capsys.readouterr().out
    assert repr(ap.plan_memory(config, max_tokens=1000)) in text
    assert f"{config.num_parameters:,} parameters" in text
    totals = []
    others = (["--language-model"], ["--accumulate", "2"], ["--accumulate", "2", "--ranks", "2"])
    for more in (["--checkpoint-activations"], ["--checkpoint-activations", "2"], *others):
        assert cli.main([*command, *more]) == 0
        totals.append(next(x for x in capsys.readouterr().out.splitlines() if x.startswith("total")))
    assert len(set(totals)) == 5


def test_info_plans_the_model_that_every_option_describes(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", "--memory", "--layers", "2,1", "--d-model", "16", "--d-ff", "32", "--heads", "2"]
    sizes: dict[str, Any] = {"encoder_layers": 2, "decoder_layers": 1, "d_model": 16, "d_ff": 32, "heads": 2}
    plans = []
    for activation in ("relu", "gelu"):
        assert cli.main([*command, "--vocab-size", "50", "--activation", activation]) == 0
        config = ap.TransformerConfig(vocab_size=50, scheme="admin", activation=activation, **sizes)
        plans.append(repr(ap.plan_memory(config)))
        assert plans[-1] in capsys.readouterr().out
    assert plans[0] != plans[1]  # GELU keeps its input, too
    assert cli.main([*command, "--max-tokens", "0"]) == 1
    assert "max_tokens must be an integer from 1" in capsys.readouterr().err
    for option in ("--init-gain", "--dropout"):
        assert cli.main([*command, option, "0.5"]) == 2
        assert f"{option} goes with trainings: it takes no memory" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(6))
def test_lengths_that_are_thought_of_are_planned_as_a_batch_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    print("seed", seed)
    for scheme in ap.schemes.names():
        config = ap.TransformerConfig(
            vocab_size=50, encoder_layers=int(rng.integers(0, 3)), decoder_layers=2, d_model=8, heads=2,
            d_ff=int(rng.choice([8, 40])), scheme=scheme,
        )  # fmt: skip
        tokens, length = int(rng.integers(1, 9000)), int(rng.integers(1, 300))
        segments: Any = rng.choice([0, 1, 2]) or False
        thought_of = ap.plan_memory(
            config, max_tokens=tokens, length=length, checkpoint_activations=int(segments) or False
        )
        length = min(length, tokens)
        lengths = [length] * (tokens // length) + [tokens % length] * (tokens % length > 0)
        sides = [packed(lengths)] if config.encoder_layers else []
        batch = ap.Batch(*sides, packed([1 + one for one in lengths]))
        given = ap.plan_memory(config, batch, checkpoint_activations=int(segments) or False)
        assert (given.parts, given.rows) == (thought_of.parts, thought_of.rows), (scheme, tokens, length)


def packed(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.zeros(offsets[-1], np.int32), offsets


def test_a_plan_of_any_number_of_tokens_allocates_nothing() -> None:
    config = ap.TransformerConfig(vocab_size=1000)
    tracemalloc.start()
    try:
        plans = [ap.plan_memory(config, max_tokens=n, length=32) for n in (2**20, 2**30, 2**31 - 1)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20 * 10
    assert plans[1].activations / plans[0].activations == pytest.approx(2**10, rel=0.01)
    assert plans[2].rows == {"encoder": 2**31 - 1, "decoder": 2**31 - 1}
    assert min(plans[2].parts.values()) >= 0


def test_more_bytes_than_64_bits_can_say_are_an_error() -> None:
    sizes: dict[str, Any] = {"vocab_size": 100, "decoder_layers": 2, "d_model": 8, "heads": 1, "d_ff": 2**25}
    large = ap.TransformerConfig(encoder_layers=20, **sizes)
    assert 2**63 < ap.plan_memory(large, max_tokens=2**31 - 1, dtype="float64").total < 2**64
    with pytest.raises(ValueError, match=r"more than 2\^64 bytes"):
        ap.plan_memory(
            ap.TransformerConfig(encoder_layers=100, **sizes), max_tokens=2**31 - 1, dtype="float64"
        )
