"""How every figure looks: one colour per scheme everywhere, readable type, the user's settings kept.

The colours of the common schemes are those of Okabe and Ito (2008, "Color Universal Design"), which stay
apart under the usual kinds of colour blindness; dashes tell related schemes
apart, and in grey print all whose colours are about as light as each other. A scheme that is not in
the table gets colour and dashes from a hash of its name, so it looks the same in every figure, on every day
and whatever else is drawn beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from admin_py.base.arguments import door_of_values
from admin_py.plots.backend import need_matplotlib
from admin_py.schemes.labels import label

Dashes = tuple[float, tuple[float, ...]]

SOLID: Dashes = (0.0, ())
LONG: Dashes = (0.0, (6.0, 1.6))
DOTTED: Dashes = (0.0, (1.4, 1.2))
DASH_DOT: Dashes = (0.0, (5.0, 1.4, 1.2, 1.4))
SHORT: Dashes = (0.0, (3.0, 1.4))
SPARSE: Dashes = (0.0, (1.4, 3.0))
LONG_SHORT: Dashes = (0.0, (6.0, 1.4, 2.4, 1.4))
DASH_TWO_DOTS: Dashes = (0.0, (5.0, 1.4, 1.2, 1.4, 1.2, 1.4))
TWO_DASHES_DOT: Dashes = (0.0, (3.0, 1.4, 3.0, 1.4, 1.2, 1.4))


class SchemeStyle(NamedTuple):
    """How one scheme is drawn.

    Attributes
    ----------
    label : str
        For people, such as ``"Post-LN"``.
    color : str
        Hexadecimal RGB.
    dashes : tuple
        A line style of Matplotlib, ``(offset, (on, off, ...))`` in points of the line's width.
    """

    label: str
    color: str
    dashes: Dashes


VERMILION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
ORANGE, SKY, GREY, OLIVE, WINE = "#E69F00", "#56B4E9", "#7A7A7A", "#999933", "#882255"

_STYLES: Mapping[str, tuple[str, Dashes]] = {
    "post_ln": (VERMILION, SOLID),
    "ds_init": (VERMILION, LONG),
    "b2t": (VERMILION, DOTTED),
    "keel": (VERMILION, SHORT),
    "pre_ln": (BLUE, LONG),
    "layer_scale": (BLUE, DOTTED),
    "layernorm_scaling": (BLUE, SHORT),
    "deep_scale_lm": (BLUE, DASH_DOT),
    "admin": (GREEN, DASH_DOT),
    "admin_torch": (SKY, SOLID),
    "admin_torch_trained": (SKY, LONG),
    "admin_torch_1": (SKY, DOTTED),
    "admin_torch_1_trained": (SKY, SHORT),
    "admin_torch_n": (SKY, DASH_DOT),
    "admin_torch_n_trained": (SKY, SPARSE),
    "deepnorm": (PURPLE, LONG_SHORT),
    "sub_ln": (PURPLE, DASH_TWO_DOTS),
    "rezero": (ORANGE, LONG_SHORT),
    "rezero_post_ln": (ORANGE, DASH_TWO_DOTS),
    "looks_linear": (GREY, DASH_TWO_DOTS),
    "t_fixup": (WINE, SOLID),
    "sandwich": (OLIVE, SPARSE),
    "mix_ln": (OLIVE, TWO_DASHES_DOT),
}

SCHEMES: Mapping[str, SchemeStyle] = {name: SchemeStyle(label(name), *look) for name, look in _STYLES.items()}
"""Every built-in scheme."""

_HASHED_COLORS = ("#AA4499", "#44AA99", "#6A51A3", "#B8860B", "#117733", "#8C564B", "#1F4E9E", "#E377C2")
_HASHED_DASHES = (SHORT, DASH_DOT, LONG, DOTTED)

KINDS: Mapping[str, tuple[str, str]] = {
    "self_attn": ("self-attention", "o"),
    "cross_attn": ("cross-attention", "s"),
    "feed_forward": ("feed-forward", "^"),
}
"""Kind of sub-layer -> name for people and marker."""

INK, FAINT, PAPER = "#1B1F24", "#D4D8DD", "#FFFFFF"
"""Text and axes; grid lines; ground. The report swaps them for the reader's own scheme, light or dark."""
MUTED = "#5B6470"

WIDTH = 7.2
"""Of a figure, inches."""

SEQUENTIAL = "magma_r"
"""Colour map of heatmaps: light for nothing, dark for much, even steps to the eye, in grey print too."""

_RC: Mapping[str, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 160,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "mathtext.fontset": "dejavusans",
    "text.usetex": False,  # names and formulas here are written for Matplotlib; LaTeX may not be there
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "admin-py",
}


@contextmanager
def context() -> Iterator[None]:
    """Use the package's style inside a ``with`` block; the user's ``rcParams`` come back afterwards.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["font.size"]
    >>> with context():
    ...     matplotlib.rcParams["font.size"]
    9.5
    >>> matplotlib.rcParams["font.size"] == before
    True
    """
    need_matplotlib()
    from matplotlib import rcParams

    # Not rc_context: it would also undo what pyplot sets up when a notebook draws its first figure.
    before = {name: rcParams[name] for name in _RC}
    try:
        rcParams.update(_RC)
        yield
    finally:
        rcParams.update(before)


@door_of_values
def scheme_style(name: str) -> SchemeStyle:
    """Label, colour and dashes of a scheme, by its name alone.

    Parameters
    ----------
    name : str
        Such as ``"admin"``; a hybrid is ``"encoder's/decoder's"``; any other name is a user's.

    Returns
    -------
    SchemeStyle

    Raises
    ------
    TypeError
        If it is no str.

    Examples
    --------
    >>> scheme_style("pre_ln")
    SchemeStyle(label='Pre-LN', color='#0072B2', dashes=(0.0, (6.0, 1.6)))
    >>> scheme_style("my scheme") == scheme_style("my scheme")
    True
    """
    if not isinstance(name, str):
        raise TypeError(
            f"scheme_style: name must be that of a scheme, got an object of type {type(name).__name__}"
        )
    if name in SCHEMES:
        return SCHEMES[name]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    color = _HASHED_COLORS[digest[0] % len(_HASHED_COLORS)]
    dashes = _HASHED_DASHES[digest[1] % len(_HASHED_DASHES)]
    return SchemeStyle(label(name), color, dashes)


def legend_text(label: str) -> str:
    """A name as Matplotlib shows it literally: no formulas between dollars, no hiding after an underscore.

    Examples
    --------
    >>> legend_text("_mine $x")
    ' _mine \\\\$x'
    """
    text = label.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
