"""Random configurations: any mixture of fields, sizes and lengths, core against oracle and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import profiling, transformer
from reference.dropout import CoreDropout

from admin_py.model.config import ACTIVATIONS, BIASES
from proofs.configurations import LLAMA_3, Case, attention, config, rotary, scale, windowed
from proofs.core import make
from proofs.deviation import deviation, worst_direction, worst_gradient

NORM_KINDS = ("none", "layer", "rms", "dyt")
SCALE_KINDS = ("none", "scalar", "vector")


def random_sublayer(rng: np.random.Generator) -> dict[str, Any]:
    """Every field at random; no norm half of the time."""
    places = ("norm_pre", "norm_branch", "norm_post", "norm_inner")
    sub: dict[str, Any] = {
        place: str(rng.choice(NORM_KINDS, p=[0.5, 0.25, 0.125, 0.125])) for place in places
    }
    sub["residual_normed"] = bool(rng.random() < 0.3)
    sub["parallel"] = not sub["residual_normed"] and bool(rng.random() < 0.3)
    sub["input_scale"] = float(rng.choice([1.0, 0.7]))
    sub["kappa"] = float(rng.choice([0.0, 0.0, 0.5]))
    sub["alpha"] = scale(str(rng.choice(SCALE_KINDS)), trained=bool(rng.random() < 0.7))
    sub["omega"] = scale(str(rng.choice(SCALE_KINDS)), trained=bool(rng.random() < 0.7))
    return sub


def random_attention(rng: np.random.Generator, heads: int) -> dict[str, Any]:
    """Heads of any width, of which some may share keys."""
    divisors = [n for n in range(1, heads + 1) if heads % n == 0]
    return attention(
        head_width=2 * int(rng.choice([0, 0, rng.integers(1, 6)])),
        rotary=rotary(
            width=int(rng.choice([0, 2])),
            interleaved=bool(rng.random() < 0.5),
            theta=float(rng.choice([0.0, 50.0])),
            **(LLAMA_3 if rng.random() < 0.3 else {}),
        ),
        kv_heads=int(rng.choice([0, rng.choice(divisors)])),
        scale=float(rng.choice([0.0, 0.0, 0.4])),
        score_cap=float(rng.choice([0.0, 0.0, 1.3])),
        **random_qk_norm(rng),
    )


def random_qk_norm(rng: np.random.Generator) -> dict[str, Any]:
    kind = str(rng.choice(NORM_KINDS, p=[0.6, 0.15, 0.15, 0.1]))
    return {"qk_norm": kind, "qk_norm_whole": kind != "none" and bool(rng.random() < 0.5)}


def random_case(seed: int) -> Case:
    """A model of either kind with one to three layers and ragged lengths."""
    rng = np.random.default_rng(seed)
    encoder = int(rng.integers(0, 3))
    heads = int(rng.integers(1, 5))
    made = config(
        [random_sublayer(rng) for _ in range(6)],
        encoder=encoder,
        decoder=int(rng.integers(1, 4)),
        d_model=2 * heads * int(rng.integers(1, 6)),
        heads=heads,
        d_ff=int(rng.integers(1, 40)),
        vocab_size=int(rng.integers(2, 60)),
        max_length=90,
        activation=str(rng.choice(ACTIVATIONS)),
        gated=bool(rng.random() < 0.4),
        bias=str(rng.choice(BIASES)),
        output_bias=bool(rng.random() < 0.3),
        logits_scale=float(rng.choice([1.0, 0.6])),
        positions=str(rng.choice(["sinusoidal", "learned", "rotary"])),
        share_embeddings=str(rng.choice(["none", "decoder", "inputs", "all"])),
        dropout=float(rng.choice([0.0, 0.2])),
        attention_dropout=float(rng.choice([0.0, 0.3])),
        activation_dropout=float(rng.choice([0.0, 0.1])),
        attention=random_attention(rng, heads),
        logits_cap=float(rng.choice([0.0, 0.0, 1.7])),
    )
    for stack in ("encoder", "decoder"):
        made[stack]["norm_embedding"] = str(rng.choice(NORM_KINDS))
        made[stack]["norm_final"] = str(rng.choice(NORM_KINDS))
        made[stack]["input_scale"] = str(rng.choice(SCALE_KINDS))
    windowed(made, *rng.choice([0, 0, 1, 3, 40], size=2).tolist())
    count = int(rng.integers(1, 9))
    source, target = rng.integers(1, 80, count), rng.integers(2, 80, count)
    return Case(f"random {seed}", made, tuple(source.tolist()), tuple(target.tolist()))


@pytest.mark.parametrize("seed", range(40))
def test_random_configuration(seed: int) -> None:
    case = random_case(seed)
    print("seed", seed, case.config, case.source_lengths, case.target_lengths)
    core, params, batch, packed = make(case, "float64", seed)
    z_loss = (0.0, 0.2)[seed % 2]
    options: dict[str, Any] = {"label_smoothing": 0.1, "z_loss": z_loss, "training": True, "step": seed}
    masks = CoreDropout(seed, seed, case.config["heads"])
    run = transformer.backward(case.config, params, batch, label_smoothing=0.1, z_loss=z_loss, dropout=masks)
    loss = core.backward(packed, **options)[0]
    assert deviation(loss, run.loss) < 1e-12
    worst, where = worst_gradient(core.gradients, run.gradients, core.trained)
    assert worst < 1e-10, where  # without norms a deep stack magnifies what it rounds

    expected, _ = profiling.profile(case.config, params, batch)
    got = core.profile(packed, dropout=False, apply=False)
    for name, profile in expected.items():
        assert deviation(got[name]["var_branch"], profile.var_branch) < 1e-12
        assert deviation(got[name]["var_input"], profile.var_input) < 1e-12

    if case.config["activation"] != "relu":  # relu has kinks that a step of all parameters at once may meet
        grads = {name: np.array(g) for name, g in core.gradients.items()}
        worst = worst_direction(
            lambda: float(core.loss(packed, **options)[0]),
            core.parameters,
            grads,
            names=core.trained,
            directions=1,
            seed=seed,
        )
        assert worst < 1e-7
