"""A recipe: what a training is, as plain values that are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_mapping, check_text, shown
from admin_py.base.plain_values import freeze_field, thaw
from admin_py.data.dataset import Dataset
from admin_py.data.tokenizer import MAX_VOCAB
from admin_py.experiments.configuration import MODEL_AXES, configuration
from admin_py.experiments.setting_checks import Check, choice, integer
from admin_py.experiments.settings import DEFAULTS, SETTINGS
from admin_py.experiments.train_settings import (
    AVERAGE,
    DECODING,
    MODEL,
    OPTIMIZER,
    TRAIN_SETTINGS,
    meaningless,
    model_settings,
    optimizer_of,
    schedule_of,
    setting,
)
from admin_py.model.config import TransformerConfig
from admin_py.model.transformer import Transformer

KINDS = ("pairs", "text", "numbers")
"""Of data: pairs of lines, one text, or the generated task."""


def _checks(*names: str) -> dict[str, Check]:
    return {name: setting(name).check for name in names}


GROUPS: Mapping[str, Mapping[str, Check]] = {
    "data": {
        "kind": choice(KINDS),
        "vocab_size": integer(5, MAX_VOCAB),
        "context": integer(1, MAX_COUNT),
    },
    "model": {
        "scheme": SETTINGS["schemes"].check,
        "layers": lambda name, value: SETTINGS["layers"].check(name, _tuple(value)),
        **_checks(*MODEL_AXES, *(one.name for one in MODEL)),
    },
    "optimizer": _checks("optimizer", "beta2", *(one.name for one in OPTIMIZER)),
    "schedule": _checks("schedule", "lr", "warmup", "initial_lr", "final_lr"),
    "training": _checks("steps", "max_tokens", "accumulate", "clip_norm", "label_smoothing", "z_loss"),
    "averaging": {"average": AVERAGE},
    "decoding": DECODING,
}
"""Part of a recipe -> name of a value -> its check."""


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@door
@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe:
    """A training as data: `admin_py.recipes.load` reads one.

    Parameters
    ----------
    name : str
    summary : str
        What it trains.
    source : str
        Where its values are from.
    sources : mapping of str to str
        Of single values that are from elsewhere, by their names, such as ``"training.steps"``.
    data : mapping
        ``kind`` ("pairs" of lines, a "text", or "numbers"), and ``vocab_size`` and ``context`` of a
        vocabulary that is learned and of a language model.
    model : mapping
        As `TransformerConfig` calls it, but ``layers``: of each stack, or of encoder and decoder.
    optimizer : mapping
        ``optimizer`` by its name, ``beta1``, ``beta2``, ``eps``, ``weight_decay``.
    schedule : mapping
        ``schedule`` by its name, ``lr``, ``warmup``, ``initial_lr``, ``final_lr``.
    training : mapping
        ``steps``, ``max_tokens``, ``accumulate``, ``clip_norm``, ``label_smoothing``, ``z_loss``.
    averaging : mapping
        ``average``: of the weights of so many of the last epochs.
    decoding : mapping
        Options of `admin_py.generation.beam_search`.

    Raises
    ------
    TypeError, ValueError
        Naming the value, what was given and what was expected; also for a name that there is not.

    Examples
    --------
    >>> import admin_py as ap
    >>> recipe = ap.recipes.load("numbers").replace(model={"layers": 1}, training={"steps": 2})
    >>> data = ap.data.number_words(train=50, valid=10)
    >>> model = recipe.make_model(data, seed=1)
    >>> history = ap.train(model, data, **recipe.arguments(), progress=False)
    >>> history.num_steps, model.config.d_model, model.config.scheme_name
    (2, 64, 'admin')
    """

    name: str
    summary: str = ""
    source: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    averaging: Mapping[str, Any] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("name", "summary", "source"):
            check_text(name, getattr(self, name))
        for group in GROUPS:
            checked = _checked(group, getattr(self, group))
            object.__setattr__(self, group, freeze_field(group, checked))
        for place, told in check_mapping("sources", self.sources).items():
            group, _, name = str(place).partition(".")
            if group not in GROUPS or name not in getattr(self, group):
                raise ValueError(f"sources: there is no value {shown(place)} in the recipe")
            check_text(f"sources[{place!r}]", told)
        object.__setattr__(self, "sources", freeze_field("sources", dict(self.sources)))
        values = self._values()
        without = meaningless(values)
        if without is not None:
            raise ValueError(
                f"{without} has no meaning for the optimizer {values['optimizer']}, which has none"
            )
        schedule_of(values)

    def replace(self, **parts: Any) -> Recipe:
        """The recipe with other values.

        Parameters
        ----------
        **parts
            A mapping of each part with other values, which are merged into it: ``model={"layers": 6}``.
            Another optimiser has its own betas, eps and weight decay where they are not given, another
            schedule ends where it does. Sources of values that are replaced are left out.

        Raises
        ------
        TypeError, ValueError
            As the class.
        """
        made = {one.name: thaw(getattr(self, one.name)) for one in fields(self)}
        for name, value in parts.items():
            if name not in made:
                raise TypeError(f"a recipe has no {shown(name)}; its parts are {', '.join(GROUPS)}")
            made[name] = self._merged(name, value) if name in GROUPS else value
        if "sources" not in parts:
            made["sources"] = {
                place: told for place, told in self.sources.items() if self._stays(place, made)
            }
        return Recipe(**made)

    def _merged(self, group: str, given: Any) -> dict[str, Any]:
        """A part with other values; of another optimiser or schedule without what that may not have."""
        before, now = thaw(getattr(self, group)), check_mapping(group, given)
        if group in now and now[group] != before.get(group):
            before = {name: value for name, value in before.items() if name in ("lr", "warmup", "initial_lr")}
        return {**before, **now}

    def _stays(self, place: str, made: Mapping[str, Any]) -> bool:
        """Whether the value of which a source tells is the same in what is made."""
        group, _, name = place.partition(".")
        before = getattr(self, group)
        return name in made[group] and made[group][name] == thaw(before)[name]

    def config(self, data: Dataset) -> TransformerConfig:
        """The configuration of its model for data."""
        values = self._values()
        more = model_settings(values, data.longest)
        return configuration(values, data.kind, vocab_size=data.vocab_size, **more)

    def make_model(self, data: Dataset, *, seed: int = 0, dtype: str = "float32") -> Transformer:
        """A fresh model of it for data."""
        return Transformer(self.config(data), seed=seed, dtype=dtype)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `admin_py.train` beside model and data, with a fresh optimiser."""
        values = self._values()
        told = {name: values[name] for name in GROUPS["training"]}
        return {"optimizer": optimizer_of(values), "schedule": schedule_of(values), **told}

    def settings(self) -> dict[str, Any]:
        """What a `TrainedModel` of it keeps as settings: by ``decoding`` it translates as the recipe says."""
        return {"recipe": self.name, **{group: thaw(getattr(self, group)) for group in GROUPS}}

    def __repr__(self) -> str:
        return f"Recipe({self.name!r}, {self.summary})"

    def _values(self) -> dict[str, Any]:
        """All values of a training, by their names, with the usual ones where it says nothing."""
        usual = {**DEFAULTS, **{name: one.default for name, one in TRAIN_SETTINGS.items()}, "scheme": "admin"}
        own = {name: value for group in TRAINED for name, value in getattr(self, group).items()}
        return usual | own


TRAINED = ("model", "optimizer", "schedule", "training")
"""Parts of which a training is made; their names are all different."""


def _checked(group: str, given: Any) -> dict[str, Any]:
    """The values of a part, each by its check."""
    known = GROUPS[group]
    checked = {}
    for name, value in check_mapping(group, given).items():
        if name not in known:
            raise ValueError(f"{group} has no {shown(name)}; it may have {', '.join(known)}")
        checked[name] = known[name](f"{group}.{name}", value)
    return checked
