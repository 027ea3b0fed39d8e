"""Runs notebooks in a kernel, in an empty folder, and keeps them with their outputs.

Usage: python tools/execute_notebooks.py [NOTEBOOK...], by default those of notebooks/ whose cells changed
since they were executed; --all executes all of them, --check only says which would be.

What would differ from day to day without meaning (times, machine, versions of the kernel) is left out,
and a digest of the code is kept, by which the tests tell that the outputs are those of the cells.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LONGEST = 600
"""Seconds that a cell may take on a busy machine."""
LARGEST = 500_000
"""Bytes of a notebook with its pictures."""


def digest(notebook: nbformat.NotebookNode) -> str:
    """Of the code of all cells."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode("utf-8")).hexdigest()[:16]


def up_to_date(path: Path) -> bool:
    """Whether the outputs are of the present cells."""
    notebook = nbformat.read(path, as_version=4)
    return notebook.metadata.get("executed") == digest(notebook)


def execute(path: Path) -> float:
    """Run a notebook and write it with its outputs; seconds that it took."""
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ}
    environment.pop("MPLBACKEND", None)  # a kernel has its own way to show pictures
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", resources=place).execute(
            env=environment
        )
        left = os.listdir(folder)
    seconds = time.monotonic() - start
    if left:
        raise SystemExit(f"{path.name} leaves files: {', '.join(left)}")
    clean(notebook)
    text = nbformat.writes(notebook) + "\n"
    if len(text) > LARGEST:
        raise SystemExit(f"{path.name} would have {len(text)} bytes, more than {LARGEST}")
    path.write_text(text, encoding="utf-8")
    return seconds


def clean(notebook: nbformat.NotebookNode) -> None:
    """Leave out what has nothing to do with the notebook's contents."""
    notebook.metadata = nbformat.from_dict(
        {
            "executed": digest(notebook),
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", ()):
            if output.output_type == "error" or output.get("name") == "stderr":
                raise SystemExit(f"cell {number} complains: {output}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    old = [path for path in paths if options.all or options.notebooks or not up_to_date(path)]
    if options.check:
        sys.exit(f"not executed: {', '.join(path.name for path in old)}" if old else 0)
    for path in old:
        print(f"{path.name}: {execute(path):.0f} s, {path.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main()
