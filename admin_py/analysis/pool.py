"""Results of several seeds taken together, one a scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from admin_py.analysis.gradients import GradientNorms, GradientSpread
from admin_py.analysis.gradients import pooled as pooled_gradients
from admin_py.analysis.output_change import OutputChange
from admin_py.analysis.output_change import pooled as pooled_changes
from admin_py.base.arguments import door
from admin_py.base.checks import check_listed

POOLED: Mapping[type, Callable[[Any], Any]] = {
    GradientNorms: pooled_gradients,
    OutputChange: pooled_changes,
}
"""Class of results -> what makes one of those of one scheme."""


@overload
def pool(results: GradientNorms | Iterable[GradientNorms]) -> list[GradientSpread]: ...
@overload
def pool(results: OutputChange | Iterable[OutputChange]) -> list[OutputChange]: ...
@door
def pool(results: Any) -> Any:
    """Results of one kind of several models, those of one scheme taken together as its seeds.

    Parameters
    ----------
    results : iterable of GradientNorms, or of OutputChange
        Those of one scheme have the same depth; output changes the same perturbation and size too.

    Returns
    -------
    list of GradientSpread, or of OutputChange
        One a scheme, in the order in which schemes first come. Of gradient norms the geometric mean and the
        range of the relative ones over seeds. Of output changes all repeats of all seeds, so that `mean` and
        `spread` are over both, and the mean over seeds of `own`; a scheme that comes once is as it was.

    Raises
    ------
    TypeError
        If there are results of another kind, or of several.
    ValueError
        If there is none, or two of one scheme do not belong together.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> batch = ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]])
    >>> models = [ap.Transformer(config, seed=seed) for seed in (1, 2)]
    >>> found = pool(ap.analysis.gradients(model, batch) for model in models)
    >>> [(one.scheme, one.seeds, one.middle["decoder"].shape) for one in found]
    [('post_ln', 2, (3,))]
    >>> found = pool(ap.analysis.output_change(model, batch, repeats=3) for model in models)
    >>> [(one.scheme, one.repeats) for one in found]
    [('post_ln', 6)]
    """
    wanted = " or all ".join(kind.__name__ for kind in POOLED)
    if isinstance(results, tuple(POOLED)):
        results = [results]
    if isinstance(results, str) or not isinstance(results, Iterable):
        raise TypeError(f"results must be results of several seeds, all {wanted}, got {_named(results)}")
    groups: dict[str, list[Any]] = {}
    kinds: dict[type, None] = {}
    for one in check_listed("results", results, f"all {wanted}"):
        if type(one) not in POOLED:
            raise TypeError(f"results must be all {wanted}, got {_named(one)} among them")
        kinds[type(one)] = None
        groups.setdefault(one.scheme, []).append(one)
    if not groups:
        raise ValueError(f"results: expected at least one, all {wanted}, got none")
    if len(kinds) > 1:
        found = " and ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"results must be all {wanted}, got {found}")
    return [POOLED[next(iter(kinds))](group) for group in groups.values()]


def _named(given: Any) -> str:
    return f"an object of type {type(given).__name__}"
