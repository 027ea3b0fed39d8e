"""All analyses on models of other libraries, a family a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import admin_py as ap

pytest.importorskip("torch")
pytest.importorskip("transformers")

from hugging_face_models import CLASSES, TRANSLATORS, theirs


@pytest.mark.parametrize("kind", [*CLASSES, *TRANSLATORS])
def test_every_analysis_works_on_it(kind: str, tmp_path: Path) -> None:
    model = ap.load_pretrained(theirs(kind).float())
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 19, 13).tolist() for _ in range(4)]
    batch = ap.Batch(texts, texts) if kind in TRANSLATORS else ap.Batch(texts)
    before = {name: value.copy() for name, value in model.parameters.items()}
    dependency = ap.analysis.dependency(model, batch)
    assert np.isfinite(dependency.own("decoder")).all()
    assert len(dependency.sublayers["decoder"]) == model.config.num_sublayers("decoder")
    assert ap.analysis.output_change(model, batch).stacks == model.config.stacks
    assert ap.analysis.gradients(model, batch).stacks == model.config.stacks
    assert ap.diagnose(model, batch).verdict
    seen = model.observe(batch)
    for one in seen["decoder.0.self_attn.probabilities"]:
        np.testing.assert_allclose(one.sum(axis=-1), 1.0, atol=1e-5)
    assert all(np.array_equal(value, before[name]) for name, value in model.parameters.items())
    model.save(tmp_path / "model.safetensors")
    again = ap.load(tmp_path / "model.safetensors")
    assert again.config == model.config
    np.testing.assert_array_equal(again.forward(batch), model.forward(batch))
