"""Attention maps: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from admin_py import plots
from admin_py.analysis import AttentionMap
from admin_py.base.words import number
from admin_py.plots.attention import COLUMNS as MAPS
from admin_py.plots.attention import ROW as MAPS_ROW
from admin_py.plots.panels import panels
from admin_py.report.picture import (
    AFTER,
    Absent,
    Picture,
    absent,
    by_run,
    missing_of,
    reasons,
    results_of,
    table_of,
)
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from admin_py.experiments.study.results import Study


HEADING = "Attention of the last layer"


def _told(shown: Sequence[AttentionMap], missing: Mapping[str, str]) -> tuple[str, str]:
    """On the attention maps: how much of a row its largest probability takes."""
    first = shown[0]
    which = "cross-attention" if first.sublayer.endswith("cross_attn") else "self-attention"
    read = (
        f"How much each token that is read (row) takes from each other token (column) by the {which} of the "
        "last layer, mean over heads, in a held-out example after training: dark cells in a pale row mean "
        "that it looks at few."
    )
    parts = [f"{label(one.scheme)} {number(float(one.probabilities.max(axis=1).mean()))}" for one in shown]
    found = (
        f"Largest probability of a row, mean over rows, where an even spread over the {len(first.keys)} "
        f"tokens has {number(1 / len(first.keys))}: {'; '.join(parts)}"
    )
    return read, f"{'; '.join([found, *reasons(missing)])}."


def attention(study: Study) -> Iterator[Picture | Absent]:
    """Where the last layer looks in one held-out example, a map a scheme."""
    runs = [run for run in study.runs if run.attention is not None]
    if not runs:
        yield absent(study, "attention", "attention", AFTER, HEADING)
        return
    shown = results_of(study, "attention", AttentionMap)
    yield Picture(
        "attention",
        AFTER,
        HEADING,
        0.2 + MAPS_ROW * -(-len(shown) // MAPS),
        lambda figure: plots.plot_attention_panels(shown, panels(figure, len(shown), MAPS)),
        *_told(shown, missing_of(study, "attention")),
        "None.",
        lambda: by_run(runs, lambda run: table_of(run.attention)),
    )
