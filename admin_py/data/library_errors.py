"""Whatever Hugging Face's `tokenizers` raises, as one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
"""What is passed on."""


@contextmanager
def library_errors(what: str, hint: str = "") -> Iterator[None]:
    """ValueError for an exception of the library inside the block: "what (its message); hint".

    The library raises bare Exception, and where it has panicked an exception that is not even one of these.

    Examples
    --------
    >>> with library_errors("tokenizer cannot be read"):
    ...     raise Exception("bad model")
    Traceback (most recent call last):
    ValueError: tokenizer cannot be read (bad model)
    """
    try:
        yield
    except _OURS:
        raise
    except BaseException as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{what} ({why}){f'; {hint}' if hint else ''}") from error
