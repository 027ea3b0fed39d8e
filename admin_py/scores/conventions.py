"""The two conventions of scoring: what sacreBLEU does under each, and whether a text looks like the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from admin_py.base.extras import installed_by
from admin_py.base.streams import warn

Metric = Literal["bleu", "chrf", "ter"]
Convention = Literal["detokenised", "published"]

METRICS: Mapping[str, str] = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}
"""Metric -> its name as sacreBLEU writes it."""

CONVENTIONS = ("detokenised", "published")
"""Plain text; or text that is tokenised already, in lower case."""

_OPTIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "detokenised": {"bleu": {"tokenize": "13a"}, "chrf": {}, "ter": {}},
    "published": {"bleu": {"tokenize": "none", "lowercase": True}, "chrf": {"lowercase": True}, "ter": {}},
}
"""Beyond sacreBLEU's defaults; its TER takes words in lower case and as they stand under both."""

_MARKED = re.compile(r"\S@@(?= |$)")
_APART = re.compile(r" [.,](?= |$)|&(?:apos|quot|amp|#\d+);")
_JOINED = re.compile(r"\w[.,](?= |$)")
"""Stops and commas as tokenisers write them, and as people do."""


class ConventionWarning(UserWarning):
    """A text looks as if it were not of the convention that it is scored by."""


def metric_of(metric: str, convention: str) -> Any:
    """sacreBLEU's object for a metric, which knows its signature once it has scored."""
    options = dict(_OPTIONS[convention][metric])
    if metric == "bleu":
        options["force"] = True  # what it says of tokenised text is said here, for all metrics
    with installed_by("translation"):
        from sacrebleu.metrics import BLEU, CHRF, TER
    return {"bleu": BLEU, "chrf": CHRF, "ter": TER}[metric](**options)


def warn_of_other(name: str, lines: Sequence[str], convention: str, *, stacklevel: int) -> None:
    """Warn if a text looks as if it were not of its convention.

    Parameters
    ----------
    name : str
        What the text is called.
    lines : sequence of str
    convention : {"detokenised", "published"}
    stacklevel : int
        1 is the caller.
    """
    marked, apart, joined = (
        sum(sign.search(line) is not None for line in lines) for sign in (_MARKED, _APART, _JOINED)
    )
    told = []
    if marked:
        told.append((marked, "have subwords marked @@ left", "remove_bpe of admin_py.data joins them"))
    if convention == "detokenised" and apart > joined:
        told.append((apart, "look tokenised", "detokenise them, or score by convention='published'"))
    if convention == "published" and joined > apart:
        told.append((joined, "look like plain text", "tokenise them, or score by convention='detokenised'"))
    for count, what, way in told:
        text = f"{name} {what}, in {count:,} of {len(lines):,} lines: {way}"
        warn(text, ConventionWarning, stacklevel=stacklevel + 1)


def case_counts(metric: str, convention: str) -> bool:
    """Whether capitals and small letters are told apart.

    Examples
    --------
    >>> case_counts("bleu", "detokenised"), case_counts("bleu", "published")
    (True, False)
    """
    return convention == "detokenised" and metric != "ter"


def warn_of_case(name: str, lines: Sequence[str], references: Sequence[str], *, stacklevel: int) -> None:
    """Warn if a text has no capitals where its references have them; stacklevel 1 is the caller."""
    capitals = sum(line != line.lower() for line in references)
    if capitals and not any(line != line.lower() for line in lines):
        warn(
            f"{name} have no capitals, references in {capitals:,} of {len(references):,} lines: write these "
            "in lower case, or score by convention='published' what is tokenised",
            ConventionWarning,
            stacklevel=stacklevel + 1,
        )
