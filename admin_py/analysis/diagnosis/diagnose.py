"""Before a step is trained: how a model's depth amplifies changes, and what that has meant for trainings."""

from __future__ import annotations

import math

import numpy as np

from admin_py.analysis.diagnosis.evidence import STABLE_UP_TO, UNSTABLE_FROM
from admin_py.analysis.diagnosis.measures import first_nonfinite_weight, measure, measure_gradients
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.analysis.diagnosis.verdict import Facts, judge, limits
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import check_probability
from admin_py.data.batch import Batch
from admin_py.model.config import TransformerConfig
from admin_py.model.transformer import Transformer
from admin_py.results import run_metadata

REFERENCES = ("post_ln", "pre_ln", "admin")
"""Schemes that a model is set beside."""


@door
def diagnose(
    model: Transformer, batch: Batch, *, label_smoothing: float = defaults.LABEL_SMOOTHING
) -> Diagnosis:
    """Look at a model before it is trained: is it likely to train, what speaks against it, what to change.

    The amplification of a stack is the sum over its sub-layers of beta_jj^2, the share of the variance of
    skip plus branch that is the branch's; by the paper's theory the output moves in proportion to it when the
    weights change a little. It is set beside that of Post-LN, Pre-LN and Admin of the same sizes, drawn from
    the same seed and, for Admin, profiled on the same batch. Four forward passes and a backward pass.

    Parameters
    ----------
    model : Transformer
        As it is about to be trained; it is not changed, nor are its gradients.
    batch : Batch
        Such as the first of the training.
    label_smoothing : float
        Of the loss whose gradients are looked at, from 0 to 1.

    Returns
    -------
    Diagnosis
        Its `repr` is one page; `plot()` draws it.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an argument is not what it should be, or the model cannot read the batch.

    Notes
    -----
    Source: Liu et al., EMNLP 2020, arXiv 2004.08249, sections 3 and 4. beta_jj^2 is measured, not predicted,
    as mean_t Var_f(b_j) / mean_t Var_f(y_j), without dropout. The verdict follows from the larger
    amplification of the two stacks and from nothing else. Its thresholds and how often it was right about
    real trainings are in `admin_py.analysis.diagnosis.evidence` and in the result's `limits`.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.number_words(train=100, valid=10)
    >>> config = ap.TransformerConfig(vocab_size=data.vocab_size, encoder_layers=18, decoder_layers=18,
    ...                               d_model=32, heads=2, d_ff=64, scheme="post_ln")
    >>> batch = next(data.batches(max_tokens=256, seed=1))
    >>> found = diagnose(ap.Transformer(config, seed=1), batch)
    >>> found.level, found.growth("decoder").better
    ('unstable', 'linear')
    >>> diagnose(ap.Transformer(config.replace(scheme="pre_ln"), seed=1), batch).level
    'stable'
    """
    if not isinstance(model, Transformer):
        raise TypeError(f"model must be a Transformer, got an object of type {type(model).__name__}")
    label_smoothing = check_probability("label_smoothing", label_smoothing)
    config, own_copy = model.config, model.copy()
    measured, bad_activation = measure(own_copy, batch)
    beta2 = {stack: found.beta2 for stack, found in measured.items()}
    var_branch = {stack: found.var_branch for stack, found in measured.items()}
    nonfinite = _name("weight", first_nonfinite_weight(model)) or _name("activation", bad_activation)
    gradients: dict[str, np.ndarray] = {}
    loss = math.nan
    if config.decoder_layers:
        found = measure_gradients(own_copy, batch, label_smoothing=label_smoothing)
        gradients, loss = dict(found.norms), found.loss
        nonfinite = nonfinite or _name("gradient of", found.first_bad)
    del own_copy
    references = {name: _reference(config.replace(scheme=name), model, batch) for name in REFERENCES}
    verdict = judge(
        Facts(
            scheme=config.scheme_name,
            layers={stack: config.stack_layers(stack) for stack in config.stacks},
            beta2=beta2,
            references=references,
            var_branch=var_branch,
            per_layer={stack: config.sublayers_per_layer(stack) for stack in config.stacks},
            gradients=gradients,
            nonfinite=nonfinite,
            unprofiled=model.unprofiled,
        )
    )
    sizes = ("encoder_layers", "decoder_layers", "d_model", "d_ff", "heads")
    return Diagnosis(
        scheme=config.scheme_name,
        level=verdict.level,
        verdict=verdict.sentence,
        findings=verdict.findings,
        advice=verdict.advice,
        limits=limits(),
        stable_up_to=STABLE_UP_TO,
        unstable_from=UNSTABLE_FROM,
        beta2=beta2,
        references=references,
        var_branch=var_branch,
        var_stream={stack: found.var_stream for stack, found in measured.items()},
        gradients=gradients,
        loss=loss,
        nonfinite=nonfinite,
        sublayers={stack: tuple(config.sublayer_names(stack)) for stack in config.stacks},
        metadata=run_metadata(
            seed=model.seed,
            dtype=model.dtype,
            label_smoothing=label_smoothing,
            **{name: getattr(config, name) for name in sizes},
        ),
    )


def _reference(config: TransformerConfig, model: Transformer, batch: Batch) -> dict[str, np.ndarray]:
    """beta_jj^2 of a fresh model of another scheme."""
    other = Transformer(config, seed=model.seed, dtype=model.dtype)
    other.profile(batch, seed=model.seed)
    return {stack: found.beta2 for stack, found in measure(other, batch)[0].items()}


def _name(what: str, tensor: str | None) -> str:
    return "" if tensor is None else f"the {what} {tensor}"
