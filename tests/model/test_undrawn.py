"""Models whose weights are all given others at once draw none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from admin_py.model import transformer
from admin_py.model.undrawn import draws, undrawn


class Own(ap.Transformer):
    """A kind of one's own, which knows nothing of the drawing."""

    def __init__(self, config: ap.TransformerConfig, *, seed: int = 0, dtype: str = "float32") -> None:
        super().__init__(config, seed=seed, dtype=dtype)
        self.made_anew = True


def config_of(scheme: str = "post_ln") -> ap.TransformerConfig:
    return ap.TransformerConfig(
        vocab_size=11, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=12, scheme=scheme
    )


def through_a_file(model: ap.Transformer, folder: Path) -> ap.Transformer:
    model.save(folder / "model.safetensors")
    return type(model).load(folder / "model.safetensors")


def through_tensors(model: ap.Transformer, folder: Path) -> ap.Transformer:
    ap.interop.torch.write(model, folder / "out")
    return ap.load_pretrained(folder / "out")


WAYS: dict[str, Callable[[ap.Transformer, Path], ap.Transformer]] = {
    "copy": lambda model, folder: model.copy(),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "file": through_a_file,
    "average": lambda model, folder: ap.average([model, model]),
    "tensors": through_tensors,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_of_given_weights_draws_none(way: str, tmp_path: Path, monkeypatch) -> None:
    if way == "tensors":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    model, asked = ap.Transformer(config_of(), seed=3), []

    def recorded() -> bool:
        asked.append(draws())
        return asked[-1]

    monkeypatch.setattr(transformer, "draws", recorded)
    other = WAYS[way](model, tmp_path)
    assert asked
    assert not any(asked)
    for name, values in model.parameters.items():
        assert np.array_equal(other.parameters[name], values), name


def test_folding_omega_draws_none(monkeypatch) -> None:
    model = ap.Transformer(config_of("admin"), seed=3, dtype="float64")
    batch = ap.Batch([[4, 5, 6]], [[1, 7, 2]])
    model.profile(batch)
    expected = model.forward(batch)
    monkeypatch.setattr(ap.Transformer, "load_state", record := Recorded(ap.Transformer.load_state))
    plain = model.reparameterise()
    assert record.zero
    np.testing.assert_allclose(plain.forward(batch), expected, rtol=1e-12, atol=1e-12)


class Recorded:
    """`load_state` that looks whether all weights were 0 before."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function, self.zero = function, False

    def __get__(self, model: ap.Transformer, kind: type) -> Callable[..., None]:
        def load_state(*args: object, **options: object) -> None:
            self.zero = not any(values.any() for values in model.parameters.values())
            self.function(model, *args, **options)

        return load_state


@pytest.mark.parametrize(
    "make", [lambda model: model.copy(), lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_kind_of_ones_own_is_made_by_its_own_constructor(make) -> None:
    made = make(Own(config_of(), seed=2))
    assert isinstance(made, Own)
    assert made.made_anew


def test_models_draw_again_after_it_whatever_happened() -> None:
    with undrawn():
        assert not any(values.any() for values in ap.Transformer(config_of()).parameters.values())
    with pytest.raises(TypeError, match="config"), undrawn():
        ap.Transformer("no")  # type: ignore[arg-type]
    assert ap.Transformer(config_of()).parameters["embedding.weight"].any()


def test_the_core_wants_a_bool() -> None:
    from admin_py import _core

    with pytest.raises(TypeError, match="draw"):
        _core.Transformer(config_of().to_core(), 0, "no")  # type: ignore[arg-type]
