"""Studies and grids that are written into folders which have others already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import admin_py as ap

SMALL: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 2, "progress": False}


def trained(kind: str, **settings: Any) -> Any:
    data = ap.data.copy_task(symbols=8, train=40, valid=8, seed=1)
    return getattr(ap, kind)(data, **{**SMALL, **settings})


@pytest.mark.parametrize("kind", ["study", "grid"])
def test_a_folder_of_another_is_left_as_it_is(kind: str, tmp_path: Path) -> None:
    first = trained(kind, schemes=["post_ln", "pre_ln"])
    first.save(tmp_path)
    for other in (trained(kind, schemes=["post_ln"]), trained(kind, schemes=["admin"], steps=3)):
        with pytest.raises(ValueError, match=rf"s that this {kind} has not.*choose a folder of its own"):
            other.save(tmp_path)
        assert ap.load(tmp_path) == first


@pytest.mark.parametrize("kind", ["study", "grid"])
def test_the_same_and_more_of_it_are_written_again(kind: str, tmp_path: Path) -> None:
    trained(kind, schemes=["post_ln"]).save(tmp_path)
    more = trained(kind, schemes=["post_ln", "pre_ln"])
    more.save(tmp_path)
    more.save(tmp_path)
    assert ap.load(tmp_path) == more


@pytest.mark.parametrize("kind", ["study", "grid"])
def test_a_kill_after_a_model_is_written_leaves_nothing_whole_beside_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(kind, schemes=["post_ln"], keep_models=True).save(tmp_path)
    again = trained(kind, schemes=["post_ln"], keep_models=True, steps=3)
    save = ap.Transformer.save

    def save_and_end(model: ap.Transformer, path: Any) -> None:
        save(model, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(ap.Transformer, "save", save_and_end)
    with pytest.raises(KeyboardInterrupt):
        again.save(tmp_path)
    left = ap.load(tmp_path)
    assert (left.runs if kind == "study" else left.cells) == ()


@pytest.mark.parametrize("kind", ["study", "grid"])
def test_a_folder_of_data_with_other_words_is_refused_though_the_ids_are_the_same(
    kind: str, tmp_path: Path
) -> None:
    words = [(f"{a} {b}", f"{b} {a}") for a in "abc" for b in "abc"]
    capitals = [(source.upper(), target.upper()) for source, target in words]
    first, second = (ap.data.from_texts(one, pretokenized=True, valid=2) for one in (words, capitals))
    assert first.fingerprint == second.fingerprint
    options = {**SMALL, "schemes": "admin", "out": tmp_path}
    getattr(ap, kind)(first, **options)
    digits = [one.tokenizer.fingerprint[:8] for one in (first, second)]
    told = (
        rf"holds a {kind} of data of another vocabulary, 'texts' \({digits[0]}\), not 'texts' \({digits[1]}\)"
    )
    with pytest.raises(ValueError, match=told):
        getattr(ap, kind)(second, **options)
    assert not getattr(ap, kind)(first, **options).interrupted
