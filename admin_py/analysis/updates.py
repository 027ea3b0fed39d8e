"""Norms of gradients, weights and updates of every weight matrix over a training, and Admin's omega."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admin_py.analysis.by_stack import StackResult
from admin_py.analysis.unmeasured import Unmeasured
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import as_number, check_choice, check_integer, check_listed
from admin_py.base.unused import goes_with
from admin_py.model.names import KINDS, place_of
from admin_py.results import figure
from admin_py.training.history import MATRICES, History
from admin_py.training.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.data.dataset import Dataset
    from admin_py.model.transformer import Transformer
    from admin_py.training.named_optimizers import OptimizerLike

QUANTITIES = ("update_norm", "relative", "grad_norm", "norm")


@dataclass(frozen=True, eq=False, repr=False)
class UpdateNorms(StackResult):
    """What `updates` found. P matrices at j observed steps; norms are Frobenius norms. Frozen.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    steps : ndarray
        The steps observed, counted from 1, int64 [j].
    names : tuple of str
        Of the trained weight matrices, such as ``"encoder.3.self_attn.q.weight"``, [P].
    matrix_kinds : tuple of str
        Of each matrix one of ``q, k, v, out, fc1, gate, fc2, embedding`` (the paper's Q, K, V, O, 1, 2), [P].
    matrix_stacks : tuple of str
        Of each matrix ``"encoder"``, ``"decoder"`` or, for shared embeddings, ``"shared"``, [P].
    layers : tuple of int
        Of each matrix its layer, counted from 0; -1 for embeddings, [P].
    grad_norm, norm, update_norm : ndarray
        |dL/dW| of the step's whole gradient before it is clipped, |W| before the update, and
        |W_{t+1} - W_t|, float64 [j, P].
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    omega, var_input, var_branch : mapping of str to ndarray
        Stack to omega (mean over its features), Var(x_{i-1}) and Var(a_i) of every sub-layer in the step's
        last pass, float64 [j, R].
    metadata : mapping
        Seed, dtype, threads, versions, and how it was trained.
    omega_spread : mapping of str to ndarray
        Stack to the standard deviation of omega over its features, float64 [j, R].
    """

    kind: ClassVar[str] = "updates"
    drawn_by: ClassVar[str] = "plot_updates"

    scheme: str
    steps: NDArray[np.int64]
    names: tuple[str, ...]
    matrix_kinds: tuple[str, ...]
    matrix_stacks: tuple[str, ...]
    layers: tuple[int, ...]
    grad_norm: NDArray[np.float64]
    norm: NDArray[np.float64]
    update_norm: NDArray[np.float64]
    sublayers: Mapping[str, tuple[str, ...]]
    omega: Mapping[str, NDArray[np.float64]]
    var_input: Mapping[str, NDArray[np.float64]]
    var_branch: Mapping[str, NDArray[np.float64]]
    metadata: Mapping[str, Any]
    omega_spread: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def relative(self) -> NDArray[np.float64]:
        """|W_{t+1} - W_t| / |W_t|, float64 [j, P]; 0 for a matrix that is 0 and stays so."""
        return np.divide(
            self.update_norm,
            self.norm,
            out=np.where(self.update_norm > 0, np.inf, 0.0),
            where=self.norm > 0,
        )

    def quantity(self, name: str) -> NDArray[np.float64]:
        """One of ``"update_norm"``, ``"relative"``, ``"grad_norm"``, ``"norm"``: float64 [j, P].

        Raises
        ------
        ValueError
            If there is no such quantity.
        """
        check_choice("quantity", name, QUANTITIES)
        values: NDArray[np.float64] = self.relative() if name == "relative" else getattr(self, name)
        return values

    def by_kind(
        self, quantity: str = "update_norm", *, stack: str | None = None
    ) -> Mapping[str, NDArray[np.float64]]:
        """Root of the mean square over the matrices of each kind, at every step observed.

        Parameters
        ----------
        quantity : {"update_norm", "relative", "grad_norm", "norm"}
        stack : {"encoder", "decoder", "shared"}, optional
            Whose matrices; by default all.

        Returns
        -------
        mapping of str to ndarray
            Kind to float64 [j], in the order of `KINDS`, kinds without a matrix left out.

        Raises
        ------
        ValueError
            If there is no such quantity, or no matrix of the stack.
        """
        values, chosen = self.quantity(quantity), self._of_stack(stack)
        kinds = np.array(self.matrix_kinds)
        groups = {kind: chosen & (kinds == kind) for kind in KINDS}
        return {
            kind: np.sqrt(np.mean(values[:, group] ** 2, axis=1))
            for kind, group in groups.items()
            if group.any()
        }

    def histogram(
        self,
        quantity: str = "relative",
        *,
        bins: int = 40,
        stack: str | None = None,
        ends: tuple[float, float] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """How many matrices lie where on a logarithmic axis, at every step observed.

        Parameters
        ----------
        quantity : {"relative", "update_norm", "grad_norm", "norm"}
        bins : int
            Of equal ratio, from the smallest positive value of all steps to the largest.
        stack : {"encoder", "decoder", "shared"}, optional
            Whose matrices; by default all.
        ends : tuple of two float, optional
            Positive; where the bins begin and end instead, so that several results have the same.

        Returns
        -------
        edges : ndarray
            float64 [bins + 1].
        counts : ndarray
            int64 [j, bins]. Matrices whose value is 0 (RAdam changes nothing in its first steps) or not
            finite are in no bin.

        Raises
        ------
        ValueError
            If there is no such quantity, no matrix of the stack, or `ends` are not positive and rising.
        """
        bins = check_integer("bins", bins, 1, 10_000)
        values = self.quantity(quantity)[:, self._of_stack(stack)]
        shown = values[(values > 0) & np.isfinite(values)]
        if ends is not None:
            given = [as_number("ends", end) for end in check_listed("ends", ends, "two numbers")]
            if len(given) != 2 or not 0.0 < given[0] < given[1] < np.inf:
                raise ValueError(f"ends: expected two rising positive numbers, got {given!r}")
            low, high = np.log10(given)
        else:
            low, high = (np.log10(shown.min()), np.log10(shown.max())) if shown.size else (-1.0, 0.0)
        if high - low < 1e-9:  # one value alone: a decade around it
            low, high = low - 0.5, high + 0.5
        logs = np.full(values.shape, np.nan)
        np.log10(values, out=logs, where=(values > 0) & np.isfinite(values))
        edges = np.linspace(low, high, bins + 1)
        counts = np.array([np.histogram(row[np.isfinite(row)], bins=edges)[0] for row in logs], np.int64)
        return 10.0**edges, counts.reshape(len(self.steps), bins)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a step and matrix: step, name, stack, kind, layer, grad_norm, norm, update_norm, relative."""
        import pandas as pd

        steps, matrices = len(self.steps), len(self.names)
        return pd.DataFrame(
            {
                "step": np.repeat(self.steps, matrices),
                "name": self.names * steps,
                "stack": self.matrix_stacks * steps,
                "kind": self.matrix_kinds * steps,
                "layer": np.tile(np.array(self.layers, np.int64), steps),
                **{name: self.quantity(name).reshape(-1) for name in ("grad_norm", "norm", "update_norm")},
                "relative": self.relative().reshape(-1),
            }
        )

    def plot(
        self, ax: Axes | None = None, *, quantity: str = "update_norm", stack: str | None = None
    ) -> Axes:
        """Lines by kind over the steps, see `admin_py.plots.plot_updates`."""
        return figure(self.drawn_by)(self, ax=ax, quantity=quantity, stack=stack)

    def plot_histogram(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Histogram of relative updates, see `admin_py.plots.plot_update_histogram`."""
        return figure("plot_update_histogram")(self, ax=ax, **options)

    def plot_omega(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Omega of every sub-layer over the steps, see `admin_py.plots.plot_omega_drift`."""
        return figure("plot_omega_drift")(self, ax=ax, **options)

    def _of_stack(self, stack: str | None) -> NDArray[np.bool_]:
        if stack is None:
            return np.ones(len(self.names), bool)
        known = tuple(dict.fromkeys(self.matrix_stacks))
        return np.array(self.matrix_stacks) == check_choice("stack", stack, known)

    def _summary(self) -> str:
        if not len(self.steps):
            return f"{self.scheme}: no step observed"
        relative = np.median(self.relative()[-1])
        return (
            f"{self.scheme}: {len(self.names)} matrices at {len(self.steps)} steps, {self.steps[0]:,} to "
            f"{self.steps[-1]:,}; median relative update {relative:.2g} at the last"
        )


_OF_A_MODEL = ("a model as source", lambda given: not isinstance(given["source"], (History, Recorder)))


@door
@goes_with(
    **dict.fromkeys(
        ("steps", "observe", "schedule", "max_tokens", "accumulate", "clip_norm", "label_smoothing"),
        _OF_A_MODEL,
    ),
    progress=_OF_A_MODEL,
)
def updates(
    source: History | Recorder | Transformer,
    data: Dataset | None = None,
    *,
    optimizer: OptimizerLike | None = None,
    steps: int = 20,
    observe: int | str | Iterable[int] = 1,
    schedule: Callable[[int], float] | None = None,
    max_tokens: int = defaults.MAX_TOKENS,
    accumulate: int = 1,
    clip_norm: float | None = None,
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    progress: bool = False,
) -> UpdateNorms:
    """Norms of gradient, weights and update of every weight matrix: of a past training or of a short one.

    Parameters
    ----------
    source : History or Transformer
        The history of a training that was observed (``observe=10`` when training); or a model, of which a
        copy is trained: the model and the optimiser stay as they are.
    data : Dataset
        For a model: what its copy is trained on.
    optimizer : Optimizer, str or callable
        For a model: its options and the state it has; or as of `train`, a name or what makes one of a rate.
    steps : int
        For a model: how many.
    observe, schedule, max_tokens, accumulate, clip_norm, label_smoothing, progress
        For a model: as for `train`; every step is observed.

    Returns
    -------
    UpdateNorms

    Raises
    ------
    TypeError, ValueError
        If nothing was observed, or the arguments are not those of a history or of a model.

    Notes
    -----
    The paper (arXiv 2004.08249, section 4.2, figure 4) shows that relative updates under Adam are alike where
    gradients are not, so that vanishing gradients are not what keeps Post-LN from training.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> found = updates(
    ...     ap.Transformer(config, seed=1), data, optimizer=ap.Adam(lr=1e-2), steps=4, max_tokens=128
    ... )
    >>> found.update_norm.shape, found.matrix_kinds[:5]
    ((4, 17), ('embedding', 'q', 'k', 'v', 'out'))
    >>> list(found.by_kind("relative", stack="encoder"))
    ['q', 'k', 'v', 'out', 'fc1', 'fc2']
    """
    if isinstance(source, (History, Recorder)):
        if data is not None or optimizer is not None:
            raise TypeError("data and optimizer belong to a model: a history's training is over")
        return _of_history(source)
    from admin_py.model.transformer import Transformer

    if not isinstance(source, Transformer):
        raise TypeError(
            f"source must be a History or a Transformer, got an object of type {type(source).__name__}"
        )
    if data is None or optimizer is None:
        missing = "data" if data is None else "optimizer"
        raise TypeError(f"{missing} must be given with a model: a copy of it is trained")
    from admin_py.training import optimizers
    from admin_py.training.named_optimizers import as_optimizer
    from admin_py.training.train import train

    given = as_optimizer(optimizer)
    own = optimizers.from_dict(given.to_dict())
    own.load_state(given.state)
    history = train(
        source.copy(),
        data,
        optimizer=own,
        schedule=schedule,
        steps=steps,
        max_tokens=max_tokens,
        accumulate=accumulate,
        clip_norm=clip_norm,
        label_smoothing=label_smoothing,
        observe=observe,
        progress=progress,
    )
    return _of_history(history)


def _of_history(history: History | Recorder) -> UpdateNorms:
    observed = history.observations
    if MATRICES not in observed:
        if history.diverged_at is not None:
            why = f"the training diverged at step {history.diverged_at} before an observed step was done"
        elif len(observed["step"]):
            why = "an older version observed it, without norms of matrices; train again with observe=10"
        else:
            why = "no step was observed; give observe=10 (or observe='log') when training"
        raise Unmeasured(f"source has no norms of matrices: {why}")
    matrices = observed[MATRICES]
    names = tuple(matrices["names"])
    stacks = {stack: values for stack, values in observed.items() if stack not in ("step", MATRICES)}
    places = [place_of(name) for name in names]
    return UpdateNorms(
        scheme=str(history.metadata.get("scheme", "")),
        steps=observed["step"],
        names=names,
        matrix_kinds=tuple(place.kind for place in places),
        matrix_stacks=tuple(place.stack for place in places),
        layers=tuple(place.layer for place in places),
        grad_norm=matrices["grad_norm"],
        norm=matrices["norm"],
        update_norm=matrices["update_norm"],
        sublayers={stack: _sublayers(names, stack) for stack in stacks},
        metadata=history.metadata,
        **{
            column: {stack: values[column] for stack, values in stacks.items()}
            for column in ("omega", "var_input", "var_branch", "omega_spread")
        },
    )


def _sublayers(names: Iterable[str], stack: str) -> tuple[str, ...]:
    """Names of a stack's sub-layers: each has matrices, in the order of the stack."""
    inner = (name.split(".") for name in names if name.startswith(f"{stack}."))
    return tuple(dict.fromkeys(".".join(parts[:3]) for parts in inner if len(parts) > 3))


DRIFT = 1e-3
"""Relative change from which omega is said to have moved."""


def drifts(one: UpdateNorms) -> bool:
    """Whether omega moved while it was observed."""
    return any(drift(values) > DRIFT for values in one.omega.values() if len(values) > 1)


def drift(values: np.ndarray) -> float:
    """Largest relative change of a sub-layer's omega between the first and any later step."""
    start = np.where(values[0] == 0, 1.0, np.abs(values[0]))
    return float(np.nanmax(np.abs(values - values[0]) / start))
