"""A published score made again: `python -m benchmarks.published_score`.

The recipe multi30k-tiny (Transformer-tiny, Post-LN, English to German) is trained with three seeds by the
command line, as a user would, and the mean of the last epochs' weights translates test2016. `VARIANTS` has
the published setting and what was changed for a better one; what can be chosen afterwards, how many epochs
are averaged and the length penalty, is chosen on the validation text, for all seeds alike, and told beside
the published choice. A training goes on where it was stopped; after each the results are written, with the
curve, and every translation of test2016 beside them, which anyone can score again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import admin_py as ap
from admin_py.cli.entry import main as command
from admin_py.cli.train import KEPT
from admin_py.data import Dataset
from admin_py.experiments.trained import TRAINED_FILE
from admin_py.experiments.translating import Translating
from admin_py.recipes import load as load_recipe
from admin_py.results import encode
from admin_py.training.kept import LAST, kept_files
from benchmarks import trainings
from benchmarks.lines import write_lines
from benchmarks.trainings import REFERENCE, read_data

FILE = "published_score.json"
HYPOTHESES = "published_score"

RECIPE = "multi30k-tiny"
PUBLISHED = "published"
VARIANTS: Mapping[str, Mapping[str, list[Any]]] = {PUBLISHED: {}}
"""Name -> options of `admin-py train` in the place of the recipe's."""
SEEDS = (1, 2, 3)
EPOCHS = (1, 5, 10, 15, 20)
"""That are averaged; 1 is the last weights of an epoch."""
PENALTIES = (0.6, 1.0, 1.4)
"""Powers of the length."""


def folder_of(work: Path, variant: str, seed: int) -> Path:
    """Of a training."""
    return work / f"{variant.replace(' ', '-')}-{seed}"


def train(options: argparse.Namespace, variant: str, seed: int) -> Path:
    """The folder of a training, which is whole.

    Raises
    ------
    SystemExit
        If it was stopped.
    """
    folder, data = folder_of(options.work, variant, seed), options.data
    if (folder / TRAINED_FILE).exists() and not ap.load(folder).history.interrupted:
        return folder
    told: dict[str, list[Any]] = {
        "--source": [data / "train.en.gz"], "--target": [data / "train.de.gz"],
        "--valid": [data / "val.en.gz", data / "val.de.gz"], "--moses": ["en", "de"],
        "--codes": [options.codes], "--seed": [seed],
        "--threads": [options.threads], "--keep-last": [max(EPOCHS)], "--valid-every": [200],
        "--checkpoint-every": [400], "--out": [folder],
    }  # fmt: skip
    given = {**told, **VARIANTS[variant]}
    words = [str(word) for name, values in given.items() for word in (name, *values)]
    status = command(["train", "--recipe", RECIPE, *words])
    if status != 0:
        raise SystemExit(status)
    return folder


def translate(model: ap.Transformer, data: Dataset, split: str, **search: Any) -> Any:
    """The text that is held out, translated as the recipe says but for the options given."""
    told = {**load_recipe(RECIPE).decoding, "split": split, "convention": "published", **search}
    how = Translating.checked(told, data)
    assert how is not None
    return how(model, data)


def averaged(folder: Path, epochs: int) -> ap.Transformer:
    """The mean of the weights of the last epochs."""
    return ap.average([one.path for one in kept_files(folder / KEPT, LAST)[-epochs:]])


def entry_of(folder: Path, data: Dataset, variant: str, seed: int) -> dict[str, Any]:
    """What the results keep of a training: settings, curve, BLEU of every choice on the validation text."""
    run = ap.load(folder)
    valid = run.history.valid
    found = {}
    for epochs in EPOCHS:
        model = averaged(folder, epochs)
        for penalty in PENALTIES:
            bleu = translate(model, data, "valid", length_penalty=penalty).score.score
            found[named(epochs, penalty)] = round(bleu, 2)
    return {
        "variant": variant,
        "seed": seed,
        "settings": encode(run.settings),
        "steps": run.history.num_steps,
        "seconds": round(float(run.history.seconds.sum()), 1),
        "curve": [[int(s), round(float(nll), 5)] for s, nll in zip(valid["step"], valid["nll"], strict=True)],
        "valid_bleu": found,
        "test": {},
    }


def named(epochs: int, penalty: float) -> str:
    """A choice, as results name it."""
    return f"{epochs} epochs, length penalty {penalty:g}"


CHOICES: Mapping[str, tuple[int, float]] = {
    named(epochs, penalty): (epochs, penalty) for epochs in EPOCHS for penalty in PENALTIES
}
USUAL = named(10, 1.0)
"""As published."""


def best(entries: Sequence[Mapping[str, Any]]) -> str:
    """The choice with the best mean BLEU on the validation text."""
    return max(CHOICES, key=lambda name: mean(e["valid_bleu"][name] for e in entries))


def tested(entry: Mapping[str, Any], folder: Path, data: Dataset, out: Path, choice: str) -> dict[str, Any]:
    """An entry with the test text translated by a choice; the translations are written."""
    epochs, penalty = CHOICES[choice]
    found = translate(averaged(folder, epochs), data, "test", length_penalty=penalty)
    name = f"{folder.name}-{epochs}-{penalty:g}.de.gz"
    write_lines(out / HYPOTHESES / name, found.hypotheses)
    write_lines(out / HYPOTHESES / REFERENCE, found.references)
    told = {
        "bleu": found.score.score,
        "precisions": [round(share, 1) for share in found.score.precisions],
        "brevity_penalty": round(found.score.brevity_penalty, 4),
        "signature": found.score.signature,
        "hypotheses": name,
    }
    return {**entry, "test": {**entry["test"], choice: told}}


def run(options: argparse.Namespace) -> None:
    """Train what is asked for and is not there, and translate; results are written as they come."""
    data = read_data(options.data, options.codes)
    for seed in options.seeds:
        folder = train(options, options.variant, seed)
        keep(
            options.out,
            tested(entry_of(folder, data, options.variant, seed), folder, data, options.out, USUAL),
        )
    mine = [e for e in load(options.out)["entries"] if e["variant"] == options.variant]
    choice = best(mine)
    for entry in mine:
        folder = folder_of(options.work, options.variant, entry["seed"])
        if choice not in entry["test"] and folder.exists():
            keep(options.out, tested(entry, folder, data, options.out, choice))


# ---- results ----


def load(out: Path) -> dict[str, Any]:
    """The results so far."""
    return trainings.load(out / FILE)


def keep(out: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry to the results, or put it in the place of the same training's."""
    trainings.keep(out / FILE, entry, ("variant", "seed"))


def lines_of_table(out: Path) -> Iterator[str]:
    """For each variant: hours, validation losses, BLEU of each seed by the published choice and the best."""
    entries = load(out)["entries"]
    for variant in dict.fromkeys(e["variant"] for e in entries):
        mine = [e for e in entries if e["variant"] == variant]
        hours = ", ".join(f"{e['seconds'] / 3600:.2f}" for e in mine)
        losses = ", ".join(f"{e['curve'][-1][1]:.3f}" for e in mine)
        yield f"{variant}: seeds {', '.join(str(e['seed']) for e in mine)}; hours {hours}; nats {losses}"
        for choice in dict.fromkeys([USUAL, best(mine)]):
            found = [e["test"][choice]["bleu"] for e in mine if choice in e["test"]]
            spread = f", ± {stdev(found):.2f}" if len(found) > 1 else ""
            each = ", ".join(f"{bleu:.2f}" for bleu in found)
            valid = mean(e["valid_bleu"][choice] for e in mine)
            whole = f"BLEU {each} (mean {mean(found):.2f}{spread})" if found else "not translated"
            yield f"  {choice}: {whole}; {valid:.2f} on the validation text"


def main(args: list[str] | None = None) -> None:
    """See the module."""
    parser = trainings.parser_of("published_score", __doc__)
    parser.add_argument("--variant", choices=VARIANTS, default=PUBLISHED, help="default: as published")
    parser.add_argument("--seeds", type=int, nargs="+", choices=SEEDS, default=list(SEEDS), metavar="N")
    parser.add_argument("--threads", type=int, default=2)
    options = trainings.read_options(parser, args)
    if not options.table:
        run(options)
    print("\n".join(lines_of_table(options.out)))


if __name__ == "__main__":
    main()
