"""A study as one HTML file: figures, tables and sentences inside, no network, light, dark and on paper."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import findings, plots
from admin_py.plots.style import FAINT, INK, MUTED, PAPER, SOLID, WIDTH, context, scheme_style
from admin_py.results import write_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from admin_py.study_results import SchemeSummary, Study

REPORT_FILE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"

SHOWN_SAMPLES = 6
MAX_TEXT = 400
"""Characters of a text that are shown; of an output twice the reference's, at least MIN_TEXT."""
MIN_TEXT = 120

_THEME = {INK: "currentColor", MUTED: "var(--muted)", FAINT: "var(--grid)", PAPER: "none"}


def write_report(study: Study, folder: str | os.PathLike[str]) -> Path:
    """Write a study's report.

    Parameters
    ----------
    study : Study
        With at least one run.
    folder : path
        Gets ``report.html``; made if it is not there.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ValueError
        If the study has no run.
    OSError
        If the file cannot be written.
    """
    path = Path(folder) / REPORT_FILE
    write_aside(path, render(study))
    return path


def render(study: Study) -> str:
    """The report as HTML text; every text that comes from data or users is escaped.

    Raises
    ------
    ValueError
        If the study has no run.
    """
    if not study.runs:
        raise ValueError("study: has no run to report on")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = _samples(study)
    first = study.settings["encoder_layers"] > 0
    return environment.get_template("report.html.j2").render(
        css=Markup((TEMPLATES / "report.css").read_text("utf-8")),
        title=findings.title(study),
        data_name=findings.task(study),
        introduction=findings.introduction(study),
        interrupted=study.interrupted,
        rows=[_row(one) for one in study.summary()],
        swatch=_swatch,
        ties=findings.ties(study),
        figures=_figures(study),
        samples=shown,
        samples_read=(
            f"Greedy decoding (the likeliest token each time) of {len(shown)} held-out examples, not chosen "
            "by their outputs, with the models trained from the first seed."
        ),
        samples_found=findings.samples(study),
        source_name="source" if first else "beginning",
        expected_name="reference" if first else "continuation",
        settings=_settings(study),
        description=study.data.get("description", ""),
    )


def _row(one: SchemeSummary) -> dict[str, Any]:
    return {
        "scheme": one.scheme,
        "label": findings.label(one.scheme),
        "outcome": findings.outcome(one),
        "valid": _mean_and_range(one.valid_nll),
        "train": _mean_and_range(one.train_nll),
        "diverged": findings.divergence(one),
        "time": duration(one.seconds),
        "speed": findings.number(one.tokens_per_second),
        "parameters": f"{one.num_parameters:,}",
    }


def _mean_and_range(values: np.ndarray) -> dict[str, str]:
    mean, _, span = findings.spread(values).partition(" (")
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


def _swatch(scheme: str) -> Any:
    from markupsafe import Markup

    style = scheme_style(scheme)
    dashed = "" if style.dashes == SOLID else " dashed"
    return Markup('<span class="swatch{}" style="border-color:{}"></span>').format(dashed, style.color)


def _figures(study: Study) -> list[dict[str, Any]]:
    """Headings, pictures and sentences, in the order of the report."""
    profiles = [run.profile for run in study.runs]
    histories = [(run.scheme, run.history) for run in study.runs]
    norms = [run.gradients for run in study.runs]
    names = findings.listing(map(findings.label, study.schemes))

    def training(figure: Figure) -> None:
        plots.plot_training(histories, figure.subplots(1, 2, sharey=True), entropy=study.entropy)

    def single(draw: Callable[[Any], Any]) -> Callable[[Figure], None]:
        return lambda figure: (draw(figure.subplots()), None)[1]

    entries = (
        ("losses", "Loss curves", 3.3, training, findings.curves),
        (
            "omega",
            "Skip scale ω",
            2.9,
            single(lambda ax: plots.plot_quantity(profiles, ax)),
            findings.omega,
        ),
        (
            "variance",
            "Branch variance Var[a]",
            2.9,
            single(lambda ax: plots.plot_quantity(profiles, ax, quantity="var_branch")),
            findings.branch_variance,
        ),
        (
            "dependency",
            "Predicted dependency",
            3.1,
            single(lambda ax: plots.plot_dependency(profiles, ax)),
            findings.dependency,
        ),
        (
            "gradients",
            "Gradient norms at initialisation",
            3.1,
            single(lambda ax: plots.plot_gradient_lines(norms, ax)),
            findings.gradients,
        ),
    )
    result = []
    for name, heading, height, draw, words in entries:
        read, found = words(study)
        alt = f"{heading} of {names}. {found}"
        svg = inline_svg(draw, height, name=name, alt=alt)
        result.append({"id": name, "heading": heading, "svg": svg, "read": read, "found": found})
    return result


def inline_svg(draw: Callable[[Figure], None], height: float, *, name: str, alt: str) -> Any:
    """A figure as SVG to stand inside HTML, in the colours of the page's theme.

    Parameters
    ----------
    draw : callable
        Draws into the `Figure` it is given.
    height : float
        Inches.
    name : str
        Goes before all ids, so that several figures can stand in one page.
    alt : str
        What the figure shows, for those who do not see it.

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup, escape
    from matplotlib.figure import Figure

    with context():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        stream = io.StringIO()
        figure.savefig(
            stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    for color, themed in _THEME.items():
        svg = svg.replace(color.lower(), themed)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    head = Markup('<svg role="img" aria-label="{}" ').format(escape(alt))
    return head + Markup(svg[len("<svg ") :])


def _samples(study: Study) -> list[dict[str, Any]]:
    """Per example: source, reference, and each scheme's output; of the first seed of each scheme."""
    runs = [run for run in map(study.run, study.schemes) if run.samples]
    result = []
    for index in range(min((len(run.samples) for run in runs), default=0)):
        first = runs[0].samples[index]
        outputs = [
            {
                "scheme": run.scheme,
                "label": findings.label(run.scheme),
                "text": _shorten(run.samples[index].output, max(MIN_TEXT, 2 * len(first.expected))),
                "right": run.samples[index].output == first.expected,
            }
            for run in runs
        ]
        shown = {"source": _shorten(first.source), "expected": _shorten(first.expected), "outputs": outputs}
        result.append(shown)
    return result[:SHOWN_SAMPLES]


def _shorten(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."


def _settings(study: Study) -> list[tuple[str, str]]:
    """Names and values, as rows."""
    rows = [(name.replace("_", " "), _plain(value)) for name, value in study.settings.items()]
    data = [("data", findings.task(study)), ("vocabulary", f"{study.data['vocab_size']:,}")]
    if study.entropy is not None:
        data.append(("unigram entropy", f"{study.entropy:.3f} nats"))
    versions = study.metadata.get("versions", {})
    machine = [
        (name, _plain(value)) for name, value in study.metadata.items() if name not in ("versions", "seed")
    ]
    return rows + data + machine + [(name, str(value)) for name, value in versions.items()]


def _plain(value: Any) -> str:
    """A setting as people read it."""
    if isinstance(value, Mapping) and "kind" in value:
        rest = {key: item for key, item in value.items() if key != "kind"}
        return f"{value['kind']} ({_plain(rest)})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
