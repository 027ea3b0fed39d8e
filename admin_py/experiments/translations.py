"""What a trained model made of the held-out sentences, and how runs and cells hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from admin_py.results import Result, figure
from admin_py.scores import Score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

T = TypeVar("T", bound="Translated")


@dataclass(frozen=True, eq=False, repr=False)
class Translations(Result):
    """The held-out sentences as one trained model has translated them, with their BLEU.

    Attributes
    ----------
    split : str
        Of the data: ``"test"``, or ``"valid"``.
    sources : tuple of str
        As the data have them.
    references, hypotheses : tuple of str
        What was compared, of the score's convention.
    score : Score
        BLEU.
    search : mapping
        Options of `admin_py.generation.beam_search`.
    metadata : mapping
        Threads, versions.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.study(data, schemes="admin", layers=1, d_model=8, d_ff=16, heads=2, steps=1, bleu=True,
    ...                  progress=False).run("admin").translations
    >>> found.split, len(found.hypotheses), found.score.convention, found.search["beam"]
    ('valid', 10, 'published', 5)
    """

    kind: ClassVar[str] = "translations"

    split: str
    sources: tuple[str, ...]
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]
    score: Score
    search: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def _check_told(self) -> None:
        for name in ("references", "hypotheses"):
            if len(getattr(self, name)) != len(self.sources):
                raise ValueError(f"{name} must be as many as sources, {len(self.sources)}")

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of the model."""
        return ("encoder", "decoder")

    @property
    def options(self) -> dict[str, Any]:
        """How they were made, as `translating` was asked for."""
        return {"split": self.split, "convention": self.score.convention, **self.search}

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sentence: source, reference, translation."""
        import pandas as pd

        return pd.DataFrame(
            {"source": self.sources, "reference": self.references, "translation": self.hypotheses}
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Its BLEU as a bar, see `admin_py.plots.plot_scores`."""
        return figure("plot_scores")(self.score, ax)

    def _summary(self) -> str:
        return f"{self.split}, {self.score._summary()}"


class Translated(Result):
    """A run or a cell: with `translations` where they were asked for; without, nothing tells of them."""

    if TYPE_CHECKING:

        @property
        def translations(self) -> Translations | None: ...

    @property
    def bleu(self) -> float:
        """Of its translations of held-out sentences; nan where there are none."""
        return float("nan") if self.translations is None else self.translations.score.score

    def bleu_row(self) -> dict[str, Any]:
        """The score, its convention and its signature, where there is one, as columns of a table."""
        if self.translations is None:
            return {}
        score = self.translations.score
        return {"bleu": score.score, "bleu_convention": score.convention, "bleu_signature": score.signature}

    def to_dict(self) -> dict[str, Any]:
        """As every result's; without the name of translations that there are not."""
        told = super().to_dict()
        return told if self.translations is not None else without_translations(told)

    @classmethod
    def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
        """Back from `to_dict`."""
        return super().from_dict({"translations": None, **data} if isinstance(data, Mapping) else data)


def without_translations(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a run or a cell tells of itself but for its translations."""
    return {name: value for name, value in told.items() if name != "translations"}


def put_translations(path: Path, translations: Translations | None) -> None:
    """Write the translations of a result, whole; where it has none, another's do not stay there.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    if translations is None:
        path.unlink(missing_ok=True)
    else:
        translations.save(path)


def read_translations(path: Path) -> Translations | None:
    """What `put_translations` wrote; None where there is nothing.

    Raises
    ------
    ValueError
        If the file is not what it should be.
    """
    return Translations.load(path) if path.exists() else None


def lacks_translations(member: Any) -> bool:
    """Whether a whole run or cell could have translations and has none; what diverged could not."""
    return member.translations is None and member.history.diverged_at is None
