"""All that a model of the core computes, to be compared bit for bit between threads and kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from reference.naming import draw_parameters

from proofs.configurations import Case, with_dropout
from proofs.core import BUILDS, core_batch, make, rounded, set_parameters


def same(results: list[dict[str, np.ndarray]]) -> None:
    """Equal bit for bit; NaN would be a failure of another kind."""
    for other in results[1:]:
        assert set(other) == set(results[0])
        for key, value in results[0].items():
            assert np.all(np.isfinite(value)), key
            assert value.tobytes() == other[key].tobytes(), key


def passes(case: Case, dtype: str, threads: int) -> dict[str, np.ndarray]:
    """All that a pass gives, with that many threads; dropout is on everywhere."""
    module = BUILDS[dtype]
    module.set_num_threads(threads)
    assert module.get_num_threads() == threads
    core, _, _, packed = make(case, dtype, 51, with_dropout(case.config))
    got = {"logits": core.forward(packed, training=True, step=2)}
    if case.config["decoder"]["layers"]:
        got["losses"] = np.array(core.loss(packed, label_smoothing=0.1, training=True, step=3))
        got["backward"] = np.array(core.backward(packed, label_smoothing=0.1, step=4, observe=True))
        got["gradients"] = core.gradient_buffer.copy()
        got["norm"] = np.array(module.norm2(core.gradient_buffer))
        got["norms"] = core.norms("gradients")
        for stack, observed in core.observations().items():
            got |= {f"{stack}.{key}": np.array(value) for key, value in observed.items()}
    for method in ("clinic", "paper"):
        for stack, profile in core.profile(packed, method=method, seed=5).items():
            got |= {f"{method}.{stack}.{key}": np.array(value) for key, value in profile.items()}
        got[f"{method}.weights"] = core.weights.copy()
    return got


def leaves(found: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The numbers of nested dictionaries, by path."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from leaves(value, f"{name}.{key}")
    else:
        yield name, np.asarray(found)


def dependency(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """With its components, and with as little memory as can be."""
    core, _, _, packed = make(case, dtype, 21)
    found = {"all": core.dependency(packed, components=True), "little": core.dependency(packed, max_memory=1)}
    return dict(leaves(found))


def output_change(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """By other weights."""
    core, params, _, packed = make(case, dtype, 21)
    other = BUILDS[dtype].Transformer(case.config, seed=22)
    drawn = draw_parameters(case.config, 23)
    set_parameters(other, rounded({name: 0.9 * params[name] + 0.1 * drawn[name] for name in params}, dtype))
    return dict(leaves(core.output_change(other, packed)))


def steps(case: Case, core: Any, optimizer: Any, numbers: range) -> np.ndarray:
    """Training steps over batches that change, clipped: norms of gradients and of updates."""
    module = BUILDS[core.weights.dtype.name]
    norms = []
    for step in numbers:
        core.backward(core_batch(module, case.batch(step)), label_smoothing=0.1, step=step)
        norm = module.norm2(core.gradient_buffer[: core.trained_length])
        norms.append((norm, optimizer.step(core, 0.01, min(1.0, 0.5 / norm))))
    return np.array(norms)


def arrays(core: Any, optimizer: Any) -> dict[str, np.ndarray]:
    """All that a training goes on from."""
    state = {key: np.array(value) for key, value in optimizer.state.items() if isinstance(value, np.ndarray)}
    return {"weights": core.weights.copy()} | state
