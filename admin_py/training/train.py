"""Training: steps, validation, checkpoints, and what stops it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_bool, check_integer, check_number, check_probability
from admin_py.base.precision import check_held
from admin_py.base.streams import warn
from admin_py.base.unused import goes_with
from admin_py.data.dataset import Dataset
from admin_py.model.state import check_weights
from admin_py.model.transformer import Transformer
from admin_py.training import checkpoint as checkpoints
from admin_py.training import kept
from admin_py.training.alike import digest
from admin_py.training.best import NLL
from admin_py.training.history import History
from admin_py.training.kept import EPOCH, read_keeping
from admin_py.training.loop import Loop
from admin_py.training.named_optimizers import OptimizerLike, as_optimizer
from admin_py.training.observing import read_observe
from admin_py.training.plan import (
    Callback,
    Plan,
    absolute_checkpoint,
    check_activation_segments,
    check_callbacks,
    check_clip_norm,
    check_data,
    check_model,
    check_schedule,
    check_share,
    check_shared,
)
from admin_py.training.profiling import AUTO, NotProfiled, check_profile, profile_first
from admin_py.training.ranks import Alone, check_comm
from admin_py.training.stopping import Monitor, read_stopping

VALIDATIONS = ("validations, valid_every=", lambda given: given["valid_every"] is not None)


@door
@goes_with(
    checkpoint_every=("a checkpoint", lambda given: given["checkpoint"] is not None),
    resume=(
        "a checkpoint, or a folder to keep weights in",
        lambda given: given["checkpoint"] is not None or given["keep"] is not None,
    ),
    monitor=VALIDATIONS,
    patience=VALIDATIONS,
    restore_best=VALIDATIONS,
    keep_last=(
        "a place for the files, checkpoint= or keep=",
        lambda given: given["checkpoint"] is not None or given["keep"] is not None,
    ),
    keep_best=(
        "validations, valid_every=, and a place for the files, checkpoint= or keep=",
        lambda given: (
            given["valid_every"] is not None
            and (given["checkpoint"] is not None or given["keep"] is not None)
        ),
    ),
    keep_every=("keep_last", lambda given: given["keep_last"] is not None),
    keep=(
        "keep_last or keep_best",
        lambda given: given["keep_last"] is not None or given["keep_best"] is not None,
    ),
)
def train(
    model: Transformer,
    data: Dataset,
    *,
    optimizer: OptimizerLike = "adam",
    lr: float | None = None,
    schedule: str | Callable[[int], float] | None = None,
    warmup: int | None = None,
    steps: int = defaults.STEPS,
    profile: str | bool = AUTO,
    max_tokens: int = defaults.MAX_TOKENS,
    accumulate: int = 1,
    clip_norm: float | None = None,
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    z_loss: float = 0.0,
    valid_every: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 100,
    resume: bool = True,
    keep_last: int | None = None,
    keep_every: int | str = EPOCH,
    keep_best: int | None = None,
    keep: str | os.PathLike[str] | None = None,
    ema: float | None = None,
    monitor: str | Monitor = NLL,
    patience: int | None = None,
    restore_best: bool = False,
    observe: int | str | Iterable[int] = 0,
    observe_every: int = 0,
    checkpoint_activations: bool | int = False,
    progress: bool = True,
    callbacks: Iterable[Callback] = (),
    comm: Any = None,
) -> History:
    """Train a model on a dataset.

    The order of the batches and dropout follow from ``model.seed``: epoch e takes
    ``data.batches(seed=model.seed + e)``. A model whose scheme profiles omega (Admin) and which was not
    profiled is profiled first, see `profile`.

    Parameters
    ----------
    model : Transformer
        Changed in place; it keeps of which vocabulary its ids are, and takes no data of another one after.
    data : Dataset
        Its split "train" is trained on, its split "valid" is for validation.
    optimizer : {"adam", "adamw", "radam", "novograd", "sgd"}, Optimizer or callable
        A name stands for the paper's options (betas .9 and .98, eps 1e-9; momentum .9), a callable makes an
        optimiser of `lr`; an object, such as ``RAdam(lr=1e-3)``, goes on from the state it has.
    lr : float, optional
        Learning rate of a name or callable, by default 1e-3; an object has its own.
    schedule : str or callable, optional
        ``"inverse_sqrt"``, ``"constant"``, ``"linear"`` or ``"cosine"``, after a warm-up to the optimiser's
        rate; or from the step, counted from 1, to the learning rate, which leaves nothing for `lr` to say. By
        default the optimiser's rate throughout. See `admin_py.schedules`.
    warmup : int, optional
        Steps of linear warm-up of a schedule that is given by its name, by default 100.
    steps : int
        Updates to make, those before a checkpoint counted.
    profile : "auto" or bool
        Whether `Transformer.profile` sets omega before the first step, from the first batch and with
        ``model.seed``: where the scheme profiles omega and it is 1 throughout (``"auto"``), where the scheme
        profiles it (True), or not (False, with a warning where ``"auto"`` would). The metadata say what was
        done. A training that goes on from a checkpoint has the omega of the checkpoint.
    max_tokens : int
        Of a batch, on either side.
    accumulate : int
        Batches whose gradients make one update, weighted by their predicted tokens: the gradient is that of
        the mean over all tokens of the batches. Above 1 their sum takes the memory of another gradient.
    clip_norm : float, optional
        Gradients with a larger Euclidean norm are scaled down to it.
    label_smoothing : float
        Probability mass spread evenly over the vocabulary, from 0 to 1.
    z_loss : float
        Coefficient of log(sum of e^logits)^2 in the loss of every token, as for `Transformer.loss`.
    valid_every : int, optional
        Steps between validations, each the mean over the whole split without dropout; the last step is
        validated too. By default there are none.
    checkpoint : path, optional
        File from which the training goes on if it exists, and to which its state is written every
        `checkpoint_every` steps and at the end. A training that is killed at any moment and started again
        ends with the same bits as one that never stopped.
    checkpoint_every : int
        Steps between checkpoints.
    resume : bool
        False begins anew, whatever checkpoint there is, and replaces it, and the weights that were kept.
    keep_last : int, optional
        Keep the weights of so many of the last epochs as files of models, for `average`:
        ``last-00000120.safetensors`` after step 120, in the folder `keep`. Each comes with a checkpoint, and
        the oldest is removed when the new one is whole.
    keep_every : "epoch" or int
        Keep them at the end of every epoch, in the step that takes its last batch, or every so many steps.
    keep_best : int, optional
        Keep the weights of so many of the best validations by `monitor` likewise, as ``best-*``.
    keep : path, optional
        The folder; by default beside the checkpoint, with ``.kept`` added to its name.
    ema : float, optional
        Decay of an exponential moving average of the weights, from 0 to below 1, such as .999: the mean of
        the weights after every step so far, in which each counts `ema` times the next, so that the initial
        weights have no part in it. It is kept in float64 (8 bytes a weight) and in the checkpoint.
        ``history.ema`` is the model that has it. Validations, `monitor`, what is kept and the best weights
        are those of the average then; training goes on with the model's own.
    monitor : {"nll", "loss"} or Monitor
        What says which validation is the best: the smaller nll or loss, or what a `Monitor` measures, which
        is recorded in ``history.valid`` under its name.
    patience : int, optional
        End the training after so many validations since the best one. One that has ended goes on when it is
        called with more.
    restore_best : bool
        Whether the model has the weights of the best validation when the training has ended, but for Ctrl-C.
        The checkpoint keeps those of the last step beside them.
    observe : int, "log" or iterable of int
        When to record variances, omega and gradient norms of all sub-layers, and for every weight matrix the
        norms of gradient, weights and update (``history.observations``, `analysis.updates`): at the first
        step and every so many; at steps with equal ratios, ten from one power of ten to the next, and the
        last (``"log"``); or at the steps given. 0 is never. A step that diverges is not recorded.
    observe_every : int
        The same as a number for `observe`; only one of them may be given.
    checkpoint_activations : bool or int
        Keep only the inputs of segments of so many layers (True: about the root of the layers) and compute
        the rest again in the backward pass: less memory, about a third more time, the same bits.
    progress : bool
        Show a bar on a terminal or in a notebook, plain lines elsewhere, on the standard error stream.
    callbacks : iterable of callable
        Each is called as ``callback(step, model, history)`` after every step and its validation; `history` is
        a `Recorder`, the history so far. One that raises KeyboardInterrupt ends the training as Ctrl-C does.
    comm : mpi4py.MPI.Intracomm, optional
        The processes that share the training, such as ``MPI.COMM_WORLD``: each calls `train` with the same
        arguments and computes every so many of the `accumulate` batches of an update, which their number
        must divide. The result is that of one process, bit for bit. Moments are shared out: a rank has those
        of its part of the weights, and `optimizer` keeps them. Rank 0 writes the files, shows progress and
        measures what a `Monitor` does; callbacks are called on every rank, whose gradients are the sum in its
        own part alone.

    Returns
    -------
    History
        Also where the training diverges (``history.diverged_at``; the model keeps the last finite weights) or
        is stopped by Ctrl-C or SIGTERM (``history.interrupted``; between two steps, after a checkpoint if
        there is one), or by `patience` (``history.stopped_early``).

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected; also where the model cannot read the data,
        has weights that are not finite, or the checkpoint is damaged or of another training. Model and
        optimiser are then as before.
    OSError
        If the checkpoint or weights to be kept cannot be read or written; older ones are as before.
    RuntimeError
        If another training has the checkpoint or the folder, with the id of its process; or if another rank
        met an error, which the message tells. One that is met amid a step ends the processes of all ranks.

    Notes
    -----
    Steps whose loss, gradient or update is not finite change nothing: divergence is a result, with the step
    and the first tensor that was not finite.

    Every pass has dropout of its own, numbered from 0 by step and batch whatever ``model.step`` was; that
    stands after them in the end, so that passes which follow have masks of their own, too.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> model = ap.Transformer(config, seed=1)
    >>> history = ap.train(
    ...     model, data, optimizer="adam", lr=1e-2, steps=6, max_tokens=128, valid_every=3, progress=False
    ... )
    >>> history.num_steps, history.valid["step"].tolist(), history.diverged_at
    (6, [3, 6], None)
    >>> history.metadata["profile"]
    'auto, batch 1 of epoch 0'
    """
    ranks = check_comm(comm)

    def checked() -> Plan:
        count = check_integer("steps", steps, 1, MAX_COUNT)
        chosen = as_optimizer(optimizer, lr)
        place = absolute_checkpoint(checkpoint)
        plan = Plan(
            optimizer=chosen,
            schedule=check_schedule(schedule, lr, rate=chosen.lr, warmup=warmup, steps=count),
            steps=count,
            max_tokens=check_integer("max_tokens", max_tokens, 1, MAX_COUNT),
            accumulate=check_shared(check_integer("accumulate", accumulate, 1, MAX_COUNT), ranks.size),
            clip_norm=check_clip_norm("clip_norm", clip_norm),
            label_smoothing=check_share("label_smoothing", label_smoothing),
            z_loss=check_number("z_loss", z_loss, low=0.0),
            valid_every=None
            if valid_every is None
            else check_integer("valid_every", valid_every, 1, MAX_COUNT),
            checkpoint=place,
            checkpoint_every=check_integer("checkpoint_every", checkpoint_every, 1, MAX_COUNT),
            observe=read_observe(observe, observe_every),
            callbacks=check_callbacks(callbacks),
            profile=check_profile(profile),
            checkpoint_activations=check_activation_segments(checkpoint_activations),
            ema=None if ema is None else check_probability("ema", ema),
            stopping=read_stopping(monitor, patience, restore_best),
            keeping=read_keeping(
                checkpoint=place, keep=keep, last=keep_last, every=keep_every, best=keep_best
            ),
        )
        for name, value in (("resume", resume), ("progress", progress)):
            check_bool(name, value)
        check_model(model)
        chosen.check_dtype(model.dtype)
        if plan.schedule is None:
            check_held("lr", chosen.lr, model.dtype)
        check_data(data, model, plan)
        return plan

    with ranks.ending_all():
        plan = ranks.agreed(checked)
        with ExitStack() as stack:
            ranks.on_first(lambda: _hold(plan, stack))
            loop = ranks.agreed(lambda: Loop(model, data, plan, ranks))
            loop.compare_ranks()
            if not _restored(loop, plan, ranks, resume=bool(resume)):
                if resume and (kept_weights := loop.kept) is not None:
                    ranks.on_first(kept_weights.check_empty)
                ranks.agreed(lambda: check_weights(model.parameters))
                loop.begin()
                loop.profiled = _profiled(model, data, plan, ranks)
            if model.vocabulary is None:
                model.vocabulary = data.vocabulary
            history = loop.run(progress=bool(progress))
    if ranks.rank == 0:
        _say_if_still(history)
    return history


def _hold(plan: Plan, stack: ExitStack) -> None:
    """What is written is this training's alone, until the stack is left."""
    if plan.checkpoint is not None:
        stack.enter_context(checkpoints.held(plan.checkpoint))
    if plan.keeping is not None:
        stack.enter_context(kept.held(plan.keeping.folder))


def _profiled(model: Transformer, data: Dataset, plan: Plan, ranks: Alone) -> str:
    """What became of omega; every rank computes it, and the first one warns."""
    with warnings.catch_warnings():
        if ranks.rank > 0:
            warnings.simplefilter("ignore", NotProfiled)
        return ranks.agreed(lambda: profile_first(model, data, plan.max_tokens, plan.profile))


OPENING = 5
"""Steps in which RAdam of any usual beta2 moves nothing, as it says."""


def _say_if_still(history: History) -> None:
    """A warning where there were rates and gradients, and no weight has moved."""
    rates, norms = history.lr, history.grad_norm
    if history.interrupted or history.diverged_at or history.update_norm.any():
        return
    if history.num_steps <= OPENING:
        return
    if rates.any() and norms.any():
        warn(
            f"no weight moved in {history.num_steps} steps: the learning rate is too small for the numbers "
            "of the model's type, or the optimiser has not begun (RAdam's first steps move nothing)",
            stacklevel=5,  # the line that called train, which stands behind its door and its rules
        )


def _restored(loop: Loop, plan: Plan, ranks: Alone, *, resume: bool) -> bool:
    """Go on from the checkpoint, if there is one."""
    path = plan.checkpoint
    if path is None or not resume or not ranks.told_by(0, lambda: os.path.exists(path)):
        return False
    ranks.agreed(lambda: loop.restore(checkpoints.load(path)))
    found = {"its step": loop.history.num_steps, "its weights": digest(loop.model._core.weights)}
    ranks.check_same({f"the checkpoint {path!r}": found})  # where ranks see folders of their own
    return True
