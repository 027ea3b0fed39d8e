"""What a run became, in one word or a few: the order of the questions, and a run that blew up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_results import made_study

import admin_py as ap
from admin_py.experiments.outcomes import (
    BLEW_UP,
    BLIND,
    DIVERGED,
    FINISHED,
    STOPPED,
    STUCK,
    TRAINS,
    outcome_of,
)
from admin_py.report import losses, summary
from admin_py.training.history import History
from admin_py.training.recorder import Recorder


def history(first: float, last: float, valid: float | None, **found: Any) -> History:
    recorder = Recorder()
    for nll in (first, last):
        row = {"lr": 1e-3, "grad_norm": 1.0, "update_norm": 0.1, "tokens": 9, "seconds": 0.1}
        recorder.add_step(loss=nll, nll=nll, **row)
    if valid is not None:
        recorder.add_validation(nll=valid, loss=valid)
    for name, value in found.items():
        setattr(recorder, name, value)
    return recorder.freeze()


CASES: dict[str, tuple[History, bool | None, str]] = {
    "its validation loss ends above": (history(4.0, 2.0, 4.5), None, BLEW_UP),
    "as far as anyone can": (history(4.0, 9.0, 28504.0), False, BLEW_UP),
    "its training loss does, without validation": (history(4.0, 4.5, None), None, BLEW_UP),
    "its validation loss alone counts": (history(4.0, 9.0, 2.0), None, TRAINS),
    "a batch's noise is no blowing up": (history(4.0, 4.0, 4.2), None, STUCK),
    "diverged comes first": (history(4.0, 9.0, 9.0, diverged_at=2), None, DIVERGED),
    "then that it was stopped": (history(4.0, 9.0, 9.0, interrupted=True), None, STOPPED),
    "stuck": (history(4.0, 2.9, 2.9), True, STUCK),
    "does not read": (history(4.0, 1.0, 1.0), False, BLIND),
    "trains": (history(4.0, 1.0, 1.0), True, TRAINS),
    "no validation": (history(4.0, 1.0, None), None, FINISHED),
    "no step": (Recorder().freeze(), None, FINISHED),
}


@pytest.mark.parametrize("case", CASES)
def test_what_became_of_it(case: str) -> None:
    found, reads, expected = CASES[case]
    assert outcome_of(found, entropy=3.0, reads=reads) == expected


def test_blowing_up_needs_no_entropy() -> None:
    assert outcome_of(history(4.0, 9.0, 9.0), entropy=None) == BLEW_UP


def test_a_learning_rate_far_too_large_blows_up() -> None:
    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    sizes: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 6, "warmup": 0}
    found = ap.grid(
        data, schemes=["pre_ln"], lr=[100.0], seeds=[1, 2], max_tokens=128, progress=False, **sizes
    )
    assert [cell.outcome for cell in found.cells] == [BLEW_UP, BLEW_UP]
    assert "2 blew up" in repr(found)
    table = found.table("lr", "scheme")
    assert (table.blown == 2).all()
    assert not np.any([table.stuck, table.diverged, table.blind])
    assert found.to_dataframe()["outcome"].tolist() == [BLEW_UP, BLEW_UP]
    (run,) = ap.study(data, schemes="pre_ln", lr=100.0, max_tokens=128, progress=False, **sizes).runs
    assert run.outcome == BLEW_UP
    assert run.last_words().startswith("blew up, validation nll")


def test_the_report_says_so() -> None:
    study = made_study({"post_ln": [28504.0, 2.7], "admin": [0.16, 0.15]})
    told = losses._told(study)[1]
    assert "Post-LN blew up (its loss ends above the beginning), validation ending at 28,504;" in told
    assert "blown up if its last loss is finite, but more than 1.1 times its first" in summary.introduction(
        study
    )
    assert summary.outcome(study.summary()[0]).startswith("blew up (1 of 2 seeds)")
    calm = made_study({"post_ln": [2.65, 2.7], "admin": [0.16, 0.15]})
    assert "blow" not in summary.introduction(calm) + losses._told(calm)[1]
