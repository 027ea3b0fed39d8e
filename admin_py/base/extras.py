"""Libraries that are there only where an extra of the package was installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def installed_by(extra: str) -> Iterator[None]:
    """Imports inside the block are of libraries that an extra installs: where one is missing, it is named.

    Raises
    ------
    ModuleNotFoundError
        Saying what to install.

    Examples
    --------
    >>> with installed_by("translation"):
    ...     import no_such_library.part
    Traceback (most recent call last):
    ModuleNotFoundError: no_such_library is not installed: pip install admin-py[translation]
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise ModuleNotFoundError(
            f"{missing} is not installed: pip install admin-py[{extra}]", name=error.name
        ) from error
