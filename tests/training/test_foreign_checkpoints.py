"""Checkpoints from others: whatever is wrong in one, it is refused before any weight is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_training import make_model, make_optimizer, train

import admin_py as ap

STEPS = 3


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Another header; its tensors as they were, and no digest."""
    with safe_open(path, "numpy") as file:
        header = file.metadata()
    tensors = load_file(path)
    rest = json.loads(header["training"])
    change(rest)
    kept = {name: value for name, value in header.items() if name != "digest"}
    save_file(tensors, path, metadata={**kept, "training": json.dumps(rest)})


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no batch": lambda rest: rest["position"].update(batch=-1),
    "a batch that nobody has": lambda rest: rest["position"].update(batch=2**70),
    "a batch that was not read": lambda rest: rest["position"].update(batch=2**40),
    "an epoch that was not read": lambda rest: rest["position"].update(epoch=10**6),
    "a batch that is none": lambda rest: rest["position"].update(batch="1"),
    "no position": lambda rest: rest.pop("position"),
    "more than a position": lambda rest: rest["position"].update(page=1),
    "no steps": lambda rest: rest["progress"].update(step=-1),
    "a step that is none": lambda rest: rest["progress"].update(step=0.5),
    "an end that is none": lambda rest: rest["progress"].update(tail=1),
    "a reason that is none": lambda rest: rest["progress"].update(diverged_because=["x"]),
    "no optimiser's steps": lambda rest: rest.pop("optimizer_step"),
    "an optimiser that went back": lambda rest: rest.update(optimizer_step=-1),
    "an optimiser that went far": lambda rest: rest.update(optimizer_step=2**70),
    "no setup": lambda rest: rest.update(setup=[]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_before_a_weight_is_changed(case: str, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), make_optimizer(), steps=STEPS, checkpoint=path)
    changed(path, WRONG[case])
    model, optimizer = make_model(), make_optimizer()
    before, moments = model.state, copy.deepcopy(optimizer.state)
    with pytest.raises(ValueError, match=r"run\.ckpt"):
        train(model, optimizer, steps=2 * STEPS, checkpoint=path)
    np.testing.assert_equal(model.state, before)
    np.testing.assert_equal(optimizer.state, moments)


def test_a_header_that_is_only_copied_goes_on(tmp_path: Path) -> None:
    train(make_model(), make_optimizer(), steps=STEPS, checkpoint=tmp_path / "run.ckpt")
    changed(tmp_path / "run.ckpt", lambda rest: rest)
    gone_on = train(make_model(), make_optimizer(), steps=2 * STEPS, checkpoint=tmp_path / "run.ckpt")
    straight = train(make_model(), make_optimizer(), steps=2 * STEPS)
    np.testing.assert_equal(gone_on.loss, straight.loss)


@pytest.mark.parametrize("missing", ["history/loss", "weights/embedding.weight", "history/valid/nll"])
def test_a_tensor_that_is_not_there_is_named(missing: str, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), make_optimizer(), steps=STEPS, checkpoint=path)
    with safe_open(path, "numpy") as file:
        header = file.metadata()
    tensors = {name: value for name, value in load_file(path).items() if name != missing}
    save_file(tensors, path, metadata={name: value for name, value in header.items() if name != "digest"})
    model = make_model()
    before = model.state
    with pytest.raises(ValueError, match=r"run\.ckpt"):
        train(model, make_optimizer(), steps=2 * STEPS, checkpoint=path)
    np.testing.assert_equal(model.state, before)


def test_weights_of_integers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), make_optimizer(), steps=STEPS, checkpoint=path)
    with safe_open(path, "numpy") as file:
        header = file.metadata()
    tensors = load_file(path)
    name = "weights/encoder.0.self_attn.q.weight"
    tensors[name] = tensors[name].astype(np.int32)
    save_file(tensors, path, metadata={one: value for one, value in header.items() if one != "digest"})
    with pytest.raises(ValueError, match=r"run\.ckpt.*int32 for 'encoder\.0\.self_attn\.q\.weight'"):
        ap.load(path)
