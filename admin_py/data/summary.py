"""What a dataset holds, in numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.printable import printable
from admin_py.data.sequences import Sequences


@dataclass(frozen=True)
class Lengths:
    """Tokens of the sequences of one side, the special ones included."""

    tokens: int
    mean: float
    median: float
    longest: int

    @classmethod
    def of(cls, sequences: Sequences) -> Lengths:
        """The lengths of these sequences, of which there is at least one."""
        lengths = sequences.lengths
        return cls(
            tokens=int(lengths.sum()),
            mean=float(lengths.mean()),
            median=float(np.median(lengths)),
            longest=int(lengths.max()),
        )

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens (mean {self.mean:.1f}, longest {self.longest})"


@dataclass(frozen=True)
class SplitSummary:
    """One split: how much is in it, and how many pairs were left out and why."""

    name: str
    sequences: int
    source: Lengths
    target: Lengths | None
    blank: int
    too_long: int


@door
@dataclass(frozen=True, repr=False)
class DatasetSummary:
    """What a dataset holds.

    Attributes
    ----------
    name, kind : str
        Of the dataset.
    vocab_size : int
        Ids, the four special ones included.
    tokenizer : str
        Kind of the tokenizer.
    unigram_entropy : float
        Of the tokens to predict in the training split, nats: the loss of a model that knows only their
        frequencies.
    splits : tuple of SplitSummary
        Each with its counts.
    fingerprint : str
        SHA-256 of all ids.
    asked : int or None
        Ids that the vocabulary was to have, where one was learned: the text may not have so many.
    """

    name: str
    kind: str
    vocab_size: int
    tokenizer: str
    unigram_entropy: float
    splits: tuple[SplitSummary, ...]
    fingerprint: str
    asked: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as nested dicts, of JSON's types."""
        values = dataclasses.asdict(self)
        values["splits"] = list(values["splits"])
        return values

    def _rows(self) -> list[tuple[str, str]]:
        noun = "sequences" if self.kind == "language_model" else "pairs"
        rows = [
            ("kind", self.kind.replace("_", " ")),
            ("vocabulary", f"{self.vocab_size:,} ids ({self.tokenizer}){self._lacking()}"),
            ("unigram entropy", f"{self.unigram_entropy:.3f} nats per token"),
        ]
        for split in self.splits:
            rows.append((split.name, f"{split.sequences:,} {noun}"))
            if split.target is None:
                rows.append(("", f"{split.source}"))
            else:
                rows += [("", f"source {split.source}"), ("", f"target {split.target}")]
            if split.blank or split.too_long:
                rows.append(("", f"left out: {split.blank:,} blank, {split.too_long:,} too long"))
        return [*rows, ("fingerprint", self.fingerprint[:16])]

    def _lacking(self) -> str:
        if self.asked is None or self.asked <= self.vocab_size:
            return ""
        return f"; {self.asked:,} were asked for, the text has no more"

    def __repr__(self) -> str:
        lines = [f"{left:<16}{right}" for left, right in self._rows()]
        return "\n".join([f"Dataset {printable(self.name)}", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(left)}</th>'
            f'<td style="text-align:left">{escape(right)}</td></tr>'
            for left, right in self._rows()
        )
        return (
            f"<table><caption>Dataset {escape(printable(self.name))}</caption><tbody>{rows}</tbody></table>"
        )
