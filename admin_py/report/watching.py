"""What a folder of trainings has come to: how far each is, and losses, of those under way, too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.base.paths import absolute_path
from admin_py.experiments.grid.files import GRID_FILE
from admin_py.experiments.grid.results import FILES as GRID_FILES
from admin_py.experiments.study.files import STUDY_FILE
from admin_py.experiments.study.results import FILES as STUDY_FILES
from admin_py.plots.files import drawn
from admin_py.plots.training import plot_curves
from admin_py.report.rendering import css, template
from admin_py.report.svg import inline_svg
from admin_py.training.checkpoint import load_progress
from admin_py.training.history import History
from admin_py.training.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINING_FILE = "checkpoint.safetensors"
"""Of a folder of ``admin-py train``."""

CURVES = 12
"""Lines that one picture can be read with; the last ones to have moved are shown."""

LONGEST = 40
"""Characters of a name in the picture."""

EXPECTED = "the folder of a study, a grid or a training, which has begun"

WHOLE, RUNNING, WAITING = "whole", "under way", "waits"


@dataclass(frozen=True)
class Watched:
    """One training.

    Attributes
    ----------
    name : str
    state : str
        "whole", "under way" or "waits".
    history : History or None
        So far.
    steps : int or None
        That it will have.
    moved : float
        When its file was last written, seconds.
    """

    name: str
    state: str
    history: History | None
    steps: int | None
    moved: float

    @property
    def title(self) -> str:
        """The name without the digits that make it unique."""
        return re.sub(r"-[0-9a-f]{10}$", "", self.name)

    def row(self) -> dict[str, str]:
        """As the page shows it."""
        history = self.history
        done = 0 if history is None else history.num_steps
        valid = [] if history is None else history.valid["nll"].tolist()
        diverged = history is not None and history.diverged_at is not None
        return {
            "name": self.title,
            "state": "diverged" if diverged else self.state,
            "step": f"{done:,}" + (f" / {self.steps:,}" if self.steps else ""),
            "train": f"{history.nll[-1]:.4f}" if history is not None and done else "",
            "valid": f"{valid[-1]:.4f}" if len(valid) else "",
        }


def watch(folder: str | os.PathLike[str], known: dict[str, Watched] | None = None) -> list[Watched]:
    """All trainings of a folder, in their order.

    Parameters
    ----------
    folder : path
    known : dict, optional
        By name, what an earlier look found whole: it is not read again. This look adds to it.

    Raises
    ------
    FileNotFoundError
        If it is of none.
    ValueError
        If a file is not what it should be.
    """
    place = absolute_path(folder, "folder")
    known = {} if known is None else known
    if (place / STUDY_FILE).exists():
        return list(_of_cross(place, STUDY_FILES, known))
    if (place / GRID_FILE).exists():
        return list(_of_cross(place, GRID_FILES, known))
    if (place / TRAINING_FILE).exists():
        return [_under_way(place.name, place / TRAINING_FILE, None)]
    raise FileNotFoundError(2, f"folder must be {EXPECTED}", str(place))


def _of_cross(place: Path, kept: Any, known: dict[str, Watched]) -> Iterator[Watched]:
    header, there = kept.header(place), set(kept.names(place))
    steps = header.settings.get("steps")
    for name in header.asked:
        checkpoint = Path(kept.checkpoint(place, name))
        member = kept.member(place, name) if name in there and name not in known else None
        if member is not None:
            known[name] = Watched(name, WHOLE, member.history, steps, 0.0)
        if name in there and name in known:
            yield known[name]
        elif checkpoint.exists():
            yield _under_way(name, checkpoint, steps)
        else:
            yield Watched(name, WAITING, None, steps, 0.0)


def _under_way(name: str, checkpoint: Path, steps: int | None) -> Watched:
    """What a checkpoint tells; one that has just become a whole cell waits for the next look."""
    try:
        moved = checkpoint.stat().st_mtime
        progress, arrays = load_progress(checkpoint)
    except FileNotFoundError:
        return Watched(name, RUNNING, None, steps, 0.0)
    history = Recorder(arrays)
    history.diverged_at, history.diverged_because = progress["diverged_at"], progress["diverged_because"]
    return Watched(name, RUNNING, history.freeze(), steps, moved)


def page(now: str, *, title: str) -> str:
    """The page of a folder, which asks by itself for what changes of it.

    Parameters
    ----------
    now : str
        That, as `body` made it.
    title : str
    """
    from markupsafe import Markup

    return template("watch.html.j2").render(css=css(), title=title, body=Markup(now), seconds=SECONDS)


SECONDS = 3
"""Between two looks."""


def body(found: Sequence[Watched], *, title: str, report: bool) -> Any:
    """What changes of the page, as HTML; `report` says whether there is one of what is whole."""
    from markupsafe import Markup

    whole = sum(one.state == WHOLE for one in found)
    text = template("watched.html.j2").render(
        title=title,
        words=f"{whole} of {len(found)} trainings are whole" if len(found) > 1 else "One training",
        rows=[one.row() for one in found],
        svg=_curves(found),
        report=report,
    )
    return Markup(text)


def _curves(found: Sequence[Watched]) -> Any | None:
    """The losses, or None where there are none yet."""
    begun = [(one, one.history) for one in found if one.history is not None]
    shown = [(one, history) for one, history in begun if len(history.valid["nll"])]
    shown = sorted(shown, key=lambda pair: pair[0].moved)[-CURVES:]
    if not shown:
        return None
    named = [
        (one.title if len(one.title) < LONGEST else f"{one.title[: LONGEST - 3]}...", history)
        for one, history in shown
    ]

    def draw(figure: Figure) -> None:
        plot_curves(named, figure.subplots())

    last = [float(history.valid["nll"][-1]) for _, history in shown]
    alt = f"Validation loss of {len(shown)} trainings, now from {min(last):.3f} to {max(last):.3f} nats"
    svg, _ = drawn(lambda: inline_svg(draw, 3.4, name="watched", alt=alt), "the curves")
    return svg
