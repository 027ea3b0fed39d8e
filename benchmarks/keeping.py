"""Files of results: a kind, the machine, and an entry for each thing that was measured, as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine

FORMAT = 1
RESULTS = Path(__file__).parent / "results"


def results_path(name: str, about: Mapping[str, Any], *, cpu: str, threads: int) -> Path:
    """A file for each kind of machine, setting of the CPU and number of threads."""
    kind = about["kind"].lower().replace("-", "").replace(" ", "-") if cpu == "native" else cpu
    return RESULTS / f"{name}-{machine.slug(about)}-{kind}-{threads}threads.json"


def load(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The file's ``machine`` and ``entries`` (name -> entry).

    Raises
    ------
    ValueError
        If it is not a file of this kind.
    """
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or (found.get("kind"), found.get("format")) != (kind, FORMAT):
        raise ValueError(f"{os.fspath(path)!r} is not a file of {kind}, layout {FORMAT}")
    return found


def save(
    path: str | os.PathLike[str], kind: str, about: Mapping[str, Any], entries: Mapping[str, Any]
) -> None:
    """Write the file, a line an entry, whole or not at all."""
    from admin_py.base.documents import dump  # not at the top: sides must not load its core
    from admin_py.base.whole_files import write_whole

    head = json.dumps({"kind": kind, "format": FORMAT, "machine": about})
    write_whole(path, f'{head[:-1]},\n"entries": {dump(entries).rstrip()}}}\n')
