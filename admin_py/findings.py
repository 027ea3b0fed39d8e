"""What a study's numbers say, in words: sentences for the report, each made from what was measured.

Nothing here claims more than the numbers hold: "diverged" is only said of a run whose loss stopped being a
finite number, and what is predicted but was not measured is called a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from admin_py.outcomes import BLIND, DIVERGED, LEARNT_BELOW, LEAST_GAIN, STOPPED, STUCK, TRAINS
from admin_py.plots.style import scheme_style
from admin_py.study_results import SchemeSummary, Study

TASKS = {
    "number_words": "numbers in words, English to German",
    "copy_task": "copying sequences of symbols",
}
"""Name of a generated dataset -> what it is about."""

VANISHING = 10.0
"""A gradient is called vanishing when it falls by more than this factor from a stack's top to its bottom."""


def number(value: float) -> str:
    """Three significant digits, without an exponent where people would not use one.

    Examples
    --------
    >>> number(2.7249), number(0.1604), number(12345.6), number(float("nan")), number(3.8e-4)
    ('2.72', '0.160', '12,346', 'n/a', '3.8e-04')
    """
    if not math.isfinite(value):
        return "n/a"
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def listing(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def spread(values: np.ndarray) -> str:
    """Mean of the finite values, with their range where there are several.

    Examples
    --------
    >>> spread(np.array([1.0, 2.0])), spread(np.array([0.5])), spread(np.array([np.nan]))
    ('1.50 (1.00 to 2.00)', '0.500', 'n/a')
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "n/a"
    mean = number(float(finite.mean()))
    return (
        mean
        if len(finite) == 1
        else f"{mean} ({number(float(finite.min()))} to {number(float(finite.max()))})"
    )


def label(scheme: str) -> str:
    """Name of a scheme for people."""
    return scheme_style(scheme).label


def depth(study: Study) -> str:
    """How deep the models are, such as ``"18 encoder and 18 decoder layers"``."""
    counts = ((study.settings["encoder_layers"], "encoder"), (study.settings["decoder_layers"], "decoder"))
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
    settings = study.settings
    seeds = "seed " if len(study.seeds) == 1 else "seeds "
    first = (
        f"This report compares {listing(map(label, study.schemes))} in Transformers of {depth(study)} "
        f"(width {settings['d_model']}, feed-forward {settings['d_ff']}, {settings['heads']} heads) on "
        f"{task(study)}."
    )
    second = (
        "Everything but the residual scheme is the same for all: data, order of the batches, optimiser, "
        f"schedule, {settings['steps']} steps, and {seeds}{listing(map(str, study.seeds))}."
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


def curves(study: Study) -> tuple[str, str]:
    """Two sentences on the loss curves."""
    read = (
        "Each line is one run's loss per token without label smoothing: left on its training batches with "
        "dropout, right on held-out data without, on one scale."
    )
    rows = study.summary()
    parts = []
    for word in dict.fromkeys(word for one in rows for word in one.outcomes if word != DIVERGED):
        those = [one for one in rows if word in one.outcomes]
        parts.append(_end_words(word, those))
    parts += [
        f"{label(one.scheme)} diverged at {divergence(one)}" for one in rows if DIVERGED in one.outcomes
    ]
    stuck = [one for one in rows if STUCK in one.outcomes]
    if stuck and study.entropy is not None:
        parts.append(_stuck_words(stuck, study.entropy))
    return read, _sentence(parts)


def _of_outcome(one: SchemeSummary, word: str) -> np.ndarray:
    return one.valid_nll[[found == word for found in one.outcomes]]


def _end_words(word: str, those: Sequence[SchemeSummary]) -> str:
    """Which schemes ended so, and at which validation loss each."""
    one = len(those) == 1
    names = listing(label(scheme.scheme) for scheme in those)
    said = {
        TRAINS: "trains" if one else "train",
        STUCK: f"{'does' if one else 'do'} not train within this budget",
        BLIND: f"{'does' if one else 'do'} not read {'its' if one else 'their'} source within this budget",
        STOPPED: f"{'was' if one else 'were'} stopped",
    }
    ends = [spread(_of_outcome(scheme, word)) for scheme in those]
    if len(those) > 2:
        ends = [f"{label(scheme.scheme)} {end}" for scheme, end in zip(those, ends, strict=True)]
    return f"{names} {said.get(word, word)}, validation ending at {listing(ends)}"


def _stuck_words(stuck: Sequence[SchemeSummary], entropy: float) -> str:
    """Whether a loss that stays high does so in training too."""
    parts = []
    for one in stuck:
        train = float(np.nanmean(one.train_nll[[word == STUCK for word in one.outcomes]]))
        if train >= LEARNT_BELOW * entropy:
            parts.append(f"the training loss of {label(one.scheme)} stays as high ({number(train)})")
        else:
            parts.append(f"the training loss of {label(one.scheme)} does fall, to {number(train)}")
    return "; ".join(parts)


def omega(study: Study) -> tuple[str, str]:
    """Two sentences on the skip scales."""
    read = (
        "ω scales the skip of a sub-layer before its branch is added; a profiled scheme sets it by one "
        "forward pass from the variances of the branches below, so that no branch outweighs what lies "
        "below it."
    )
    parts: list[str] = []
    constant: dict[str, list[str]] = {}
    for scheme in study.schemes:
        profile = study.run(scheme).profile
        ends = {stack: profile.omega(stack) for stack in profile.stacks}
        if all(np.ptp(values) == 0 for values in ends.values()):
            key = listing(f"{number(float(values[0]))} in the {stack}" for stack, values in ends.items())
            if all(np.all(values == 1.0) for values in ends.values()):
                key = "1"
            constant.setdefault(key, []).append(label(scheme))
        else:
            grown = listing(
                f"{number(float(values[0]))} to {number(float(values[-1]))} in the {stack}"
                for stack, values in ends.items()
            )
            parts.append(f"from bottom to top {label(scheme)} has {grown}")
    parts += [f"{listing(names)} {_have(names)} {value} throughout" for value, names in constant.items()]
    return read, _sentence(parts)


def branch_variance(study: Study) -> tuple[str, str]:
    """Two sentences on Var(a)."""
    read = (
        "Var[a] is the variance, over the tokens and features of one batch, of what a sub-layer's branch "
        "adds to its skip before training."
    )
    parts = []
    for scheme in study.schemes:
        profile = study.run(scheme).profile
        values = np.concatenate([profile.var_branch(stack) for stack in profile.stacks])
        parts.append(f"{label(scheme)} {number(float(values.min()))} to {number(float(values.max()))}")
    return read, f"Over all sub-layers it ranges as follows: {'; '.join(parts)}."


def dependency(study: Study) -> tuple[str, str]:
    """Two sentences on the predicted dependency."""
    read = (
        "β² is the share of the variance of a sub-layer's sum of skip and branch that comes from the "
        "branch; by the paper's theory their total over a stack tells how strongly small changes of the "
        "weights change its output."
    )
    parts = []
    for scheme in study.schemes:
        profile = study.run(scheme).profile
        totals = {stack: float(profile.beta2(stack).sum()) for stack in profile.stacks}
        words = listing(f"{number(total)} ({stack})" for stack, total in totals.items())
        parts.append(f"{label(scheme)} {words}")
    return (
        read,
        f"The totals, predicted from the profile, not measured by changing weights: {'; '.join(parts)}.",
    )


def gradients(study: Study) -> tuple[str, str]:
    """Two sentences on the gradient norms."""
    read = (
        "Norm of the loss's gradient with respect to each sub-layer's output before training, divided by the "
        "largest of the network; a line that falls towards the left means that the lower sub-layers get "
        "little signal."
    )
    parts = []
    for scheme in study.schemes:
        ratios = {}
        for stack in study.run(scheme).gradients.outputs:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = [
                    np.log(run.gradients.outputs[stack][-1] / run.gradients.outputs[stack][1])
                    for run in study.of_scheme(scheme)
                ]
            ratios[stack] = float(np.exp(np.mean(logs)))
        words = listing(f"{number(ratio)} ({stack})" for stack, ratio in ratios.items())
        gone = [stack for stack, ratio in ratios.items() if ratio > VANISHING]
        parts.append(
            f"{label(scheme)} {words}"
            + (f", vanishing towards the bottom of the {listing(gone)}" if gone else "")
        )
    return read, f"Top over bottom of each stack, here: {'; '.join(parts)}."


def samples(study: Study) -> str:
    """One sentence on the sample outputs: how many are exactly right."""
    parts = []
    for scheme in study.schemes:
        shown = study.run(scheme).samples
        right = sum(sample.output == sample.expected for sample in shown)
        parts.append(f"{label(scheme)} {f'{right} of {len(shown)}' if shown else 'has none'}")
    return f"Exactly right: {'; '.join(parts)}."


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
