"""Draw every figure at the sizes that journals print, and list what of it cannot be read.

    python tools/check_figures.py [--figure NAME] [--case CASE] [--sheet SHEET] [--pictures FOLDER]

With a folder, contact sheets are kept in it, to be looked at. Exits with 1 if anything is found.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

ACROSS = 3
"""Pictures in a row of a contact sheet."""


def main() -> int:
    """Print a line a finding, then how many of each kind."""
    sys.path[:0] = [str(ROOT / "tests" / "helpers"), str(ROOT / "tests")]
    import matplotlib

    matplotlib.use("Agg")
    from drawn_figures import DRAWN
    from figure_checks import CASES, SHEETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figure", nargs="+", default=list(DRAWN))
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--sheet", nargs="+", default=list(SHEETS), choices=list(SHEETS))
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    kinds: Counter[str] = Counter()
    for sheet in options.sheet:
        for case in options.case:
            kinds += _one_sheet(options, case, sheet)
    print(", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "nothing found")
    return 1 if kinds else 0


def _one_sheet(options: Any, case: str, sheet: str) -> Counter[str]:
    import matplotlib.pyplot as plt
    from figure_checks import check

    kinds: Counter[str] = Counter()
    pictures = []
    for name in options.figure:
        try:
            axes, found = check(name, case, sheet)
            if options.pictures:
                pictures.append((name, _pixels(axes[0].figure)))
        except Exception as error:
            found = [f"error: {type(error).__name__}: {error}"]
        plt.close("all")
        for line in found:
            kinds[line.partition(":")[0]] += 1
        for line in found[:4]:
            print(f"{name:30} {case:6} {sheet:18} {line[:140]}", flush=True)
        if len(found) > 4:
            print(f"{name:30} {case:6} {sheet:18} ... {len(found)} in all", flush=True)
    if options.pictures:
        _save(options.pictures, f"{case}-{sheet}".replace(" ", "").replace(",", "-"), pictures)
    return kinds


def _pixels(figure: Any) -> Any:
    import io

    from matplotlib.image import imread

    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    stream.seek(0)
    return imread(stream)[..., :3]


def _save(folder: Path, name: str, pictures: list[tuple[str, Any]]) -> None:
    """Contact sheets of six pictures each."""
    import numpy as np
    from matplotlib.image import imsave

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(pictures), 2 * ACROSS):
        rows = []
        some = [pixels for _, pixels in pictures[number : number + 2 * ACROSS]]
        for start in range(0, len(some), ACROSS):
            row = some[start : start + ACROSS]
            height = max(len(one) for one in row)
            padded = [
                np.pad(one, ((0, height - len(one) + 8), (0, 8), (0, 0)), constant_values=0.6) for one in row
            ]
            rows.append(np.concatenate(padded, axis=1))
        width = max(row.shape[1] for row in rows)
        sheet = [
            np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=0.6) for row in rows
        ]
        imsave(folder / f"{name}-{number // (2 * ACROSS)}.png", np.concatenate(sheet))


if __name__ == "__main__":
    sys.exit(main())
