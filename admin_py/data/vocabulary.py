"""Which vocabulary a model's ids are of: kept with the model, so that it is not read with another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from admin_py.base.checks import shown

DIGITS = 8
"""Digits of a fingerprint that are enough to tell two apart."""


@dataclass(frozen=True)
class Vocabulary:
    """What ids mean in some data.

    Parameters
    ----------
    kind : {"translation", "language_model"}
        Of the data.
    size : int
        Ids, the four special ones included.
    fingerprint : str
        SHA-256 of all pieces in their order, see `Tokenizer.fingerprint`.
    name : str
        Of the data, for people.
    """

    kind: str
    size: int
    fingerprint: str
    name: str

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Vocabulary:
        """Out of what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.

        Examples
        --------
        >>> Vocabulary.from_dict({"kind": "translation"})
        Traceback (most recent call last):
        ValueError: values of a vocabulary are kind, size, fingerprint, name, got {'kind': 'translation'}
        """
        kinds = {"kind": str, "size": int, "fingerprint": str, "name": str}
        fits = isinstance(values, Mapping) and set(values) == set(kinds)
        if not fits or any(type(values[name]) is not kind for name, kind in kinds.items()):
            raise ValueError(f"values of a vocabulary are {', '.join(kinds)}, got {shown(values)}")
        return cls(**values)

    def __str__(self) -> str:
        return f"{self.size} ids of {self.name!r} ({self.fingerprint[:DIGITS]})"
