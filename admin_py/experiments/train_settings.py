"""Settings of a single training beside those of studies and grids, and what is made of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from admin_py.base.checks import MAX_COUNT, check_bool, check_number, check_probability, shown
from admin_py.experiments.setting_checks import Check, beta, choice, integer, optional, positive
from admin_py.experiments.settings import OPTIMIZERS, SCHEDULES, SETTINGS, Setting
from admin_py.generation.beam import PENALTIES, STOPS
from admin_py.model.config import BIASES, MAX_SIZE, POSITIONS, SHARING
from admin_py.schedules import Schedule
from admin_py.schemes import NORMS
from admin_py.training import optimizers
from admin_py.training.optimizers import Optimizer


def _from_zero(name: str, value: Any) -> float:
    return check_number(name, value, low=0.0)


def check_pair(name: str, value: Any) -> tuple[float, float]:
    """A pair (a, b), for a n + b tokens."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{name} must be a pair (a, b), for a n + b tokens, got {shown(value)}")
    a, b = (_from_zero(name, one) for one in value)
    return a, b


MODEL = (
    Setting(
        "attention_dropout", 0.0, check_probability, "on attention probabilities", kind=float, metavar="P"
    ),
    Setting("activation_dropout", 0.0, check_probability, "after the activation", kind=float, metavar="P"),
    Setting(
        "gated",
        None,
        optional(check_bool),
        "whether a second map gates the hidden units, as SwiGLU's (no)",
        kind=bool,
    ),
    Setting("bias", "all", choice(BIASES), "which linear maps add one", choices=BIASES),
    Setting("output_bias", None, optional(check_bool), "whether logits have a bias (no)", kind=bool),
    Setting("logits_scale", None, optional(positive), "factor on logits (1)", kind=float, metavar="X"),
    Setting(
        "embedding_scale", None, optional(positive), "factor on embeddings (sqrt D)", kind=float, metavar="X"
    ),
    Setting("embedding_norm", "none", choice(NORMS), "of embeddings and positions together", choices=NORMS),
    Setting("norm_eps", None, optional(positive), "of all norms (1e-5)", kind=float, metavar="X"),
    Setting("share_embeddings", "all", choice(SHARING), "which embeddings are one matrix", choices=SHARING),
    Setting("positions", "sinusoidal", choice(POSITIONS), "", choices=POSITIONS),
    Setting(
        "head_width",
        None,
        optional(integer(1, MAX_SIZE)),
        "features of a head of attention (D / H)",
        kind=int,
        metavar="K",
    ),
    Setting(
        "kv_heads",
        None,
        optional(integer(1, MAX_SIZE)),
        "heads of keys and values (H)",
        kind=int,
        metavar="G",
    ),
    Setting(
        "attention_scale",
        None,
        optional(positive),
        "of products of queries and keys (1 / sqrt K)",
        kind=float,
        metavar="X",
    ),
    Setting("rotary_theta", None, optional(positive), "of rotary positions (10000)", kind=float, metavar="X"),
    Setting(
        "rotary_width",
        None,
        optional(integer(1, MAX_SIZE)),
        "features of a head that rotary positions turn (all)",
        kind=int,
        metavar="N",
    ),
    Setting(
        "rotary_interleaved",
        None,
        optional(check_bool),
        "whether rotary positions turn neighbours, and not halves (no)",
        kind=bool,
    ),
    Setting(
        "attention_window",
        None,
        optional(integer(1, MAX_SIZE)),
        "tokens that a token sees, itself the last (all)",
        kind=int,
        metavar="W",
    ),
    Setting("qk_norm", "none", choice(NORMS), "of queries and keys, before they are turned", choices=NORMS),
    Setting(
        "qk_norm_whole",
        None,
        optional(check_bool),
        "whether that norm is of all heads together (no)",
        kind=bool,
    ),
    Setting("score_cap", None, optional(positive), "of scores of attention (none)", kind=float, metavar="X"),
    Setting("logits_cap", None, optional(positive), "of logits (none)", kind=float, metavar="X"),
    Setting(
        "max_length",
        None,
        optional(integer(1, MAX_SIZE)),
        "tokens that the model reads (those of the longest example)",
        kind=int,
        metavar="N",
    ),
)

OPTIMIZER = (
    Setting("beta1", None, optional(beta), "decay of the first moment (.9)", kind=float, metavar="X"),
    Setting("eps", None, optional(positive), "of the optimiser (1e-9)", kind=float, metavar="X"),
    Setting(
        "weight_decay", None, optional(_from_zero), "of the optimiser (its own)", kind=float, metavar="X"
    ),
)

TRAINING = (
    Setting("initial_lr", 0.0, _from_zero, "where the warm-up begins", kind=float, metavar="X"),
    Setting("final_lr", 0.0, _from_zero, "where linear and cosine end", kind=float, metavar="X"),
    Setting("z_loss", 0.0, _from_zero, "of log(sum of e^logits)^2 in the loss", kind=float, metavar="X"),
    Setting("accumulate", 1, integer(1, MAX_COUNT), "batches of one update", kind=int, metavar="N"),
)

AVERAGE = optional(integer(1, MAX_COUNT))

DECODING: Mapping[str, Check] = {
    "beam": integer(1, MAX_COUNT),
    "length_penalty": check_number,
    "penalty": choice(PENALTIES),
    "min_length": integer(0, MAX_COUNT),
    "max_length": check_pair,
    "no_repeat_ngram": integer(0, MAX_COUNT),
    "stop": choice(STOPS),
}
"""Options of `beam_search` that a training may say -> their checks."""

TRAIN_SETTINGS: Mapping[str, Setting] = {one.name: one for one in (*MODEL, *OPTIMIZER, *TRAINING)}
"""Name -> row, as `SETTINGS` has those of studies and grids, too."""


def model_settings(values: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """What a configuration takes beside the axes of studies and grids; those that are not given are left out.

    Examples
    --------
    >>> model_settings({"positions": "learned", "max_length": None, "lr": 1.0}, longest=12)
    {'max_length': 12, 'positions': 'learned'}
    """
    given = {one.name: values[one.name] for one in MODEL if values.get(one.name) is not None}
    return {"max_length": longest} | given


def meaningless(values: Mapping[str, Any]) -> str | None:
    """The first value that is given and that the optimiser has not.

    Examples
    --------
    >>> meaningless({"optimizer": "sgd", "beta2": 0.9}), meaningless({"optimizer": "adam", "beta2": 0.9})
    ('beta2', None)
    """
    told = OPTIMIZERS[values["optimizer"]](lr=0.0).to_dict()
    places = {"beta1": "betas", "beta2": "betas", "eps": "eps", "weight_decay": "weight_decay"}
    wanted = [name for name, place in places.items() if values.get(name) is not None and place not in told]
    return wanted[0] if wanted else None


def optimizer_of(values: Mapping[str, Any]) -> Optimizer:
    """The optimiser of ``optimizer``, ``lr``, and what is given of betas, eps and weight decay.

    Examples
    --------
    >>> optimizer_of({"optimizer": "radam", "lr": 7e-4, "beta2": 0.99, "weight_decay": 1e-4})
    RAdam(lr=0.0007, betas=(0.9, 0.99), eps=1e-09, weight_decay=0.0001)
    """
    told = OPTIMIZERS[values["optimizer"]](lr=values["lr"]).to_dict()
    if "betas" in told:
        given = (values.get("beta1"), values.get("beta2"))
        told["betas"] = [
            usual if one is None else one for one, usual in zip(given, told["betas"], strict=True)
        ]
    for name in ("eps", "weight_decay"):
        if values.get(name) is not None:
            told[name] = values[name]
    return optimizers.from_dict(told)


def schedule_of(values: Mapping[str, Any]) -> Schedule:
    """The schedule of ``schedule``, ``lr``, ``warmup``, ``steps``, and its ends where they are not 0.

    Raises
    ------
    ValueError
        If the schedule has no end, or as it does.

    Examples
    --------
    >>> schedule_of({"schedule": "cosine", "lr": 1e-3, "warmup": 100, "steps": 2000, "final_lr": 1e-4})
    cosine(lr=0.001, warmup=100, steps=2000, final=0.0001)
    """
    made = SCHEDULES[values["schedule"]](values["lr"], values["warmup"], values["steps"])
    if values.get("initial_lr"):
        made = dataclasses.replace(made, initial=values["initial_lr"])
    if values.get("final_lr"):
        if not hasattr(made, "final"):
            raise ValueError(
                f"final_lr has no meaning for the schedule {values['schedule']}, which has no end"
            )
        made = dataclasses.replace(made, final=values["final_lr"])  # type: ignore[call-arg]
    return made


def setting(name: str) -> Setting:
    """The row of a setting, of either table."""
    return TRAIN_SETTINGS[name] if name in TRAIN_SETTINGS else SETTINGS[name]
