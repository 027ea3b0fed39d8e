"""The page of one model: its parts, its tables, text that does nothing, what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_results import made_examination

from admin_py.report.model_page import entries, write_model_page
from admin_py.report.picture import Absent, Picture


@pytest.mark.usefixtures("no_pictures")
def test_every_picture_has_its_table_and_its_words(tmp_path: Path) -> None:
    found = made_examination()
    path = write_model_page(found, tmp_path / "page")
    text = path.read_text("utf-8")
    shown = list(entries(found))
    assert all(isinstance(one, Picture) for one in shown)
    for one in shown:
        assert isinstance(one, Picture)
        assert f'id="{one.name}"' in text
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / "page" / "data" / f"{one.name}.csv"),
            one.table().reset_index(drop=True),
            check_dtype=False,
            rtol=1e-12,
        )
    assert "before training" not in text
    table = pd.read_csv(tmp_path / "page" / "data" / "sublayers.csv")
    assert len(table) == len(found.to_dataframe())
    assert "With the same weights Admin: in the encoder it would scale skips by" in text


def test_pictures_are_drawn(tmp_path: Path) -> None:
    text = made_examination().report(tmp_path).read_text("utf-8")
    shown = list(entries(made_examination()))
    assert text.count("<svg") == len(shown) == 11


@pytest.mark.usefixtures("no_pictures")
def test_names_do_nothing(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>{{ 7 * 7 }}\u202e"
    text = write_model_page(replace(made_examination(), name=evil), tmp_path).read_text("utf-8")
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text
    assert "\u202e" not in text


@pytest.mark.usefixtures("no_pictures")
def test_what_is_missing_is_said(tmp_path: Path) -> None:
    gone = dict.fromkeys(("profile", "admin", "gradients", "dependency", "output_change"))
    why = {name: f"no {name} today" for name in gone}
    found = replace(made_examination(), **gone, without=why)  # type: ignore[arg-type]
    assert all(isinstance(one, Absent) for one in entries(found))
    text = write_model_page(found, tmp_path).read_text("utf-8")
    for reason in why.values():
        assert reason in text
