"""The batches of a training, one epoch after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.data.dataset import Dataset


class Feed:
    """The training batches of one epoch after the other; knows the place from which it goes on."""

    def __init__(self, data: Dataset, *, max_tokens: int, seed: int, epoch: int = 0, batch: int = 0) -> None:
        self._data, self._max_tokens, self._seed = data, max_tokens, seed
        self.epoch, self.batch = epoch, batch
        self._batches = self._open()
        self._ahead: Batch | None = None

    def _open(self) -> Iterator[Batch]:
        return self._data.batches(max_tokens=self._max_tokens, seed=self._seed + self.epoch, start=self.batch)

    def __next__(self) -> Batch:
        if self.at_end:
            self.epoch, self.batch = self.epoch + 1, 0
            self._batches = self._open()
        batch = next(self._batches) if self._ahead is None else self._ahead
        self._ahead = None
        self.batch += 1
        return batch

    @property
    def at_end(self) -> bool:
        """Whether all batches of the epoch have been taken."""
        if self._ahead is None:
            self._ahead = next(self._batches, None)
        return self._ahead is None

    @property
    def epochs_done(self) -> int:
        """Epochs of which all batches have been taken."""
        return self.epoch + self.at_end

    def ends_epoch(self, count: int) -> bool:
        """Whether the last one of an epoch was among the last so many batches."""
        return self.at_end or (self.epoch > 0 and self.batch < count)


def num_predicted(batch: Batch) -> int:
    """Tokens that a model predicts: all but the first of each sequence."""
    predicted = batch.source if batch.target is None else batch.target
    return predicted.tokens.size - batch.num_sequences
