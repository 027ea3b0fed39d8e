"""A picture of a training that renews itself in a notebook while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_integer
from admin_py.base.progress import in_notebook
from admin_py.base.streams import say
from admin_py.plots.files import drawn, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from admin_py.model.transformer import Transformer
    from admin_py.training.history import History
    from admin_py.training.recorder import Recorder


CSS_PIXELS = 100
"""Of the page, for an inch of the figure."""


@door
class LivePlot:
    """Callback of `train` that shows loss, updates and omega so far, in one output a training, replaced.

    Left the loss of training and validation; with ``observe=`` also the updates by kind of matrix and the
    skip scale of the first stack. Outside a notebook nothing is shown; `figure` has the last picture anyway.
    One that cannot be drawn is left out, which a line says; the training goes on.

    Parameters
    ----------
    every : int
        Steps between pictures.

    Raises
    ------
    ValueError, TypeError
        If `every` is not a positive integer.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> live = LivePlot(every=2)
    >>> history = ap.train(ap.Transformer(config), data, optimizer=ap.Adam(lr=1e-3), steps=4, observe=1,
    ...                    max_tokens=128, callbacks=[live], progress=False)
    >>> len(live.figure.axes) >= 3
    True
    """

    def __init__(self, every: int = 10) -> None:
        self.every = check_integer("every", every, 1, MAX_COUNT)
        self.figure: Figure | None = None
        self._handle: Any = None
        self._history: Recorder | None = None
        self._complained = False

    def __call__(self, step: int, model: Transformer, history: Recorder) -> None:
        if history is not self._history:  # another training, which has an output of its own
            self._history, self._handle, self._complained = history, None, False
        if step % self.every and history.diverged_at is None:
            return
        shown, why = drawn(lambda: self._renew(model, history), f"the picture of step {step:,}")
        if shown is None and not self._complained:
            self._complained = True
            say(why)

    def _renew(self, model: Transformer, history: Recorder) -> bool:
        self.figure = draw(model, history)
        if in_notebook():
            self._show(self.figure)
        return True

    def _show(self, figure: Figure) -> None:
        from IPython.display import display

        picture = Shown(saved(figure, "png"), round(CSS_PIXELS * figure.get_figwidth()))
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)

    def __repr__(self) -> str:
        return f"LivePlot(every={self.every})"


@dataclass(frozen=True)
class Shown:
    """A picture for notebooks.

    Not the figure: a kernel knows how to show one only after pyplot has drawn its first.

    Attributes
    ----------
    png : bytes
    width : int
        Pixels of the page.
    """

    png: bytes
    width: int

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return self.png, {"width": self.width}

    def __repr__(self) -> str:
        return f"a picture of {len(self.png):,} bytes"


def draw(model: Transformer, history: Recorder | History) -> Figure:
    """The picture of a training so far."""
    from admin_py import plots
    from admin_py.training.history import MATRICES

    observed = MATRICES in history.observations
    with plots.context():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0 if observed else 5.0, 3.2), layout="constrained")
        axes = figure.subplots(1, 3 if observed else 1, squeeze=False)[0]
        plots.plot_history(history, axes[0], scheme=model.config.scheme_name)
        if observed:
            from admin_py.analysis import updates

            found = replace(updates(history), scheme=model.config.scheme_name)
            plots.plot_updates(found, axes[1], quantity="relative")
            plots.plot_omega_drift(found, axes[2])
    return figure
