"""Gradient norm of every weight matrix of one model, by layer and kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.gradients import GradientNorms
from admin_py.base.arguments import door_of_values
from admin_py.model.names import KINDS, MatrixPlace, place_of
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import legend_below, one_legend
from admin_py.plots.marks import thin_out
from admin_py.plots.panels import given_axes, one_scale
from admin_py.plots.room import set_title
from admin_py.plots.style import legend_text, muted, scheme_style
from admin_py.plots.sublayers import positions
from admin_py.plots.ticks import frame_stacks, log_axis
from admin_py.plots.updates import LABELS, MARKS, PAPER_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


CROSS = "cross_attn"

CROSS_DASHES = (0.0, (3.0, 1.4))


@door_of_values
@drawing
def plot_matrix_gradients(gradients: GradientNorms, ax: Axes | None = None) -> Axes:
    """|dL/dW| by layer on a log axis: encoder left, decoder right, a line for each kind of matrix.

    Parameters
    ----------
    gradients : GradientNorms
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.

    Notes
    -----
    Q, K, V, O of attention, 1 and 2 of the feed-forward; the decoder's attention to the encoder is dashed
    with open marks. Embeddings are crosses before the first layer, an output matrix of its own after the
    last. A matrix whose gradient is 0 or not finite is left out.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> found = ap.analysis.gradients(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> plot_matrix_gradients(found).get_yscale()
    'log'
    """
    gradients = one("gradients", gradients, GradientNorms, many="plot_matrix_gradient_panels")
    ax = new_axes(height=3.4) if ax is None else ax
    places = [place_of(name) for name in gradients.matrices]
    norms = np.array(list(gradients.matrices.values()), np.float64)
    norms[~(np.isfinite(norms) & (norms > 0))] = np.nan
    sizes = {place.stack: 0 for place in places}
    for place in places:
        sizes[place.stack] = max(sizes[place.stack], place.layer + 1)
    layers = positions(sizes)
    marked: list[Line2D] = []
    for cross in (False, True):
        for kind in KINDS[:-1]:
            for stack, x in layers.items():
                y = _line(places, norms, MatrixPlace(kind, stack, 0, CROSS if cross else ""), len(x))
                if np.isfinite(y).any():
                    marked += ax.plot(x, y, label="_nolegend_", zorder=3.0, **_look(kind, cross))
    for x in layers.values():
        thin_out(ax, [line for line in marked if np.asarray(line.get_xdata())[0] == x[0]])
    _embeddings(ax, gradients, norms, layers)
    frame_stacks(ax, layers, "layer", margin=1.6)
    if np.isfinite(norms).any():
        log_axis(ax)
    ax.set_ylabel(LABELS["grad_norm"])
    set_title(ax, legend_text(scheme_style(gradients.scheme).label))
    _legend(ax, places)
    return ax


@door_of_values
@drawing
def plot_matrix_gradient_panels(
    gradients: GradientNorms | Iterable[GradientNorms], axes: Iterable[Axes] | None = None
) -> np.ndarray:
    """`plot_matrix_gradients` of several models below each other on one scale.

    Parameters
    ----------
    gradients : GradientNorms or iterable of GradientNorms
        Such as one a scheme.
    axes : iterable of matplotlib.axes.Axes, optional
        As many, to draw into; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of models].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no result, or the number of axes is another.
    """
    found = several("gradients", gradients, GradientNorms)
    panels = given_axes(axes, found, height=2.4)
    for ax, norms in zip(panels, found, strict=True):
        plot_matrix_gradients(norms, ax)
    one_scale(panels)
    one_legend(panels)
    return np.array(panels, dtype=object)


def _line(places: list[MatrixPlace], norms: np.ndarray, wanted: MatrixPlace, layers: int) -> np.ndarray:
    """Norms of one kind of matrix over the layers of a stack, [layers]; of cross-attention or of the rest."""
    values = np.full(layers, np.nan)
    for place, norm in zip(places, norms, strict=True):
        same = (place.kind, place.stack) == (wanted.kind, wanted.stack)
        if same and (place.sublayer == CROSS) == (wanted.sublayer == CROSS):
            values[place.layer] = norm
    return values


def _embeddings(ax: Axes, gradients: GradientNorms, norms: np.ndarray, layers: dict[str, np.ndarray]) -> None:
    """Crosses: of the input before the first layer of its stack, of the output after the last."""
    for name, norm in zip(gradients.matrices, norms, strict=True):
        place = place_of(name)
        if place.kind != "embedding":
            continue
        x = layers.get(place.stack, next(iter(layers.values())))
        at = x[-1] + 1.0 if name.startswith("output") else x[0] - 1.0
        ax.plot([at], [norm], label="_nolegend_", zorder=3.0, **{**_look("embedding"), "linestyle": "none"})


def _look(kind: str, cross: bool = False) -> dict[str, Any]:
    color, marker = MARKS[kind]
    return {
        "color": color,
        "marker": marker,
        "markersize": 4.0,
        "linewidth": 1.0,
        "linestyle": CROSS_DASHES if cross else "solid",
        "fillstyle": "none" if cross else "full",
    }


def _legend(ax: Axes, places: list[MatrixPlace]) -> None:
    from matplotlib.lines import Line2D

    present = [kind for kind in KINDS if any(place.kind == kind for place in places)]
    kinds = [
        Line2D(
            [],
            [],
            label=PAPER_NAMES[kind],
            **{**_look(kind), **({"linestyle": "none"} if kind == "embedding" else {})},
        )
        for kind in present
    ]
    more = []
    if any(place.sublayer == CROSS for place in places):
        look = {**_look("embedding", cross=True), "color": muted(), "marker": "o"}
        more = [Line2D([], [], label="of cross-attention", **look)]
    legend_below(ax, [*kinds, *more], columns=8)
