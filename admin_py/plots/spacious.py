"""A layout for figures that have none; a module of its own, since its class needs Matplotlib at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from matplotlib.layout_engine import ConstrainedLayoutEngine, PlaceHolderLayoutEngine

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Spacious(PlaceHolderLayoutEngine):
    """Lays out a figure that has no layout of its own, until its user adjusts it."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(adjust_compatible=True, colorbar_gridspec=True)
        self._pars = pars_of(figure)
        self._inner = ConstrainedLayoutEngine()

    def execute(self, fig: Figure) -> None:
        """Make room for all that stands around the axes."""
        if pars_of(fig) != self._pars:
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(collapsed|not applied).*")
            self._inner.execute(fig)


def pars_of(figure: Figure) -> tuple[float, ...]:
    """Where a figure's axes begin and end, and the room between them."""
    pars = figure.subplotpars
    return pars.left, pars.right, pars.bottom, pars.top, pars.wspace, pars.hspace
