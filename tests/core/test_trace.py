"""The core's events: what the regions of a thread do, which `benchmarks/replay.py` reads."""

from __future__ import annotations

import numpy as np
import pytest

import admin_py as ap
from admin_py import _core
from benchmarks.replay import DONE, REGION, REGION_END, TASK, TASK_END, WAIT

CONFIG = ap.TransformerConfig(vocab_size=50, encoder_layers=1, decoder_layers=2, d_model=16, heads=2, d_ff=32)
BATCH = ap.Batch([[3, 4, 5, 6] * 20] * 9, [[7, 8, 9] * 20] * 9)


def gradients(trace: bool) -> tuple[np.ndarray, np.ndarray]:
    """Those of a step, and its events."""
    model = ap.Transformer(CONFIG, seed=1)
    with ap.threads(3, oversubscribe=True):
        if trace:
            _core.trace_begin(100_000)
        model.backward(BATCH)
        return model._core.gradient_buffer.copy(), _core.trace_end()


def test_it_is_off_unless_asked_for_and_changes_no_result() -> None:
    plain, nothing = gradients(trace=False)
    traced, events = gradients(trace=True)
    assert nothing.shape == (0, 4)
    assert len(events) > 0
    np.testing.assert_array_equal(plain, traced)
    assert gradients(trace=False)[1].shape == (0, 4)


def test_regions_begin_with_their_tasks_and_all_of_these_end_in_order() -> None:
    _, events = gradients(trace=True)
    assert (np.diff(events[:, 0]) >= 0).all()
    expected, inside = 0, False
    for _, kind, subject, value in events:
        if kind == REGION:
            assert not inside
            tasks, expected, inside = int(value), 0, True
        elif kind in (TASK, TASK_END):
            assert subject == expected
            expected += kind == TASK_END
        elif kind == REGION_END:
            assert expected == tasks
            inside = False
        else:
            assert inside
    assert not inside


def test_a_task_waits_for_what_tasks_before_it_have_done() -> None:
    raised: dict[float, int] = {}
    waits = 0
    for _, kind, subject, value in gradients(trace=True)[1]:
        if kind == REGION:
            raised.clear()
        elif kind == DONE:
            raised[subject] = raised.get(subject, 0) + 1
        elif kind == WAIT and value > 0:
            assert raised[subject] >= value
            waits += 1
    assert waits > 0


def test_events_beyond_those_to_be_kept_are_an_error() -> None:
    _core.trace_begin(3)
    _core.norm2(np.ones(100_000, np.float32))
    with pytest.raises(RuntimeError, match=r"there were [0-9]+ events, and 3 were to be kept"):
        _core.trace_end()
    assert _core.trace_end().shape == (0, 4)


@pytest.mark.parametrize(("capacity", "error"), [(0, ValueError), (1.5, TypeError), (2**60, ValueError)])
def test_a_wrong_capacity_is_refused(capacity: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="capacity must be an integer"):
        _core.trace_begin(capacity)  # type: ignore[arg-type]
