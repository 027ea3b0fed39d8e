"""The machine: what it is, what it can do at best, and how children are told to use a part of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FORCING = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "ADMIN_PY_CPU",
    "ADMIN_PY_GEMM",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
)
"""Variables that choose kernels: `--cpu` alone decides, so that both sides and the peak are of one kind."""

CPU_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "native": {},
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "ADMIN_PY_CPU": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
"""What `--cpu` sets in the environment of all sides, and of what measures the peak."""

JEMALLOC = (
    "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
    "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2",
    "/usr/lib64/libjemalloc.so.2",
    "/usr/lib/libjemalloc.so.2",
    "/usr/local/lib/libjemalloc.so.2",
)
PACKAGES = ("admin-py", "numpy", "torch", "ctranslate2")


def environment(cpu: str, threads: int) -> dict[str, str | None]:
    """Changes to a child's environment."""
    changes: dict[str, str | None] = dict.fromkeys(FORCING)
    changes.update(CPU_SETTINGS[cpu])
    changes.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    return changes


def find_jemalloc() -> str | None:
    """Path of jemalloc's library, if it is installed."""
    return next((path for path in JEMALLOC if Path(path).exists()), None)


def describe() -> dict[str, Any]:
    """Processor, instruction sets, caches, memory, system."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", "").split())
    kinds = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if name in flags]
    kind = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
    return {
        "processor": fields.get("model name", platform.processor() or platform.machine()),
        "family": fields.get("cpu family", ""),
        "model": fields.get("model", ""),
        "kind": kind,
        "instruction_sets": kinds,
        "processors": os.cpu_count(),
        "caches": _caches(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def has_bfloat16(cpu: str) -> bool:
    """Whether the processor multiplies bfloat16 by instructions of its own, with a setting of `--cpu`."""
    return cpu == "native" and bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo().get("flags", "").split()))


def one_line(about: Mapping[str, Any]) -> str:
    """What `describe` found, for people."""
    caches = ", ".join(f"{name} {size}" for name, size in about["caches"].items())
    return (
        f"{about['processor']} (family {about['family']}, model {about['model']}), {about['kind']}, "
        f"{about['processors']} processors, {caches}, {about['memory_gib']} GiB, "
        f"{about['system']}, Python {about['python']}"
    )


def slug(machine: Mapping[str, Any]) -> str:
    """Short name of the kind of machine, for files."""
    text = f"{machine['processor']} {machine['family']} {machine['model']}"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(\w+\)|@.*|CPU|Processor", "", text).lower()).strip("-")


def package_versions() -> dict[str, str]:
    """Versions of what is compared."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpuinfo() -> dict[str, str]:
    """Fields of the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _caches() -> dict[str, str]:
    """Size of each cache of the first processor."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        found[f"L{level} {kind.lower()}"] = size
    return found


class Side:
    """What a machine reaches at best, measured in a process that has nothing else: NumPy alone."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def peak(self, size: int = 2048, repeats: int = 32) -> float:
        """FLOP/s of a large float32 matrix product, the best of some repeats."""
        a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        best = np.inf
        for _ in range(repeats + 1):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
        return 2.0 * size**3 / best

    def bandwidth(self, size: int = 32 * 2**20, repeats: int = 12) -> float:
        """Bytes/s of a += b in float32, arrays larger than the caches, the best of some.

        In place, since what a processor writes elsewhere it reads first, and nobody counts that.
        """
        arrays = [np.ones((2, size // self.threads), np.float32) for _ in range(self.threads)]

        def add(mine: np.ndarray) -> None:
            np.add(mine[0], mine[1], out=mine[0])

        best = np.inf
        for _ in range(repeats + 1):
            workers = [threading.Thread(target=add, args=(mine,)) for mine in arrays]
            start = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            best = min(best, time.perf_counter() - start)
        return sum(1.5 * mine.nbytes for mine in arrays) / best

    def blas(self) -> str:
        """The library of the matrix product and its kernels, where threadpoolctl is installed."""
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            return "unknown"
        found = [x for x in threadpool_info() if x["user_api"] == "blas"]
        return ", ".join(f"{x['internal_api']} {x['version']} {x.get('architecture', '')}" for x in found)
