"""`examine` takes every analysis of one model on one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from admin_py import analysis
from admin_py.analysis.diagnosis.diagnose import diagnose
from admin_py.analysis.unmeasured import Measures
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_bool, check_integer, check_probability, check_text
from admin_py.data.batch import Batch
from admin_py.experiments.examination.results import Examination
from admin_py.model.profile import VarianceProfile
from admin_py.model.transformer import Transformer
from admin_py.results import run_metadata
from admin_py.schemes.labels import label

BASE, PROFILED = "post_ln", "admin"
"""The scheme that Admin is one of scaled skips of, and Admin."""


@door
def examine(
    model: Transformer,
    batch: Batch,
    *,
    name: str = "",
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    repeats: int = 3,
    progress: bool = False,
) -> Examination:
    """Every analysis of one model: what does each layer depend on, will it train, what would Admin change?

    Diagnosis, variances, gradient norms, layer dependency, output change and, of a Post-LN model, the omega
    that Admin's profile gives its weights. An analysis that this model does not have is left out with the
    reason. The model stays as it is.

    Parameters
    ----------
    model : Transformer
        Made here or read by `load_pretrained`, before a training or after it.
    batch : Batch
        What it reads; a few hundred tokens are enough.
    name : str
        What the page calls it.
    label_smoothing : float
        Of the loss whose gradients are looked at.
    repeats : int
        Draws of the random changes of the weights, at least 1.
    progress : bool
        Show a bar for them, where the standard error stream is a terminal or in a notebook.

    Returns
    -------
    Examination
        Its `report` writes a page.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an argument is not what it should be, or the model cannot read the batch.

    Notes
    -----
    Source: Liu et al., EMNLP 2020, arXiv 2004.08249, sections 3 and 4, each analysis on its own as in
    `admin_py.analysis`.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=30, encoder_layers=0, decoder_layers=4, d_model=16, heads=2,
    ...                               d_ff=32, scheme="pre_ln")
    >>> batch = ap.Batch([[1, 7, 8, 9, 10], [1, 11, 12, 13]])
    >>> found = ap.examine(ap.Transformer(config, seed=1), batch, name="small")
    >>> found
    Examination(small, Pre-LN, 9,408 parameters: stable, without admin)
    >>> found.without["admin"]
    'Admin scales the skips of Post-LN, and this model is Pre-LN'
    """
    name = check_text("name", name)
    label_smoothing = check_probability("label_smoothing", label_smoothing)
    repeats, progress = check_integer("repeats", repeats, 1, MAX_COUNT), check_bool("progress", progress)
    diagnosis = diagnose(model, batch, label_smoothing=label_smoothing)
    measures = Measures()
    calls: dict[str, Callable[[], Any]] = {
        "profile": lambda: as_it_is(model, batch),
        "admin": lambda: by_admin(model, batch),
        "gradients": lambda: analysis.gradients(model, batch, label_smoothing=label_smoothing),
        "dependency": lambda: analysis.dependency(model, batch),
        "output_change": lambda: analysis.output_change(model, batch, repeats=repeats, progress=progress),
    }
    found = {what: measures.take(what, call) for what, call in calls.items()}
    return Examination(
        name=name,
        scheme=model.config.scheme_name,
        config=model.config.to_dict(),
        num_parameters=model.num_parameters,
        num_tokens=batch.num_tokens,
        diagnosis=diagnosis,
        **found,
        without=measures.without,
        metadata=run_metadata(seed=model.seed, dtype=model.dtype, label_smoothing=label_smoothing),
    )


def as_it_is(model: Transformer, batch: Batch) -> VarianceProfile:
    """Variances of a model as it is, without dropout, with the omega that it has: means over its features."""
    seen, omega = model.observe(batch, activations=[]), model.omega
    tables = {
        stack: {
            "omega": np.mean(omega[stack].reshape(len(omega[stack]), -1), axis=1, dtype=np.float64),
            "var_input": seen.var_input[stack],
            "var_branch": seen.var_branch[stack],
        }
        for stack in model.config.stacks
    }
    names = {stack: tuple(model.config.sublayer_names(stack)) for stack in tables}
    return VarianceProfile.from_arrays(
        tables,
        scheme=model.config.scheme_name,
        names=names,
        metadata=run_metadata(seed=model.seed, dtype=model.dtype),
    )


def by_admin(model: Transformer, batch: Batch) -> VarianceProfile:
    """What Admin's profile gives the weights of a Post-LN model.

    Raises
    ------
    ValueError
        If the model is no Post-LN model.
    """
    config = model.config
    plain = config.replace(scheme=BASE)
    if any(config.residuals(stack) != plain.residuals(stack) for stack in config.stacks):
        own, base = label(config.scheme_name), label(BASE)
        raise ValueError(f"{label(PROFILED)} scales the skips of {base}, and this model is {own}")
    scaled = Transformer(config.replace(scheme=PROFILED), seed=model.seed, dtype=model.dtype)
    scaled.load_state({**scaled.state, **model.state})
    return scaled.profile(batch, dropout=False)
