"""One default for `max_tokens` and one for `label_smoothing`, wherever either is said."""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import admin_py as ap
from admin_py.base.defaults import LABEL_SMOOTHING, MAX_TOKENS
from admin_py.cli.given import take_given
from admin_py.data.dataset import Dataset
from admin_py.experiments.settings import DEFAULTS

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "train": ap.train,
    "diagnose": ap.diagnose,
    "plan_memory": ap.plan_memory,
    "gradients": ap.analysis.gradients,
    "output_change": ap.analysis.output_change,
    "updates": ap.analysis.updates,
    "source_use": ap.analysis.source_use,
    "batches": Dataset.batches,
    "plan": Dataset.plan,
    "num_batches": Dataset.num_batches,
}


def given(function: Callable[..., Any], name: str) -> Any:
    parameter = inspect.signature(function).parameters.get(name)
    return None if parameter is None else parameter.default


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_one_default(name: str) -> None:
    found = [given(FUNCTIONS[name], "max_tokens"), given(FUNCTIONS[name], "label_smoothing")]
    assert any(one is not None for one in found)
    assert found[0] in (None, MAX_TOKENS)
    assert found[1] in (None, LABEL_SMOOTHING)


def test_studies_and_grids_have_it() -> None:
    assert (DEFAULTS["max_tokens"], DEFAULTS["label_smoothing"]) == (MAX_TOKENS, LABEL_SMOOTHING)


@pytest.mark.parametrize("command", ["train", "profile", "info"])
def test_commands_have_it(command: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"admin_py.cli.{command}").add_arguments(parser)
    options = parser.parse_args([])
    if hasattr(options, "noted"):
        take_given(options)
    assert options.max_tokens == MAX_TOKENS
    assert getattr(options, "label_smoothing", LABEL_SMOOTHING) == LABEL_SMOOTHING


def test_analyses_on_the_command_line_have_it() -> None:
    from admin_py.cli import analyse

    parser = argparse.ArgumentParser()
    analyse.add_arguments(parser)
    options = parser.parse_args(["gradients"])
    take_given(options)
    assert options.max_tokens == MAX_TOKENS


def test_the_loss_itself_is_plain_unless_it_is_told_otherwise() -> None:
    for method in (ap.Transformer.loss, ap.Transformer.backward, ap.Transformer.observe):
        assert given(method, "label_smoothing") == given(method, "z_loss") == 0.0
