"""One id a character."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import is_unicode, shown
from admin_py.data.sequences import Sequences, offsets_of
from admin_py.data.tokenizer import NUM_SPECIAL, UNK, Tokenizer


@door
class CharacterTokenizer(Tokenizer):
    r"""One id a character (Unicode code point), in the order of code points.

    Parameters
    ----------
    characters : iterable of str
        The characters of the vocabulary; repeated ones count once. Others become the unknown id.

    Examples
    --------
    >>> tokenizer = CharacterTokenizer("hello")
    >>> tokenizer.vocab_size
    8
    >>> tokenizer.decode(tokenizer.encode_lines(["hole!"])[0])
    'hole\ufffd'
    """

    kind = "characters"

    def __init__(self, characters: Iterable[str]) -> None:
        if not isinstance(characters, Iterable):
            raise TypeError(f"characters must be a string, got {shown(characters)}")
        self.characters = "".join(sorted(set(characters)))
        if not is_unicode(self.characters):
            raise ValueError("characters have lone surrogates, which are no text")
        self._points = _code_points(self.characters)
        if not self.characters:
            raise ValueError("characters must not be empty")

    @property
    def num_pieces(self) -> int:
        return len(self.characters)

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        points = _code_points("".join(lines))
        places = np.minimum(np.searchsorted(self._points, points), self._points.size - 1)
        tokens = np.where(self._points[places] == points, places + NUM_SPECIAL, UNK)
        return Sequences(tokens.astype(np.int32), offsets_of([len(line) for line in lines]))

    def _join(self, ids: list[int]) -> str:
        return "".join("\ufffd" if i == UNK else self.characters[i - NUM_SPECIAL] for i in ids)

    file_types: ClassVar[Mapping[str, Any]] = {"characters": str}

    def _all_pieces(self) -> list[str]:
        return list(self.characters)

    def _to_dict(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> CharacterTokenizer:
        return cls(values["characters"])


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint32)
