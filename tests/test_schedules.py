"""Learning-rate schedules: their formulas, their edges, what they refuse."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_py import schedules

rates = st.floats(1e-8, 10.0)
shares = st.floats(0.0, 1.0)


@st.composite
def any_schedule(draw: st.DrawFn) -> schedules.Schedule:
    """A schedule of any kind with any valid numbers."""
    kind = draw(st.sampled_from(sorted(schedules.KINDS)))
    lr = draw(rates)
    warmup = draw(st.integers(0, 500))
    options: dict[str, Any] = {"initial": lr * draw(shares)} if warmup else {}
    if issubclass(schedules.KINDS[kind], schedules.Decay):
        options |= {"steps": warmup + draw(st.integers(1, 2000)), "final": lr * draw(shares)}
    if kind == "polynomial":
        options["power"] = draw(st.floats(0.1, 5.0))
    return schedules.KINDS[kind](lr, warmup, **options)


def test_inverse_sqrt_is_the_formula_of_fairseq() -> None:
    lr, warmup, initial = 7e-4, 6000, 1e-7
    schedule = schedules.inverse_sqrt(lr, warmup, initial=initial)
    for step in (1, 17, 5999, 6000):
        assert schedule(step) == pytest.approx(initial + step * (lr - initial) / warmup, rel=1e-14)
    for step in (6001, 24000, 100000):
        assert schedule(step) == pytest.approx(lr * warmup**0.5 * step**-0.5, rel=1e-14)


def test_inverse_sqrt_without_warm_up_starts_at_lr() -> None:
    schedule = schedules.inverse_sqrt(0.01, 0)
    assert [schedule(1), schedule(4), schedule(100)] == [0.01, 0.005, 0.001]


def test_decays_meet_their_ends_and_their_middle() -> None:
    options: dict[str, Any] = {"steps": 300, "final": 0.2}
    middle = {"linear": 0.6, "polynomial": 0.2 + 0.8 * 0.25, "cosine": 0.6}
    for kind, expected in middle.items():
        schedule = schedules.KINDS[kind](1.0, 100, **options)
        assert schedule(100) == 1.0
        assert schedule(200) == pytest.approx(expected, rel=1e-14)
        assert schedule(300) == 0.2
        assert schedule(10_000) == 0.2


def test_cosine_at_a_third() -> None:
    schedule = schedules.cosine(2.0, 0, steps=300)
    assert schedule(100) == pytest.approx(1.0 + math.cos(math.pi / 3), rel=1e-14)


def test_polynomial_of_power_one_is_linear() -> None:
    step = np.arange(1, 400)
    line = schedules.linear(1e-3, 50, steps=333, final=1e-5)
    power = schedules.polynomial(1e-3, 50, steps=333, final=1e-5, power=1.0)
    np.testing.assert_allclose(power(step), line(step), rtol=1e-13)


def test_constant_stays() -> None:
    assert set(schedules.constant(0.3)(np.arange(1, 50))) == {0.3}


@given(any_schedule(), st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_an_array_of_steps_gives_what_the_single_steps_give(
    schedule: schedules.Schedule, steps: list[int]
) -> None:
    values = schedule(np.array(steps, dtype=np.int32))
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float64
    single = [schedule(step) for step in steps]
    assert all(type(value) is float for value in single)
    assert values.tolist() == single


@given(any_schedule())
def test_it_rises_to_lr_then_never_rises_again(schedule: schedules.Schedule) -> None:
    step = np.arange(1, schedule.warmup + 2500)
    lr = np.asarray(schedule(step))
    slack = 1e-12 * schedule.lr  # rounding of the sums that make it
    assert lr.min() >= 0
    assert lr.max() <= schedule.lr + slack
    assert np.all(np.diff(lr[: max(schedule.warmup, 1)]) >= -slack)
    assert np.all(np.diff(lr[max(schedule.warmup - 1, 0) :]) <= slack)
    assert lr[max(schedule.warmup - 1, 0)] == pytest.approx(schedule.lr) or schedule.warmup == 0


@given(any_schedule())
def test_it_comes_back_from_a_file_and_from_its_repr(schedule: schedules.Schedule) -> None:
    assert schedules.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), dict(schedules.KINDS)) == schedule
    assert hash(schedule) == hash(schedules.from_dict(schedule.to_dict()))


def test_steps_of_any_shape_and_no_steps_at_all() -> None:
    schedule = schedules.inverse_sqrt(1.0, 4)
    assert np.asarray(schedule([[1, 2], [3, 4]])).tolist() == [[0.25, 0.5], [0.75, 1.0]]
    assert np.asarray(schedule([])).shape == (0,)
    assert schedule(np.int64(2)) == 0.5


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (0, ValueError, "steps count from 1, got 0"),
        ([3, -2], ValueError, "steps count from 1, got -2"),
        (1.0, TypeError, "step must be an integer, got 1.0"),
        ([1.0, 2.0], TypeError, "steps must be integers, got an array of float64"),
        ("7", TypeError, "step must be an integer, got '7'"),
        (None, TypeError, "step must be an integer, got None"),
    ],
)
def test_steps_that_are_none(step: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        schedules.constant(1.0)(step)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("constant", {"lr": 0.0}, ValueError, "lr must be positive, got 0.0"),
        ("constant", {"lr": math.nan}, ValueError, "lr must be a finite number, got nan"),
        ("constant", {"lr": "1e-3"}, TypeError, "lr must be a number, got '1e-3'"),
        ("constant", {"lr": 1, "warmup": -1}, ValueError, "warmup must be an integer from 0 to"),
        ("constant", {"lr": 1, "warmup": 2.5}, TypeError, "warmup must be an integer, got 2.5"),
        ("constant", {"lr": 1, "initial": 2.0}, ValueError, "initial must be at most lr = 1.0, got 2.0"),
        (
            "linear",
            {"lr": 1, "warmup": 9, "steps": 9},
            ValueError,
            "steps must be more than the warm-up's 9, got 9",
        ),
        (
            "cosine",
            {"lr": 1, "steps": 9, "final": 1.5},
            ValueError,
            "final must be at most lr = 1.0, got 1.5",
        ),
        ("polynomial", {"lr": 1, "steps": 9, "power": 0}, ValueError, "power must be positive, got 0.0"),
    ],
)
def test_numbers_that_make_no_schedule(
    kind: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        schedules.KINDS[kind](**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "step"}, "kind of a schedule must be one of inverse_sqrt, linear"),
        ({"lr": 1.0}, "kind of a schedule must be one of"),
        ({"kind": "cosine", "lr": 1.0}, "the schedule cosine needs 'steps'"),
        ({"kind": "constant", "lr": 1.0, "power": 2}, "the schedule constant has no 'power'"),
    ],
)
def test_dicts_that_are_no_schedule(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedules.from_dict(data)


def test_frozen() -> None:
    schedule = schedules.constant(1.0)
    with pytest.raises(AttributeError):
        schedule.lr = 2.0  # type: ignore[misc]


def test_plot_draws_the_rates_into_the_axes_it_is_given() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    schedule = schedules.inverse_sqrt(1e-3, 50)
    assert schedule.plot(ax, steps=120) is ax
    schedules.cosine(1e-3, 50, steps=100).plot(ax)
    x, y = ax.lines[0].get_data()
    assert list(x) == list(range(1, 121))
    np.testing.assert_array_equal(y, schedule(np.arange(1, 121)))
    assert len(ax.lines) == 2
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "learning rate")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "inverse_sqrt(lr=0.001, warmup=50)",
        "cosine(lr=0.001, warmup=50, steps=100)",
    ]
