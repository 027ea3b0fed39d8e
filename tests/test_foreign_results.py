"""Results from others: what is wrong with a document is one error with file and place, or does no harm."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import numbers
from made_results import MADE, made_full_study, made_grid, made_history
from mutated import mutated

import admin_py as ap
from admin_py.results import decode, read_json

ROUNDS = 120
"""Documents of each class, where there is no budget of time."""


@pytest.mark.fuzz
def test_a_document_that_is_wrong_in_one_place(tmp_path: Path) -> None:
    kinds, path = list(MADE), tmp_path / "thing.json"
    documents = [MADE[kind]().to_dict() for kind in kinds]
    tried, refused = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for number in numbers(ROUNDS * len(kinds)):
        kind = kinds[number % len(kinds)]
        tried[kind] += 1
        path.write_text(mutated(documents[number % len(kinds)], random.Random(number)))
        try:
            found = read_json(path, kind.from_dict)
        except ValueError as error:
            if str(path) not in str(error):
                pytest.fail(f"ADMIN_PY_FUZZ_SEED={number}, a {kind.__name__}: no file is named: {error}")
            refused[kind] += 1
            continue
        except Exception as error:
            pytest.fail(f"ADMIN_PY_FUZZ_SEED={number}, a {kind.__name__}: {type(error).__name__}: {error}")
        with np.errstate(all="ignore"):
            assert repr(found)
            assert len(found.to_dataframe()) >= 0
    for kind, times in tried.items():
        assert refused[kind] > times // 4, kind


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda d: d["loss"].update(shape=[10**9]),
            r"at \$\.loss: an array of shape .* has 1000000000 elements",
        ),
        (lambda d: d["loss"].update(__array__="S1000000000"), r"at \$\.loss.*S1000000000"),
        (lambda d: d["loss"].update(__array__="object"), r"at \$\.loss"),
        (lambda d: d["tokens"]["data"].__setitem__(0, 2**63), r"at \$\.tokens\.data: a number does not fit"),
        (lambda d: d["tokens"]["data"].__setitem__(1, 0.5), r"at \$\.tokens\.data\[1\]: no number of int64"),
        (lambda d: d["nll"]["data"].__setitem__(2, "NaN"), r"at \$\.nll\.data\[2\]: no number of float64"),
        (lambda d: d.update(lr=1.0), r"at \$\.lr: expected `array of float64`"),
        (lambda d: d.update(interrupted=1), r"at \$\.interrupted: expected `bool`, got `int`"),
        (lambda d: d.update(diverged_at="soon"), r"at \$\.diverged_at"),
        (lambda d: d.pop("valid"), "missing or unknown: valid"),
        (lambda d: d.update(more=1), "missing or unknown: more"),
        (lambda d: d["metadata"].update(x={"__float__": "huge"}), r"at \$\.metadata\.x"),
    ],
)
def test_the_place_of_what_is_wrong_is_said(
    change: Callable[[dict[str, Any]], Any], words: str, tmp_path: Path
) -> None:
    document, path = json.loads(json.dumps(made_history().to_dict())), tmp_path / "history.json"
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=words) as caught:
        ap.load(path)
    assert str(path) in str(caught.value)


def test_an_array_is_told_before_it_is_made() -> None:
    """A type of a billion bytes an element, and a shape of more numbers than there are."""
    for told in (
        {"__array__": "S1000000000", "shape": [1], "data": ["x"]},
        {"__array__": "V1000000000", "shape": [1], "data": [0]},
        {"__array__": "float64", "shape": [2**40], "data": []},
        {"__array__": "float64", "shape": [0, -1], "data": []},
        {"__array__": "float64", "shape": [1] * 40, "data": [0.0]},
    ):
        with pytest.raises(ValueError, match=r"at \$"):
            decode(told)


def written(folder: Path, document: dict[str, Any]) -> Path:
    """A document without a digest, as others write one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(document))
    return folder / "run.json"


@pytest.mark.parametrize("seed", ["1/../../../x", "/tmp/x", "..", True, 1.5, [1], None, 2**63, -1])
def test_a_seed_that_is_none_names_no_file(seed: Any, tmp_path: Path) -> None:
    made_full_study().runs[0].save(tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    del document["digest"]
    written(tmp_path / "run", {**document, "values": {**document["values"], "seed": seed}})
    with pytest.raises(ValueError, match=r"run\.json.*values\.seed"):
        ap.StudyRun.load(tmp_path / "run")
    written(tmp_path / "run", {**document, "seed": seed, "values": {}})
    with pytest.raises(ValueError, match=r"run\.json.*seed"):
        ap.StudyRun.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scheme": "../../x"}, "scheme"),
        ({"scheme": "a/b/c"}, "scheme"),
        ({"scheme": ["admin"]}, "scheme"),
        ({"layers": 10**9}, "layers"),
        ({"layers": [1, 2, 3]}, "layers"),
        ({"optimizer": 3}, "optimizer"),
        ({"lr": -1.0}, "lr"),
        ({"depth": 3}, "axes"),
    ],
)
def test_a_cell_says_only_what_a_cell_may_be(values: dict[str, Any], words: str) -> None:
    document = json.loads(json.dumps(made_grid().cells[0].to_dict()))
    document["values"] |= values
    with pytest.raises(ValueError, match=words):
        read_dict(document)


def read_dict(document: dict[str, Any]) -> Any:
    try:
        return ap.GridCell.from_dict(document)
    except TypeError as error:  # as of checks of arguments; files name themselves and make it one kind
        raise ValueError(str(error)) from error


def test_a_result_without_a_digest_is_read(tmp_path: Path) -> None:
    """As earlier versions wrote them."""
    history = made_history()
    (tmp_path / "old.json").write_text(json.dumps(history.to_dict()))
    assert ap.History.load(tmp_path / "old.json") == history
