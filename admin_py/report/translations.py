"""Translations of held-out sentences: BLEU by scheme, what chance makes of its differences, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from admin_py import plots
from admin_py.base.words import listing
from admin_py.experiments.study.bleu import ALL, SchemeBleu
from admin_py.experiments.study.results import Study
from admin_py.experiments.study.run import StudyRun
from admin_py.experiments.translations import Translations
from admin_py.report.paper import cited
from admin_py.report.picture import Picture, by_run, several_seeds, single
from admin_py.report.sentences import side_by_side
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    import pandas as pd

PART, HEADING = "Translations", "BLEU by scheme"

SENTENCES = 4
"""That are shown: those in the middle of so many equal parts of the held-out text."""

SURE = 0.05
"""A difference that comes by chance less often is told as one."""

ROW, MARGIN = 0.45, 1.2
"""Inches of a scheme's bar, and of what is above and below."""


class Section(NamedTuple):
    """What the report has of translations."""

    told: Mapping[str, Any]
    """As the template needs it."""
    pictures: tuple[Picture, ...]
    tables: Mapping[str, pd.DataFrame]
    """Name -> the numbers and texts."""


def section(study: Study) -> Section | None:
    """The section of a study, in which nothing varies but scheme and seed; None where nothing was translated.

    Resamples, which takes a moment.
    """
    runs = [run for run in study.runs if run.translations is not None]
    if not runs:
        return None
    compared, why = _compared(study)
    tables = {
        "bleu-runs": by_run(runs, _scores),
        "translations": by_run(runs, lambda run: _of(run).to_dataframe()),
    }
    if compared is not None:
        tables["bleu-pairs"] = compared.to_dataframe()
    first = _of(runs[0])
    told = {
        "read": _read(first),
        "signature": first.score.signature,
        "rows": [_row(study, scheme) for scheme in study.schemes],
        "seeds": [str(seed) for seed in study.seeds] if several_seeds(study) else [],
        "pairs": [] if compared is None else _pairs(compared),
        "compared": why if compared is None else _how(compared, several=several_seeds(study)),
        "sentences": _sentences(runs),
        "chosen": _chosen(len(first.sources), several=several_seeds(study)),
        "tables": list(tables),
    }
    pictures = () if compared is None else (_picture(study, compared),)
    return Section(told, pictures, tables)


def _of(run: StudyRun) -> Translations:
    """Those of a run that has them."""
    assert run.translations is not None
    return run.translations


def _scores(run: StudyRun) -> pd.DataFrame:
    return _of(run).score.to_dataframe()


def _compared(study: Study) -> tuple[SchemeBleu | None, str]:
    """The comparison of all schemes, or why there is none."""
    if len({run.scheme for run in study.runs if run.translations is not None}) < 2:
        return None, "Not compared: only one scheme has translations."
    try:
        return study.bleu(), ""
    except (ModuleNotFoundError, ValueError) as error:
        return None, f"Not compared: {error}."


def _read(first: Translations) -> str:
    """What was translated, how, and what was scored."""
    search = first.search
    cut = "plain text" if first.score.convention == "detokenised" else "tokens, in lower case"
    held = "" if first.split == "train" else ", from which nothing was learnt"
    return (
        f'BLEU of the {len(first.sources):,} sentences of the split "{first.split}"{held}, translated by a '
        f"beam search (beam {search['beam']}, length penalty {search['length_penalty']:g}) and scored as "
        f'{cut} (convention "{first.score.convention}"). Only scores of one signature may be compared:'
    )


def _row(study: Study, scheme: str) -> dict[str, Any]:
    """BLEU of a scheme: the mean and range over seeds, and each seed's."""
    values = {run.seed: run.bleu for run in study.of_scheme(scheme)}
    found = np.array([value for value in values.values() if np.isfinite(value)])
    spread = f"{found.min():.2f} to {found.max():.2f}" if len(found) > 1 else ""
    return {
        "scheme": scheme,
        "label": label(scheme),
        "mean": f"{found.mean():.2f}" if len(found) else _none(study, scheme),
        "range": spread,
        "by_seed": [_number(values.get(seed)) for seed in study.seeds] if several_seeds(study) else [],
    }


def _none(study: Study, scheme: str) -> str:
    """Why a scheme has no translations."""
    gone = all(run.history.diverged_at is not None for run in study.of_scheme(scheme))
    return "none (it diverged)" if gone else "none"


def _number(value: float | None) -> str:
    return "none" if value is None or not np.isfinite(value) else f"{value:.2f}"


def _pairs(compared: SchemeBleu) -> list[dict[str, Any]]:
    """The pairs as rows; of one seed alone, that of all seeds says nothing more and is left out."""
    several = len(set(compared.seeds)) > 2
    return [
        {
            "pair": f"{label(one['second'])} less {label(one['first'])}",
            "seed": one["seed"],
            "difference": _signed(one["difference"]),
            "range": f"{_signed(one['low'])} to {_signed(one['high'])}",
            "p": f"{one['p_value']:.3f}",
        }
        for one in compared.to_dataframe().to_dict("records")
        if several or one["seed"] != ALL
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _how(compared: SchemeBleu, *, several: bool) -> str:
    """How pairs were compared, and what was found."""
    about = compared.together
    told = (
        f"Every pair of schemes is compared by paired bootstrap: {about.resamples:,} times, as many "
        "sentences are drawn as there are, the same ones for all runs. Below a difference of BLEU "
        "stands where 95 % of the draws lie, and p is how often a difference as large comes by chance."
    )
    if several:
        told += (
            " Of all seeds together, BLEU is the mean over a scheme's seeds, and a sentence is drawn with "
            "the translations of all of them, so that several seeds do not count as more sentences. It is "
            "told how sure a difference is for other sentences of this kind, not for other seeds."
        )
    return f"{told} {_found(compared)}"


def _found(compared: SchemeBleu) -> str:
    """Which pairs differ, all seeds together."""
    sure, ties = [], []
    for first, second, seed, p, one, other in zip(
        compared.first,
        compared.second,
        compared.seeds,
        compared.p_values,
        compared.first_bleu,
        compared.second_bleu,
        strict=True,
    ):
        if seed != ALL:
            continue
        better, worse = (second, first) if other > one else (first, second)
        if p < SURE:
            sure.append(f"{label(better)} is above {label(worse)}")
        else:
            ties.append(f"{label(first)} and {label(second)}")
    parts = []
    if sure:
        parts.append(f"By p below {SURE}, {listing(sure)}.")
    if ties:
        parts.append(f"No sure difference between {'; '.join(ties)}.")
    if len(sure) + len(ties) > 1:
        parts.append("No p is corrected for the number of pairs.")
    return " ".join(parts)


def _picture(study: Study, compared: SchemeBleu) -> Picture:
    """Bars with intervals."""
    about = compared.together
    ends = [f"{label(name)} {score:.2f}" for name, score in zip(about.systems, about.scores, strict=True)]
    named = replace(about, systems=tuple(map(label, about.systems)))
    mean = "the mean over its seeds" if several_seeds(study) else "of its translations"
    return Picture(
        "bleu",
        PART,
        HEADING,
        MARGIN + ROW * len(about.systems),
        single(lambda ax: plots.plot_scores(named, ax)),
        f"A bar is a scheme's BLEU, {mean}; the line over it is where 95 % of the resamples lie. Lines may "
        "overlap and a difference be sure nevertheless, since all schemes have translated the same "
        "sentences: the table below tells of differences.",
        f"{listing(ends)}.",
        cited(
            "The results on WMT'14 English-German with 18 layers",
            study.schemes,
            {
                "post_ln": "Post-LN diverges",
                "pre_ln": "Pre-LN has 28.38 BLEU",
                "admin": "Admin has 29.03 BLEU",
            },
        ),
        about.to_dataframe,
    )


def _chosen(count: int, *, several: bool) -> str:
    """By which rule sentences are shown."""
    shown = min(SENTENCES, count)
    seeds = " Translations of each scheme's first seed." if several else ""
    return (
        f"{shown} of the {count:,} sentences, chosen by their places alone: those in the middle of {shown} "
        f"equal parts of the held-out text.{seeds}"
    )


def _sentences(runs: list[StudyRun]) -> list[dict[str, Any]]:
    """The sentences that are shown, of the first run of each scheme."""
    first: dict[str, Translations] = {}
    for run in runs:
        first.setdefault(run.scheme, _of(run))
    like = next(iter(first.values()))
    count = len(like.sources)
    shown = min(SENTENCES, count)
    return [
        side_by_side(
            like.sources[place],
            like.references[place],
            {scheme: one.hypotheses[place] for scheme, one in first.items()},
        )
        for place in ((2 * number + 1) * count // (2 * shown) for number in range(shown))
    ]
