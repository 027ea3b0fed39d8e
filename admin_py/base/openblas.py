"""Where OpenBLAS is, which computes products where ``ADMIN_PY_GEMM=openblas`` asks for them."""

from __future__ import annotations

import sys
from pathlib import Path


def openblas_file() -> Path | None:
    """The shared library that the extra ``openblas`` installs; None where it is not installed.

    Returns
    -------
    pathlib.Path or None

    Examples
    --------
    >>> found = openblas_file()
    >>> found is None or found.is_file()
    True
    """
    try:
        import scipy_openblas32 as package
    except ImportError:
        return None
    ending = "dylib" if sys.platform == "darwin" else "so"
    file = Path(package.get_lib_dir()) / f"lib{package.get_library()}.{ending}"
    return file if file.is_file() else None
