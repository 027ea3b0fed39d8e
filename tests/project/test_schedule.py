"""Replays of what the core did in regions of threads: made-up events, and those of a real step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import replay, schedule
from benchmarks.our_side import Side
from benchmarks.replay import DONE, REGION, REGION_END, TASK, TASK_END, WAIT
from benchmarks.workload import WORKLOADS, make_batches


def events(*tasks: list[tuple[float, int, int, int]]) -> np.ndarray:
    """Of a region that begins at 1, its tasks one after another: seconds, kind, subject, value each."""
    rows, now = [(1.0, REGION, 77, len(tasks))], 1.0
    for number, parts in enumerate(tasks):
        rows.append((now, TASK, number, 0))
        for seconds, kind, subject, value in parts:
            now += seconds
            rows.append((now, kind, subject, value))
    rows.append((now, REGION_END, 0, 0))
    return np.array(rows, float)


def ends(seconds: float) -> list[tuple[float, int, int, int]]:
    """A task that waits for nothing."""
    return [(seconds, TASK_END, 0, 0)]


@pytest.mark.parametrize(("threads", "expected"), [(1, 10.0), (2, 7.0), (3, 6.0), (8, 5.0)])
def test_the_thread_that_is_free_first_takes_the_next_task(threads: int, expected: float) -> None:
    step = replay.read(events(ends(2), ends(1), ends(2), ends(5)), 0.0, 13.0)
    assert step.seconds == pytest.approx(13)
    (region,) = step.regions
    assert replay.region_seconds(region, threads) == pytest.approx(expected)


def test_a_task_waits_until_a_count_is_reached() -> None:
    raises = [(2.0, DONE, 5, 0), (1.0, TASK_END, 0, 0)]
    waits = [(0.5, WAIT, 5, 2), (1.0, TASK_END, 0, 0)]
    (region,) = replay.read(events(raises, raises, waits), 0.0, 9.0).regions
    assert replay.region_seconds(region, 1) == pytest.approx(7.5)
    assert replay.region_seconds(region, 3) == pytest.approx(3.0)  # until 2, then 1
    assert replay.region_seconds(region, 2) == pytest.approx(4.5)  # the count is there when it begins


def test_what_one_thread_does_alone_is_told_by_what_comes_after_it() -> None:
    step = replay.read(events(ends(2), ends(2)), 0.0, 8.0)
    seconds, parts = replay.replay(step, 2, {77: "work"})
    assert seconds == pytest.approx(1 + 2 + 3)
    assert [part.name for part in parts] == ["one thread, at the end", "one thread, before work", "work"]
    assert [part.seconds for part in parts] == pytest.approx([3, 1, 2])
    assert [part.idle for part in parts] == pytest.approx([3, 1, 0])


def test_a_typical_step_has_the_medians_of_its_parts() -> None:
    steps = [replay.read(events(ends(a), ends(b)), 0.0, 20.0) for a, b in ((1, 9), (2, 5), (7, 4))]
    (region,) = replay.typical(steps).regions
    assert [replay.region_seconds(region, n) for n in (1, 2)] == pytest.approx([7, 5])
    with pytest.raises(ValueError, match="same regions"):
        replay.typical([steps[0], replay.read(events(ends(1)), 0.0, 9.0)])


def test_a_real_step_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """One thread of a replay takes as long as the step took, many less; functions have their names."""
    workload = replace(WORKLOADS["tiny"], encoder_layers=1, decoder_layers=1, d_model=16, vocab_size=50)
    workload = replace(workload, heads=2, d_ff=32, max_tokens=512)
    side = Side(workload, make_batches(workload, 1), 1)
    step = schedule.record(side, 1)
    alone, _ = replay.replay(step, 1, schedule.names())
    assert alone == pytest.approx(step.seconds)
    wide = schedule.record(side, 16)
    several, parts = replay.replay(wide, 16, schedule.names())
    assert several < wide.seconds
    assert {"backward_task", "forward_all_task", "one thread, at the end"} <= {part.name for part in parts}
    schedule.show(workload, 16, alone, several, parts)
    assert "512 tokens in sequences of 32, 16 threads" in capsys.readouterr().out


def test_a_step_of_one_long_sequence_is_replayed() -> None:
    """In parts, of which there are some for each of several threads."""
    workload = replace(WORKLOADS["tiny"], encoder_layers=1, decoder_layers=1, d_model=16, vocab_size=50)
    workload = replace(workload, heads=2, d_ff=32, max_tokens=1200, length=1200)
    wide = schedule.record(Side(workload, make_batches(workload, 1), 1), 16)
    several, parts = replay.replay(wide, 16, schedule.names())
    assert 0 < several < wide.seconds
    assert max(len(region.tasks) for region in wide.regions) >= 16
    assert {"forward_heads_task", "backward_heads_task"} <= {part.name for part in parts}
