"""The paper's table at a laptop's budget: `python -m benchmarks.translation_table`.

Post-LN, Pre-LN and Admin of 6 + 6 and 18 + 18 layers translate Multi30k, English to German, by one recipe.
The learning rate of each scheme and depth is chosen on validation from one small grid, by shorter trainings
of one seed; then three seeds are trained and translate test2016 by beam search. Every training is a cell of a
grid in `--work`, so that the same command goes on where it was stopped, and what the results have is not made
again. After each they are written, with the curves, and beside them the translations, which anyone can score
again. `--table` prints what the results hold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import admin_py as ap
from admin_py.data import Dataset
from benchmarks import trainings
from benchmarks.lines import read_lines, write_lines
from benchmarks.trainings import REFERENCE, read_data

FILE = "translation_table.json"
HYPOTHESES = "translation_table"

SCHEMES = ("post_ln", "pre_ln", "admin")
DEPTHS = (6, 18)
SEEDS = (1, 2, 3)
RATES = (0.0005, 0.0015, 0.0045)

RECIPE: Mapping[str, Any] = {
    "d_model": 128, "d_ff": 256, "heads": 4, "dropout": 0.1, "label_smoothing": 0.1, "max_tokens": 1024,
    "warmup": 300, "schedule": "inverse_sqrt", "optimizer": "adam", "beta2": 0.98, "valid_every": 100,
}  # fmt: skip
STEPS = 3000
PILOT_STEPS = 600
CELL = ("schemes", "lr", "seeds")
NAMES = ("depth", "scheme", "lr", "seed", "translated")
"""By which results tell trainings apart."""
SEARCH: Mapping[str, Any] = {
    "beam": 5, "length_penalty": 1.0, "max_length": (1.2, 10.0), "stop": "count", "convention": "published",
}  # fmt: skip


def train(data: Dataset, work: Path, depth: int, steps: int, **axes: Any) -> ap.Grid:
    """A grid in a folder of its own for each depth and number of steps."""
    name = f"{depth}-{steps}" + ("" if axes.get("bleu") is None else f"-{axes['schemes']}")
    return ap.grid(
        data, layers=depth, steps=steps, **RECIPE, **axes, threads=2, out=work / name, progress=True
    )


def chosen_rate(cells: list[Mapping[str, Any]], depth: int, scheme: str) -> float:
    """The one with the least validation loss of the shorter trainings; of those that diverged none."""
    tried = [c for c in cells if (c["depth"], c["scheme"]) == (depth, scheme) and not c["translated"]]
    if {c["lr"] for c in tried} != set(RATES):
        raise SystemExit(f"{scheme} of {depth} layers: not every learning rate was tried")
    losses = {c["lr"]: c["valid_nll"] if math.isfinite(c["valid_nll"]) else math.inf for c in tried}
    return min(losses, key=lambda lr: (losses[lr], lr))


def told(cell: Any, depth: int) -> dict[str, Any]:
    """What the results keep of a training."""
    valid = cell.history.valid
    curve = [[int(s), round(float(nll), 5)] for s, nll in zip(valid["step"], valid["nll"], strict=True)]
    entry = {
        "depth": depth,
        "scheme": cell.scheme,
        "lr": cell.lr,
        "seed": cell.seed,
        "steps": cell.history.num_steps,
        "valid_nll": cell.valid_nll,
        "outcome": cell.outcome,
        "curve": curve,
        "seconds": round(cell.seconds, 1),
        "translated": cell.translations is not None,
    }
    if cell.translations is not None:
        score = cell.translations.score
        entry |= {"bleu": score.score, "signature": score.signature, "hypotheses": file_name(entry)}
    return entry


def file_name(entry: Mapping[str, Any]) -> str:
    """Of the translations of a training."""
    return f"{entry['scheme']}-{entry['depth']}-{entry['seed']}.de.gz"


# ---- runs ----


def run(data: Dataset, work: Path, out: Path, options: argparse.Namespace) -> None:
    """All that the results do not have, written as it comes: first the shorter trainings of a depth."""

    def made(depth: int, steps: int, **axes: Any) -> None:
        """One training, kept."""
        done = train(data, work, depth, steps, **axes)
        if done.interrupted:
            raise SystemExit("stopped; the same command goes on")
        cell = next(c for c in done.cells if (c.scheme, c.lr, c.seed) == tuple(axes[n] for n in CELL))
        entry = told(cell, depth)
        if cell.translations is not None:
            write_lines(out / HYPOTHESES / entry["hypotheses"], cell.translations.hypotheses)
            write_lines(out / HYPOTHESES / REFERENCE, cell.translations.references)
        keep(out, entry)

    def there(depth: int, scheme: str, lr: float, seed: int, *, translated: bool) -> bool:
        wanted = (depth, scheme, lr, seed, translated)
        return any(tuple(e[n] for n in NAMES) == wanted for e in load(out)["entries"])

    for depth in options.depths:
        for scheme in SCHEMES:
            for lr in RATES:
                if not there(depth, scheme, lr, SEEDS[0], translated=False):
                    made(depth, PILOT_STEPS, schemes=scheme, lr=lr, seeds=SEEDS[0])
    for depth in [] if options.pilots else options.depths:
        for seed in SEEDS:  # all schemes of a seed first: the table is whole early, and grows
            for scheme in SCHEMES:
                lr = chosen_rate(list(load(out)["entries"]), depth, scheme)
                if not there(depth, scheme, lr, seed, translated=True):
                    made(depth, STEPS, schemes=scheme, lr=lr, seeds=seed, bleu=dict(SEARCH))


# ---- results ----


def load(out: Path) -> dict[str, Any]:
    """The results so far."""
    return trainings.load(out / FILE, recipe=dict(RECIPE), search=dict(SEARCH))


def keep(out: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry to the results, or put it in the place of the same training's."""
    trainings.keep(out / FILE, entry, NAMES, recipe=dict(RECIPE), search=dict(SEARCH))


def steps_to(entry: Mapping[str, Any], nll: float) -> float:
    """Steps to a validation loss, between two validations by a line; infinite where it was not reached."""
    before: tuple[float, float] | None = None
    for step, value in entry["curve"]:
        if value <= nll:
            if before is None or before[1] <= value:
                return float(step)
            return float(before[0] + (before[1] - nll) / (before[1] - value) * (step - before[0]))
        before = (step, value)
    return math.inf


def lines_of_table(out: Path) -> Iterator[str]:
    """For each depth: the rates tried, scores, spread, significance, steps to a loss that most reach."""
    found = load(out)
    for depth in DEPTHS:
        entries = [e for e in found["entries"] if e["depth"] == depth]
        if entries:
            yield f"{depth}-{depth}"
        for scheme in [one for one in SCHEMES if any(e["scheme"] == one for e in entries)]:
            mine = [e for e in entries if e["scheme"] == scheme]
            tried = {e["lr"]: e["valid_nll"] for e in mine if not e["translated"]}
            whole = [e for e in mine if e["translated"]]
            text = ", ".join(f"{lr:g}: {nll:.3f}" for lr, nll in sorted(tried.items()))
            yield f"  {scheme:8} after {PILOT_STEPS} steps, by learning rate: {text}"
            if whole:
                bleus = [e["bleu"] for e in whole]
                spread = f" ± {stdev(bleus):.2f}" if len(bleus) > 1 else ""
                nlls = ", ".join(f"{e['valid_nll']:.3f}" for e in whole)
                reached = ", ".join(f"{steps_to(e, 3.0):.0f}" for e in whole)
                hours = sum(e["seconds"] for e in mine) / 3600
                yield (
                    f"  {'':8} lr {whole[0]['lr']:g}: BLEU {mean(bleus):.2f}{spread} (seeds: {len(whole)}), "
                    f"validation {nlls}, steps to 3.0: {reached}; {hours:.2f} hours"
                )
        yield from significance(out, [e for e in entries if e["translated"]])


def significance(out: Path, entries: list[Mapping[str, Any]]) -> Iterator[str]:
    """Of each scheme against Post-LN and Pre-LN, the paired bootstrap of every seed's translations."""
    reference = out / HYPOTHESES / REFERENCE
    by = {(e["scheme"], e["seed"]): out / HYPOTHESES / e["hypotheses"] for e in entries}
    for scheme, other in (("admin", "post_ln"), ("admin", "pre_ln"), ("pre_ln", "post_ln")):
        values = []
        for seed in SEEDS:
            if (scheme, seed) in by and (other, seed) in by:
                systems = {name: read_lines(by[name, seed]) for name in (other, scheme)}
                compared = ap.scores.paired_bootstrap(systems, read_lines(reference), convention="published")
                before, after = compared.scores
                values.append(f"{after - before:+.2f} (p {compared.p_values[1]:.3f})")
        if values:
            yield f"  {scheme} - {other}, by seed: {', '.join(values)}"


def main(args: list[str] | None = None) -> None:
    """See the module."""
    parser = trainings.parser_of("translation_table", __doc__)
    parser.add_argument("--depths", type=int, nargs="+", choices=DEPTHS, default=list(DEPTHS), metavar="N")
    parser.add_argument("--pilots", action="store_true", help="only the shorter trainings")
    options = trainings.read_options(parser, args)
    if not options.table:
        run(read_data(options.data, options.codes), options.work, options.out, options)
    print("\n".join(lines_of_table(options.out)))


if __name__ == "__main__":
    main()
