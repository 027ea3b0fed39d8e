"""One cell of a grid: a training, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.source_use import reads_source
from admin_py.experiments.cross import at
from admin_py.experiments.jobs import job_name, title_of
from admin_py.experiments.kept_models import kept_model
from admin_py.experiments.outcomes import DIVERGED, outcome_of
from admin_py.experiments.settings import AXES, show
from admin_py.experiments.told import check_setup, check_values
from admin_py.experiments.translations import Translated, Translations
from admin_py.results import figure
from admin_py.training.history import History

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.model.transformer import Transformer


@dataclass(frozen=True, eq=False, repr=False)
class GridCell(Translated):
    """One training of a grid.

    Attributes
    ----------
    values : mapping
        Axis -> value: ``scheme`` (its name; a hybrid is ``"encoder's/decoder's"``), ``layers`` (a number, or
        the encoder's and the decoder's), ``d_model``, ``d_ff``, ``heads``, ``dropout``, ``activation``,
        ``init_gain``, ``max_tokens``, ``lr`` (the largest), ``beta2`` (None where the optimiser has none),
        ``warmup``, ``optimizer`` (its name) and ``seed``. Each is an attribute, too.
    history : History
        Of the training, step by step.
    entropy : float
        Unigram entropy of the data, nats per token, on which the outcome's words rest.
    num_parameters : int
        Trained ones.
    setup : mapping
        What decided the numbers beside data and seed: configuration, optimiser, schedule, training.
    metadata : mapping
        Seed, dtype, threads, versions.
    other_source_nll : float or None
        Validation loss with the sources of other pairs, see `admin_py.analysis.source_use`; None for language
        models, where it was not trained to the end, and where the split has no other sources.
    without : mapping of str to str
        Name of a number that is None to why it is; empty in cells of older versions.
    translations : Translations or None
        Of held-out sentences, where they were asked for (``bleu=True``) and it was trained to its end.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.grid(data, schemes="admin", layers=1, d_model=8, d_ff=16, heads=2, steps=2, progress=False)
    >>> found.cells[0].outcome, found.cells[0].diverged_at, found.cells[0].history.num_steps
    ('does not train within this budget', None, 2)
    """

    kind: ClassVar[str] = "grid cell"

    values: Mapping[str, Any]
    history: History
    entropy: float
    num_parameters: int
    setup: Mapping[str, Any]
    metadata: Mapping[str, Any]
    other_source_nll: float | None = None
    without: Mapping[str, str] = field(default_factory=dict)
    translations: Translations | None = None

    def _check_told(self) -> None:
        check_values(self.values)
        check_setup(self.setup)

    def __getattr__(self, name: str) -> Any:
        """The value of an axis."""
        if name in AXES:
            return self.values[name]
        raise AttributeError(f"a GridCell has no {name!r}; its axes are {', '.join(AXES)}")

    @property
    def name(self) -> str:
        """Of its file."""
        return job_name(self.values)

    @property
    def encoder(self) -> str:
        """The encoder's scheme."""
        return str(at(self, "encoder"))

    @property
    def decoder(self) -> str:
        """The decoder's scheme."""
        return str(at(self, "decoder"))

    @property
    def model(self) -> Transformer | None:
        """The trained model, if it was kept (``keep_models=True``), read from its file when asked for."""
        return kept_model(self)

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of its model."""
        return ("encoder", "decoder") if self.setup["config"]["encoder_layers"] else ("decoder",)

    @property
    def train_nll(self) -> float:
        """Mean loss of the last twentieth of the training batches, nats per token, dropout on."""
        return self.history.train_nll

    @property
    def valid_nll(self) -> float:
        """Last validation loss, nats per token; nan where it diverged."""
        return self.history.valid_nll

    @property
    def best_valid_nll(self) -> float:
        """Lowest validation loss on the way, also of one that diverged; nan where there is none."""
        values = self.history.valid["nll"]
        return float(np.min(values)) if len(values) else float("nan")

    @property
    def outcome(self) -> str:
        """In words: trains, does not train or read its source within this budget, blew up, or diverged."""
        other = self.other_source_nll
        return outcome_of(
            self.history, self.entropy, None if other is None else reads_source(self.valid_nll, other)
        )

    @property
    def diverged_at(self) -> int | None:
        """The step whose numbers were not finite."""
        return self.history.diverged_at

    @property
    def diverged_because(self) -> str | None:
        """What was not finite."""
        return self.history.diverged_because

    @property
    def seconds(self) -> float:
        """Spent in training steps."""
        return float(np.sum(self.history.seconds))

    def row(self) -> dict[str, Any]:
        """Its row of a grid's table."""
        layers = self.values["layers"]
        losses = ("train_nll", "valid_nll", "best_valid_nll", "other_source_nll")
        names = (*losses, "outcome", "diverged_at", "diverged_because")
        results = {name: getattr(self, name) for name in (*names, "seconds", "num_parameters")}
        return {
            **self.values,
            "layers": layers if isinstance(layers, int) else show(layers),
            **results,
            **self.bleu_row(),
        }

    def to_dataframe(self) -> pd.DataFrame:
        """One row: axes and results."""
        import pandas as pd

        return pd.DataFrame([self.row()])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw training and validation loss over the steps."""
        return figure("plot_history")(self.history, ax, scheme=self.values["scheme"])

    def same_numbers(self, other: GridCell) -> bool:
        """Whether two cells agree bit for bit in all but the time they took and where they ran."""

        def kept(cell: GridCell) -> dict[str, Any]:
            data = cell.to_dict()
            history = {k: v for k, v in data["history"].items() if k not in ("seconds", "metadata")}
            told = None if cell.translations is None else cell.translations.hypotheses
            return {**data, "history": history, "metadata": None, "translations": told}

        return kept(self) == kept(other)

    def last_words(self) -> str:
        """How it ended, in a line."""
        if self.outcome == DIVERGED:
            return f"diverged at step {self.diverged_at}: {self.diverged_because}"
        bleu = "" if self.translations is None else f", BLEU {self.bleu:.2f}"
        return f"{self.outcome}, validation nll {self.valid_nll:.3f}{bleu}, {self.seconds:.0f} s"

    def _summary(self) -> str:
        return f"{title_of(self.values)}: {self.last_words()}"
