"""How often a diagnosis is right: real trainings beside it: `python -m benchmarks.diagnosis_check`.

Every configuration (scheme, depth, learning rate, seed) is measured before its first step, as `ap.diagnose`
measures it, and then trained on the embedded numbers task: for 100 steps, and where it has not trained by
then for up to 300, which tells a slow beginning from a training that gets nowhere. To have trained, a model
must have learnt and must read its source: a low loss alone may be that of a language model of the target,
whose encoder puts out one and the same vector for all tokens. The results file is written after every run,
and what it holds is not run again. Then the thresholds of the verdict are chosen on the depths `CHOSEN_ON`
and counted on the others; `--table` prints the counts of a file without training.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import admin_py as ap
from admin_py.analysis.diagnosis.evidence import Counts
from admin_py.analysis.diagnosis.measures import measure, measure_gradients
from admin_py.analysis.source_use import reads_source
from admin_py.base.whole_files import write_whole

RESULTS = Path(__file__).parent / "results" / "diagnosis_check.json"

SCHEMES = (
    "post_ln", "pre_ln", "admin", "admin, not profiled", "admin_torch", "admin_torch_1", "deepnorm", "rezero",
    "rezero_post_ln", "looks_linear", "t_fixup", "layer_scale", "ds_init", "sandwich", "sub_ln", "b2t",
    "mix_ln", "deep_scale_lm", "post_ln/pre_ln", "pre_ln/post_ln",
)  # fmt: skip
TRAINED_BELOW = 0.75
"""A model has learnt if its validation loss falls below this share of the data's unigram entropy.

Stricter than a study's 0.9, which models that hardly learn pass too in 300 steps: Post-LN of 12 layers comes
to 0.86 at step 200, where Pre-LN is at 0.2.
"""

DEPTHS = (3, 6, 12, 18)
RATES = (1e-3, 2e-3)
NOT_PROFILED = ", not profiled"

SETTINGS = {
    "data": "number_words", "d_model": 64, "d_ff": 128, "heads": 4, "dropout": 0.1, "label_smoothing": 0.1,
    "max_tokens": 512, "steps": 300, "valid_every": 100, "warmup": 100,
    "optimizer": "Adam(.9, .98), eps 1e-9",
}  # fmt: skip
"""Those of the package's study, which were calibrated against an independent implementation."""


def configurations(seeds: list[int]) -> Iterator[dict[str, Any]]:
    """What to train, deep models last."""
    for seed in seeds:
        for layers in DEPTHS:
            for lr in RATES:
                for scheme in SCHEMES:
                    yield {"scheme": scheme, "layers": layers, "lr": lr, "seed": seed}


def has_trained(nll: float, other_nll: float, entropy: float) -> bool:
    """Whether a model has learnt and reads its source, from its validation loss with right and wrong ones."""
    return bool(nll < TRAINED_BELOW * entropy and reads_source(nll, other_nll))


def run(data: Any, one: dict[str, Any]) -> dict[str, Any]:
    """One configuration measured, then trained."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=one["layers"],
        decoder_layers=one["layers"],
        scheme=one["scheme"].removesuffix(NOT_PROFILED),
        max_length=data.longest,
        **{name: SETTINGS[name] for name in ("d_model", "d_ff", "heads", "dropout")},
    )
    model = ap.Transformer(config, seed=one["seed"])
    batch = next(data.batches(max_tokens=SETTINGS["max_tokens"], seed=one["seed"]))
    if not one["scheme"].endswith(NOT_PROFILED):
        model.profile(batch, seed=one["seed"])
    stacks, _ = measure(model, batch)
    before = measure_gradients(model, batch, label_smoothing=SETTINGS["label_smoothing"])
    start = time.perf_counter()
    entropy = data.unigram_entropy()
    other_nll: list[float] = []

    def stop(step: int, model: ap.Transformer, history: Any) -> None:
        """Once it has trained; asks for the loss with the sources of other examples on the way."""
        if step % SETTINGS["valid_every"] == 0:
            other_nll.append(ap.analysis.source_use(model, data).other_nll)
            if has_trained(history.valid["nll"][-1], other_nll[-1], entropy):
                raise KeyboardInterrupt

    history = ap.train(
        model,
        data,
        optimizer=ap.Adam(lr=one["lr"], betas=(0.9, 0.98), eps=1e-9),
        schedule=ap.schedules.inverse_sqrt(lr=one["lr"], warmup=SETTINGS["warmup"]),
        steps=SETTINGS["steps"],
        max_tokens=SETTINGS["max_tokens"],
        label_smoothing=SETTINGS["label_smoothing"],
        valid_every=SETTINGS["valid_every"],
        progress=False,
        callbacks=[stop],
    )
    return {
        **one,
        "own": {stack: [float(f"{value:.4g}") for value in found.beta2] for stack, found in stacks.items()},
        "grad_norm": {
            stack: [float(f"{value:.4g}") for value in norms] for stack, norms in before.norms.items()
        },
        "loss_before": round(before.loss, 4),
        "train_nll": round(float(np.mean(history.nll[-10:])), 4),
        "valid_nll": [round(float(nll), 4) for nll in history.valid["nll"]],
        "other_nll": [round(nll, 4) for nll in other_nll],
        "diverged_at": history.diverged_at,
        "seconds": round(time.perf_counter() - start, 2),
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": ap.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "admin-py": ap.__version__,
    }


def load(path: Path) -> dict[str, Any]:
    """A results file; empty if there is none."""
    return json.loads(path.read_text()) if path.exists() else {"runs": []}


def save(path: Path, results: dict[str, Any]) -> None:
    """One line a run."""
    head = {key: value for key, value in results.items() if key != "runs"}
    lines = ",\n".join(json.dumps(one) for one in results["runs"])
    write_whole(path, json.dumps(head)[:-1] + f', "runs": [\n{lines}\n]}}\n')


def train_all(path: Path, seeds: list[int]) -> None:
    """Everything that the file does not hold yet."""
    data = ap.data.number_words()
    results = load(path) | {
        "settings": SETTINGS,
        "machine": machine(),
        "unigram_entropy": round(data.unigram_entropy(), 4),
        "trains_below": TRAINED_BELOW,
    }
    done = {(one["scheme"], one["layers"], one["lr"], one["seed"]) for one in results["runs"]}
    for one in configurations(seeds):
        if tuple(one.values()) in done:
            continue
        found = run(data, one)
        results["runs"].append(found)
        save(path, results)
        print(
            f"{one['layers']:3d} {one['lr']:g} seed {one['seed']} {one['scheme']:20s} "
            + " ".join(f"A {sum(own):6.2f}" for own in found["own"].values())
            + f"  valid {found['valid_nll']}  others' sources {found['other_nll']}  {found['seconds']} s",
            flush=True,
        )


# What the runs say: the constants of admin_py.analysis.diagnosis.evidence

CHOSEN_ON = (3, 12)
"""Depths on which the thresholds are chosen; the others are held out."""

SLOW_BELOW = 0.5
"""Amplification below which branches add little at first."""


def amplification(run: dict[str, Any]) -> float:
    """Of the stack that has the larger one."""
    return max(sum(own) for own in run["own"].values())


def trained(run: dict[str, Any], entropy: float, at: int = -1) -> bool:
    """Whether a run had trained at its last validation, or at that of an index; not if it diverged."""
    return run["diverged_at"] is None and has_trained(run["valid_nll"][at], run["other_nll"][at], entropy)


def blind(run: dict[str, Any], entropy: float, at: int = -1) -> bool:
    """Whether it had learnt, but only the target language."""
    learnt = run["diverged_at"] is None and run["valid_nll"][at] < TRAINED_BELOW * entropy
    return bool(learnt and not trained(run, entropy, at))


def summarise(runs: list[dict[str, Any]], entropy: float) -> dict[str, Any]:
    """Thresholds chosen on one half of the depths, and what they say of the other.

    "Unstable" begins at the smallest amplification from `SLOW_BELOW` up that failed to train (below it a
    failure is want of time), rounded down to a tenth; "stable" ends at the largest below it that trained,
    rounded up.
    """
    table = [(amplification(run), trained(run, entropy), run) for run in runs]
    chosen = [(a, ok) for a, ok, run in table if run["layers"] in CHOSEN_ON]
    first_failed = min(a for a, ok in chosen if not ok and a >= SLOW_BELOW)
    stable = math.ceil(10 * max(a for a, ok in chosen if ok and a < first_failed)) / 10
    unstable = math.floor(10 * first_failed) / 10
    counts = {half: _count(table, half, stable, unstable) for half in (True, False)}
    slow = [run for a, _, run in table if a < SLOW_BELOW]
    between = [ok for a, ok, _ in table if SLOW_BELOW <= a <= stable]
    above = [ok for a, ok, _ in table if a >= unstable]
    post = {
        depth: [ok for _, ok, r in table if r["scheme"] == "post_ln" and r["layers"] == depth]
        for depth in DEPTHS
    }
    return {
        "STABLE_UP_TO": stable,
        "UNSTABLE_FROM": unstable,
        "CHOSEN": counts[True],
        "HELD_OUT": counts[False],
        "LEARNT_BETWEEN": (between.count(True), len(between)),
        "FAILED_ABOVE": (above.count(False), len(above)),
        "POST_LN_FAILED": {depth: (found.count(False), len(found)) for depth, found in post.items()},
        "SLOW_BELOW": SLOW_BELOW,
        "SLOW": (sum(not trained(run, entropy, 0) for run in slow), len(slow)),
        "SLOW_FAILED": sum(not trained(run, entropy) for run in slow),
        "SLOW_MISSES": sum(not trained(run, entropy) for run in slow if run["layers"] not in CHOSEN_ON),
        **_late([run for a, _, run in table if a >= SLOW_BELOW], unstable, entropy),
    }


def _late(runs: list[dict[str, Any]], unstable: float, entropy: float) -> dict[str, Any]:
    """From which amplification of the encoder on the source comes late, where the decoder is not unstable.

    The threshold is the smallest, on the depths for choosing, of a model that was blind at its first
    validation, rounded down to a tenth.
    """
    calm = [run for run in runs if sum(run["own"]["decoder"]) < unstable]
    encoders = [(sum(run["own"]["encoder"]), run) for run in calm]
    first = min(a for a, run in encoders if run["layers"] in CHOSEN_ON and blind(run, entropy, 0))
    late_from = math.floor(10 * first) / 10
    above = [run for a, run in encoders if a >= late_from]
    below = [run for a, run in encoders if a < late_from]
    return {
        "LATE_FROM": late_from,
        "LATE": (sum(blind(run, entropy, 0) for run in above), len(above)),
        "LATE_FAILED": sum(not trained(run, entropy) for run in above),
        "LATE_BELOW": (sum(blind(run, entropy, 0) for run in below), len(below)),
    }


def _count(table: list[Any], chosen: bool, stable: float, unstable: float) -> Counts:
    """Verdicts against what happened, on one half."""
    half = [(a, ok) for a, ok, run in table if (run["layers"] in CHOSEN_ON) == chosen]
    return Counts(
        right=sum((a <= stable and ok) or (a >= unstable and not ok) for a, ok in half),
        false_alarms=sum(a >= unstable and ok for a, ok in half),
        misses=sum(a <= stable and not ok for a, ok in half),
        borderline=sum(stable < a < unstable for a, _ in half),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--table", action="store_true", help="print what the file says, train nothing")
    options = parser.parse_args()
    if not options.table:
        train_all(options.results, options.seeds)
    results = load(options.results)
    for name, value in summarise(results["runs"], results["unigram_entropy"]).items():
        print(f"{name} = {value}")


if __name__ == "__main__":
    main()
