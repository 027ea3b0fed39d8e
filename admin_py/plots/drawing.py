"""What happens around every drawing: the style, axes given or new, and no figure of a call that fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from admin_py.base.checks import check_listed
from admin_py.plots.arguments import WrongArgument, described
from admin_py.plots.backend import need_matplotlib
from admin_py.plots.room import fit_labels, settle
from admin_py.plots.style import WIDTH, context

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

LEAST_WIDTH = 2.4
"""Inches of axes side by side."""

_OPENED: ContextVar[list[Figure] | None] = ContextVar("_OPENED", default=None)
"""Figures that the call in progress has opened."""


def drawing(function: Callable[P, R]) -> Callable[P, R]:
    """Make a plot function of one that draws: it has the package's style, and its errors its name.

    Arguments named ``ax`` and ``axes`` are checked here, the latter handed on as a flat list. Whatever is
    raised, figures that were opened in the call are closed.

    Examples
    --------
    >>> @drawing
    ... def plot_nothing(ax=None):
    ...     ax = new_axes() if ax is None else ax
    ...     raise ValueError("nothing to draw")
    >>> import matplotlib.pyplot as plt
    >>> before = plt.get_fignums()
    >>> try:
    ...     plot_nothing()
    ... except ValueError:
    ...     plt.get_fignums() == before
    True
    >>> plot_nothing(3)
    Traceback (most recent call last):
    TypeError: plot_nothing: ax must be Axes of Matplotlib, got an int
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> R:
        opened: list[Figure] = []
        outer = _OPENED.get()
        token = _OPENED.set(opened)
        try:
            need_matplotlib()
            given = _bound(signature, *args, **kwargs)
            _check_axes(given.arguments)
            with context():
                drawn = function(*given.args, **given.kwargs)
                if outer is None:  # else the one that draws with it settles all
                    settle(_axes_in(drawn))
        except BaseException as error:
            _close(opened)
            if isinstance(error, WrongArgument):
                raise TypeError(f"{function.__name__}: {error}") from None
            raise
        finally:
            _OPENED.reset(token)
        if outer is not None:
            outer += opened
        return drawn

    return draw


def new_axes(
    rows: int = 1, columns: int = 1, *, height: float = 3.2, width: float = WIDTH, **options: Any
) -> Any:
    """Axes of a new figure that pyplot manages, so that notebooks show it.

    Parameters
    ----------
    rows, columns : int
        Of axes.
    height : float
        Of one row, inches.
    width : float
        Of the figure, inches.
    **options
        To ``matplotlib.pyplot.subplots``.

    Where the user has set ``figure.figsize``, that is the size; axes that would be too narrow side by side
    then stand below each other.

    Returns
    -------
    matplotlib.axes.Axes or ndarray of Axes
        One, or [rows, columns] squeezed.
    """
    from matplotlib import rcParams, rcParamsDefault

    size = tuple(rcParams["figure.figsize"])
    if size != tuple(rcParamsDefault["figure.figsize"]):
        width, height = size  # of one axes: rows below each other have it each
        if columns > 1 and width / columns < LEAST_WIDTH:
            rows, columns = rows * columns, 1
            options.pop("sharey", None)
    figure = _new_figure((width, rows * height))
    opened = _OPENED.get()
    if opened is not None:
        opened.append(figure)
    return figure.subplots(rows, columns, **options)


def _new_figure(figsize: tuple[float, float]) -> Figure:
    """One of pyplot; where its backend cannot be loaded (not installed, no display), one of nobody's.

    That one can be saved, which is all that can be done with a figure there.
    """
    try:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=figsize, layout="constrained")
    except Warning:  # made an error by the filters
        raise
    except Exception:
        from matplotlib.figure import Figure

        return Figure(figsize=figsize, layout="constrained")


def _axes_in(drawn: Any) -> list[Axes]:
    """The axes that a plot function returns, once what it draws with others has settled."""
    from matplotlib.axes import Axes

    found = [drawn] if isinstance(drawn, Axes) else list(np.ravel(drawn)) if np.size(drawn) else []
    for ax in found:
        fit_labels(ax)
    return found


def _bound(signature: inspect.Signature, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise WrongArgument(str(error)) from None


def _close(figures: list[Figure]) -> None:
    if not figures:
        return
    import matplotlib.pyplot as plt

    for figure in figures:
        plt.close(figure)


def _check_axes(arguments: dict[str, Any]) -> None:
    """What is to be drawn into; several are made a flat list."""
    from matplotlib.axes import Axes

    ax, axes = arguments.get("ax"), arguments.get("axes")
    if ax is not None and not isinstance(ax, Axes):
        raise WrongArgument(f"ax must be Axes of Matplotlib, got {described(ax)}")
    if axes is None:
        return
    found: list[Axes] | None = None
    if isinstance(axes, Axes):
        found = [axes]
    elif isinstance(axes, np.ndarray):
        found = list(axes.ravel())
    elif isinstance(axes, Iterable):
        found = check_listed("axes", axes, "Axes of Matplotlib")
    if found is None or not all(isinstance(one, Axes) for one in found):
        raise WrongArgument(f"axes must be several Axes of Matplotlib, got {described(axes)}")
    arguments["axes"] = found
