"""What a family of Hugging Face is to a model that leaves: a row of `families`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from admin_py.interop.obstacles import Allowed, differing_fields, differing_sublayers, fewest
from admin_py.interop.pieces import Places
from admin_py.interop.writing import Tensors
from admin_py.model.config import TransformerConfig
from admin_py.model.transformer import Transformer
from admin_py.schemes import Scheme, get

Settings = dict[str, Any]

POST_LN, PRE_LN = get("post_ln"), get("pre_ln")


def none(model: Transformer) -> list[str]:
    """Nothing more stands in the way."""
    del model
    return []


def as_they_are(config: TransformerConfig, tensors: Tensors) -> None:
    """Tensors are theirs without a change."""
    del config, tensors


def named(config: TransformerConfig, names: Mapping[str, str]) -> Settings:
    """Fields by the family's names of them, ours -> theirs."""
    return {theirs: getattr(config, ours) for ours, theirs in names.items()}


class Family(NamedTuple):
    """How a model is written as one of a family.

    Attributes
    ----------
    architecture : str
        Class of `transformers`.
    kind : str
        Of model, as `TransformerConfig.kind`.
    schemes : tuple of Scheme
        What its sub-layers may be.
    allowed : mapping
        What fields may be, see `obstacles.Allowed`.
    settings : callable
        What ``config.json`` says of a configuration.
    places : callable
        Where parameters lie.
    beyond : callable
        What else of a model stands in the way.
    finish : callable
        Changes the tensors where theirs are more than ours, in place.
    fixed : tuple of str
        Settings on which the tensors depend, so that nobody may give them other values.
    """

    architecture: str
    kind: str
    schemes: tuple[Scheme, ...]
    allowed: Allowed
    settings: Callable[[TransformerConfig], Settings]
    places: Callable[[TransformerConfig], Places]
    beyond: Callable[[Transformer], list[str]] = none
    finish: Callable[[TransformerConfig, Tensors], None] = as_they_are
    fixed: tuple[str, ...] = ()

    def obstacles(self, model: Transformer) -> list[str]:
        """What of a model of its kind it cannot hold."""
        ways = [differing_sublayers(model.config, scheme) for scheme in self.schemes]
        return differing_fields(model.config, self.allowed) + fewest(ways) + self.beyond(model)

    @property
    def factors(self) -> tuple[float | None, ...]:
        """Values of ``embedding_scale``."""
        return self.allowed.get("embedding_scale", (None,))
