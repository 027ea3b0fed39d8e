"""One score of one text: BLEU, chrF or TER."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice
from admin_py.results import Result, figure, run_metadata
from admin_py.scores.conventions import CONVENTIONS, METRICS, Convention, metric_of
from admin_py.scores.texts import check_hypotheses, check_references, warn_of_texts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

References = Sequence[str] | Sequence[Sequence[str]]


@dataclass(frozen=True, eq=False, repr=False)
class Score(Result):
    """A score with all that it takes to compare it with others. `bleu`, `chrf` and `ter` make them.

    Examples
    --------
    >>> import admin_py as ap
    >>> found = ap.scores.bleu(["the cat sat on the mat"], ["the cat sat on a mat"])
    >>> round(found.score, 2), [round(share, 1) for share in found.precisions], found.brevity_penalty
    (53.73, [83.3, 60.0, 50.0, 33.3], 1.0)
    >>> found
    Score(BLEU 53.73, precisions 83.3/60.0/50.0/33.3, brevity penalty 1.000, 6 tokens for 6, ...
    """

    kind: ClassVar[str] = "score"
    drawn_by: ClassVar[str] = "plot_scores"

    metric: str
    """``"bleu"``, ``"chrf"`` or ``"ter"``."""
    score: float
    """BLEU and chrF from 0 to 100, the best; TER from 0, the best, in edits a hundred words."""
    signature: str
    """sacreBLEU's, which says how the score was made: only those of the same signature may be compared."""
    convention: str
    """``"detokenised"`` or ``"published"``."""
    num_sentences: int
    precisions: tuple[float, ...] = ()
    """Of BLEU: percent of the n-grams of each length, from 1, that a reference has."""
    brevity_penalty: float | None = None
    """Of BLEU: what a text shorter than its references is multiplied by."""
    num_edits: float | None = None
    """Of TER."""
    length: int | None = None
    """Of BLEU: tokens of the hypotheses."""
    reference_length: float | None = None
    """Of BLEU: tokens of the references, those nearest in length; of TER: words of a reference on average."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def _check_told(self) -> None:
        check_choice("metric", self.metric, tuple(METRICS))
        check_choice("convention", self.convention, CONVENTIONS)
        if not (math.isfinite(self.score) and self.score >= 0):
            raise ValueError(f"score must be a finite number of at least 0, got {self.score!r}")

    @property
    def stacks(self) -> tuple[str, ...]:
        """None: a score is of a text."""
        return ()

    def to_dataframe(self) -> pd.DataFrame:
        """One row: metric, score, convention, num_sentences, signature, and the precisions of BLEU."""
        import pandas as pd

        row = {name: getattr(self, name) for name in ("metric", "score", "convention", "num_sentences")}
        row |= {f"precision_{n}": share for n, share in enumerate(self.precisions, start=1)}
        for name in ("brevity_penalty", "num_edits", "length", "reference_length"):
            if getattr(self, name) is not None:
                row[name] = getattr(self, name)
        return pd.DataFrame([{**row, "signature": self.signature}])

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar, see `admin_py.plots.plot_scores`."""
        return figure(self.drawn_by)(self, ax)

    def _parts(self) -> Iterator[str]:
        yield f"{METRICS[self.metric]} {self.score:.2f}"
        if self.precisions:
            yield f"precisions {'/'.join(f'{share:.1f}' for share in self.precisions)}"
        if self.brevity_penalty is not None:
            yield f"brevity penalty {self.brevity_penalty:.3f}"
        if self.length is not None and self.reference_length is not None:
            yield f"{self.length:,} tokens for {self.reference_length:,.0f}"
        if self.num_edits is not None and self.reference_length is not None:
            yield f"{self.num_edits:,.0f} edits of {self.reference_length:,.0f} words"
        yield f"{self.num_sentences:,} sentence{'s' * (self.num_sentences != 1)}"
        yield f"{self.convention}: {self.signature}"

    def _summary(self) -> str:
        return ", ".join(self._parts())


@door
def bleu(
    hypotheses: Sequence[str], references: References, *, convention: Convention = "detokenised"
) -> Score:
    """BLEU of a text: how many of its n-grams, up to four words, are those of references.

    Parameters
    ----------
    hypotheses : list of str
        Translations, one a sentence.
    references : list of str, or list of lists of str
        What they should be: one a sentence, or several for each, of which blank ones are left out.
    convention : {"detokenised", "published"}
        Of plain text, or of text that is tokenised already, in lower case; see `admin_py.scores`. The numbers
        of the two must not be compared.

    Returns
    -------
    Score

    Raises
    ------
    TypeError
        If a text is no string.
    ValueError
        If there is no sentence, one has no reference, or there are not as many references as hypotheses.
    ModuleNotFoundError
        Without sacreBLEU: ``pip install admin-py[translation]``.

    Warns
    -----
    ConventionWarning
        If a text looks as if it were of the other convention, or has marks of subwords left.

    Notes
    -----
    Papineni, Roukos, Ward and Zhu, "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL
    2002, as computed by sacreBLEU (Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018). It is a
    score of a whole text; of single sentences it says little.

    Examples
    --------
    >>> import admin_py as ap
    >>> tokens = ["a man sleeps on a bench .", "two dogs are running ."]
    >>> ap.scores.bleu(tokens, tokens, convention="published").signature
    'nrefs:1|case:lc|eff:no|tok:none|smooth:exp|version:...'
    """
    return _score("bleu", hypotheses, references, convention)


@door
def chrf(
    hypotheses: Sequence[str], references: References, *, convention: Convention = "detokenised"
) -> Score:
    """chrF of a text: how many of its runs of up to six letters are those of references; recall counts twice.

    Parameters
    ----------
    hypotheses, references, convention
        As for `bleu`; spaces do not count under either convention.

    Returns
    -------
    Score

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        As `bleu`.

    Notes
    -----
    Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015, with
    beta 2, by sacreBLEU.

    Examples
    --------
    >>> import admin_py as ap
    >>> round(ap.scores.chrf(["the cat sat"], ["the cats sat"]).score, 1)
    68.7
    """
    return _score("chrf", hypotheses, references, convention)


@door
def ter(
    hypotheses: Sequence[str], references: References, *, convention: Convention = "detokenised"
) -> Score:
    """TER of a text: words to be inserted, left out, replaced and moved, of a hundred. Less is better.

    Parameters
    ----------
    hypotheses, references, convention
        As for `bleu`; words are what stands between spaces, in lower case, under both conventions.

    Returns
    -------
    Score

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        As `bleu`.

    Notes
    -----
    Snover, Dorr, Schwartz, Micciulla and Makhoul, "A Study of Translation Edit Rate with Targeted Human
    Annotation", AMTA 2006, by sacreBLEU.

    Examples
    --------
    >>> import admin_py as ap
    >>> ap.scores.ter(["the cat sat on mat"], ["the cat sat on the mat"]).num_edits
    1.0
    """
    return _score("ter", hypotheses, references, convention)


def _score(metric: str, hypotheses: Any, references: Any, convention: Any) -> Score:
    check_choice("convention", convention, CONVENTIONS)
    texts = check_hypotheses("hypotheses", hypotheses)
    streams = check_references(references, len(texts))
    scorer = metric_of(metric, convention)
    warn_of_texts({"hypotheses": texts}, streams, metric, convention, stacklevel=_LEVELS)
    found = scorer.corpus_score(texts, streams)
    told: dict[str, Any] = {}
    if metric == "bleu":
        told = {
            "precisions": tuple(map(float, found.precisions)),
            "brevity_penalty": float(found.bp),
            "length": int(found.sys_len),
            "reference_length": float(found.ref_len),
        }
    if metric == "ter":
        told = {"num_edits": float(found.num_edits), "reference_length": float(found.ref_length)}
    return Score(
        metric=metric,
        score=float(found.score),
        signature=str(scorer.get_signature()),
        convention=convention,
        num_sentences=len(texts),
        metadata=run_metadata(),
        **told,
    )


_LEVELS = 4
"""Calls up from `_score` to those of users: itself, the metric's function, its door, the user's."""
