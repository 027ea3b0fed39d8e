"""Lines of a window through a model: sorted by their length, in batches, and cut where they are too long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_integer
from admin_py.data.dataset import encode_lines
from admin_py.data.sequences import Sequences
from admin_py.data.tokenizer import EOS
from admin_py.experiments.decoding import Decoding, Translation
from admin_py.experiments.trained import TrainedModel
from admin_py.generation.limits import AT_LEAST, by_length, check_generates

EMPTY = [Translation("", 0.0, 0.0)]

SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")


@dataclass
class _Line:
    """A line of a window, and what was found of its parts so far."""

    number: int
    parts: int = 1
    found: dict[int, list[Translation]] = field(default_factory=dict)

    def whole(self) -> list[Translation]:
        """What was found of all of it."""
        if self.parts == 1:
            return self.found[0]
        texts = [self.found[part][0].text for part in range(self.parts)]
        return [Translation(" ".join(texts), float("nan"), float("nan"))]


@dataclass(frozen=True)
class _Part:
    """What a model reads of a line."""

    line: _Line
    index: int
    before: NDArray[np.int32]
    """Of a prompt, what it does not read."""
    ids: NDArray[np.int32]


class TranslatedLines:
    """Translations of lines, or continuations by a language model.

    Parameters
    ----------
    trained : TrainedModel
    decoding : Decoding
    batch_size : int
        Lines that are read at once.
    split : bool
        Whether a line that is too long is cut at ends of sentences, and each part translated.

    Raises
    ------
    ValueError
        If the model finds no text, or an option does not fit it.
    """

    def __init__(
        self, trained: TrainedModel, decoding: Decoding, *, batch_size: int, split: bool = False
    ) -> None:
        self.translates = check_generates(trained.model)
        if split and not self.translates:
            raise ValueError("--split goes with a translator; this is a language model")
        self.trained, self.decoding = trained, decoding
        self.tokenizer = trained._tokenizer()
        self.batch_size, self.split = check_integer("batch_size", batch_size, 1), split
        self.most = self._most()

    def _most(self) -> int | None:
        """Tokens of a line that are read, without an end; None where a model reads the last of any number."""
        readable = self.trained.model.config.max_length
        if self.translates:
            return readable - 1
        return None if self.decoding.search is None else max(1, readable - min(AT_LEAST, readable // 2))

    def find(
        self, lines: list[str], first: int, warn: Callable[[str], object]
    ) -> Iterator[tuple[int, list[Translation]]]:
        """The number of a line and what was found for it, batch by batch, the longest first.

        Parameters
        ----------
        lines : list of str
        first : int
            The number of the first of them, counted from 0.
        warn : callable
            Told of each line that is too long.
        """
        parts: list[_Part] = []
        for number, ids in enumerate(self.encoded(lines), start=first):
            found = self._parts(_Line(number), lines[number - first], ids, warn)
            if not found:
                yield number, EMPTY
            parts += found
        lengths = np.array([part.ids.size for part in parts], np.int64)
        for chosen in by_length(lengths, self.batch_size):
            yield from self._batch([parts[i] for i in chosen])

    def encoded(self, lines: list[str]) -> Sequences:
        """Ids of lines, without an end."""
        return encode_lines(self.tokenizer, lines, kind="language_model")

    def _parts(
        self, line: _Line, text: str, ids: NDArray[np.int32], warn: Callable[[str], object]
    ) -> list[_Part]:
        """What is read of a line; nothing of an empty one."""
        none = ids[:0]
        if not text.strip() or not ids.size:
            return []
        if self.most is None or ids.size <= self.most:
            return [_Part(line, 0, none, ids)]
        where = f"admin-py: warning: line {line.number + 1}"
        what = f"{where} has {ids.size} tokens, and the model reads {self.most}"
        if not self.translates:
            warn(f"{what} of a prompt: the last ones")
            return [_Part(line, 0, ids[: -self.most], ids[-self.most :])]
        if not self.split:
            warn(f"{what}: what follows is not translated (--split translates it by parts)")
            return [_Part(line, 0, none, ids[: self.most])]
        cut = [one[i : i + self.most] for one in self._sentences(text) for i in range(0, one.size, self.most)]
        warn(f"{what}: it is translated in {len(cut)} parts")
        line.parts = len(cut)
        return [_Part(line, index, none, one) for index, one in enumerate(cut)]

    def _sentences(self, text: str) -> Sequences:
        return self.encoded([one for one in SENTENCE_END.split(text) if one.strip()])

    def _batch(self, parts: list[_Part]) -> Iterator[tuple[int, list[Translation]]]:
        """Of the lines that are whole with this batch."""
        given = Sequences.from_lists([part.ids for part in parts])
        if self.translates:
            given = given.affixed(last=EOS)
        numbers = [part.line.number for part in parts]
        found = self.decoding.find(self.trained.model, given, numbers=numbers, batch_size=self.batch_size)
        for part, hypotheses in zip(parts, found, strict=True):
            part.line.found[part.index] = [
                Translation(self._text(part, one.ids), one.score, one.log_probability) for one in hypotheses
            ]
            if len(part.line.found) == part.line.parts:
                yield part.line.number, part.line.whole()

    def _text(self, part: _Part, ids: Any) -> str:
        return self.tokenizer.decode(np.concatenate([part.before, ids]))
