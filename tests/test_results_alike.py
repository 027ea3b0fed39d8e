"""Every result has the same five things: stacks, a table, a figure, and a file that it comes back from."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from made_results import MADE, made_gradients, made_history, made_observation, made_study
from matplotlib.axes import Axes
from package_modules import package_modules

import admin_py as ap
from admin_py import plots
from admin_py.experiments.study.results import SchemeBleu
from admin_py.experiments.translations import Translations
from admin_py.results import Result, result_classes


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def every_class() -> set[type[Result]]:
    """All that can be made, of the package's."""
    for name in package_modules():
        if not name.endswith("__main__"):
            importlib.import_module(name)
    waiting, found = [Result], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("admin_py.") and not inspect.isabstract(kind):
            found.add(kind)
    return found


def test_there_is_one_of_every_class_and_kinds_differ() -> None:
    classes = every_class()
    assert classes == set(MADE)
    assert len({kind.kind for kind in classes}) == len(classes)
    assert classes <= set(result_classes().values())


@pytest.fixture(params=MADE, ids=lambda kind: kind.__name__)
def result(request: pytest.FixtureRequest) -> Result:
    return MADE[request.param]()


def test_it_names_its_stacks(result: Result) -> None:
    special = {ap.analysis.AttentionMap: ("decoder",), ap.scores.Score: (), ap.scores.Comparison: ()}
    assert result.stacks == special.get(type(result), ("encoder", "decoder"))
    assert type(result).stacks.__doc__


def test_it_has_a_table_with_rows(result: Result) -> None:
    table = result.to_dataframe()
    assert isinstance(table, pd.DataFrame)
    assert len(table)
    assert "<table" in result._repr_html_()


def test_it_can_be_drawn(result: Result) -> None:
    drawn = result.plot()
    axes = drawn.ravel() if isinstance(drawn, np.ndarray) else [drawn]
    assert len(axes)
    assert all(isinstance(ax, Axes) and ax.has_data() for ax in axes)


def test_what_is_said_to_draw_it_does(result: Result) -> None:
    if result.drawn_by:
        assert result.drawn_by in plots.__all__
        assert getattr(plots, result.drawn_by)(result) is not None
    else:  # parts of these are drawn
        parts = (ap.Examination, ap.Grid, ap.GridCell, ap.Study, ap.StudyRun, SchemeBleu, Translations)
        assert isinstance(result, parts)


def test_what_is_loaded_equals_what_was_saved(result: Result, tmp_path: Path) -> None:
    where = tmp_path / "new" / "result"
    result.save(where)
    again = type(result).load(where)
    assert again == result
    assert again.stacks == result.stacks
    pd.testing.assert_frame_equal(again.to_dataframe(), result.to_dataframe())


def test_it_is_the_same_as_a_dict_a_copy_and_from_another_process(result: Result) -> None:
    assert type(result).from_dict(result.to_dict()) == result
    assert pickle.loads(pickle.dumps(result)) == result
    assert copy.deepcopy(result) == result


def test_a_file_of_another_kind_is_refused(result: Result, tmp_path: Path) -> None:
    other = made_history() if not isinstance(result, ap.History) else made_gradients()
    other.save(tmp_path / "file")
    with pytest.raises((ValueError, OSError)) as caught:
        type(result).load(tmp_path / "file")
    assert "file" in str(caught.value)


def test_a_result_without_one_of_the_five_cannot_be_made() -> None:
    class Half(Result):
        kind = "half"

        def to_dataframe(self) -> pd.DataFrame:
            return pd.DataFrame()

    with pytest.raises(TypeError, match="abstract"):
        Half()


# Which stacks


def test_a_trainings_stacks_are_known_whether_it_was_observed_or_not() -> None:
    data = ap.data.copy_task(train=40, valid=8)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    for observe in ((), 1):
        found = ap.train(
            ap.Transformer(config), data, optimizer=ap.Adam(lr=1e-3), steps=1, observe=observe, progress=False
        )
        assert found.stacks == ("encoder", "decoder")


def test_a_study_without_a_run_knows_its_stacks() -> None:
    study = made_study({"admin": [0.5]})
    assert study.with_members([]).stacks == ("encoder", "decoder")


# The file of an observation


def test_a_real_observation_comes_back_bit_for_bit(tmp_path: Path) -> None:
    config = ap.TransformerConfig(
        vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    model = ap.Transformer(config, seed=3)
    seen = model.observe(ap.Batch([[3, 4, 5], [6, 7]], [[1, 6, 2], [1, 2]]), gradients="*.branch")
    seen.save(tmp_path / "seen.safetensors")
    again = ap.Observation.load(tmp_path / "seen.safetensors")
    assert list(again) == list(seen)  # in order
    assert again == seen
    name = "decoder.0.cross_attn.probabilities"
    assert [one.shape for one in again[name]] == [(2, 2, 3), (2, 1, 2)]
    assert again.metadata["scheme"] == "admin"
    assert not again["logits"].flags.writeable


def test_a_damaged_observation_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    made_observation().save(path)
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], b"", b"[]", data.replace(b'"logits', b'"logitz', 1)):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"seen' is (cut off|damaged|not a whole)"):
            ap.Observation.load(path)
    with pytest.raises(FileNotFoundError):
        ap.Observation.load(tmp_path / "none")
    ap.Transformer(
        ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2, d_ff=16)
    ).save(path)
    with pytest.raises(ValueError, match="is a model, not an observation"):
        ap.Observation.load(path)
