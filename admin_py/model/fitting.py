"""Whether data are such as a model reads: of its kind, with its vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from admin_py.data.dataset import Dataset
    from admin_py.model.transformer import Transformer

KINDS = {"encoder_decoder": "translation", "language_model": "language_model"}
"""Kind of a model -> of its data. An encoder reads either."""

WAY_OUT = "read the text with the model's own tokenizer, or take it nevertheless with model.vocabulary = None"


def check_fits(model: Transformer, data: Dataset, *, way_out: str = WAY_OUT) -> None:
    """That the data's ids are those that the model knows.

    A model that has been trained knows of which vocabulary its ids are (`Transformer.vocabulary`); of another
    one it is enough that it has as many.

    Parameters
    ----------
    model : Transformer
    data : Dataset
    way_out : str
        What is to be done where the vocabulary is another.

    Raises
    ------
    ValueError
        If the kinds do not fit, or the vocabulary is another.
    """
    config = model.config
    expected = KINDS.get(config.kind, data.kind)
    if data.kind != expected:
        raise ValueError(
            f"data must be of kind {expected!r} for a model of kind {config.kind!r}, got {data.kind!r}"
        )
    if data.vocab_size > config.vocab_size:
        raise ValueError(f"data has {data.vocab_size} ids in its vocabulary, model only {config.vocab_size}")
    known, given = model.vocabulary, data.vocabulary
    if known is not None and known.fingerprint != given.fingerprint:
        raise ValueError(f"data has another vocabulary, {given}, than the model, {known}: {way_out}")
