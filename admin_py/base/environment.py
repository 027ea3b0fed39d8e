"""The environment variables that the package reads, and what is said of values that are not used."""

from __future__ import annotations

import re
from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "ADMIN_PY_CPU": ("generic", "avx2", "avx512", "neon"),
    "ADMIN_PY_GEMM": ("openblas",),
}
"""Variables that the core reads: their values, for others of which it does as if there were none."""


def first_threads(environ: Mapping[str, str], processors: int, granted: int | None = None) -> int:
    """How many threads the core has at first, at most the processors.

    ``ADMIN_PY_NUM_THREADS`` goes before ``OMP_NUM_THREADS``, by which job systems and libraries of parallel
    work keep others to their share. Without both, or where they are no numbers, it is a thread a processor,
    but no more than a quota grants.

    Parameters
    ----------
    environ : mapping
    processors : int
        Those that the process may run on.
    granted : int, optional
        How many of them its control groups' quotas grant.

    Examples
    --------
    >>> first_threads({}, 64, 2)
    2
    >>> first_threads({"ADMIN_PY_NUM_THREADS": "64"}, 4), first_threads({"OMP_NUM_THREADS": "2,1"}, 4)
    (4, 2)
    >>> first_threads({"ADMIN_PY_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, 4), first_threads({}, 4)
    (1, 4)
    """
    outermost = environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    for text in (environ.get("ADMIN_PY_NUM_THREADS", ""), outermost):
        if _is_count(text):
            return min(int(text), processors)
    return min(granted or processors, processors)


def problems(
    environ: Mapping[str, str], kernels: str, processors: int, *, blas: object | None = None
) -> list[str]:
    """A sentence for each variable of ours whose value is not what is used here.

    Parameters
    ----------
    environ : mapping
    kernels : str
        Those that the core uses.
    processors : int
        As of `first_threads`.
    blas : optional
        The OpenBLAS that was loaded, None if none was.

    Examples
    --------
    >>> problems({"ADMIN_PY_NUM_THREADS": "many", "ADMIN_PY_CPU": "avx2", "ADMIN_PY_GEMM": ""}, "avx2", 4)
    ["ADMIN_PY_NUM_THREADS must be a whole number from 1, got 'many'; it is not used"]
    >>> problems({"ADMIN_PY_NUM_THREADS": "8"}, "avx2", 4)
    ["ADMIN_PY_NUM_THREADS is '8', more than the processors of this process; 4 is used"]
    """
    found = []
    threads = environ.get("ADMIN_PY_NUM_THREADS", "")
    if threads and not _is_count(threads):
        found.append(
            f"ADMIN_PY_NUM_THREADS must be a whole number from 1, got {threads!r:.80}; it is not used"
        )
    if _is_count(threads) and int(threads) > processors:
        found.append(
            f"ADMIN_PY_NUM_THREADS is {threads!r:.80}, more than the processors of this process; "
            f"{processors} is used"
        )
    for name, values in CHOICES.items():
        given = environ.get(name, "")
        if given and given not in values:
            wanted = " or ".join(map(repr, values))
            found.append(f"{name} must be {wanted}, got {given!r:.80}; it is not used")
    asked = environ.get("ADMIN_PY_CPU", "")
    if asked in CHOICES["ADMIN_PY_CPU"] and asked != kernels:
        found.append(f"ADMIN_PY_CPU is {asked!r}, which this processor cannot run; {kernels!r} is used")
    if environ.get("ADMIN_PY_GEMM") == "openblas" and blas is None:
        found.append(
            "ADMIN_PY_GEMM is 'openblas', which is not installed: pip install 'admin-py[openblas]'; "
            "the core's own products are used"
        )
    return found


def _is_count(text: str) -> bool:
    return re.fullmatch(r"\s*\+?0*[1-9][0-9]{0,4000}\s*", text, re.ASCII) is not None
