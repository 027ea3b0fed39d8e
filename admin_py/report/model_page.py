"""One model as one HTML file: what each of its layers depends on, will it train, what would Admin change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from admin_py.analysis.diagnosis.page import html
from admin_py.analysis.diagnosis.results import page_of
from admin_py.base.csv_files import to_csv
from admin_py.base.locks import locked_file
from admin_py.base.paths import absolute_path, path_of
from admin_py.base.whole_files import clear_all_aside, write_whole
from admin_py.experiments.examination.results import Examination
from admin_py.report.dependency import dependency_before
from admin_py.report.gradients import gradient_bars, gradient_lines, matrix_gradients
from admin_py.report.models import ModelRun, Models
from admin_py.report.output_change import output_change
from admin_py.report.picture import Absent, Picture
from admin_py.report.profile import profile
from admin_py.report.rendering import DATA_FOLDER, REPORT_FILE, css, figures_by_part, plain, swatch, template
from admin_py.schemes.labels import label

VARIANCES, GRADIENTS, DEPENDENCY, CHANGE = "Variances", "Gradients", "Layer dependency", "Output change"

HEADINGS: Mapping[str, str] = {
    "gradients": "Gradient norms by depth",
    "gradient-bars": "Gradient norms by kind of sub-layer",
}
"""Pictures of which a study's report speaks of several schemes."""

TABLE = "sublayers"


def write_model_page(examination: Examination, folder: str | os.PathLike[str]) -> Path:
    """Write the page of one model, and what each of its pictures shows as a table.

    Parameters
    ----------
    examination : Examination
    folder : path
        Gets ``report.html``, ``data/sublayers.csv`` and ``data/<picture>.csv``; made if it is not there.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    OSError
        If a file cannot be written.
    RuntimeError
        If another process writes a report there.
    """
    base = absolute_path(folder, "folder")
    base.mkdir(parents=True, exist_ok=True)
    with locked_file(base / REPORT_FILE, "folder"):
        clear_all_aside(base)
        clear_all_aside(base / DATA_FOLDER)
        shown = list(entries(examination))
        for one in shown:
            if isinstance(one, Picture):
                write_whole(base / DATA_FOLDER / f"{one.name}.csv", to_csv(one.table()))
        write_whole(base / DATA_FOLDER / f"{TABLE}.csv", to_csv(examination.to_dataframe()))
        write_whole(base / REPORT_FILE, render(examination, shown))
    return path_of(folder) / REPORT_FILE


def entries(examination: Examination) -> Iterator[Picture | Absent]:
    """The pictures of a model, and what stands in the place of those that it has not, by part of the page."""
    own = ModelRun(examination.scheme, examination.profile, examination)
    model, beside = Models((own,)), [own]
    if examination.admin is not None:
        beside.append(ModelRun(examination.admin.scheme, examination.admin, examination))
    yield from _under(VARIANCES, profile(Models(tuple(beside))))
    yield from _under(DEPENDENCY, dependency_before(model))
    yield from _under(CHANGE, output_change(model))
    if examination.gradients is None:
        why = examination.without["gradients"]
        yield Absent("gradients", GRADIENTS, HEADINGS["gradients"], f"Not measured: {why}.")
        return
    for topic in (gradient_lines, gradient_bars, matrix_gradients):
        yield from _under(GRADIENTS, topic(model))


def _under(part: str, found: Iterator[Any]) -> Iterator[Any]:
    """Pictures under the heading of a part."""
    for one in found:
        yield replace(one, part=part, heading=HEADINGS.get(one.name, one.heading))


def render(examination: Examination, shown: list[Picture | Absent]) -> str:
    """The page as HTML text; every text that comes from data or users is escaped."""
    from markupsafe import Markup

    name = examination.name or f"A {label(examination.scheme)} model"
    return template("model.html.j2").render(
        css=css(),
        title=name,
        introduction=_introduction(examination),
        diagnosis=Markup(html(page_of(examination.diagnosis))),
        level=examination.diagnosis.level,
        parts=figures_by_part(shown, name),
        table=f"{DATA_FOLDER}/{TABLE}.csv",
        admin=_admin(examination),
        settings=_settings(examination),
        swatch=swatch,
    )


def _introduction(examination: Examination) -> str:
    """What was looked at, in sentences."""
    layers = ", ".join(
        f"{len(names)} sub-layers in the {stack}" for stack, names in examination.diagnosis.sublayers.items()
    )
    return (
        f"{label(examination.scheme)}, {examination.num_parameters:,} parameters, {layers}; looked at as it "
        f"is with {examination.num_tokens:,} tokens, without a step of training. The diagnosis: "
        f"{examination.diagnosis.level}."
    )


def _admin(examination: Examination) -> str:
    """What Admin would change, or why it has nothing to say."""
    if examination.admin is None:
        return f"{examination.without['admin']}."
    own, parts = examination.diagnosis, []
    for stack in examination.admin.stacks:
        omega, total = examination.admin.omega(stack), float(examination.admin.beta2(stack).sum())
        parts.append(
            f"in the {stack} it would scale skips by {omega[0]:.3g} at the bottom to {omega[-1]:.3g} at the "
            f"top, and the sum of \N{GREEK SMALL LETTER BETA}\N{SUPERSCRIPT TWO} would be {total:.3g}, as "
            f"predicted from its profile, in the place of the measured {own.amplification(stack)[-1]:.3g}"
        )
    return f"With the same weights Admin: {'; '.join(parts)}."


def _settings(examination: Examination) -> list[tuple[str, str]]:
    """Names and values, as rows."""
    versions = examination.metadata.get("versions", {})
    machine = {name: value for name, value in examination.metadata.items() if name != "versions"}
    told = {**examination.config, **machine, **versions}
    return [(name.replace("_", " "), plain(value)) for name, value in told.items()]
