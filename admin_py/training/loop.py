"""The loop of a training: one step after the other, and all that a checkpoint has to keep."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.versions import origin
from admin_py.model import files as model_files
from admin_py.model.state import check_state, write_state
from admin_py.results import run_metadata
from admin_py.training import checkpoint as checkpoints
from admin_py.training.alike import check_alike
from admin_py.training.buffers import Shared, Whole
from admin_py.training.checkpoint import TrainingState
from admin_py.training.divergence import explain_gradient, explain_loss, explain_update
from admin_py.training.feed import Feed, num_predicted
from admin_py.training.history import STOPPING, History
from admin_py.training.interrupts import DeferredInterrupt
from admin_py.training.kept import BEST, LAST, KeptWeights
from admin_py.training.moving_average import MovingAverage
from admin_py.training.observing import StepObserver
from admin_py.training.profiling import AS_GIVEN, OFF, UNKNOWN
from admin_py.training.progress import TrainingProgress
from admin_py.training.ranks import Alone, Ranks
from admin_py.training.recorder import Recorder
from admin_py.training.restoring import check_best, check_parts, history_of, num_updates
from admin_py.training.validating import validate

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.data.dataset import Dataset
    from admin_py.model.transformer import Transformer
    from admin_py.training.plan import Plan

PROFILE, ORIGIN = "profile", "computed by"
"""In a checkpoint's setup, beside what decides the numbers: what became of omega, what computed them."""


class Diverged(Exception):
    """A step has met numbers that are not finite; says which. Never leaves this module."""


class Loop:
    """A training that can be stopped and taken up between any two steps.

    Parameters
    ----------
    model : Transformer
    data : Dataset
    plan : Plan
    ranks : Alone
        The processes that share it: each computes every so many of a step's batches.
    """

    def __init__(self, model: Transformer, data: Dataset, plan: Plan, ranks: Alone) -> None:
        self.model, self.data, self.plan, self.ranks = model, data, plan, ranks
        self._buffers = Shared(model, ranks) if isinstance(ranks, Ranks) else Whole(model)
        self.history = Recorder()
        alone = ranks.rank == 0
        self._callbacks = [
            one for one in plan.callbacks if alone or not getattr(one, "first_rank_only", False)
        ]
        self._feed = self._new_feed(epoch=0, batch=0)
        self._tail_done = True  # validation, callbacks and checkpoint of the last step
        self._saved_at: int | None = None
        self._asked_to_end = False  # by Ctrl-C, on any rank
        self._limit = float(np.sqrt(np.finfo(model.dtype).max))
        self._observer = StepObserver(model)
        self._average = None if plan.ema is None else MovingAverage(plan.ema)
        self._best: NDArray[Any] | None = None
        self._best_at = 0
        self.kept = None if plan.keeping is None else KeptWeights(plan.keeping, self._digest())
        self._tell_stopping()
        self.profiled = AS_GIVEN
        """What became of omega before the first step."""

    def _new_feed(self, *, epoch: int, batch: int) -> Feed:
        seed = self.model.seed
        return Feed(self.data, max_tokens=self.plan.max_tokens, seed=seed, epoch=epoch, batch=batch)

    # The loop

    def run(self, *, progress: bool) -> History:
        """Train to the last step, to divergence or to Ctrl-C."""
        history, steps = self.history, self.plan.steps
        if begins := self._hooks("training_begins"):
            told = {**self._describe(), "steps": steps}
            told["data"]["name"] = self.data.name
            for hook in begins:
                hook(told)
        shown = TrainingProgress(steps, done=history.num_steps, enabled=progress and self.ranks.rank == 0)
        try:
            if not history.num_steps and self.profiled not in (AS_GIVEN, OFF):
                shown.said(f"profile of {self.model.config.scheme_name}: {self.profiled}")
            with DeferredInterrupt() as interrupt:
                if self.kept is not None:
                    begin = self.kept.begin
                    self.ranks.on_first(lambda: begin(history.num_steps))
                    if self._tail_done:
                        self._keep(begins=True)  # what the kill of an earlier process has left undone
                self._finish_step(shown, interrupt)
                self._agree_to_end(interrupt)
                while history.num_steps < steps and not self._stopped():
                    self._step()
                    shown.stepped(history)
                    self._finish_step(shown, interrupt)
                    self._agree_to_end(interrupt)
                if history.diverged_at is not None:
                    shown.stopped(history, f"diverged: {history.diverged_because}")
                elif self._is_over() and history.num_steps < steps:
                    shown.stopped(history, f"{self.plan.stopping.name} improves no more")
                elif self._stopped() and (history.num_steps < steps or not self._tail_done):
                    history.interrupted = True
                    shown.stopped(history, "interrupted")
                else:
                    shown.finished(history)
                self._save()
        finally:
            shown.close()
            self._buffers.end()
        if self._best is not None and not history.interrupted:
            self.model._core.weights[...] = self._best
        frozen = self._frozen()
        for ends in self._hooks("training_ends"):
            ends(self.model, frozen)
        return frozen

    def _hooks(self, name: str) -> list[Callable[..., Any]]:
        """What callbacks have for the beginning or the end of a training; most have nothing."""
        return [hook for one in self._callbacks if callable(hook := getattr(one, name, None))]

    def _frozen(self) -> History:
        history = self.history.freeze(self._metadata())
        if self._average is not None:
            with self._judged():
                averaged = self.model.copy()
            object.__setattr__(history, "_ema", averaged)
        return history

    def _agree_to_end(self, interrupt: DeferredInterrupt) -> None:
        self._asked_to_end = self.ranks.any(interrupt.requested)

    def _stopped(self) -> bool:
        return self._asked_to_end or self.history.diverged_at is not None or self._is_over()

    def _is_over(self) -> bool:
        """Whether the validations improve no more."""
        return self._tail_done and self.plan.stopping.is_over(self.history.valid, self.history.num_steps)

    def _step(self) -> None:
        """One update, or the record of why there is none."""
        begin = time.perf_counter()
        step = self.history.num_steps + 1
        batches = [next(self._feed) for _ in range(self.plan.accumulate)]
        row = {"lr": self.plan.lr(step), "loss": 0.0, "nll": 0.0, "grad_norm": np.nan, "update_norm": 0.0}
        row["tokens"] = sum(map(num_predicted, batches))
        observe = self.plan.observe.due(step, last=self.plan.steps)
        why = None
        try:
            self._find_gradient(step, batches, row, observe=observe)
            if observe:
                self._observer.before_update()
            self._update(row)
            if observe:
                self.history.add_observation(
                    step, self._observer.after_update(), matrices=self._observer.names
                )
        except Diverged as found:
            why = str(found)
        self.history.add_step(**row, seconds=time.perf_counter() - begin)
        self._tail_done = False
        self._count_passes()
        if why is not None:
            self.history.diverged_at, self.history.diverged_because = step, why

    def _count_passes(self) -> None:
        """Passes that follow the training have dropout of their own."""
        self.model.step = max(self.model.step, self.history.num_steps * self.plan.accumulate)

    def _find_gradient(
        self, step: int, batches: list[Batch], row: dict[str, float], *, observe: bool
    ) -> None:
        """Gradient of the mean loss over all tokens of the batches; the last pass is observed if asked."""
        model, plan, ranks, count = self.model, self.plan, self.ranks, len(batches)
        found = np.zeros((count, 2))
        shares = [num_predicted(batch) / row["tokens"] for batch in batches]
        first = (step - 1) * plan.accumulate  # every pass has dropout of its own
        for i in range(ranks.rank, count, ranks.size):
            last = i == count - 1
            with self._buffers.adding(first=i < ranks.size, last=i + ranks.size >= count):
                losses = model.backward(
                    batches[i],
                    label_smoothing=plan.label_smoothing,
                    z_loss=plan.z_loss,
                    step=first + i,
                    scale=shares[i],
                    observe=observe and last,
                    checkpoint_activations=plan.checkpoint_activations,
                )
            found[i] = losses.loss, losses.nll
            if observe and last:
                self._observer.after_pass(shares[i])
        found = ranks.joined(found)
        sums = np.zeros(2)
        for i in range(count):
            sums += shares[i] * found[i]
            row["loss"], row["nll"] = map(float, sums)
            if not np.isfinite(sums).all():
                raise Diverged(explain_loss(model, batches[i], found[i, 0], step=first + i))
        if observe:
            self._buffers.gather_gradient()
            self._observer.join(ranks, had_pass=(count - 1) % ranks.size)
        row["grad_norm"] = self._buffers.norm()
        if not np.isfinite(row["grad_norm"]):
            raise Diverged(explain_gradient(model, row["grad_norm"]))

    def _update(self, row: dict[str, float]) -> None:
        """Change the weights; if that leaves the range of the numbers, put them back."""
        clip_norm, norm = self.plan.clip_norm, row["grad_norm"]
        factor = clip_norm / norm if clip_norm is not None and norm > clip_norm else 1.0
        before = self._weights_at_risk(row["lr"], factor * norm)
        update_norm = self._buffers.update(self.plan.optimizer, row["lr"], factor)
        if not np.isfinite(update_norm):
            why = explain_update(self.model, update_norm)
            if before is not None:
                self.model._core.weights[...] = before
            raise Diverged(why)
        row["update_norm"] = update_norm
        if self._average is not None:
            self._average.add(self.model._core.weights)

    def _weights_at_risk(self, lr: float, norm: float) -> NDArray[Any] | None:
        """A copy of the weights, if the update may be so large that it overflows; usually it is not."""
        previous = self.history.update_norm[-1] if self.history.num_steps else 0.0
        if max(lr, lr * norm, norm, previous) < self._limit:
            return None
        return self.model._core.weights.copy()

    # After a step

    def _finish_step(self, shown: TrainingProgress, interrupt: DeferredInterrupt) -> None:
        """Validation, callbacks and checkpoint, where they are due and not done yet.

        Ctrl-C during the validation leaves them to the training that goes on from the checkpoint.
        """
        if self._tail_done:
            return
        if self._validation_due():
            found = self._validate(interrupt)
            if found is None:
                return
            self.history.add_validation(**found)
            self._take_best()
            shown.validated(self.history)
        self._tail_done = True
        try:
            for callback in self._callbacks:
                callback(self.history.num_steps, self.model, self.history)
        except KeyboardInterrupt:
            interrupt.requested = True
        self._keep()
        if self.history.num_steps % self.plan.checkpoint_every == 0:
            self._save()

    def _validation_due(self) -> bool:
        every, step = self.plan.valid_every, self.history.num_steps
        if every is None or self.history.diverged_at is not None:
            return False
        return step % every == 0 or step == self.plan.steps

    def _validate(self, interrupt: DeferredInterrupt) -> dict[str, float] | None:
        """What a validation measures of the weights that are judged; None if Ctrl-C came in between."""
        with self._judged():
            return validate(self.model, self.data, self.plan, self.ranks, interrupt)

    # The weights that are judged, and what is kept of them

    def _judged(self) -> AbstractContextManager[None]:
        """Inside the block the model has the weights that are judged: the average, if there is one."""
        return nullcontext() if self._average is None else self._average.in_place_of(self.model._core.weights)

    def _best_steps(self) -> list[int]:
        return self.plan.stopping.best_first(self.history.valid)

    def _take_best(self) -> None:
        """A copy of the weights, if their validation is the best and they come back at the end."""
        if self.plan.stopping.restore_best and self._best_steps()[:1] == [self.history.num_steps]:
            with self._judged():
                self._best, self._best_at = self.model._core.weights.copy(), self.history.num_steps

    def _keep(self, *, begins: bool = False) -> None:
        """Write the weights of this step where they are to be kept, and remove those that no longer are."""
        step, kept = self.history.num_steps, self.kept
        if kept is None or not step or self.history.diverged_at is not None:
            return
        due = kept.is_due(step, epoch_ends=self._feed.ends_epoch(self.plan.accumulate))
        if not (begins or due or step in self.history.valid["step"][-1:]):
            return
        best = self._best_steps()[: kept.keeping.best or 0]
        told: dict[str, Any] = {"step": step, "epoch": self._feed.epochs_done}
        kinds: dict[str, dict[str, Any]] = {LAST: told} if due else {}
        if step in best:
            name = self.plan.stopping.name
            value = float(self.history.valid[name][-1])
            better = self.plan.stopping.larger_is_better
            kinds[BEST] = {**told, "monitor": name, "value": value, "larger_is_better": better}
        if kinds:
            self._save()
            with self._judged():
                self.ranks.on_first(lambda: self._write_kept(kinds))
        self.ranks.on_first(lambda: kept.remove_old(best))

    def _write_kept(self, kinds: Mapping[str, dict[str, Any]]) -> None:
        assert self.kept is not None
        for kind, words in kinds.items():
            self.kept.write(kind, words, self._write_model)

    def _write_model(self, path: Path, header: dict[str, str]) -> None:
        model = self.model
        model_files.write(
            path,
            model.parameters,
            model.config,
            seed=model.seed,
            step=self.history.num_steps * self.plan.accumulate,  # passes with dropout
            vocabulary=model.vocabulary,
            more=header,
        )

    # Checkpoints

    def _describe(self) -> dict[str, Any]:
        """All that decides the numbers, as plain JSON."""
        model = {
            "config": self.model.config.to_dict(),
            "dtype": self.model.dtype,
            "seed": self.model.seed,
        }
        data = {"fingerprint": self.data.fingerprint}
        return json.loads(json.dumps({"model": model, **self.plan.describe(), "data": data}))

    def compare_ranks(self) -> None:
        """That all ranks train alike; ValueError otherwise."""
        check_alike(self.ranks, self.model, self.plan, self._describe())

    def begin(self) -> None:
        """Go on from the state that the optimiser has."""
        self._buffers.begin(self.plan.optimizer)

    def _digest(self) -> str:
        """Of all that decides the numbers."""
        return sha256(json.dumps(self._describe(), sort_keys=True).encode()).hexdigest()

    def _tell_stopping(self) -> None:
        """What is monitored, where something follows from it, in the history that callbacks see."""
        keeping = self.plan.keeping
        told = self.plan.stopping.told(best_is_kept=keeping is not None and keeping.best is not None)
        self.history.metadata = {} if told is None else {STOPPING: told}

    def _metadata(self) -> dict[str, Any]:
        more: dict[str, Any] = {
            name: {**told, "stopped": self._is_over() and self.history.num_steps < self.plan.steps}
            for name, told in self.history.metadata.items()
        }
        if self._average is not None and self.plan.valid_every is not None:
            more["validated"] = "average"
        return run_metadata(
            seed=self.model.seed,
            dtype=self.model.dtype,
            scheme=self.model.config.scheme_name,
            stacks=self.model.config.stacks,
            data=self.data.name,
            profile=self.profiled,
            training=self.plan.describe(),
            **more,
        )

    def _save(self) -> None:
        step = self.history.num_steps
        if self.plan.checkpoint is None or (self._saved_at == step and self._tail_done):
            return
        state = TrainingState(
            setup={**self._describe(), PROFILE: self.profiled, ORIGIN: origin()},
            weights=self.model.parameters,
            optimizer=self._buffers.state_of(self.plan.optimizer),
            history=self.history.arrays(),
            position={"epoch": self._feed.epoch, "batch": self._feed.batch},
            progress={
                "step": step,
                "tail": self._tail_done,
                "diverged_at": self.history.diverged_at,
                "diverged_because": self.history.diverged_because,
                **({} if self._best is None else {"best_step": self._best_at}),
            },
            vocabulary=self.model.vocabulary,
            average=None if self._average is None else self._average.mean,
            best=self._best,
        )
        path = self.plan.checkpoint
        self.ranks.on_first(lambda: checkpoints.save(path, state))
        self._saved_at = step

    def restore(self, state: TrainingState) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        ValueError
            If it is of another training, or further than the plan goes; nothing is changed then.
        """
        path = self.plan.checkpoint
        assert path is not None
        setup = dict(state.setup)
        profiled = setup.pop(PROFILE, UNKNOWN)
        setup.pop(ORIGIN, None)  # for people: another machine may go on
        checkpoints.check_same_setup(path, setup, self._describe())
        checkpoints.check_vocabulary(path, state.vocabulary, self.data.vocabulary)
        if state.progress["step"] > self.plan.steps:
            raise ValueError(
                f"steps must be at least {state.progress['step']}, the step of the checkpoint {path!r}, got "
                f"{self.plan.steps}"
            )
        if self.kept is not None:
            self.kept.check_same()
        with _reading(path):
            history = history_of(state, self.plan, matrices=self._observer.names)
            check_parts(state, self.model, self.plan)
            weights = check_state(state.weights, self.model.parameters, allow_nonfinite=True)
            feed = self._new_feed(**state.position)
        check_best(path, state, self.plan.stopping)
        with _reading(path):
            self._buffers.load_state(self.plan.optimizer, state.optimizer)  # all of it or nothing
        write_state(weights, self.model._core.parameters)
        self.history = history
        self._tell_stopping()
        if self.plan.stopping.restore_best and state.best is not None:
            self._best, self._best_at = state.best, state.best_steps[0]
        if self._average is not None:
            self._average.restore(state.average, num_updates(state))
        self.profiled = profiled
        self._count_passes()
        self._feed = feed
        self._tail_done = state.progress["tail"]
        self._saved_at = state.progress["step"] if self._tail_done else None


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """What is wrong with a checkpoint is an error that names it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path!r} is a damaged checkpoint: {error}") from error
