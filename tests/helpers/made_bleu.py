"""Translations of runs that are made up: words of references, more of them wrong from scheme to scheme."""

from __future__ import annotations

import dataclasses
import random

from admin_py.experiments.study.results import Study
from admin_py.experiments.translations import Translations
from admin_py.scores import bleu

WORDS = ("ein", "Haus", "Baum", "steht", "auf", "dem", "Berg", "und", "sieht", "weit")


def made_translations_of(errors: float, *, sentences: int = 40, seed: int = 0) -> Translations:
    """With so many wrong words of a hundred; references never differ."""
    same, chance = random.Random(0), random.Random(seed)
    references = [" ".join(same.choice(WORDS) for _ in range(same.randint(5, 9))) for _ in range(sentences)]
    found = [
        " ".join(chance.choice(WORDS) if chance.random() < errors / 100 else word for word in line.split())
        for line in references
    ]
    return Translations(
        split="test",
        sources=tuple(f"sentence {number}" for number in range(sentences)),
        references=tuple(references),
        hypotheses=tuple(found),
        score=bleu(found, references, convention="published"),
        search={"beam": 5, "length_penalty": 1.0},
        metadata={"seed": seed},
    )


def translated(study: Study, *, sentences: int = 40) -> Study:
    """The study with translations of all runs that did not diverge, the later schemes' worse."""
    runs = []
    for run in study.runs:
        errors, seed = 10.0 + 15.0 * study.schemes.index(run.scheme), run.seed
        found = made_translations_of(errors, sentences=sentences, seed=seed)
        runs.append(run if run.history.diverged_at else dataclasses.replace(run, translations=found))
    return study.with_members(runs)
