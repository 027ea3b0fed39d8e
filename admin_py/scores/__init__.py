"""Scores of translations, by sacreBLEU: BLEU, chrF and TER, and whether two systems really differ.

There are two conventions, whose numbers must not be compared with each other; each function says what it is
given, and every score shows its signature.

- ``"detokenised"``: plain text, as people read it. sacreBLEU's defaults: BLEU cuts it by mteval-v13a and
  keeps its case.
- ``"published"``: text that is tokenised already, its subwords joined again, as many papers have it. BLEU
  counts what stands between spaces, in lower case.

>>> import admin_py as ap
>>> ap.scores.ter(["A man sleeps on a bench."], ["A man sleeps on a bench."]).score
0.0
"""

from __future__ import annotations

from admin_py.scores.comparison import Comparison, paired_bootstrap
from admin_py.scores.conventions import CONVENTIONS, METRICS, ConventionWarning
from admin_py.scores.score import Score, bleu, chrf, ter

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "Comparison",
    "ConventionWarning",
    "Score",
    "bleu",
    "chrf",
    "paired_bootstrap",
    "ter",
]
