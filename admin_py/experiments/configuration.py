"""The configuration of a model, from the settings that it may vary in and the kind of its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.base.checks import shown
from admin_py.experiments.setting_checks import check_layers
from admin_py.model.config import TransformerConfig

MODEL_AXES = ("d_model", "d_ff", "heads", "dropout", "activation", "init_gain")
"""Axes that go into the configuration under their names."""


def layers_of(layers: Any, kind: str) -> tuple[int, int]:
    """Layers of encoder and decoder, from one number or two and the kind of the data.

    Raises
    ------
    ValueError, TypeError
        If they are not numbers from 1, or two for a language model.

    Examples
    --------
    >>> layers_of(18, "translation"), layers_of((18, 6), "translation"), layers_of(4, "language_model")
    ((18, 18), (18, 6), (0, 4))
    """
    checked = check_layers("layers", layers)
    if kind == "language_model":
        if isinstance(checked, tuple):
            raise ValueError(
                f"layers must be one number for a language model, which has one stack, got {shown(layers)}"
            )
        return 0, checked
    return checked if isinstance(checked, tuple) else (checked, checked)


def configuration(values: Mapping[str, Any], kind: str, **more: Any) -> TransformerConfig:
    """The configuration of one model.

    Parameters
    ----------
    values : mapping
        ``scheme``, ``layers`` and all of `MODEL_AXES`; others are not looked at.
    kind : {"translation", "language_model"}
        Of the data.
    **more
        What the data decide: ``vocab_size``, ``max_length``.

    Raises
    ------
    TypeError, ValueError
        As `TransformerConfig` and `layers_of`.

    Examples
    --------
    >>> values = {"scheme": "admin", "layers": (3, 2), "d_model": 8, "d_ff": 16, "heads": 2, "dropout": 0.1,
    ...           "activation": "relu", "init_gain": 1.0, "lr": 1e-3}
    >>> config = configuration(values, "translation", vocab_size=20)
    >>> config.encoder_layers, config.decoder_layers
    (3, 2)
    """
    encoder_layers, decoder_layers = layers_of(values["layers"], kind)
    return TransformerConfig(
        scheme=values["scheme"],
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        **{axis: values[axis] for axis in MODEL_AXES},
        **more,
    )
