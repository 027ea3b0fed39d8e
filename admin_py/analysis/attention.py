"""Where the last attention of a model looks, in one example that people can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import check_integer
from admin_py.base.printable import printable
from admin_py.model.fitting import check_fits
from admin_py.results import Result, figure, run_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.data.dataset import Dataset
    from admin_py.model.transformer import Transformer

LONGEST = 16
"""Tokens of an example that a small picture has room for."""

SIGNS: Mapping[str, str] = {"": "□", " ": "␣", "\n": "↵", "\t": "⇥"}
"""Text of a token that would not be seen -> what is shown."""


@dataclass(frozen=True, eq=False, repr=False)
class AttentionMap(Result):
    """What `attention` found: the probabilities of one attention in one example. Frozen.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    sublayer : str
        Such as ``"decoder.5.cross_attn"``.
    probabilities : ndarray
        Mean over heads, without dropout, float64 [T_q, T_k]; rows add up to 1.
    queries, keys : tuple of str
        The tokens that attend, [T_q], and those attended to, [T_k].
    metadata : mapping
        Seed, dtype, threads, versions, the split and the number of the example in it.
    """

    kind: ClassVar[str] = "attention map"
    drawn_by: ClassVar[str] = "plot_attention"

    scheme: str
    sublayer: str
    probabilities: NDArray[np.float64]
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The one stack of its sub-layer."""
        return (self.sublayer.partition(".")[0],)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a pair: sublayer, row, query, column, key, probability; counted from 0."""
        import pandas as pd

        rows, columns = np.indices(self.probabilities.shape)
        return pd.DataFrame(
            {
                "sublayer": self.sublayer,
                "row": rows.ravel(),
                "query": np.array(self.queries, dtype=object)[rows.ravel()],
                "column": columns.ravel(),
                "key": np.array(self.keys, dtype=object)[columns.ravel()],
                "probability": self.probabilities.ravel(),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """The map with its tokens, see `admin_py.plots.plot_attention`."""
        return figure(self.drawn_by)(self, ax)

    def _summary(self) -> str:
        rows, columns = self.probabilities.shape
        return (
            f"{self.scheme}: {self.sublayer}, {rows} x {columns} tokens, largest of a row "
            f"{self.probabilities.max(axis=1).mean():.3g} on the average"
        )


@door
def attention(
    model: Transformer, data: Dataset, *, split: str = "valid", longest: int = LONGEST
) -> AttentionMap:
    """Attention of the last layer in one example of the data, mean over heads.

    The cross-attention of an encoder-decoder, the self-attention of another model. One forward pass without
    dropout; the weights are left alone. For other sub-layers and single heads see `Transformer.observe`.

    Parameters
    ----------
    model : Transformer
    data : Dataset
        Of the model's vocabulary.
    split : str
        Of the data.
    longest : int
        Tokens. The example is the first of the split that has no more on either side; where there is none,
        the first is cut.

    Returns
    -------
    AttentionMap

    Raises
    ------
    ValueError
        If the data have no such split, the split no sequence, or the model cannot read the example.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> found = attention(ap.Transformer(config, seed=1), data)
    >>> found.sublayer, bool(np.allclose(found.probabilities.sum(axis=1), 1))
    ('decoder.0.cross_attn', True)
    """
    from admin_py.data.batch import Batch

    longest = check_integer("longest", longest, 2, np.iinfo(np.int32).max)
    check_fits(model, data)
    number, source, target = _example(data, split, longest)
    config = model.config
    stack = config.stacks[-1]
    kind = "cross_attn" if len(config.stacks) == 2 else "self_attn"
    sublayer = [name for name in config.sublayer_names(stack) if name.endswith(kind)][-1]
    batch = Batch([source], None if target is None or config.kind == "encoder" else [target])
    name = f"{sublayer}.probabilities"
    heads = model.observe(batch, activations=name)[name][0]  # [H, T_q, T_k]
    probabilities = heads.mean(axis=0, dtype=np.float64)
    readers = source if target is None else target
    labels = _labels(data, readers), _labels(data, source)
    return AttentionMap(
        scheme=config.scheme_name,
        sublayer=sublayer,
        probabilities=probabilities,
        queries=labels[0][: probabilities.shape[0]],
        keys=labels[1][: probabilities.shape[1]],
        metadata=run_metadata(seed=model.seed, dtype=model.dtype, split=split, example=number),
    )


def _example(data: Dataset, split: str, longest: int) -> tuple[int, Any, Any]:
    """Number and ids of the first sequence, or pair, that is short enough; of the first, cut."""
    found = data.split(split)
    if not len(found.source):
        raise ValueError(f"split: {split!r} of {data.name} has no sequence")
    # The last token of a target is only predicted.
    read = found.lengths - np.array([0, 1])[: found.lengths.shape[1]]
    short = np.flatnonzero((read <= longest).all(axis=1))
    number = int(short[0]) if len(short) else 0
    source = found.source.take(np.array([number]))[0][:longest]
    if found.target is None:
        return number, source, None
    return number, source, found.target.take(np.array([number]))[0][: longest + 1]


def _labels(data: Dataset, ids: Any) -> tuple[str, ...]:
    """What each token stands for."""
    return tuple(_label(data.tokenizer.piece(int(one))) for one in ids)


def _label(piece: str) -> str:
    """A piece as it is seen: spaces and controls as signs or escapes."""
    shown = SIGNS.get(piece) or piece.strip(" ") or "␣" * len(piece)
    return printable(shown) if shown.strip() else shown.encode("unicode_escape").decode()
