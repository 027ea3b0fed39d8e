"""The profile before the first step, without which Admin is plain Post-LN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from admin_py.base.checks import shown
from admin_py.base.streams import warn
from admin_py.model.omega import profiled_sublayers

if TYPE_CHECKING:
    from admin_py.data.dataset import Dataset
    from admin_py.model.profile import VarianceProfile
    from admin_py.model.transformer import Transformer

AUTO = "auto"

AS_GIVEN, OFF = "as given", "off"
"""In a history's metadata: omega was as the model had it; it was to be left unprofiled."""

FIRST_BATCH = "batch 1 of epoch 0"
"""Of the training: what the profile reads."""

UNKNOWN = "as in the checkpoint"
"""Of a training that goes on from a checkpoint which does not say."""


class NotProfiled(UserWarning):
    """A model whose scheme profiles omega is trained without a profile."""


def check_profile(value: Any) -> str | bool:
    """``"auto"``, True or False."""
    if isinstance(value, str) and value == AUTO:
        return AUTO
    if type(value).__name__ in ("bool", "bool_"):  # Python's and NumPy's
        return bool(value)
    raise ValueError(f"profile must be 'auto', True or False, got {shown(value)}")


def profile_first(model: Transformer, data: Dataset, max_tokens: int, asked: str | bool) -> str:
    """Profile a model on the batch that its training begins with, where that is due.

    Parameters
    ----------
    model : Transformer
        Its omega is set.
    data : Dataset
    max_tokens : int
        Of the training.
    asked : "auto" or bool
        ``"auto"`` profiles a model that is `Transformer.unprofiled`, True each whose scheme profiles omega.

    Returns
    -------
    str
        What was done, for the metadata.

    Warns
    -----
    NotProfiled
        If it was not to be profiled, and its scheme profiles omega.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> model = ap.Transformer(config, seed=1)
    >>> profile_first(model, data, 128, "auto"), profile_first(model, data, 128, "auto")
    ('auto, batch 1 of epoch 0', 'as given')
    """
    unprofiled = model.unprofiled
    if asked is False and unprofiled:
        warn(
            f"the model is not profiled, though its scheme {model.config.scheme_name!r} profiles omega: it "
            "is 1 throughout, which makes Admin a Post-LN. Leave profile='auto' or call model.profile(batch)",
            NotProfiled,
            stacklevel=8,  # the line that called train, which stands behind its door, its rules and its ranks
        )
        return OFF
    due = unprofiled if asked == AUTO else asked is True and bool(profiled_sublayers(model.config))
    if not due:
        return AS_GIVEN
    batch = next(data.batches(max_tokens=max_tokens, seed=model.seed))
    try:
        model.profile(batch, seed=model.seed)
    except ValueError as error:  # the pass overflows; so will that of the first step, which says where
        return f"not possible, {error}"
    return f"{'auto' if asked == AUTO else 'asked for'}, {FIRST_BATCH}"


@contextmanager
def as_tried(profile: VarianceProfile | None) -> Iterator[str | bool]:
    """After a profile was tried: what `train`, which is called inside, is told as `profile`.

    Where there is none, whoever tried it says why: no warning does.

    Examples
    --------
    >>> with as_tried(None) as asked:
    ...     asked
    False
    """
    with catch_warnings():
        if profile is None:
            simplefilter("ignore", NotProfiled)
        yield AUTO if profile is not None else False
