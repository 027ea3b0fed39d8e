"""The tables of kernels that a processor can run, and is promised."""

from __future__ import annotations

from pathlib import Path

VECTORS = {"avx2", "fma"}
NEEDS: dict[str, set[str]] = {
    "generic": set(),
    "avx2": VECTORS,
    "avx512": VECTORS | {"avx512f", "avx512dq", "avx512bw", "avx512vl"},
    "neon": {"asimd"},
}
"""Table -> what a processor needs to run it, by the names of /proc/cpuinfo."""


def promised() -> list[str]:
    """The tables of this processor, by what the system says of it."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return [name for name, needs in NEEDS.items() if needs <= flags]
