"""A study as one HTML file: figures, tables and sentences inside, no network, light, dark and on paper."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from admin_py.analysis.diagnosis.page import html
from admin_py.analysis.diagnosis.results import page_of
from admin_py.base.csv_files import to_csv
from admin_py.base.locks import locked_file
from admin_py.base.paths import absolute_path, fitting_name, path_of
from admin_py.base.whole_files import clear_all_aside, write_whole
from admin_py.base.words import listing, number, spread
from admin_py.experiments.study.run import NOT_COMPUTED
from admin_py.report import summary, translations
from admin_py.report.picture import Absent, Picture, absent, by_run, several_seeds, table_of
from admin_py.report.pictures import entries
from admin_py.report.rendering import DATA_FOLDER, REPORT_FILE, css, figures_by_part, plain, swatch, template
from admin_py.report.sentences import side_by_side
from admin_py.report.translations import Section
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from admin_py.experiments.study.results import SchemeSummary, Study

DIAGNOSIS_DATA = f"{DATA_FOLDER}/diagnosis.csv"
PLACE_LENGTH = 120
"""Bytes of the name of a combination's folder."""

SHOWN_SAMPLES = 6


def write_report(study: Study, folder: str | os.PathLike[str]) -> Path:
    """Write a study's report, and what each of its pictures shows as a table.

    Where more varies than schemes and seeds, each combination has a report in a folder of its own, and
    ``report.html`` sets them beside each other.

    Parameters
    ----------
    study : Study
        With at least one run.
    folder : path
        Gets ``report.html`` and ``data/<picture>.csv``; made if it is not there.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ValueError
        If the study has no run.
    OSError
        If a file cannot be written.
    RuntimeError
        If another process writes a report there.
    """
    if not study.runs:
        raise ValueError("study: has no run to report on")
    base = absolute_path(folder, "folder")
    base.mkdir(parents=True, exist_ok=True)
    with locked_file(base / REPORT_FILE, "folder"):
        clear_all_aside(base)
        clear_all_aside(base / DATA_FOLDER)
        places = study.places()
        if len(places) == 1:
            _write_one(study, base)
        else:
            parts = [_Part(words, place_folder(words), one) for words, one in places]
            for part in parts:
                _write_one(part.study, base / part.folder)
            write_whole(base / REPORT_FILE, _render_parts(study, parts))
    return path_of(folder) / REPORT_FILE


class _Part(NamedTuple):
    """One combination of what varies beside schemes and seeds."""

    words: str
    folder: str
    study: Study


def place_folder(words: str) -> str:
    """Folder of the report of one combination.

    Examples
    --------
    >>> place_folder("layers 6-12, lr 0.001")
    'layers_6-12_lr_0.001'
    """
    return fitting_name(re.sub(r"[^A-Za-z0-9_.+-]+", "_", words), PLACE_LENGTH)


def _render_parts(study: Study, parts: Sequence[_Part]) -> str:
    """The page that sets several reports beside each other."""
    return template("parts.html.j2").render(
        css=css(),
        title=f"{listing(map(label, study.schemes))}, {len(parts)} settings",
        data_name=summary.task(study),
        several_seeds=several_seeds(study),
        interrupted=study.interrupted,
        parts=[
            {
                "words": part.words,
                "link": f"{part.folder}/{REPORT_FILE}",
                "rows": [_row(one) for one in part.study.summary()],
            }
            for part in parts
        ],
        swatch=swatch,
    )


def _write_one(study: Study, folder: Path) -> None:
    """The report of a study in which only schemes and seeds vary."""
    shown, translated = _entries(study), translations.section(study)
    path = folder / REPORT_FILE
    for one in (*shown, *_pictures_of(translated)):
        if isinstance(one, Picture):
            write_whole(path.parent / DATA_FOLDER / f"{one.name}.csv", to_csv(one.table()))
    diagnosed = [run for run in study.runs if run.diagnosis is not None]
    if diagnosed:
        table = by_run(diagnosed, lambda run: table_of(run.diagnosis))
        write_whole(path.parent / DIAGNOSIS_DATA, to_csv(table))
    for name, table in (translated.tables if translated else {}).items():
        write_whole(path.parent / DATA_FOLDER / f"{name}.csv", to_csv(table))
    write_whole(path, _render(study, shown, translated))


def render(study: Study) -> str:
    """The report as HTML text; every text that comes from data or users is escaped.

    Parameters
    ----------
    study : Study
        With at least one run.

    Returns
    -------
    str
        Its links to ``data/<picture>.csv`` lead to what `write_report` writes beside it.

    Raises
    ------
    ValueError
        If the study has no run.
    """
    return _render(study, _entries(study), translations.section(study))


def _pictures_of(translated: Section | None) -> tuple[Picture, ...]:
    return translated.pictures if translated is not None else ()


def _entries(study: Study) -> list[Picture | Absent]:
    if not study.runs:
        raise ValueError("study: has no run to report on")
    return entries(study)


def _render(study: Study, shown: Sequence[Picture | Absent], translated: Section | None) -> str:
    """The page, and a line for each of its pictures that could not be drawn."""
    samples, diagnoses = _samples(study), _diagnoses(study)
    names = listing(map(label, study.schemes))
    first = study.data["kind"] == "translation"
    models = "models trained from the first seed" if several_seeds(study) else "trained models"
    return template("report.html.j2").render(
        css=css(),
        title=summary.title(study),
        data_name=summary.task(study),
        introduction=summary.introduction(study),
        several_seeds=several_seeds(study),
        interrupted=study.interrupted,
        rows=[_row(one) for one in study.summary()],
        swatch=swatch,
        ties=summary.ties(study),
        diagnoses=diagnoses,
        limits=list(dict.fromkeys(one["limits"] for one in diagnoses)),
        no_diagnosis=absent(study, "diagnosis", "", "", "").why,
        not_asked=summary.not_asked(study),
        diagnosis_data=DIAGNOSIS_DATA,
        parts=figures_by_part(shown, names),
        translated=None if translated is None else translated.told,
        pictures_of_translations=figures_by_part(_pictures_of(translated), names),
        data_folder=DATA_FOLDER,
        samples=samples,
        samples_read=(
            f"Greedy decoding (the likeliest token each time) of {len(samples)} held-out examples, not "
            f"chosen by their outputs, with the {models}."
        ),
        samples_found=summary.samples(study),
        source_name="source" if first else "beginning",
        expected_name="reference" if first else "continuation",
        unmeasured=_unmeasured(study),
        settings=_settings(study),
        description=study.data.get("description", ""),
    )


def _row(one: SchemeSummary) -> dict[str, Any]:
    return {
        "scheme": one.scheme,
        "label": label(one.scheme),
        "outcome": summary.outcome(one),
        "valid": _loss(one, one.valid_nll),
        "train": _loss(one, one.train_nll),
        "diverged": summary.divergence(one),
        "time": duration(one.seconds),
        "speed": number(one.tokens_per_second),
        "parameters": f"{one.num_parameters:,}",
    }


def _diagnoses(study: Study) -> list[dict[str, Any]]:
    """What was said of each scheme before its training, and what became of it; the page of its first seed."""
    from markupsafe import Markup

    rows = []
    for one in study.summary():
        found = [run.diagnosis for run in study.of_scheme(one.scheme) if run.diagnosis is not None]
        if not found:
            continue
        levels = dict.fromkeys(diagnosis.level for diagnosis in found)
        totals = [np.array([d.amplification(stack)[-1] for d in found]) for stack in found[0].stacks]
        rows.append(
            {
                "scheme": one.scheme,
                "label": label(one.scheme),
                "stacks": found[0].stacks,
                "totals": [_mean_and_range(total) for total in totals],
                "level": listing(levels),
                "outcome": summary.outcome(one),
                "page": Markup(html(page_of(found[0], limits=False))),
                "limits": found[0].limits,
            }
        )
    return rows


def _loss(one: SchemeSummary, values: np.ndarray) -> dict[str, str]:
    """The last losses of a scheme, or why there is none."""
    if np.isfinite(values).any():
        return _mean_and_range(values)
    gone = all(step is not None for step in one.diverged_at)
    return {"mean": "none", "range": "it diverged" if gone else "none was taken"}


def _mean_and_range(values: np.ndarray) -> dict[str, str]:
    mean, _, span = spread(values).partition(" (")
    return {"mean": mean, "range": span.rstrip(")")}


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Examples
    --------
    >>> duration(8.26), duration(75), duration(7260)
    ('8.3 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _unmeasured(study: Study) -> list[str]:
    """What is missing from the report, in sentences: each measure with its reason, and for which schemes."""
    schemes: dict[tuple[str, str], dict[str, None]] = {}
    for run in study.runs:
        for name, why in run.without.items():
            if why != NOT_COMPUTED:
                schemes.setdefault((name.replace("_", " "), why), {})[run.scheme] = None
    return [
        f"{name} ({listing(map(label, of)) if len(of) < len(study.schemes) else 'all schemes'}): {why}"
        for (name, why), of in schemes.items()
    ]


def _samples(study: Study) -> list[dict[str, Any]]:
    """Per example: source, reference, and each scheme's output; of the first seed of each scheme."""
    runs = [run for run in map(study.run, study.schemes) if run.samples]
    result = []
    for index in range(min((len(run.samples) for run in runs), default=0)):
        first = runs[0].samples[index]
        outputs = {run.scheme: run.samples[index].output for run in runs}
        result.append(side_by_side(first.source, first.expected, outputs))
    return result[:SHOWN_SAMPLES]


def _settings(study: Study) -> list[tuple[str, str]]:
    """Names and values, as rows."""
    axes = {axis: values[0] if len(values) == 1 else values for axis, values in study.axes.items()}
    optimizer = study.runs[0].setup.get("optimizer")
    own = {"optimizer": optimizer} if optimizer is not None and len(study.axes["optimizer"]) == 1 else {}
    data = {"data": summary.task(study), "vocabulary": f"{study.data['vocab_size']:,}"}
    if study.entropy is not None:
        data["unigram entropy"] = f"{study.entropy:.3f} nats"
    versions = study.metadata.get("versions", {})
    machine = {name: value for name, value in study.metadata.items() if name not in ("versions", "seed")}
    # One row a name: what the settings say of a name that the metadata have too is what was asked for.
    told = {**axes, **own, **study.settings, **data}
    told |= {name: value for name, value in {**machine, **versions}.items() if name not in told}
    return [(name.replace("_", " "), plain(value)) for name, value in told.items()]
