"""Signals that wait: who is told of them, and whose handlers come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from admin_py.base.signals import Deferred, Termination

INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(INT), signal.getsignal(TERM)
    yield
    assert (signal.getsignal(INT), signal.getsignal(TERM)) == before, "handlers are as they were"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ([INT], ["first"]),
        ([INT, INT, INT], ["first", "again", "again"]),
        ([TERM], ["first"]),
        ([TERM, TERM], ["first"]),
        ([TERM, INT], ["first", "again"]),
    ],
)
def test_only_a_second_ctrl_c_presses(sent: list[int], told: list[str]) -> None:
    found: list[str] = []
    with Deferred(lambda: found.append("first"), lambda: found.append("again")):
        for number in sent:
            signal.raise_signal(number)
    assert found == told


def test_whoever_handled_sigterm_is_told_afterwards() -> None:
    seen: list[Any] = []
    before = signal.signal(TERM, lambda *_: seen.append("theirs"))
    try:
        with Deferred(lambda: seen.append("ours"), lambda: None):
            signal.raise_signal(TERM)
            seen.append("the step ends")
        assert seen == ["ours", "the step ends", "theirs"]
    finally:
        signal.signal(TERM, before)


@pytest.mark.parametrize("number", [INT, TERM])
def test_a_signal_that_is_ignored_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Deferred(pytest.fail, pytest.fail):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_termination_is_ctrl_c_that_is_remembered() -> None:
    with Termination() as termination:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(TERM)
        assert termination.came
    with Termination() as termination:
        with Deferred(lambda: None, pytest.fail):
            signal.raise_signal(TERM)
        assert termination.came, "also where it only waited"
    with Termination() as termination:
        pass
    assert not termination.came


def test_other_threads_touch_no_handlers() -> None:
    found: list[Any] = []

    def enter() -> None:
        with Deferred(pytest.fail, pytest.fail), Termination():
            found.append((signal.getsignal(INT), signal.getsignal(TERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(INT), signal.getsignal(TERM))]
