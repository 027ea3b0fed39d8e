"""How every figure looks: one colour per scheme everywhere, readable type, the user's settings kept.

The colours of the common schemes are those of Okabe and Ito (2008, "Color Universal Design"), which stay
apart under the usual kinds of colour blindness; dashes tell related schemes
apart, and in grey print all whose colours are about as light as each other. A scheme that is not in
the table gets colour and dashes from a hash of its name, so it looks the same in every figure, on every day
and whatever else is drawn beside it; every hybrid of two built-in schemes has a look of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations, product
from typing import Any, NamedTuple

from admin_py.base.arguments import door_of_values
from admin_py.plots.backend import need_matplotlib
from admin_py.plots.fonts import legible
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

_MORE_COLORS = ("#4646B9", "#8C564B", "#117733", "#630363", "#570F1B", "#AD60FB")
"""Of hybrids and of schemes that are not built in: no scheme's, and no matrix's of `updates.MARKS`."""


def _more_dashes() -> tuple[Dashes, ...]:
    """Dashes and dots in turn, 96 patterns, simple ones first; none is that of a built-in scheme."""
    found = []
    for dash, gap in ((4.2, 1.3), (7.0, 1.8), (2.4, 1.0), (4.2, 2.4), (7.0, 3.0), (2.4, 2.2)):
        for dashes, dots in sorted(product(range(1, 5), repeat=2), key=lambda pair: (sum(pair), pair)):
            found.append((0.0, (dash, gap) * dashes + (1.2, gap) * dots))
    return tuple(found)


_MORE_DASHES = _more_dashes()


def _hybrids() -> dict[str, tuple[str, Dashes]]:
    """Every pair of built-in schemes, each with a look of its own; those of the common ones first."""
    order = sorted(_STYLES, key=lambda name: COMMON.index(name) if name in COMMON else len(COMMON))
    pairs = sorted(permutations(range(len(order)), 2), key=lambda pair: (max(pair), pair))
    colors, dashes = len(_MORE_COLORS), len(_MORE_DASHES)
    return {
        # Those that follow each other differ in both.
        f"{order[a]}/{order[b]}": (
            _MORE_COLORS[number % colors],
            _MORE_DASHES[(number // colors + number % colors * (dashes // colors)) % dashes],
        )
        for number, (a, b) in enumerate(pairs)
    }


COMMON = ("post_ln", "pre_ln", "admin", "deepnorm")
"""Schemes whose hybrids have the simplest dashes."""

_HYBRIDS: Mapping[str, tuple[str, Dashes]] = _hybrids()

KINDS: Mapping[str, tuple[str, str]] = {
    "self_attn": ("self-attention", "o"),
    "cross_attn": ("cross-attention", "s"),
    "feed_forward": ("feed-forward", "^"),
}
"""Kind of sub-layer -> name for people and marker."""

INK, FAINT, PAPER = "#1B1F24", "#D4D8DD", "#FFFFFF"
"""Text and axes; grid lines; ground. The report swaps them for the reader's own scheme, light or dark."""
MUTED, LIGHT_MUTED = "#5B6470", "#A9B2BC"
"""Of what is less than data, on a light ground and on a dark one."""

WIDTH = 7.2
"""Of a figure, inches."""

SEQUENTIAL = "magma_r"
"""Colour map of heatmaps: light for nothing, dark for much, even steps to the eye, in grey print too."""

_RC: Mapping[str, Any] = {
    "savefig.dpi": 160,
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
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
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "admin-py",
}
"""Where the user has changed nothing. Text stays text in files: it can be searched, edited and read out."""

_ALWAYS: Mapping[str, Any] = {"text.usetex": False}
"""Whatever the user has set: names and formulas are written for Matplotlib, and LaTeX may not be there."""

_RELATIVE: Mapping[str, float] = {
    "axes.titlesize": 1.105,
    "xtick.labelsize": 0.947,
    "ytick.labelsize": 0.947,
    "legend.fontsize": 0.947,
}
"""Sizes of type in those of ``font.size``."""


@contextmanager
def context(*, own: bool = False) -> Iterator[None]:
    """Use the package's style inside a ``with`` block; the user's ``rcParams`` come back afterwards.

    What the user has changed from Matplotlib's defaults, by a style, a file or ``rc_context``, is kept, such
    as a larger type or a dark ground.

    Parameters
    ----------
    own : bool
        Everything as the package has it, but for fonts: in pages that have colours of their own.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["font.size"]
    >>> with context():
    ...     matplotlib.rcParams["font.size"]
    9.5
    >>> matplotlib.rcParams["font.size"] == before
    True
    >>> with matplotlib.rc_context({"font.size": 14.0}), context():
    ...     matplotlib.rcParams["font.size"], matplotlib.rcParams["xtick.labelsize"]
    (14.0, 13.26)
    """
    need_matplotlib()
    from matplotlib import rcParams, rcParamsDefault

    def usual(name: str) -> bool:
        return own or bool(rcParams[name] == rcParamsDefault[name])

    wanted = {name: value for name, value in _RC.items() if usual(name)}
    size = wanted.get("font.size", rcParams["font.size"])
    wanted |= {name: round(share * size, 2) for name, share in _RELATIVE.items() if usual(name)}
    wanted |= _ALWAYS
    dark = not own and is_dark()
    if dark:  # of a ground alone that is dark: what stands on it is light
        wanted = {name: PAPER if value == INK else value for name, value in wanted.items()}
    # Not rc_context: it would also undo what pyplot sets up when a notebook draws its first figure.
    before = {name: rcParams[name] for name in wanted}
    try:
        rcParams.update(wanted)
        yield
    finally:
        rcParams.update(before)


def is_dark() -> bool:
    """Whether the ground that the user draws on is dark."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgb

    ground = rcParams["axes.facecolor"]
    red, green, blue = to_rgb(ground if ground != "none" else rcParams["figure.facecolor"])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.4


def ink() -> Any:
    """Colour of text, and of data that are of no scheme."""
    from matplotlib import rcParams

    return rcParams["text.color"]


def muted() -> str:
    """Colour of what is less than data: thresholds, kinds, what is named in legends."""
    return LIGHT_MUTED if is_dark() else MUTED


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
    if name in _HYBRIDS:
        return SchemeStyle(label(name), *_HYBRIDS[name])
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    color = _MORE_COLORS[digest[0] % len(_MORE_COLORS)]
    offset, dashes = _MORE_DASHES[digest[1] % len(_MORE_DASHES)]
    longer = round(1.0 + digest[2] / 512.0, 3)  # so that two names never have quite the same
    return SchemeStyle(label(name), color, (offset, tuple(round(part * longer, 3) for part in dashes)))


LONGEST_LABEL = 300
"""Letters of a name that are looked at: no figure has room for more."""


def legend_text(label: str) -> str:
    """A name as Matplotlib shows it literally: no formulas between dollars, no hiding after an underscore.

    What no installed font can show is written as an escape.

    Examples
    --------
    >>> legend_text("_mine $x")
    ' _mine \\\\$x'
    """
    short = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
    text = legible(short).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
