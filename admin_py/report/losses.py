"""Loss curves: picture and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from admin_py import plots
from admin_py.base.words import listing, number, sentence, spread
from admin_py.experiments.outcomes import BLEW_UP, BLIND, DIVERGED, LEARNT_BELOW, STOPPED, STUCK, TRAINS
from admin_py.experiments.study.results import SchemeSummary, Study
from admin_py.report.paper import cited
from admin_py.report.picture import TRAINING, Picture, by_run
from admin_py.report.summary import divergence
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _told(study: Study) -> tuple[str, str]:
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
    diverged = [one for one in rows if DIVERGED in one.outcomes]
    if diverged:
        parts.append(_diverged_words(diverged))
    stuck = [one for one in rows if STUCK in one.outcomes]
    if stuck and study.entropy is not None:
        parts.append(_stuck_words(stuck, study.entropy))
    return read, sentence(parts)


def _of_outcome(one: SchemeSummary, word: str) -> np.ndarray:
    return one.valid_nll[[found == word for found in one.outcomes]]


def _end_words(word: str, those: Sequence[SchemeSummary]) -> str:
    """Which schemes ended so, and at which validation loss each."""
    one = len(those) == 1
    names = listing(label(scheme.scheme) for scheme in those)
    said = {
        TRAINS: "trains" if one else "train",
        BLEW_UP: f"blew up ({'its loss ends' if one else 'their losses end'} above the beginning)",
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
    high: list[tuple[str, str]] = []
    falls: list[tuple[str, str]] = []
    for one in stuck:
        train = float(np.nanmean(one.train_nll[[word == STUCK for word in one.outcomes]]))
        (high if train >= LEARNT_BELOW * entropy else falls).append((label(one.scheme), number(train)))
    parts = []
    for found, alone, several in ((high, "stays as high", "stay as high"), (falls, "does fall", "do fall")):
        if found:
            names, ends = (listing(words) for words in zip(*found, strict=True))
            verb = f"loss of {names} {alone}" if len(found) == 1 else f"losses of {names} {several}"
            parts.append(f"the training {verb}{f' ({ends})' if found is high else f', to {ends}'}")
    return "; ".join(parts)


def _diverged_words(diverged: Sequence[SchemeSummary]) -> str:
    """Which schemes diverged, and at which steps each."""
    if len(diverged) == 1:
        return f"{label(diverged[0].scheme)} diverged at {divergence(diverged[0])}"
    names = listing(label(one.scheme) for one in diverged)
    steps = "; ".join(f"{label(one.scheme)} at {divergence(one)}" for one in diverged)
    return f"{names} diverged ({steps})"


def losses(study: Study) -> Iterator[Picture]:
    """Losses of training and validation, a line a run."""
    histories = [(run.scheme, run.history) for run in study.runs]

    def draw(figure: Figure) -> None:
        plots.plot_training(histories, figure.subplots(1, 2, sharey=True), entropy=study.entropy)

    yield Picture(
        "losses",
        TRAINING,
        "Loss curves",
        3.3,
        draw,
        *_told(study),
        cited(
            "The figure of development perplexity in section 1, WMT'14 English-German with 18 layers",
            study.schemes,
            {
                "post_ln": "Post-LN diverges",
                "pre_ln": "Pre-LN trains to 28.38 BLEU",
                "admin": "Admin trains to 29.03 BLEU",
            },
        ),
        lambda: by_run(study.runs, lambda run: run.history.to_dataframe()),
    )
