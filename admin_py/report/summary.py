"""What a study's numbers say, in words: sentences for the report, each made from what was measured.

Nothing here claims more than the numbers hold: "diverged" is only said of a run whose loss stopped being a
finite number, and what is predicted but was not measured is called a prediction.
"""

from __future__ import annotations

import numpy as np

from admin_py.analysis.source_use import LEAST_GAIN
from admin_py.base.words import listing, number
from admin_py.experiments.configuration import layers_of
from admin_py.experiments.outcomes import BLEW_UP, BLEW_UP_ABOVE, BLIND, LEARNT_BELOW
from admin_py.experiments.study.results import SchemeSummary, Study
from admin_py.report.picture import missing_of, reasons
from admin_py.schemes.labels import label

TASKS = {
    "number_words": "numbers in words, English to German",
    "copy_task": "copying sequences of symbols",
}
"""Name of a generated dataset -> what it is about."""


def depth(study: Study) -> str:
    """How deep the models are, such as ``"18 encoder and 18 decoder layers"``."""
    layers = layers_of(study.axes["layers"][0], str(study.data["kind"]))
    counts = zip(layers, ("encoder", "decoder"), strict=True)
    return " and ".join(f"{count} {stack}" for count, stack in counts if count) + " layers"


def task(study: Study) -> str:
    """What the models learn, for people."""
    name = str(study.data["name"])
    return TASKS.get(name, name)


def title(study: Study) -> str:
    """Heading of the report."""
    several = f"{len(study.schemes)} residual schemes"
    names = listing(map(label, study.schemes)) if len(study.schemes) <= 4 else several
    return f"{names} with {depth(study)}"


def introduction(study: Study) -> str:
    """What the report is, in three sentences."""
    sizes = {axis: study.axes[axis][0] for axis in ("d_model", "d_ff", "heads")}
    seeds = "seed " if len(study.seeds) == 1 else "seeds "
    first = (
        f"This report compares {listing(map(label, study.schemes))} in Transformers of {depth(study)} "
        f"(width {sizes['d_model']}, feed-forward {sizes['d_ff']}, {sizes['heads']} heads) on "
        f"{task(study)}."
    )
    second = (
        "Everything but the residual scheme is the same for all: data, order of the batches, optimiser, "
        f"schedule, {study.settings['steps']} steps, and {seeds}{listing(map(str, study.seeds))}."
    )
    if study.entropy is None:
        third = "A run is said to have diverged only if its loss stopped being a finite number."
    else:
        third = (
            f"A run is said to train if its validation loss ends below {LEARNT_BELOW:.0%} of the data's "
            f"unigram entropy ({number(study.entropy)} nats per token, what knowing the frequency of each "
            "token and no more would give), and to have diverged only if its loss stopped being a finite "
            "number."
        )
    if any(BLEW_UP in one.outcomes for one in study.summary()):
        third += (
            " It is said to have blown up if its last loss is finite, but more than "
            f"{BLEW_UP_ABOVE:g} times its first."
        )
    if any(BLIND in one.outcomes for one in study.summary()):
        third += (
            " It is said not to read its source if sources of other examples cost it less than "
            f"{LEAST_GAIN:.0%} of its validation loss: its decoder has learnt the target language, and its "
            "encoder tells it nothing."
        )
    return " ".join((first, second, third))


def outcome(one: SchemeSummary) -> str:
    """Outcome of a scheme over its seeds, such as ``"trains"`` or ``"trains (2 of 3 seeds)"``."""
    counts = {word: one.outcomes.count(word) for word in dict.fromkeys(one.outcomes)}
    if len(counts) == 1:
        return one.outcomes[0]
    return ", ".join(f"{word} ({count} of {len(one.outcomes)} seeds)" for word, count in counts.items())


def divergence(one: SchemeSummary) -> str:
    """Steps at which runs of a scheme diverged, ``"no"`` if none did."""
    steps = [
        f"step {step} (seed {seed})"
        for step, seed in zip(one.diverged_at, one.seeds, strict=True)
        if step is not None
    ]
    return ", ".join(steps) or "no"


def ties(study: Study) -> str:
    """Which differences at the end mean something: ranges over seeds that overlap are ties."""
    rows = [one for one in study.summary() if np.isfinite(one.valid_nll).any()]
    if len(study.seeds) < 2:
        return "One seed was run: small differences between schemes mean nothing."
    pairs = [
        f"{label(a.scheme)} and {label(b.scheme)}"
        for i, a in enumerate(rows)
        for b in rows[i + 1 :]
        if np.nanmin(a.valid_nll) <= np.nanmax(b.valid_nll)
        and np.nanmin(b.valid_nll) <= np.nanmax(a.valid_nll)
    ]
    if len(pairs) > 3:
        count = len(rows) * (len(rows) - 1) // 2
        return (
            f"The ranges of the final validation loss over seeds overlap for {len(pairs)} of the {count} "
            "pairs of schemes: these are ties here."
        )
    if not pairs:
        return "The ranges of the final validation loss over seeds do not overlap."
    return f"The ranges of the final validation loss over seeds overlap for {'; '.join(pairs)}: a tie here."


def not_asked(study: Study) -> str:
    """Of which schemes it is not known whether they read their source, and why; "" of language models."""
    if study.data["kind"] != "translation":
        return ""
    missing = reasons(missing_of(study, "source_use"))
    return f"Validation loss with the sources of other examples: {'; '.join(missing)}." if missing else ""


def samples(study: Study) -> str:
    """One sentence on the sample outputs: how many are exactly right."""
    parts = []
    for scheme in study.schemes:
        shown = study.run(scheme).samples
        right = sum(sample.output == sample.expected for sample in shown)
        parts.append(f"{label(scheme)} {f'{right} of {len(shown)}' if shown else _no_samples(study, scheme)}")
    return f"Exactly right: {'; '.join(parts)}."


def _no_samples(study: Study, scheme: str) -> str:
    """Why a scheme has no samples, from its first seed."""
    run = study.run(scheme)
    if run.history.diverged_at is not None:
        return "has none (it diverged)"
    return (
        "has none (its training was stopped)" if run.history.interrupted else "has none (none was asked for)"
    )
