"""The dict that describes a model to the core: which fields it needs, and which values they may have."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from core_configs import CONFIG, PATHS, parent
from core_objects import MODULES, both


def dotted(path: tuple[Any, ...]) -> str:
    """The path in the words of the errors."""
    words = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return words.removeprefix(".")


NAMES = [dotted(path) for path in PATHS]


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of a good configuration with one field changed."""
    config = copy.deepcopy(CONFIG)
    parent(config, path)[path[-1]] = value
    return config


def test_all_fields_are_tried() -> None:
    assert len(PATHS) == 21 + 7 + 7 + 2 * (8 + 15 + 4 + 4 + 6)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_field_that_is_missing_is_named(path: tuple[Any, ...]) -> None:
    config = copy.deepcopy(CONFIG)
    del parent(config, path)[path[-1]]
    where = dotted(path[:-1]) or "config"
    with pytest.raises(ValueError) as caught:
        MODULES["float32"].Transformer(config)
    assert str(caught.value) == f'{where} lacks the field "{path[-1]}"'


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_field_that_is_unknown_is_named(path: tuple[Any, ...]) -> None:
    for key in ("new", 7, None):
        config = copy.deepcopy(CONFIG)
        parent(config, path)[key] = 1
        with pytest.raises(ValueError) as caught:
            MODULES["float32"].Transformer(config)
        assert str(caught.value) == f"{dotted(path[:-1]) or 'config'} has an unknown field {key!r}"


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
@pytest.mark.parametrize(
    "value",
    [None, b"1", [], {}, object(), np.ones(2), np.array(1.0), 1j],
    ids=lambda value: f"{type(value).__name__} {value!r}".split(" at ")[0],
)
def test_a_field_of_a_wrong_type_is_named(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        MODULES["float32"].Transformer(changed(path, value))
    assert str(caught.value).startswith((f"{dotted(path)} ", f"{dotted(path)}."))


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_bool_is_no_number_and_a_number_no_bool(path: tuple[Any, ...]) -> None:
    value = parent(CONFIG, path)[path[-1]]
    wrong = 1 if isinstance(value, bool) else True
    with pytest.raises(TypeError, match=r" must be "):
        MODULES["float32"].Transformer(changed(path, wrong))


FLOATS = [path for path in PATHS if isinstance(parent(CONFIG, path)[path[-1]], float)]
SIZES = [path for path in PATHS if type(parent(CONFIG, path)[path[-1]]) is int]


@pytest.mark.parametrize("path", FLOATS, ids=map(dotted, FLOATS))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 10**400])
def test_a_number_that_is_not_finite_is_refused(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        MODULES["float32"].Transformer(changed(path, value))
    assert str(caught.value).startswith(f"{dotted(path)} must be a finite number, got")


@pytest.mark.parametrize("path", SIZES, ids=map(dotted, SIZES))
@pytest.mark.parametrize("value", [-1, 2**40, 2**64, -(2**70)])
def test_a_size_out_of_range_is_refused(path: tuple[Any, ...], value: int) -> None:
    with pytest.raises(ValueError) as caught:
        MODULES["float32"].Transformer(changed(path, value))
    assert str(caught.value).startswith(f"{dotted(path)} must be an integer from 0 to ")


@both
@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("heads",), 3, "heads must divide d_model: got heads 3 and d_model 8"),
        (("attention", "kv_heads"), 3, "attention.kv_heads must be an integer from 0 to 2, got 3"),
        (("attention", "head_width"), 2**30, "all heads together must have at most 1073741824 features"),
        (
            ("attention", "scale"),
            -1.0,
            "attention.scale must be positive and a normal number of float.., or 0, got -1",
        ),
        (("decoder", "sublayers", 1, "window"), 4, r"decoder.sublayers\[1\].window must be 0: only self"),
        (("attention", "qk_norm_whole"), True, "attention.qk_norm_whole must be false where"),
        (("attention", "score_cap"), 1e-310, "attention.score_cap must be positive and a normal number of"),
        (("logits_cap",), -2.0, "logits_cap must be positive and a normal number of"),
        (("d_model",), 0, "d_model must be an integer from 1"),
        (("dropout",), 1.0, r"dropout must be a probability in \[0, 1\), got 1"),
        (("norm_eps",), 0.0, "norm_eps must be positive and a normal number of float.., got 0"),
        (("embedding_scale",), -1.0, "embedding_scale must be positive and finite, or 0 for sqrt.D., got -1"),
        (("embedding_scale",), float("inf"), "embedding_scale must be a finite number, got inf"),
        (("norm_eps",), 1e-310, "norm_eps must be positive and a normal number of float.., got 1e-310"),
        (
            ("activation",),
            "tanh",
            '"quick_gelu" or "relu_squared", got \'tanh\'',
        ),
        (("encoder", "layers"), 2, r"encoder.sublayers must have 4 items \(2 layers of 2\), got 2"),
        (("encoder", "sublayers"), [], r"encoder.sublayers must have 2 items \(1 layers of 2\), got 0"),
        (("encoder", "sublayers", 1), 5, r"encoder.sublayers\[1\] must be a dict, got an object of type int"),
        (("decoder", "cross"), False, r"decoder.sublayers must have 2 items \(1 layers of 2\), got 3"),
        (
            ("encoder", "sublayers", 1, "omega", "shared"),
            True,
            r"encoder.sublayers\[1\].omega.shared must be false",
        ),
        (
            ("decoder", "sublayers", 2, "norm_post"),
            "batch",
            r'decoder.sublayers\[2\].norm_post must be "none", "layer"',
        ),
    ],
)
def test_what_cannot_be_is_refused(dtype: str, path: tuple[Any, ...], value: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        MODULES[dtype].Transformer(changed(path, value))


@both
@pytest.mark.parametrize("first", ["none", "scalar"])
def test_alphas_that_share_are_alike(dtype: str, first: str) -> None:
    """Whichever of a layer's sub-layers is the first to share: the parameter has its size."""
    config = copy.deepcopy(CONFIG)
    layer = config["decoder"]["sublayers"]
    for sublayer, kind in zip(layer, (first, "scalar", "vector"), strict=True):
        sublayer["alpha"] = {"kind": kind, "trained": True, "shared": kind != "none", "value": 1.0}
    with pytest.raises(ValueError, match=r"^decoder.sublayers\[2\].alpha is shared in its layer"):
        MODULES[dtype].Transformer(config)
    layer[2]["alpha"]["kind"] = "scalar"
    shared = [name for name in MODULES[dtype].Transformer(config).parameters if "decoder.0.alpha" in name]
    assert len(shared) == 1


@both
def test_the_whole_must_be_a_dict(dtype: str) -> None:
    for config in (None, [], "config", CONFIG.items()):
        with pytest.raises(TypeError, match="config must be a dict, got an object of type"):
            MODULES[dtype].Transformer(config)


@both
def test_a_model_of_no_conceivable_size_is_refused(dtype: str) -> None:
    config = changed(("d_model",), 2**30) | {"d_ff": 2**30}
    with pytest.raises(ValueError, match="the limit is 1e12"):
        MODULES[dtype].Transformer(config)


def test_the_configuration_is_copied() -> None:
    config = copy.deepcopy(CONFIG)
    model = MODULES["float64"].Transformer(config, seed=1)
    config["encoder"]["sublayers"].clear()
    config.clear()
    same = MODULES["float64"].Transformer(CONFIG, seed=1)
    assert np.array_equal(model.weights, same.weights)


def test_a_configuration_that_changes_while_it_is_read_does_no_harm() -> None:
    class Size:
        def __index__(self) -> int:
            config.clear()
            return 8

    config = changed(("d_model",), Size())
    with pytest.raises(ValueError, match="config lacks the field"):
        MODULES["float32"].Transformer(config)


class Wordless:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Wordless(), "an object of type Wordless of type Wordless"),
        ([7] * 1000, r"\[(7, ){33}\.\.\. of type list"),
        (10**5000, "an object of type int|10{99}"),
    ],
    ids=["repr fails", "long list", "huge integer"],
)
def test_an_error_has_words_for_every_value(value: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^max_length must be an integer.*, got ({words})"):
        MODULES["float32"].Transformer(changed(("max_length",), value))
    with pytest.raises(ValueError, match=r"^config has an unknown field an object of type Wordless$"):
        MODULES["float32"].Transformer({Wordless(): 1})
