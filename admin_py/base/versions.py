"""What is installed and what the core runs on: for bug reports, and beside results."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any, TextIO

from admin_py._version import __version__
from admin_py.base.arguments import door
from admin_py.base.builds import MODULES
from admin_py.base.checks import shown
from admin_py.base.streams import say_result
from admin_py.base.threads import get_num_threads

PACKAGES = (
    "numpy", "tokenizers", "safetensors", "msgspec", "matplotlib", "pandas", "jinja2", "tqdm", "torch"
)  # fmt: skip
"""Distributions whose versions are told; the last is optional."""


def package_version(name: str) -> str:
    """Version of an installed distribution, ``"not installed"`` if there is none.

    Examples
    --------
    >>> package_version("no-such-distribution")
    'not installed'
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def origin() -> dict[str, Any]:
    """What numbers come from, beside their inputs: kernels, BLAS, threads and versions.

    The bits of a number depend on neither the kernels nor the number of threads, and on the BLAS where
    ``ADMIN_PY_GEMM=openblas`` asks for its products alone: it rounds in ways of its own.

    Returns
    -------
    dict
        ``kernels``, ``blas`` and ``blas_for`` as of `system`; ``threads``; ``versions``, name -> version.

    Examples
    --------
    >>> sorted(origin())
    ['blas', 'blas_for', 'kernels', 'threads', 'versions']
    """
    info = MODULES["float32"].system_info()
    told = {
        "admin-py": package_version("admin-py"),
        "numpy": package_version("numpy"),
        "python": platform.python_version(),
    }
    return {
        "kernels": info["kernels"],
        "blas": info["blas"],
        "blas_for": blas_for(),
        "threads": get_num_threads(),
        "versions": told,
    }


def blas_for() -> str:
    """Which matrix products are the BLAS library's: none, or all with ``ADMIN_PY_GEMM=openblas``.

    Examples
    --------
    >>> blas_for() in ("no products", "all products")
    True
    """
    asked = os.environ.get("ADMIN_PY_GEMM") == "openblas"
    return "all products" if asked and MODULES["float32"].system_info()["blas_file"] else "no products"


def versions() -> dict[str, str]:
    """Versions of admin-py, Python and the packages it stands on.

    Returns
    -------
    dict
        Name -> version, ``"not installed"`` for what is not there.

    Examples
    --------
    >>> import admin_py
    >>> from admin_py.base.versions import versions
    >>> versions()["admin-py"] == admin_py.__version__
    True
    """
    found = {"admin-py": __version__, "python": platform.python_version()}
    return found | {name: package_version(name) for name in PACKAGES}


def system() -> dict[str, str | int]:
    """What the core runs on.

    Returns
    -------
    dict
        ``platform``; ``kernels``, the instruction set in use: ``"generic"``, ``"avx2"``, ``"avx512"`` or
        ``"neon"`` (the environment variable ``ADMIN_PY_CPU`` asks for less than the processor has); ``blas``,
        version and configuration of the library for matrix products, ``"none"`` where none was asked for;
        ``blas_for``, which of them it makes; ``blas_file``, the file it was loaded from;
        ``processors`` that the process may use;
        ``threads`` that it uses; ``compiler`` of the core; ``precisions`` it was built for.

    Examples
    --------
    >>> from admin_py.base.versions import system
    >>> system()["precisions"]
    'float32, float64'
    """
    info = MODULES["float32"].system_info()
    return {
        "platform": platform.platform(),
        "kernels": info["kernels"],
        "blas": info["blas"],
        "blas_for": blas_for(),
        "blas_file": info["blas_file"],
        "processors": info["num_procs"],
        "threads": info["threads"],
        "compiler": info["compiler"],
        "precisions": ", ".join(core.system_info()["dtype"] for core in MODULES.values()),
    }


@door
def show_versions(*, file: TextIO | None = None) -> None:
    """Print versions, processor features in use, BLAS and threads.

    Parameters
    ----------
    file : text file, optional
        Where to, standard output by default.

    See Also
    --------
    admin_py.base.versions.versions, admin_py.base.versions.system : the same as dictionaries.

    Examples
    --------
    >>> import admin_py as ap
    >>> ap.show_versions()
    admin-py ...
    """
    if file is not None and not callable(getattr(type(file), "write", None)):
        raise TypeError(f"file must be a text file to write to, got {shown(file)}")
    if file is None:
        say_result(versions_table())
    else:
        print(versions_table(), file=file)


def versions_table() -> str:
    """What `show_versions` prints, in lines."""
    rows = [*versions().items(), *system().items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
