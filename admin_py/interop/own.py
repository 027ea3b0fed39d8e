"""Models of this package as plain PyTorch: what `torch_model` is made of, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.model.config import TransformerConfig
from admin_py.model.files import check_shapes
from admin_py.schemes import scheme as scheme_module

MODEL_TYPE = "admin_py"
"""Value of ``model_type`` in ``config.json``."""

MEANS_NOTHING = ()

EMBEDDINGS = ("encoder.embedding.weight", "decoder.embedding.weight", "embedding.weight")


def settings_of(config: TransformerConfig) -> dict[str, Any]:
    """A configuration as plain values, every sub-layer's fields written out.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, scheme="deepnorm")
    >>> settings_of(config)["scheme"]["sublayers"]["encoder"][1]["omega"]["value"]
    1.189207115002721
    """
    schemes = {stack: config.stack_scheme(stack) for stack in config.stacks}
    together = [config.stacks] if len(set(map(id, schemes.values()))) == 1 else [[one] for one in schemes]
    written = [
        scheme_module.to_dict(
            schemes[stacks[0]],
            {stack: config.residuals(stack) for stack in stacks},
            {stack: config.embedding_gain(stack) for stack in stacks},
        )
        for stacks in together
    ]
    settings = {"model_type": MODEL_TYPE, **config.to_dict()}
    settings["scheme"] = written[0] if len(written) == 1 else written
    return json.loads(json.dumps(settings))


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The configuration that was written out, with its scheme by name where that says the same."""
    try:
        config = TransformerConfig.from_dict(
            {name: value for name, value in settings.items() if name != "model_type"}
        )
        before = prefix(source)
        found = {name.removeprefix(before): shape for name, shape in source.shapes.items()}
        check_shapes(found, config)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source.where} does not hold a whole model of admin-py: {error}") from None
    return _by_name(config)


def _by_name(config: TransformerConfig) -> TransformerConfig:
    try:
        named = config.replace(scheme=config.scheme_name)
    except ValueError:  # a scheme of one's own, which is not registered here
        return config
    return named if named == config else config


def prefix(source: Source) -> str:
    """What wrappers put before names: ``module.`` (distributed training), ``_orig_mod.`` (compilation)."""
    for ending in EMBEDDINGS:
        for name in source.shapes:
            if name == ending or name.endswith(f".{ending}"):
                return name.removesuffix(ending)
    return ""


def places(source: Source, config: TransformerConfig) -> Callable[[str], Piece]:
    """Names are ours."""
    del config
    before = prefix(source)
    return lambda name: Piece(before + name)
