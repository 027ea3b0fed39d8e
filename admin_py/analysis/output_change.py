"""How far a small change of the weights moves the output, for every depth of one deep stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis import perturbation as perturbations
from admin_py.analysis import theory
from admin_py.analysis.by_stack import OwnResult
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_integer, check_probability
from admin_py.base.progress import Bar, shows_bars
from admin_py.base.unused import goes_with
from admin_py.results import figure, run_metadata
from admin_py.training.optimizers import Optimizer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer

MAX_REPEATS = 1_000_000
MAX_SEED = 2**64 - 1


@dataclass(frozen=True, eq=False, repr=False)
class OutputChange(OwnResult):
    """What `output_change` found. Frozen.

    xhat_i is y_i, what sub-layer i adds up before its output norm, standardised over the features of every
    token. The first i sub-layers of a stack are a stack of depth i, so one stack shows all depths.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    perturbation : str
        ``"random"``, ``"gradient"`` or the optimiser that made a step.
    size : float or None
        Of each weight's change; None for an optimiser's step.
    change : mapping of str to ndarray
        Stack to the mean over tokens of |xhat_i(W) - xhat_i(W + delta)|^2: float64 [repeats, R].
    input_change : mapping of str to ndarray
        Stack to the same of its standardised input x_0: float64 [repeats].
    beta2 : mapping of str to ndarray
        Stack to what `own` gives of it, before the change: float64 [R].
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    metadata : mapping
        Seeds, dtype, threads, versions, whether embeddings moved.
    """

    kind: ClassVar[str] = "output change"
    drawn_by: ClassVar[str] = "plot_output_change"

    scheme: str
    perturbation: str
    size: float | None
    change: Mapping[str, np.ndarray]
    input_change: Mapping[str, np.ndarray]
    beta2: Mapping[str, np.ndarray]
    sublayers: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    @property
    def repeats(self) -> int:
        """How many changes of the weights were tried."""
        return len(next(iter(self.input_change.values())))

    def mean(self, stack: str) -> np.ndarray:
        """Mean over repeats of the change, float64 [R]."""
        self._check(stack)
        return self.change[stack].mean(axis=0)

    def spread(self, stack: str) -> np.ndarray:
        """Standard deviation over repeats (n - 1 in the denominator), float64 [R]; 0 for a single one."""
        self._check(stack)
        change = self.change[stack]
        return change.std(axis=0, ddof=1) if len(change) > 1 else np.zeros(change.shape[1])

    def fit(self, stack: str) -> theory.Fits:
        """Least squares through the mean: a line in the number of sub-layers, and one in its logarithm."""
        return theory.fits(self.mean(stack))

    def better(self, stack: str) -> str:
        """The form that fits better: ``"linear"`` or ``"logarithmic"``."""
        return self.fit(stack).better

    def own(self, stack: str) -> np.ndarray:
        """beta_ii^2 = mean_t Var_f(b_i) / mean_t Var_f(y_i), float64 [R], as of `Diagnosis.own`.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return self.beta2[stack]

    def theory(self, stack: str) -> np.ndarray:
        """C sum_{j <= i} beta_jj^2, the measured `amplification`, with C by least squares: float64 [R]."""
        curve = self.amplification(stack)
        return theory.scale_to(curve, self.mean(stack)) * curve

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, mean, spread, theory."""
        import pandas as pd

        tables = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(names) + 1),
                    "name": names,
                    "kind": self.kinds(stack),
                    "mean": self.mean(stack),
                    "spread": self.spread(stack),
                    "theory": self.theory(stack),
                }
            )
            for stack, names in self.sublayers.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def plot(self, ax: Axes | None = None, *, stack: str | None = None, log: bool = False) -> Axes:
        """Change against depth with fit and theory, see `admin_py.plots.plot_output_change`."""
        return figure(self.drawn_by)(self, ax, stack=stack, log=log)

    def _summary(self) -> str:
        parts = [
            f"{stack} {len(names)} sub-layers, change at the last {self.mean(stack)[-1]:.3g}, "
            f"{self.better(stack)}"
            for stack, names in self.sublayers.items()
        ]
        return f"{self.scheme}, {self.perturbation} x {self.repeats}: " + "; ".join(parts)


@door
@goes_with(
    label_smoothing=(
        "perturbation='gradient' or an optimizer",
        lambda given: not (isinstance(given["perturbation"], str) and given["perturbation"] == "random"),
    )
)
def output_change(
    model: Transformer,
    batch: Batch,
    *,
    perturbation: str | Optimizer = "random",
    size: float | None = None,
    repeats: int = 3,
    seed: int = 0,
    embeddings: bool = True,
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    progress: bool = False,
) -> OutputChange:
    """How far the output moves when the weights move a little, for every depth of a stack at once.

    The model and a copy with other weights go forward side by side, without dropout, and are compared after
    every sub-layer. The model, its weights and its gradients are left alone.

    Parameters
    ----------
    model : Transformer
    batch : Batch
    perturbation : {"random", "gradient"} or Optimizer
        What changes the weights. ``"random"``: every element of the weight matrices and embeddings moves by
        ``size`` up or down, by a coin; biases, norms, omega, alpha and positions stay. ``"gradient"``: the
        same elements move by ``size`` against the sign of the loss's gradient with dropout on. An optimiser:
        all trained parameters make the first real step of a new optimiser with the same options and rate.
    size : float, optional
        1e-4 by default for ``"random"``, 1e-6 for ``"gradient"``; an optimiser's step has none.
    repeats : int
        Of which mean and spread are taken: other coins, or the gradient with other dropout. A gradient
        without dropout is always the same one, so a model that has none gets one repeat.
    seed : int
        Of the coins, and the first step of dropout.
    embeddings : bool
        Whether the source, target and output embeddings move.
    label_smoothing : float
        Of the loss whose gradient is taken, in [0, 1).
    progress : bool
        Show a bar on a terminal or in a notebook.

    Returns
    -------
    OutputChange

    Raises
    ------
    TypeError
        If an argument is of a wrong type.
    ValueError
        If an argument is out of range, the model cannot read the batch, or its loss is asked for and it has
        none (an encoder), or the optimiser's first step moves nothing (`RAdam` begins like that).

    Notes
    -----
    The paper (arXiv 2004.08249, section 4.2 and its figure 4) measures E |F(x, W) - F(x, W + delta)|^2 on
    encoders of up to 100 layers: it grows like N in Post-LN and like ln N in Pre-LN and Admin. The standard
    deviation in xhat has the norm's eps under the root, as in the model.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=0, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> result = output_change(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]]), repeats=2)
    >>> result.change["encoder"].shape
    (2, 4)
    """
    handed = model._batch(batch)
    repeats = check_integer("repeats", repeats, 1, MAX_REPEATS)
    mover = perturbations.make(
        model,
        batch,
        perturbation,
        size=size,
        seed=check_integer("seed", seed, 0, MAX_SEED),
        embeddings=check_bool("embeddings", embeddings),
        label_smoothing=check_probability("label_smoothing", label_smoothing),
    )
    changed = model.copy()
    tables = []
    for repeat in _shown(range(min(repeats, mover.max_repeats)), check_bool("progress", progress)):
        mover.move(changed, repeat)
        tables.append(model._core.output_change(changed._core, handed))
    first = tables[0]
    stacks = tuple(first)
    return OutputChange(
        scheme=model.config.scheme_name,
        perturbation=perturbation if isinstance(perturbation, str) else repr(perturbation),
        size=mover.size,
        change={s: np.array([table[s]["change"] for table in tables]) for s in stacks},
        input_change={
            stack: np.array([table[stack]["input_change"] for table in tables]) for stack in stacks
        },
        beta2={s: theory.own_dependency(first[s]["var_branch"], first[s]["var_sum"]) for s in stacks},
        sublayers={s: tuple(model.config.sublayer_names(s)) for s in stacks},
        metadata=run_metadata(
            seed=model.seed, dtype=model.dtype, perturbation_seed=int(seed), embeddings=bool(embeddings)
        ),
    )


def pooled(group: Sequence[OutputChange]) -> OutputChange:
    """Results of one scheme as one: all their repeats, the mean of `own`; one alone as it is.

    Raises
    ------
    ValueError
        If they differ in depth, perturbation or size.
    """
    first = group[0]
    if len(group) == 1:
        return first
    for one in group[1:]:
        for name in ("sublayers", "perturbation", "size"):
            if getattr(one, name) != getattr(first, name):
                raise ValueError(f"results: those of {first.scheme!r} differ in {name}")
    return replace(
        first,
        change={stack: np.concatenate([one.change[stack] for one in group]) for stack in first.stacks},
        input_change={
            stack: np.concatenate([one.input_change[stack] for one in group]) for stack in first.stacks
        },
        beta2={stack: np.mean([one.beta2[stack] for one in group], axis=0) for stack in first.stacks},
        metadata={**first.metadata, "seed": tuple(one.metadata.get("seed") for one in group)},
    )


def _shown(repeats: range, progress: bool) -> Iterable[int]:
    if not progress:
        return repeats
    return _with_bar(repeats) if shows_bars() else repeats


def _with_bar(repeats: range) -> Iterator[int]:
    bar = Bar(len(repeats), 0, what="output change", unit="repeat", leave=False)
    try:
        for repeat in repeats:
            yield repeat
            bar.update()
    finally:
        bar.close()
