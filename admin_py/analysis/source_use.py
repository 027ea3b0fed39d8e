"""Whether a model reads its source: its loss with the right sources and with those of other examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.unmeasured import Unmeasured
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import check_integer, shown
from admin_py.model.fitting import check_fits
from admin_py.results import Result, figure, run_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from admin_py.data.batch import Batch
    from admin_py.data.dataset import Dataset
    from admin_py.data.sequences import Sequences
    from admin_py.model.transformer import Transformer


@dataclass(frozen=True, eq=False, repr=False)
class SourceUse(Result):
    """What `source_use` found. Frozen.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    nll : float
        Nats per token of the split, without dropout or smoothing.
    other_nll : float
        The same where every target is given the source of another pair.
    token_share : float
        How much of the encoder's output differs from token to token: the mean over features of the variance
        over tokens, over that of all tokens and features; 0 where all tokens have one and the same output.
    num_tokens : int
        Predicted ones.
    metadata : mapping
        Seed, dtype, threads, versions, the split.
    """

    kind: ClassVar[str] = "source use"
    drawn_by: ClassVar[str] = "plot_source_use"

    scheme: str
    nll: float
    other_nll: float
    token_share: float
    num_tokens: int
    metadata: Mapping[str, Any]

    @property
    def stacks(self) -> tuple[str, ...]:
        """Encoder and decoder: a model without either has no source to use."""
        return ("encoder", "decoder")

    @property
    def gain(self) -> float:
        """Nats per token that the right source is worth over another one."""
        return self.other_nll - self.nll

    @property
    def reads(self) -> bool:
        """Whether the right source lowers the loss by 2 % or more: less is a language model of the target."""
        return reads_source(self.nll, self.other_nll)

    def to_dataframe(self) -> pd.DataFrame:
        """One row: scheme, nll, other_nll, gain, token_share, reads."""
        import pandas as pd

        names = ("scheme", "nll", "other_nll", "gain", "token_share", "reads")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Both losses as bars, see `admin_py.plots.plot_source_use`."""
        return figure(self.drawn_by)(self, ax)

    def _summary(self) -> str:
        does = "reads its source" if self.reads else "does not read its source"
        return (
            f"{self.scheme} {does}: nll {self.nll:.3f}, with others' sources {self.other_nll:.3f}, "
            f"{self.token_share:.2g} of the encoder's output differs from token to token"
        )


@door
def source_use(
    model: Transformer, data: Dataset, *, split: str = "valid", max_tokens: int = defaults.MAX_TOKENS
) -> SourceUse:
    """Whether the decoder of a model makes use of its source, or only models the target language.

    The loss is taken twice over a split: as it is, and with every target given the source of another
    pair. A decoder can lower its loss far below that of token frequencies while its encoder puts out
    the same vector for every token; then both losses agree. The weights are left alone.

    Parameters
    ----------
    model : Transformer
        With encoder and decoder.
    data : Dataset
        Pairs, of the model's vocabulary.
    split : str
        Of the data.
    max_tokens : int
        Of a batch, counted as in training.

    Returns
    -------
    SourceUse

    Raises
    ------
    ValueError
        If the model has one stack only, the data have no such split, all its sources are alike, or the model
        cannot read them.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> found = source_use(ap.Transformer(config, seed=1), data)
    >>> found.reads  # not trained yet
    False
    """
    from admin_py.data.dataset import Dataset, Split

    max_tokens = check_integer("max_tokens", max_tokens, 1, np.iinfo(np.int32).max)
    if len(model.config.stacks) < 2:
        raise Unmeasured(f"model must have encoder and decoder to have a source, got a {model.config.kind}")
    right = data.split(split)
    if right.target is None:
        raise ValueError(f"data must be pairs to have sources, got {shown(data)}")
    check_fits(model, data)
    wrong = Split(right.source.take(_others(right.source, split)), right.target)
    other = Dataset(data.name, data.kind, data.tokenizer, {"train": wrong})
    batches = list(data.batches(max_tokens=max_tokens, split=split, shuffle=False))
    nll, tokens = _nll(model, batches)
    other_nll, _ = _nll(model, other.batches(max_tokens=max_tokens, split="train", shuffle=False))
    return SourceUse(
        scheme=model.config.scheme_name,
        nll=nll,
        other_nll=other_nll,
        token_share=_token_share(model.observe(batches[0], activations="encoder.output")["encoder.output"]),
        num_tokens=tokens,
        metadata=run_metadata(seed=model.seed, dtype=model.dtype, split=split),
    )


def _others(sources: Sequences, split: str) -> NDArray[np.int64]:
    """For every sequence the number of one that differs from it, half the split away in sorted order."""
    _, text = np.unique([one.tobytes().hex() for one in sources], return_inverse=True)
    order = np.argsort(text, kind="stable")
    others = np.empty_like(order)
    others[order] = np.roll(order, len(order) // 2)
    alike = text[others] == text  # only where more than half of the split are
    if alike.any():
        different = np.flatnonzero(text != text[alike][0])
        if not len(different):
            what = "has one pair" if len(sources) == 1 else "has the same source in all its pairs"
            raise Unmeasured(f"split {split!r} {what}: there is no other source to be read in its place")
        others[alike] = different[0]
    return others


def _nll(model: Transformer, batches: Iterable[Batch]) -> tuple[float, int]:
    """Mean over tokens, and how many."""
    found = [model.loss(batch) for batch in batches]
    tokens = sum(one.num_tokens for one in found)
    return float(sum(one.nll * one.num_tokens for one in found) / tokens), tokens


def _token_share(output: NDArray[Any]) -> float:
    """Of [M, D]: variance over tokens against that over tokens and features."""
    values = output.astype(np.float64)
    whole = float(values.var())
    return float(values.var(axis=0).mean()) / whole if whole > 0 else 0.0


LEAST_GAIN = 0.02
"""A model is said to read its source if the right one lowers its loss by at least this share of it."""


def reads_source(nll: float, other_nll: float) -> bool:
    """Whether a loss with the right sources is lower than one with those of other examples.

    Examples
    --------
    >>> reads_source(1.238, 1.726), reads_source(1.472, 1.472)
    (True, False)
    """
    return other_nll - nll >= LEAST_GAIN * nll
