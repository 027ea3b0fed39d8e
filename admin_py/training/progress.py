"""What is seen of a training while it runs: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from admin_py.base.progress import Bar, shows_bars
from admin_py.base.streams import say
from admin_py.training.history import VALID_COLUMNS

if TYPE_CHECKING:
    from admin_py.training.recorder import Recorder

LINE_SECONDS = 10.0
"""Between plain lines."""

VALIDATION_SECONDS = 1.0
"""Between plain lines where there was a validation; the first and the last are shown in any case."""

SMOOTHING = 20
"""Steps over which the loss and the speed that are shown are means."""


class TrainingProgress:
    """Shows the steps of one training, on the standard error stream.

    Parameters
    ----------
    steps : int
        In all.
    done : int
        Before this process began.
    enabled : bool
        False shows nothing.
    """

    def __init__(self, steps: int, *, done: int = 0, enabled: bool = True) -> None:
        self._steps = steps
        self._began_at, self._began = done, time.monotonic()
        self._last_line = self._began
        self._last_validation, self._last_step = -math.inf, done
        self._bar: Bar | None = None
        self._lines = enabled
        self._validation = ""
        if enabled and shows_bars():
            self._bar, self._lines = Bar(steps, done, what="training", unit="step"), False

    def said(self, text: str) -> None:
        """A line of its own, before the steps."""
        if self._bar is not None:
            self._bar.note(text)
        elif self._lines:
            say(text)

    def stepped(self, history: Recorder) -> None:
        """After a step."""
        if self._bar is not None:
            self._bar.update(lambda: self._figures(history))
        elif self._lines and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._line(history, ", ".join(_numbers(history)))

    def validated(self, history: Recorder) -> None:
        """After a validation."""
        nll = history.valid["nll"][-1]
        text = f"validation nll {nll:.4f}"
        for name in history.valid.keys() - VALID_COLUMNS.keys():
            text += f", {name} {history.valid[name][-1]:.4g}"
        self._validation = f"valid {nll:.4f}"  # short: a terminal of 80 columns has room for it
        if self._lines and (self._quiet_since_validation() or history.num_steps == self._steps):
            self._last_validation = time.monotonic()
            self._line(history, ", ".join([*_numbers(history), text]))

    def finished(self, history: Recorder) -> None:
        """After the last step."""
        if self._lines and self._last_step < history.num_steps:
            self._line(history, ", ".join(_numbers(history)))

    def stopped(self, history: Recorder, why: str) -> None:
        """When it ends before the last step."""
        if self._bar is not None:
            self._bar.note(f"step {history.num_steps:,}: {why}")
        elif self._lines:
            say(f"step {history.num_steps:,}/{self._steps:,}: {why}")

    def close(self) -> None:
        """At the end, however it came."""
        if self._bar is not None:
            self._bar.close()

    def _figures(self, history: Recorder) -> list[str]:
        """What stands beside the bar, the most important first."""
        loss, *others = _numbers(history)
        return [one for one in (loss, self._validation, *reversed(others)) if one]

    def _quiet_since_validation(self) -> bool:
        return time.monotonic() - self._last_validation >= VALIDATION_SECONDS

    def _line(self, history: Recorder, text: str) -> None:
        self._last_line, self._last_step = time.monotonic(), history.num_steps
        left = self._remaining(history.num_steps)
        say(f"step {history.num_steps:,}/{self._steps:,}: {text}{left}")

    def _remaining(self, step: int) -> str:
        """How long the rest takes at the speed so far, validations counted."""
        done = step - self._began_at
        if done <= 0 or step >= self._steps:
            return ""
        seconds = (self._steps - step) * (time.monotonic() - self._began) / done
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f", {hours}:{minutes:02d}:{seconds:02d} left"


def _numbers(history: Recorder) -> list[str]:
    """Loss and speed of the last steps, learning rate and gradient norm of the last."""
    recent = slice(-SMOOTHING, None)
    seconds = float(history.seconds[recent].sum())
    speed = float(history.tokens[recent].sum()) / seconds if seconds > 0 else 0.0
    return [
        f"nll {history.nll[recent].mean():.4f}",
        f"gradient norm {history.grad_norm[-1]:.3g}",
        f"lr {history.lr[-1]:.3g}",
        f"{speed:,.0f} tokens/s",
    ]
