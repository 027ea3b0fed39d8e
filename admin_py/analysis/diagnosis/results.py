"""What a diagnosis says: numbers, a verdict in words, and one page of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.analysis.by_stack import OwnResult
from admin_py.analysis.diagnosis import page
from admin_py.analysis.gradients import VANISHING
from admin_py.analysis.theory import Fits, amplification, fits
from admin_py.base.checks import MAX_COUNT, check_integer
from admin_py.base.words import number
from admin_py.results import figure
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("stable", "borderline", "unstable", "not finite")
"""Of a verdict, from the best to the worst."""


class Heavy(NamedTuple):
    """A sub-layer that weighs much in its stack's amplification.

    Examples
    --------
    >>> Heavy("encoder.0.self_attn", 0.25, 0.1).share
    0.1
    """

    name: str
    beta2: float
    """beta_jj^2."""
    share: float
    """Of the stack's sum."""


class GradientRange(NamedTuple):
    """Smallest and largest |dL/dx_i|, i = 1..R, of a stack.

    Examples
    --------
    >>> GradientRange(0.1, "decoder.0.self_attn", 2.0, "decoder.1.feed_forward", 20.0).vanishes
    True
    """

    smallest: float
    smallest_at: str
    largest: float
    largest_at: str
    top_over_bottom: float
    """|dL/dx_R| / |dL/dx_1|; nan where both are 0."""

    @property
    def vanishes(self) -> bool:
        """Whether the top's gradient is more than `VANISHING` times the bottom's."""
        return self.top_over_bottom > VANISHING


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(OwnResult):
    """What `diagnose` found; its `repr` is one page. Frozen.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    level : {"stable", "borderline", "unstable", "not finite"}
        Of the verdict.
    verdict : str
        In one sentence.
    findings : tuple of str
        What else was seen, a sentence each; may be empty.
    advice : tuple of str
        What to change, a sentence each; may be empty.
    limits : str
        How far the verdict can be trusted: how often it was right about real trainings, and what it does not
        see.
    stable_up_to, unstable_from : float
        Amplifications between which the verdict is "borderline".
    beta2 : mapping of str to ndarray
        Stack to what `own` gives of it, float64 [R].
    references : mapping of str to mapping
        ``"post_ln"``, ``"pre_ln"`` and ``"admin"`` to the same of models of these schemes with the same sizes
        and seed.
    var_branch : mapping of str to ndarray
        Stack to mean_t Var_f(b_j), float64 [R], b_j the branch as it is added to the skip.
    var_stream : mapping of str to ndarray
        Stack to mean_t Var_f(x_i), i = 0..R, float64 [R + 1].
    gradients : mapping of str to ndarray
        Stack to |dL/dx_i|, i = 0..R, float64 [R + 1]; empty for an encoder, which has no loss.
    loss : float
        Nats per predicted token, label-smoothed; nan for an encoder.
    nonfinite : str
        First tensor with a number that is not finite, such as ``"the weight encoder.0.self_attn.q.weight"``;
        empty if there is none.
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    metadata : mapping
        Seed, dtype, threads, versions, sizes of the model, label smoothing.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=2, d_model=8, heads=2,
    ...                               d_ff=16, scheme="rezero")
    >>> found = ap.diagnose(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> found.level, found.amplification("encoder")
    ('stable', array([0., 0., 0., 0.]))
    """

    kind: ClassVar[str] = "diagnosis"
    drawn_by: ClassVar[str] = "plot_diagnosis"

    scheme: str
    level: str
    verdict: str
    findings: tuple[str, ...]
    advice: tuple[str, ...]
    limits: str
    stable_up_to: float
    unstable_from: float
    beta2: Mapping[str, np.ndarray]
    references: Mapping[str, Mapping[str, np.ndarray]]
    var_branch: Mapping[str, np.ndarray]
    var_stream: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]
    loss: float
    nonfinite: str
    sublayers: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    def own(self, stack: str) -> np.ndarray:
        """beta_jj^2 = mean_t Var_f(b_j) / mean_t Var_f(y_j) of every sub-layer j, float64 [R].

        b_j is the branch as it is added, y_j the sum before the output norm; without dropout.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return self.beta2[stack]

    def growth(self, stack: str) -> Fits:
        """Lines through the amplification at i = 1..R, straight in i and in ln i, with their R^2.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        return fits(self.amplification(stack))

    def heaviest(self, count: int = 5) -> tuple[Heavy, ...]:
        """The sub-layers with the largest beta_jj^2 of the whole model, the largest first.

        Parameters
        ----------
        count : int
            At most as many.
        """
        count = check_integer("count", count, 1, MAX_COUNT)
        found = []
        for stack, names in self.sublayers.items():
            own = self.beta2[stack]
            total = float(own.sum())
            found += [
                Heavy(name, float(value), float(value) / total if total > 0 else 0.0)
                for name, value in zip(names, own, strict=True)
            ]
        finite = [one for one in found if np.isfinite(one.beta2)]
        return tuple(sorted(finite, key=lambda one: -one.beta2)[:count])

    def gradient_range(self, stack: str) -> GradientRange:
        """Smallest and largest |dL/dx_i| of a stack and where they are.

        Raises
        ------
        ValueError
            If the model has no such stack, or no loss.
        """
        self._check(stack)
        if not self.gradients:
            raise ValueError("stack: an encoder without a decoder has no loss, so it has no gradients")
        norms, names = self.gradients[stack][1:], self.sublayers[stack]
        low, high = int(np.argmin(norms)), int(np.argmax(norms))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = float(norms[-1] / norms[0])
        return GradientRange(float(norms[low]), names[low], float(norms[high]), names[high], ratio)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, own, amplification, var_branch, grad_norm.

        Then ``post_ln``, ``pre_ln`` and ``admin``, the amplification of the reference models. grad_norm is
        nan for an encoder.
        """
        import pandas as pd

        tables = []
        for stack, names in self.sublayers.items():
            columns = {
                "stack": stack,
                "index": np.arange(1, len(names) + 1),
                "name": names,
                "kind": self.kinds(stack),
                "own": self.own(stack),
                "amplification": self.amplification(stack),
                "var_branch": self.var_branch[stack],
                "grad_norm": self.gradients[stack][1:] if self.gradients else np.nan,
            }
            others = {name: amplification(own[stack]) for name, own in self.references.items()}
            tables.append(pd.DataFrame({**columns, **others}))
        return pd.concat(tables, ignore_index=True)

    def plot(self, axes: Any = None) -> np.ndarray:
        """Amplification and gradients by depth, a column a stack, see `admin_py.plots.plot_diagnosis`."""
        return figure(self.drawn_by)(self, axes)

    def _summary(self) -> str:
        totals = [f"{stack} {self.amplification(stack)[-1]:.3g}" for stack in self.stacks]
        return f"{self.scheme}: {self.level}, amplification {', '.join(totals)}"

    def __repr__(self) -> str:
        return page.text(page_of(self))

    def _repr_html_(self) -> str:
        """The page, for notebooks."""
        return page.html(page_of(self))


def page_of(diagnosis: Diagnosis, *, limits: bool = True) -> page.Page:
    """What is printed of a diagnosis, part by part; without its limits for who says them once of several."""
    texts = tuple((name, told) for name, told in _texts(diagnosis) if limits or name != LIMITS)
    tables = tuple(_tables(diagnosis))
    return page.Page(_title(diagnosis), diagnosis.level, diagnosis.verdict, tables, texts)


LIMITS = "Limits"
"""Heading of what such diagnoses were right about: the same of all."""

REFERENCES = tuple((name, label(name)) for name in ("post_ln", "pre_ln", "admin"))


def _title(diagnosis: Diagnosis) -> str:
    about = diagnosis.metadata
    counts = [str(about[f"{stack}_layers"]) for stack in diagnosis.stacks]
    layers = " + ".join(counts) if len(counts) == 2 else f"{counts[0]} {diagnosis.stacks[0]}"
    sizes = f"D {about['d_model']}, F {about['d_ff']}, H {about['heads']}"
    return f"Diagnosis of {label(diagnosis.scheme)}: {layers} layers, {sizes}"


def _tables(diagnosis: Diagnosis) -> Iterator[tuple[page.Row, list[page.Row]]]:
    """Heading and rows of every table."""
    heading = ("Amplification, sum of beta_jj^2", "this", *(name for _, name in REFERENCES), "grows like")
    yield heading, [_amplification_row(diagnosis, stack) for stack in diagnosis.stacks]
    heavy: list[page.Row] = [
        (one.name, number(one.beta2), f"{one.share:.1%}") for one in diagnosis.heaviest()
    ]
    yield ("Heaviest sub-layers", "beta_jj^2", "of its stack's sum"), heavy
    if diagnosis.gradients:
        rows: list[page.Row] = []
        for stack in diagnosis.stacks:
            found = diagnosis.gradient_range(stack)
            rows.append(
                (
                    stack,
                    f"{number(found.smallest)} at {_short(found.smallest_at)}",
                    f"{number(found.largest)} at {_short(found.largest_at)}",
                    number(found.top_over_bottom),
                )
            )
        yield ("|dL/dx_i|", "smallest", "largest", "top/bottom"), rows


def _amplification_row(diagnosis: Diagnosis, stack: str) -> page.Row:
    curve = diagnosis.amplification(stack)
    found = diagnosis.growth(stack)
    form, line = ("ln i", found.logarithmic) if found.better == "logarithmic" else ("i", found.linear)
    how = f"{form}, R^2 {line.r2:.2f}" if math.isfinite(line.r2) else "-"
    others = [number(float(diagnosis.references[name][stack].sum())) for name, _ in REFERENCES]
    return (f"{stack}, {len(curve)} sub-layers", number(float(curve[-1])), *others, how)


def _short(name: str) -> str:
    """Name of a sub-layer within its stack."""
    return name.partition(".")[2]


def _texts(diagnosis: Diagnosis) -> Iterator[tuple[str, Sequence[str]]]:
    """Heading and sentences of every list that has any."""
    if diagnosis.findings:
        yield "Also seen", diagnosis.findings
    if diagnosis.advice:
        yield "What to change", diagnosis.advice
    yield LIMITS, (diagnosis.limits,)
