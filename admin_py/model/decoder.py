"""Decoding: what a model predicts next, token by token, without reading again what it has read."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import MODULES
from admin_py.base.checks import check_array, check_bool, check_instance, check_integer, shown
from admin_py.data.batch import MAX_ID, Batch
from admin_py.model.config import TransformerConfig


class Decoded(Protocol):
    """What a decoder needs of a Transformer."""

    _core: Any

    @property
    def config(self) -> TransformerConfig:
        """Sizes and scheme."""
        ...

    @property
    def dtype(self) -> str:
        """In which it computes."""
        ...


@door
class Decoder:
    """Hypotheses that grow by a token at a time; keys and values of what they have read are kept.

    `begin` reads sources and what translations begin with, or a language model's prompts: each sequence is
    one hypothesis. From then on `scores` and `top` tell what may come next, `reorder` says which hypotheses
    go on, and how often, and `step` appends a token to each. Sources are encoded once, nothing is padded, and
    a hypothesis that moves or branches copies none of its keys. `model.decoder(batch)` makes one.

    Parameters
    ----------
    model : Transformer
        An encoder-decoder or a language model, whose attention is causal.
    batch : Batch, optional
        To `begin` with.
    bos : int
        What every translation begins with where a batch has no targets.

    Raises
    ------
    ValueError, RuntimeError
        If the model predicts no tokens.

    Notes
    -----
    The weights are those of the last `begin`; what is changed after it is for the next. The model itself
    may compute in between.

    Examples
    --------
    A search of one's own, here the likeliest token again and again:

    >>> from admin_py.model.config import TransformerConfig
    >>> from admin_py.model.transformer import Transformer
    >>> config = TransformerConfig(
    ...     vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> model = Transformer(config, seed=1)
    >>> decoder = model.decoder(Batch([[4, 5, 2], [6, 2]]))
    >>> decoder.scores.shape
    (2, 9)
    >>> for _ in range(3):
    ...     decoder.step(decoder.scores.argmax(axis=1))
    >>> decoder.lengths
    array([4, 4])
    >>> decoder.reorder([0, 0, 1])
    >>> decoder.sequences
    array([0, 0, 1])
    """

    def __init__(self, model: Any, batch: Batch | None = None, *, bos: int = 1) -> None:
        transformers = tuple(core.Transformer for core in MODULES.values())
        if not isinstance(getattr(model, "_core", None), transformers):
            raise TypeError(f"model must be a Transformer, got {shown(model)}")
        self._model: Decoded = model
        self._bos = check_integer("bos", bos, 0, MAX_ID)
        if bos >= model.config.vocab_size:
            raise IndexError(
                f"bos must be an id of the model's vocabulary of {model.config.vocab_size}, got {shown(bos)}"
            )
        if model.config.kind == "encoder":
            raise ValueError(
                "model must be an encoder-decoder or a language model: an encoder predicts nothing"
            )
        self._core = MODULES[model.dtype].Decoder(model._core)
        self._scores: NDArray[Any] | None = None
        if batch is not None:
            self.begin(batch)

    @property
    def model(self) -> Any:
        """Whose weights are read."""
        return self._model

    @property
    def sequences(self) -> NDArray[np.int64]:
        """Number in the batch of each hypothesis' sequence, [N]."""
        return self._core.sequences

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each hypothesis, what it began with included, [N]."""
        return self._core.lengths

    @property
    def memory(self) -> int:
        """Bytes held, the packed copy of the weights included."""
        return self._core.memory

    def __len__(self) -> int:
        return self._core.rows

    def __repr__(self) -> str:
        return f"Decoder({len(self)} hypotheses of {self._model!r})"

    def begin(self, batch: Batch, *, weights_changed: bool = True) -> None:
        """Read a batch; its sequences are the hypotheses.

        Parameters
        ----------
        batch : Batch
            An encoder-decoder's sources and, as targets, what their translations begin with (by default `bos`
            each); a language model's prompts.
        weights_changed : bool
            Take the weights anew. False saves the time of that; they must not have changed since then.

        Raises
        ------
        IndexError
            If an id is not in the vocabulary.
        ValueError
            If a sequence is longer than the model reads.
        """
        batch = check_instance("batch", batch, Batch)
        check_bool("weights_changed", weights_changed)
        self._scores = None
        self._core.begin(self._with_targets(batch).core(self._model.dtype), pack=weights_changed)

    def _with_targets(self, batch: Batch) -> Batch:
        if self._model.config.kind == "language_model" or batch.target is not None:
            return batch
        return Batch(batch.source, [[self._bos]] * len(batch))

    def step(self, ids: ArrayLike) -> None:
        """Append a token to each hypothesis and predict the next.

        Parameters
        ----------
        ids : int array, [N]

        Raises
        ------
        IndexError
            If an id is not in the vocabulary.
        ValueError
            If there are not as many ids as hypotheses, or a hypothesis has as many tokens as the model reads.
        RuntimeError
            If there are no hypotheses.
        """
        self._core.step(self._integers("ids", ids, np.int32))
        self._scores = None

    def reorder(self, parents: ArrayLike) -> None:
        """Let hypothesis i be what hypothesis parents[i] was; there may be more or fewer than before.

        Parameters
        ----------
        parents : int array
            From 0 to N - 1, in any order, each as often as one likes. `scores` and `top` stay those of the
            last step.
        """
        self._core.reorder(self._integers("parents", parents, np.int64))

    def _integers(self, name: str, given: ArrayLike, dtype: Any) -> NDArray[Any]:
        array = check_array(name, given)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"{name} must be integers, [{len(self)}], got an array of {array.dtype}, {list(array.shape)}"
            )
        limits = np.iinfo(dtype)
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            raise IndexError(f"{name} must be {np.dtype(dtype)} numbers, got {array.min()} to {array.max()}")
        return np.ascontiguousarray(array, dtype=dtype)

    @property
    def scores(self) -> NDArray[Any]:
        """log p of every token after each hypothesis of the last step, [N, V], read-only.

        ValueError if the logits are not finite.
        """
        if self._scores is None:
            self._scores = self._core.scores()
            self._scores.setflags(write=False)
        return self._scores

    def top(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The k likeliest next tokens of each hypothesis of the last step.

        Returns
        -------
        scores : float64 [N, k]
            log p, the largest first and of equal ones that of the smallest id first.
        ids : int32 [N, k]
        """
        return self._core.top(check_integer("k", k, 1, self._model.config.vocab_size))
