"""Stores what every figure is made of, for test_figures.py.

    python tests/helpers/store_figures.py

Run it after a figure was changed on purpose, and look at the difference and at the figure before committing.
"""

from __future__ import annotations

import sys
from pathlib import Path

STORED = Path(__file__).parents[1] / "stored" / "figures"


def main() -> None:
    """Write one file a figure, and remove those of figures that are gone."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from drawn_figures import DRAWN, draw
    from figure_structure import dump, structure

    STORED.mkdir(parents=True, exist_ok=True)
    for path in STORED.glob("*.json"):
        if path.stem not in DRAWN:
            path.unlink()
    for name in DRAWN:
        (STORED / f"{name}.json").write_text(dump(structure(draw(name))), encoding="utf-8")
        plt.close("all")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    main()
