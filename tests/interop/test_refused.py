"""What cannot be expressed is refused by name, with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import admin_py as ap
from admin_py.interop import refused
from admin_py.interop.pretrained import FORMATS

TENSOR = {"layers.0.self_attn.q_proj.weight": np.zeros((4, 4), np.float32)}


def folder_of(folder: Path, settings: dict[str, Any], tensors: dict[str, np.ndarray]) -> Path:
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("t5", "relative positions, numbers that are added to scores of attention for each distance"),
        ("deberta-v2", "relative positions"),
        ("bloom", "ALiBi, scores of attention that fall with the distance"),
        ("mixtral", "mixtures of experts, feed-forwards that a router chooses for each token"),
        ("deepseek_v3", r"latent attention \(MLA\)"),
        ("mamba", "state spaces or recurrences"),
        ("albert", "layers that share their weights"),
    ],
)
def test_a_kind_is_refused_with_the_reason(kind: str, words: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"model_type": kind}, TENSOR)
    with pytest.raises(ValueError, match=f"cannot be expressed: {words}.*it is of the kind '{kind}'"):
        ap.load_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "relative positions"),
        ("model.layers.0.mlp.experts.3.up_proj.weight", "mixtures of experts"),
        ("model.layers.1.self_attn.kv_a_proj_with_mqa.weight", "latent attention"),
        ("backbone.layers.0.mixer.A_log", "state spaces"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"model_type": "llama"}])
def test_a_tensor_tells_it_too(name: str, words: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"cannot be expressed: {words}.*it has the tensor '{name}'"):
        ap.load_pretrained({**TENSOR, name: np.zeros((2, 2))}, settings=settings)


def test_a_setting_tells_it_too(tmp_path: Path) -> None:
    experts = ("num_local_experts", 8, "mixtures of experts")
    for setting, value, words in (("alibi", True, "ALiBi"), experts, ("kv_lora_rank", 512, "MLA")):
        folder = folder_of(tmp_path, {"model_type": "of its own", setting: value}, TENSOR)
        with pytest.raises(ValueError, match=f"cannot be expressed: .*{words}.*its {setting} is {value}"):
            ap.load_pretrained(folder)


def test_a_kind_that_nobody_knows_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"model_type": "of its own", "alibi": False, "num_experts": 0}, TENSOR)
    with pytest.raises(ValueError, match="is of the kind 'of its own', which is none of fairseq, nanogpt"):
        ap.load_pretrained(folder)


def test_nothing_that_is_read_is_refused() -> None:
    assert not set(refused.KINDS) & set(FORMATS)


def test_kinds_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    known = set(transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES)
    gone = {"nezha", "transfo-xl"}  # which its fourth version had
    assert set(refused.KINDS) - known <= gone
