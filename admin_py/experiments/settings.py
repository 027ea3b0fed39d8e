"""The settings of a study: checked, as plain values, and the configurations that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from admin_py import schedules
from admin_py.base.checks import check_choice, check_integer, check_number, check_probability
from admin_py.model.config import TransformerConfig
from admin_py.training.optimizers import OPTIMIZERS, Optimizer

if TYPE_CHECKING:
    from admin_py.data import Dataset

VALIDATIONS = 12
"""Times a run is validated where nothing is said."""

PROMPT = 32
CONTINUATION = 64
"""Tokens of a language model's sample: given, and to be continued."""

MAX_COUNT = 2**31 - 1


def default_optimizer(lr: float) -> Optimizer:
    """Adam as the paper uses it."""
    return OPTIMIZERS["adam"](lr)


def check_settings(data: Dataset, **given: Any) -> dict[str, Any]:
    """The checked settings, in the order in which a report lists them."""
    checked = check_training(data, given)
    encoder_layers, decoder_layers = layers_of(given["layers"], data.kind)
    lr = check_number("lr", given["lr"])
    schedule = schedules.inverse_sqrt(lr=lr, warmup=check_integer("warmup", given["warmup"], 0, MAX_COUNT))
    return {
        "seeds": _seeds(given["seeds"]),
        "encoder_layers": encoder_layers,
        "decoder_layers": decoder_layers,
        **{name: given[name] for name in ("d_model", "d_ff", "heads")},
        **{name: checked[name] for name in ("dropout", "label_smoothing", "steps", "max_tokens")},
        "valid_every": checked["valid_every"],
        "optimizer": given["optimizer"](lr=lr).to_dict(),
        "lr": lr,
        "schedule": schedule.to_dict(),
        "clip_norm": checked["clip_norm"],
        "samples": check_integer("samples", given["samples"], 0, 1000),
        "dtype": checked["dtype"],
    }


def check_training(data: Dataset, given: Mapping[str, Any]) -> dict[str, Any]:
    """What studies and grids train with alike, checked."""
    steps = check_integer("steps", given["steps"], 1, MAX_COUNT)
    valid_every = given["valid_every"]
    if valid_every is None:
        valid_every = max(1, steps // VALIDATIONS)
    clip_norm = given["clip_norm"]
    if clip_norm is not None and check_number("clip_norm", clip_norm) <= 0:
        raise ValueError(f"clip_norm must be above 0 or None, got {clip_norm!r}")
    if "valid" not in data.splits:
        raise ValueError(f"data must have a split 'valid' for validation, {data.name} has only 'train'")
    max_tokens = check_integer("max_tokens", given["max_tokens"], 1, MAX_COUNT)
    if max_tokens < data.longest:
        raise ValueError(
            f"max_tokens must be at least {data.longest}, the data's longest sequence, got {max_tokens}"
        )
    return {
        "dropout": check_probability("dropout", given["dropout"]),
        "label_smoothing": check_probability("label_smoothing", given["label_smoothing"]),
        "steps": steps,
        "max_tokens": max_tokens,
        "valid_every": check_integer("valid_every", valid_every, 1, MAX_COUNT),
        "clip_norm": clip_norm,
        "dtype": check_choice("dtype", given["dtype"], ("float32", "float64")),
    }


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
    if kind == "language_model":
        return 0, check_integer("layers", layers, 1, MAX_COUNT)
    pair = layers if isinstance(layers, (tuple, list)) else (layers, layers)
    if len(pair) != 2:
        raise ValueError(f"layers must be one number or two, got {layers!r}")
    encoder, decoder = (check_integer("layers", one, 1, MAX_COUNT) for one in pair)
    return encoder, decoder


def _seeds(seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, (str, bytes)) or not hasattr(seeds, "__iter__"):
        raise TypeError(f"seeds must be a sequence of integers, got {seeds!r}")
    checked = tuple(check_integer("seeds", seed, 0, 2**63 - 1) for seed in seeds)
    if not checked or len(set(checked)) < len(checked):
        raise ValueError(f"seeds must be at least one, all different, got {list(checked)}")
    return checked


def configuration(data: Dataset, settings: Mapping[str, Any], scheme: Any) -> TransformerConfig:
    """The configuration of one scheme's models."""
    sizes = ("encoder_layers", "decoder_layers", "d_model", "d_ff", "heads", "dropout")
    return TransformerConfig(
        vocab_size=data.vocab_size,
        max_length=max(data.longest, PROMPT + CONTINUATION),
        scheme=scheme,
        **{name: settings[name] for name in sizes},
    )


def configurations(data: Dataset, settings: Mapping[str, Any], schemes: Any) -> dict[str, TransformerConfig]:
    """Name of a scheme -> configuration of its models."""
    if isinstance(schemes, (str, bytes)) or not hasattr(schemes, "__iter__"):
        raise TypeError(f"schemes must be a sequence of names or schemes, got {schemes!r}")
    configs: dict[str, TransformerConfig] = {}
    for scheme in schemes:
        config = configuration(data, settings, scheme)
        if config.scheme_name in configs:
            raise ValueError(f"schemes must be all different, got {config.scheme_name!r} twice")
        configs[config.scheme_name] = config
    if not configs:
        raise ValueError("schemes must name at least one scheme, got none")
    return configs


def describe(data: Dataset) -> dict[str, Any]:
    """What a study keeps of its data."""
    return {
        "name": data.name,
        "kind": data.kind,
        "vocab_size": data.vocab_size,
        "unigram_entropy": data.unigram_entropy(),
        "description": str(data.describe()),
        "fingerprint": data.fingerprint,
    }
