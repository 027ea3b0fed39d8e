"""Learning rate and warm-up by Optuna: it asks, admin-py trains, and trials that fall behind end early.

    pip install admin-py optuna
    python search_optuna.py

`ap.experiments.objective` makes the function that Optuna calls: it trains with the settings of a trial,
reports every validation, and returns the last validation loss.
"""

from __future__ import annotations

import sys

import optuna

import admin_py as ap
from admin_py.experiments import objective


def suggest(trial: optuna.Trial) -> dict[str, object]:
    """The settings of a trial: arguments of `ap.grid`, one value each."""
    return {
        "lr": trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        "warmup": trial.suggest_int("warmup", 10, 100),
    }


def main(*, trials: int = 20, steps: int = 200) -> optuna.Study:
    """Search; the best trial is `study.best_trial`."""
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=1), pruner=optuna.pruners.MedianPruner(n_startup_trials=3)
    )
    data = ap.data.number_words(train=2000, valid=100)
    one = objective(data, suggest, schemes="admin", layers=6, steps=steps, valid_every=max(1, steps // 10))
    study.optimize(one, n_trials=trials)
    return study


if __name__ == "__main__":
    found = main(trials=int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    print(f"best: {found.best_value:.3f} nats with {found.best_params}")
