"""Byte-level subwords (BPE), learned with Hugging Face's `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from admin_py.base.arguments import door
from admin_py.base.checks import checked_integer
from admin_py.data.sequences import Sequences, offsets_of
from admin_py.data.tokenizer import NUM_SPECIAL, UNK, Tokenizer

NUM_BYTES = 256
# Lines that go to the tokenizer at once: bounds the memory of its intermediate objects.
_CHUNK = 10_000


@door
class SubwordTokenizer(Tokenizer):
    """Byte-level byte-pair encoding: every text can be encoded and comes back exactly.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Its ids are moved up by 4, behind the special ids; a copy is kept.

    Notes
    -----
    Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016, over
    bytes as in GPT-2. The file written by `save` is a plain `tokenizer.json`.

    Examples
    --------
    >>> tokenizer = SubwordTokenizer.train(["the cat sat", "the cat ran"], vocab_size=270)
    >>> tokenizer.vocab_size
    270
    >>> tokenizer.decode(tokenizer.encode_lines(["the cat 猫"])[0])
    'the cat 猫'
    """

    kind = "subwords"

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        own = tokenizers.Tokenizer.from_str(tokenizer.to_str())
        own.no_padding()
        own.no_truncation()
        self._tokenizer = own
        self._num_pieces = 1 + max(own.get_vocab(with_added_tokens=True).values(), default=-1)
        if self._num_pieces == 0:
            raise ValueError("tokenizer has an empty vocabulary")

    @classmethod
    def train(
        cls, lines: Iterable[str], *, vocab_size: int = 8000, prefix_space: bool = True
    ) -> SubwordTokenizer:
        """Learns a vocabulary of at most vocab_size ids: 4 special ones, 256 bytes, and merges.

        Parameters
        ----------
        lines : iterable of str
            The text to learn from.
        vocab_size : int
            At least 260. A small text may have fewer merges than asked for.
        prefix_space : bool
            Read a line as if it began with a space, so that its first word is cut like any other.
        """
        checked_integer("vocab_size", vocab_size, minimum=NUM_SPECIAL + NUM_BYTES)
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        if prefix_space:
            tokenizer.normalizer = normalizers.Prepend(" ")
            tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - NUM_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
        return cls(tokenizer)

    @property
    def num_pieces(self) -> int:
        return self._num_pieces

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        parts = []
        for start in range(0, len(lines), _CHUNK):
            chunk = list(lines[start : start + _CHUNK])
            ids = [e.ids for e in self._tokenizer.encode_batch(chunk, add_special_tokens=False)]
            offsets = offsets_of([len(line) for line in ids])
            tokens = np.fromiter((i for line in ids for i in line), np.int32, count=int(offsets[-1]))
            parts.append(Sequences(tokens + np.int32(NUM_SPECIAL), offsets))
        return Sequences.concatenate(parts)

    def _join(self, ids: list[int]) -> str:
        # Unknown is no piece: what stands between two of them is decoded by itself.
        runs: list[list[int]] = [[]]
        for i in ids:
            if i == UNK:
                runs.append([])
            else:
                runs[-1].append(i - NUM_SPECIAL)
        return "\ufffd".join(self._tokenizer.decode(run, skip_special_tokens=False) for run in runs)

    def _to_dict(self) -> dict[str, Any]:
        return json.loads(self._tokenizer.to_str())

    def _to_json(self) -> str:
        return self._tokenizer.to_str(pretty=True)

    def _to_file(self) -> bytes:
        return self._to_json().encode("utf-8")  # its library takes no further entries

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> SubwordTokenizer:
        try:
            return cls(tokenizers.Tokenizer.from_str(json.dumps(values)))
        except Exception as error:  # the library raises bare Exception for whatever it cannot read
            raise ValueError(str(error)) from error
