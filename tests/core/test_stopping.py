"""A signal in the midst of a long call of the core: the call ends, the model is as before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import admin_py as ap

LAYERS, LENGTH, TEXTS, TRIES = 20, 60, 48, 10


class Signal(Exception):
    """What the handler raises."""


@pytest.fixture(scope="module")
def case() -> tuple[ap.Transformer, Any]:
    config = ap.TransformerConfig(
        vocab_size=50, encoder_layers=LAYERS, decoder_layers=LAYERS, d_model=64, heads=2, d_ff=256
    )
    random = np.random.default_rng(3)
    texts = [random.integers(4, 50, LENGTH).tolist() for _ in range(TEXTS)]
    return ap.Transformer(config, seed=1), ap.Batch(texts, texts)


@pytest.fixture
def raising() -> Iterator[None]:
    def handle(*_: Any) -> None:
        raise Signal

    before = signal.signal(signal.SIGUSR1, handle)
    yield
    signal.signal(signal.SIGUSR1, before)


CALLS: dict[str, Callable[[ap.Transformer, Any], Any]] = {
    "backward": lambda model, batch: model.backward(batch),
    "backward by segments": lambda model, batch: model.backward(batch, checkpoint_activations=4),
    "loss": lambda model, batch: model.loss(batch),
    "forward": lambda model, batch: model.forward(batch),
    "profile": lambda model, batch: model.profile(batch),
    "dependency": ap.analysis.dependency,
    "output change": lambda model, batch: ap.analysis.output_change(model, batch, repeats=1),
    "beam search": lambda model, batch: ap.generation.beam_search(model, batch, min_length=40, max_length=40),
    "greedy": lambda model, batch: ap.generation.greedy(model, batch.source.take(range(4)), eos=1),
    "decoder": lambda model, batch: model.decoder(batch),
}


def interrupted(*calls: Callable[[], Any]) -> None:
    """Calls of the core, one after the other; a thread sends a signal while the first has no GIL."""
    begins, main = threading.Event(), threading.main_thread().ident
    assert main is not None

    def send() -> None:
        begins.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        begins.set()
        for call in calls:
            call()
    finally:
        thread.join()


@pytest.mark.usefixtures("raising")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CALLS)
def test_a_handler_that_raises_ends_the_call(
    case: tuple[ap.Transformer, Any], name: str, threads: int
) -> None:
    model, batch = case
    call = partial(CALLS[name], model, batch)
    with ap.threads(threads):
        if name == "profile":
            call()  # the next sets the same omega
        before = model._core.weights.copy()
        with pytest.raises(Signal):
            interrupted(call, call)  # were the first too short, the signal would come before the second
    np.testing.assert_array_equal(before, model._core.weights)
    model.loss(ap.Batch([[3, 4]], [[3, 4]]))  # it is in nobody's hands any more


@pytest.mark.usefixtures("raising")
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("segments", [False, 4])
def test_the_gradients_of_a_pass_that_was_stopped_are_zero(
    case: tuple[ap.Transformer, Any], segments: bool | int, accumulate: bool
) -> None:
    """Those that were added up before it, too."""
    model, batch = case
    call = partial(model.backward, batch, checkpoint_activations=segments, step=0)
    with ap.threads(1):
        whole = call()
        gradients = model._core.gradient_buffer.copy()
        for _ in range(TRIES):  # the signal may come a moment before the pass
            with pytest.raises(Signal):
                interrupted(partial(call, accumulate=accumulate), call)
            if not model._core.gradient_buffer.any():
                break
            if not accumulate:
                np.testing.assert_array_equal(model._core.gradient_buffer, gradients)
        assert not model._core.gradient_buffer.any(), "no pass was stopped"
        again = call()
    assert (again.loss, again.nll) == (whole.loss, whole.nll)
    np.testing.assert_array_equal(model._core.gradient_buffer, gradients)


@pytest.mark.usefixtures("raising")
def test_a_profile_that_was_stopped_has_set_nothing(case: tuple[ap.Transformer, Any]) -> None:
    model, batch = case
    fresh, whole = (ap.Transformer(model.config, seed=2) for _ in range(2))
    before = fresh._core.weights.copy()
    with ap.threads(1):
        whole.profile(batch)
        for _ in range(TRIES):  # the signal may come a moment before the profile, or after it
            with pytest.raises(Signal):
                interrupted(partial(fresh.profile, batch), partial(model.backward, batch))
            if np.array_equal(fresh._core.weights, before):
                break
            np.testing.assert_array_equal(fresh._core.weights, whole._core.weights, "half of it was set")
            fresh._core.weights[...] = before
        else:
            pytest.fail("no profile was stopped")
        assert fresh.seed == whole.seed
        fresh.profile(batch)
    np.testing.assert_array_equal(fresh._core.weights, whole._core.weights)
