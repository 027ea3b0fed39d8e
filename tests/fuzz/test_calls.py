"""Every public callable with hostile arguments: an answer, or a documented error that names the argument.

What may be called is found by looking (`surface`), with arguments that are right (`examples`); one or two of
them are replaced by hostile ones (`hostile`).
"""

from __future__ import annotations

import contextlib
import io
import random
import re
import resource
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import numbers
from examples import call, right
from hostile import HOSTILE, HostileError
from objects import INSTANCES, data, model
from surface import Public, public

import admin_py as ap
from admin_py.results import Result

CALLS = 3000
"""Of a run of the suite, a quarter of a minute."""

PUBLIC = tuple(public())

EXPECTED = (TypeError, ValueError, OSError)
"""What any public callable may raise; others where their documentation has them under Raises."""

OTHER_NAMES = {
    "axes": ("ax",),
    "data": ("fields", "field", "kind", "stack", "schedule", "scheme", "scale"),
    "encoder_layers": ("lines",),
    "decoder_layers": ("lines",),
    "folder": ("study", "run", "model"),
    "name": ("scheme", "split", "quantity", "schedule"),
    "options": ("Optimizer",),
    "path": ("'",),
    "source": ("model",),
    "texts": ("sequence",),
    "threads": ("n must",),
}
"""By what else an error may call an argument: a file by its own name, a setting by its meaning."""

WITHOUT_NAME = ("Optimizer", "load")
"""A base class that is never made, and what says of a file that it is none."""


MEMORY = 6 * 2**30
"""Bytes beyond those in use that a hostile call may ask for: more is a MemoryError, which none documents."""


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """In a folder of its own, with one thread, and the schemes as before."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with ap.threads(1):
        yield
    plt.close("all")
    if "a scheme of fuzzers" in ap.schemes.names():
        ap.schemes.unregister("a scheme of fuzzers")


def documented(callee: Public) -> tuple[type[BaseException], ...]:
    """Types of errors that its documentation has under Raises, beside the usual ones."""
    named = getattr(callee.owner, callee.attribute) if callee.owner is not None else callee.attribute
    text = getattr(named, "__doc__", None) or getattr(getattr(named, "fget", None), "__doc__", None) or ""
    raises = text.partition("Raises\n")[2].partition("\n\n        ----")[0]
    others = {"IndexError": IndexError, "KeyError": KeyError, "RuntimeError": RuntimeError}
    return EXPECTED + tuple(kind for name, kind in others.items() if name in raises)


def is_record(callee: Public) -> bool:
    """Whether it only holds what it is given: results and named tuples, whose errors name no parameter."""
    made = callee.attribute
    plain = ("data.DatasetSummary", "analysis.Fit", "data.Split")
    return isinstance(made, type) and (issubclass(made, Result | tuple) or callee.name in plain)


def parameters(callee: Public) -> list[str]:
    return [p.name for p in callee.parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


FUZZED = tuple(one for one in PUBLIC if parameters(one))


def complaint(callee: Public, changed: dict[str, str], folder: Path) -> str:
    """What is wrong with what the call raised; empty if nothing is."""
    owner = INSTANCES[callee.owner]() if callee.owner else None
    given = {**right(callee, folder), **{name: HOSTILE[label]() for name, label in changed.items()}}
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            call(callee, given, owner)
    except documented(callee) as error:
        said = str(error)
        names = {other for name in changed for other in (name, *OTHER_NAMES.get(name, ()))}
        told = any(re.search(re.escape(name), said, re.IGNORECASE) for name in names)
        free = is_record(callee) or isinstance(error, OSError) or callee.name in WITHOUT_NAME
        if len(said) > 1000 and not isinstance(error, OSError):
            return f"an error of {len(said)} characters: {said[:80]}"
        return "" if told or free else f"{type(error).__name__} names no argument: {said[:200]}"
    except HostileError as error:
        return (
            "" if "__call__" in str(error) else f"HostileError {error}: only what is to be called may raise"
        )
    except BaseException as error:
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "admin_py" in frame.filename]
        return f"{type(error).__name__} from {where[-1].filename}:{where[-1].lineno}"
    finally:
        import matplotlib.pyplot as plt

        plt.close("all")
    return ""


FOUND_BEFORE: tuple[tuple[str, dict[str, str]], ...] = (
    ("Grid.with_members", {"members": "list of itself"}),
    ("Study.with_members", {"members": "list of itself"}),
    ("Study.run", {"seed": "-(10**5000)", "scheme": "text without words"}),
    ("Recorder.add_observation", {"places": "deep dict"}),
    ("StudyRun", {"samples": "raising __bool__"}),
    ("TrainedModel", {"metadata": "deep dict"}),
    ("data.parallel_text", {"target": "array of nan", "tokenizer": "raising attributes"}),
    ("generation.draw_from", {"temperature": "5e-324"}),
    ("plots.plot_history", {"scheme": "long text"}),
    ("schemes.admin_torch_omega", {"num_sublayers": "10**400"}),
    ("plots.plot_curves", {"histories": "raising __iter__"}),
    ("Transformer.observe", {"gradients": "2**64", "label_smoothing": "nan"}),
    ("TransformerConfig.from_dict", {"data": "dict"}),
    ("analysis.Fit.__call__", {"n": "np.longdouble"}),
    ("analysis.updates", {"schedule": "abstract class"}),
    ("data.WordTokenizer.train", {"lines": "surrogate"}),
    ("plots.plot_training", {"entropy": "inf"}),
    ("data.SubwordCodes.segment_lines", {"lines": "array 0-d bool"}),
    ("data.Moses.tokenize_lines", {"lines": "raising __len__ __getitem__"}),
    ("data.MosesTokenizer.train", {"targets": "blanks"}),
)
"""Calls that were once answered with an error without the argument's name, or with none of the documented."""


@pytest.mark.parametrize(("name", "changed"), FOUND_BEFORE, ids=lambda one: str(one))
def test_what_was_found_before_stays_mended(name: str, changed: dict[str, str], tmp_path: Path) -> None:
    (callee,) = [one for one in PUBLIC if one.name == name]
    assert not complaint(callee, changed, tmp_path)


@pytest.mark.parametrize("callee", PUBLIC, ids=lambda one: one.name)
def test_every_public_callable_has_an_example_that_works(callee: Public, tmp_path: Path) -> None:
    if callee.name == "Optimizer":
        pytest.skip("a base class: its subclasses are made")
    owner = INSTANCES[callee.owner]() if callee.owner else None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            call(callee, right(callee, tmp_path), owner)
    except ValueError as error:
        # what is not of this data, or of these results
        assert re.search("varies too|has no texts", str(error)), error  # noqa: PT017


def of_training() -> tuple[Any, ...]:
    """Numbers that no call may change."""
    one = model()
    history = ap.train(one, data(), optimizer="adam", steps=2, max_tokens=64, progress=False)
    return history.loss.tobytes(), *(value.tobytes() for value in one.parameters.values())


@pytest.mark.fuzz
def test_hostile_arguments_are_refused_by_name_and_harm_nothing(tmp_path: Path) -> None:
    before, fingerprint, found = of_training(), data().fingerprint, []
    for number in numbers(CALLS):
        rng = random.Random(number)
        callee = rng.choice(FUZZED)
        names = parameters(callee)
        chosen = rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2))))
        changed = {name: rng.choice(list(HOSTILE)) for name in chosen}
        wrong = complaint(callee, changed, tmp_path)
        if wrong:
            found.append(f"{number}: {callee.name}({changed}): {wrong}")
    assert not found, "ADMIN_PY_FUZZ_SEED=the number ADMIN_PY_FUZZ_CALLS=1 repeats one:\n" + "\n".join(found)
    assert data().fingerprint == fingerprint
    assert of_training() == before
    assert np.isfinite(ap.analysis.gradients(model(), next(data().batches(max_tokens=64))).loss)
