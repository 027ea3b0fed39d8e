"""Results: frozen, equal after a round trip, files whole or absent, foreign files refused."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from company import run_script
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.axes import Axes

import admin_py as ap
from admin_py.base.plain_values import same
from admin_py.results import Result, decode, encode, read_json
from admin_py.training import checkpoint


@dataclass(frozen=True, eq=False, repr=False)
class Sizes(Result):
    kind = "sizes"

    table: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    metadata: Mapping[str, Any]

    stacks = ()

    def to_dataframe(self) -> pd.DataFrame:
        return pd.DataFrame({"name": self.names})

    def plot(self, ax: Axes) -> Axes:
        ax.plot(self.table["a"])
        return ax


def sizes() -> Sizes:
    table = {"a": np.array([1.0, np.nan, -np.inf, 0.1]), "b": np.array([[1, 2], [3, 4]], np.int32)}
    return Sizes(table, ("x", "y"), {"seed": 3, "loss": float("nan")})


def test_fields_cannot_be_changed() -> None:
    result = sizes()
    with pytest.raises(FrozenInstanceError):
        result.names = ()  # type: ignore[misc]
    with pytest.raises(ValueError):
        result.table["a"][0] = 2.0
    with pytest.raises(TypeError):
        result.table["c"] = np.zeros(1)  # type: ignore[index]


def test_a_result_owns_its_arrays() -> None:
    source = np.zeros(3)
    result = Sizes({"a": source}, (), {})
    source[:] = 1.0
    assert not result.table["a"].any()


def test_what_is_loaded_equals_what_was_saved(tmp_path) -> None:
    result = sizes()
    path = tmp_path / "new folder" / "sizes.json"
    result.save(path)
    loaded = Sizes.load(path)
    assert loaded == result
    assert loaded.table["b"].dtype == np.int32
    assert loaded != Sizes(result.table, ("x", "z"), result.metadata)
    json.loads(path.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@given(
    st.one_of(
        hnp.arrays(
            st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), hnp.array_shapes(min_side=0)
        ),
        st.floats(),
        st.integers(),
        st.text(),
        st.none(),
        st.dictionaries(st.text(), st.floats()),
    )
)
def test_encode_and_decode_are_inverse(value: Any) -> None:
    text = json.dumps(encode(value), allow_nan=False)
    assert same(decode(json.loads(text)), value)


def test_encode_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(TypeError, match="object of type object"):
        encode({"a": object()})
    with pytest.raises(TypeError, match="keys of a mapping must be str, got int"):
        encode({1: 2})
    with pytest.raises(TypeError, match="dtype complex128"):
        encode(np.zeros(1, complex))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"kind": "other", "format": 1}',
        '{"kind": "sizes", "format": 99}',
        '{"kind": "sizes", "format": 1}',
    ],
)
def test_a_foreign_file_is_one_clear_error(tmp_path, text: str) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"foreign\.json"):
        Sizes.load(path)


def test_a_file_that_is_not_there_is_an_oserror(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json", dict)


ORIGIN = {"kernels", "blas", "blas_for", "threads", "versions"}


def test_every_result_says_what_computed_it() -> None:
    """Whoever looks for the cause of a difference has to know the kernels and the BLAS."""
    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    sizes: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 2, "max_tokens": 128}
    study = ap.study(data, schemes=["admin"], seeds=[1], progress=False, **sizes)
    grid = ap.grid(data, schemes=["admin"], progress=False, **sizes)
    run, cell = study.runs[0], grid.cells[0]
    told = [study, run, run.history, run.profile, run.gradients, run.diagnosis, run.output_change]
    told += [run.dependency_before, run.attention, run.source_use, run.updates, grid, cell, cell.history]
    for one in told:
        assert one.metadata.keys() >= ORIGIN, type(one)
        assert one.metadata["kernels"] in ("generic", "avx2", "avx512", "neon")
        assert one.metadata["blas"] == "none"


@pytest.mark.usefixtures("no_pictures")
def test_files_and_the_report_say_it_too(tmp_path: Path) -> None:
    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    sizes: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 2, "max_tokens": 128}
    study = ap.study(data, schemes=["post_ln"], seeds=[1], progress=False, out=tmp_path / "study", **sizes)
    ap.grid(data, schemes=["post_ln"], progress=False, out=tmp_path / "grid", **sizes)
    for path in ("study/study.json", "grid/grid.json"):
        assert json.loads((tmp_path / path).read_text())["metadata"].keys() >= ORIGIN
    page = (study.report(tmp_path / "report")).read_text()
    settings = page[page.index('id="settings"') :]
    assert study.metadata["kernels"] in settings
    assert study.metadata["blas"] in settings
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    path = tmp_path / "run.ckpt"
    ap.train(ap.Transformer(config), data, steps=1, checkpoint=path, progress=False)
    assert checkpoint.load(path).setup["computed by"].keys() >= ORIGIN


@pytest.mark.parametrize("way", [{"ADMIN_PY_CPU": "generic"}, {"ADMIN_PY_GEMM": "openblas"}])
def test_it_is_what_was_in_use(way: dict[str, str]) -> None:
    if "ADMIN_PY_GEMM" in way:
        pytest.importorskip("scipy_openblas32")
    found = run_script("from admin_py.base.versions import origin; print(origin())", **way)
    told = ast.literal_eval(found[0])
    assert (told["kernels"] == "generic") or "ADMIN_PY_CPU" not in way
    assert (told["blas_for"] == "all products") == ("ADMIN_PY_GEMM" in way)
    assert ("OpenBLAS" in told["blas"]) == ("ADMIN_PY_GEMM" in way)


def test_a_notebook_gets_text_that_does_nothing() -> None:
    """What comes from names and corpora is shown as escapes, and no markup of it is markup."""
    evil = "<b>a</b>\x00\x1b[31m\u202e"
    found = ap.study(
        ap.data.from_texts([f"{word} {word}" for word in "abcdefgh"], context=8, valid=2, name=evil),
        schemes="pre_ln", layers=1, d_model=8, d_ff=16, heads=2, steps=1, progress=False,
    )  # fmt: skip
    html = found._repr_html_()
    assert r"&lt;b&gt;a&lt;/b&gt;\x00\x1b[31m\u202e" in html
    assert not [one for one in html if one < " " and one != "\n"]
