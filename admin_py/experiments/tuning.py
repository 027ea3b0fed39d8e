"""Settings that another library searches: what it calls for every trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from admin_py.base.arguments import door
from admin_py.base.checks import check_callable, check_mapping
from admin_py.data.dataset import Dataset
from admin_py.experiments.jobs import Job, plan_jobs
from admin_py.experiments.settings import ARGUMENT_OF, SETTINGS, filled, named
from admin_py.experiments.train_job import Way, begin, finish

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer
    from admin_py.training.recorder import Recorder


class Trial(Protocol):
    """What Optuna gives for a trial, as far as it is used here."""

    def report(self, value: float, step: int) -> None:
        """Tell how good it is after a step."""

    def should_prune(self) -> bool:
        """Whether it has fallen behind."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something beside."""


@door
def objective(
    data: Dataset, suggest: Callable[[Any], Mapping[str, Any]], **settings: Any
) -> Callable[[Any], float]:
    """The function that Optuna's ``study.optimize`` calls with every trial.

    Each trial is a training from its beginning. Its validations are reported as they come, so that a pruner
    can end it; one that diverges is worth infinity, behind all others.

    Parameters
    ----------
    data : Dataset
    suggest : callable
        Takes a trial and returns settings for it, by the names of `admin_py.grid`'s arguments.
    **settings
        Those that all trials have, likewise.

    Returns
    -------
    callable
        Takes a trial, returns the last validation's nll, and raises ``optuna.TrialPruned`` where the trial is
        pruned. The trial's user attributes say how it went: ``outcome``, ``steps``, ``diverged_at``.

    Raises
    ------
    TypeError, ValueError
        Naming the argument; of what is suggested, when a trial is made.

    Examples
    --------
    >>> import admin_py as ap
    >>> class Fixed:
    ...     def report(self, value, step): ...
    ...     def should_prune(self): return False
    ...     def set_user_attr(self, key, value): ...
    >>> data = ap.data.copy_task(train=60, valid=10)
    >>> call = objective(data, lambda trial: {"lr": 0.01}, schemes="admin", layers=1, d_model=8, d_ff=16,
    ...                  heads=2, steps=4, valid_every=2)
    >>> 0 < call(Fixed()) < 10
    True
    """
    check_callable("suggest", suggest)
    _job_of(data, settings)

    def call(trial: Trial) -> float:
        job = _job_of(data, {**settings, **check_mapping("what suggest returns", suggest(trial))})
        return _trained(job, data, trial)

    return call


def _job_of(data: Dataset, settings: Mapping[str, Any]) -> Job:
    """The one training of these settings.

    Raises
    ------
    TypeError, ValueError
        If one is unknown or wrong, or has several values.
    """
    given = named(settings)
    unknown = sorted(set(settings) - set(SETTINGS) - set(ARGUMENT_OF))
    if unknown:
        raise TypeError(f"settings: {unknown[0]!r} is no setting of a grid")
    jobs, _ = plan_jobs(data, filled({"schemes": ["admin"], **given}))
    if len(jobs) != 1:
        raise ValueError(f"settings of a trial must have one value each, got {len(jobs)} cells")
    return jobs[0]


def _trained(job: Job, data: Dataset, trial: Trial) -> float:
    """The last validation's nll of a training that reports its validations."""
    pruned = False

    def report(step: int, model: Transformer, history: Recorder) -> None:
        nonlocal pruned
        valid = history.valid
        if len(valid["step"]) and valid["step"][-1] == step:
            trial.report(float(valid["nll"][-1]), step)
            if trial.should_prune():
                pruned = True
                raise KeyboardInterrupt  # ends the training after this step

    history = finish(job, data, begin(job, data), Way(callbacks=(report,)))
    trial.set_user_attr("steps", history.num_steps)
    trial.set_user_attr("diverged_at", history.diverged_at)
    if pruned:
        import optuna

        raise optuna.TrialPruned(f"behind the others after step {history.num_steps}")
    if history.interrupted:
        raise KeyboardInterrupt
    if history.diverged_at is not None or not len(history.valid["nll"]):
        return math.inf
    return float(history.valid["nll"][-1])
