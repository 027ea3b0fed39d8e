"""How many processors' time the process may use: what the quotas of its control groups leave.

A container of 2 processors on a machine of 64 shows all of them to its programs. Threads on more processors
than the quota grants have used it up before its period ends, and all of them are stopped until the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Mount(NamedTuple):
    """Where a hierarchy of control groups is seen: the group that lies at `point` is `root`."""

    kind: str
    root: str
    point: str
    controllers: frozenset[str]


def processors_granted(system: Path = Path("/")) -> int | None:
    """Whole processors that the tightest quota of the process's groups grants, at least 1; None: no quota.

    Of version 2 it is what ``cpu.max`` says, of version 1 ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``; the
    quotas of the groups above count, too. Whatever cannot be read grants everything.

    Parameters
    ----------
    system : Path
        What stands for the root of the file system.
    """
    quotas = [quota for folder in _folders(system) if (quota := _quota(folder)) is not None]
    return max(1, math.floor(min(quotas))) if quotas else None


def _folders(system: Path) -> Iterator[Path]:
    """The folders of the process's groups, of those with processors, and of all above them."""
    groups = dict(_groups(system))
    for mount in _mounts(system):
        key = "" if mount.kind == "cgroup2" else "cpu" if "cpu" in mount.controllers else None
        if key not in groups:
            continue
        root = mount.root.rstrip("/")
        inside = groups[key].removeprefix(root).strip("/") if groups[key].startswith(root) else ""
        names = [name for name in inside.split("/") if name]
        if ".." in names:  # the group lies outside of what is seen
            names = []
        for depth in range(len(names) + 1):
            yield system.joinpath(mount.point.lstrip("/"), *names[:depth])


def _groups(system: Path) -> Iterator[tuple[str, str]]:
    """Controller ("" for version 2) and the process's group, from ``/proc/self/cgroup``."""
    for line in _lines(system / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            yield from ((controller, path) for controller in controllers.split(","))


def _mounts(system: Path) -> Iterator[_Mount]:
    """The mounted hierarchies, from ``/proc/self/mountinfo``."""
    for line in _lines(system / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind_and_more = before.split(), after.split()
        if len(fields) >= 5 and len(kind_and_more) >= 3 and kind_and_more[0] in ("cgroup", "cgroup2"):
            root, point = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), one) for one in fields[3:5])
            yield _Mount(kind_and_more[0], root, point, frozenset(kind_and_more[2].split(",")))


def _quota(folder: Path) -> float | None:
    """Processors that a group may use, None for any number."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    if len(words) != 2 or not all(re.fullmatch(r"[0-9]{1,18}", word, re.ASCII) for word in words):
        return None
    quota, period = map(int, words)
    return quota / period if quota > 0 and period > 0 else None


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
