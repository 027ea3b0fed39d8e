"""What studies and grids have in common: trainings with places on axes, and the folder they are kept in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from admin_py.base.checks import attribute_of, check_choice, check_instance, check_listed, shown
from admin_py.experiments.settings import ARGUMENT_OF, AXES, show
from admin_py.experiments.told import check_cross
from admin_py.experiments.translations import lacks_translations
from admin_py.results import Result

PLACES = (*AXES, "encoder", "decoder")
"""What runs and cells may be told apart by: the axes, and the two schemes of a hybrid."""

_AXIS_OF = {argument: axis for axis, argument in ARGUMENT_OF.items()}


class Member(Protocol):
    """A run or a cell."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Axis -> value."""

    @property
    def name(self) -> str:
        """Of its files."""


C = TypeVar("C", bound="Cross")
M = TypeVar("M", bound=Member)
T = TypeVar("T")


def at(member: Member, place: str) -> Any:
    """The value of an axis, or the encoder's or decoder's scheme, of a run or cell."""
    if place in ("encoder", "decoder"):
        parts = str(member.values["scheme"]).split("/")
        return parts[0] if place == "encoder" else parts[-1]
    return member.values.get(place)


def place_of(name: str) -> str:
    """An axis by its own name or its argument's; ValueError for others.

    Examples
    --------
    >>> place_of("scheme"), place_of("schemes"), place_of("lr")
    ('scheme', 'scheme', 'lr')
    """
    return check_choice("axis", _AXIS_OF.get(name, name), PLACES)


def check_members(members: Any, kind: type[T]) -> list[T]:
    """Runs or cells that are given; TypeError for anything else."""
    return [check_instance("members: one", one, kind) for one in check_listed("members", members, "results")]


@dataclass(frozen=True, eq=False, repr=False)
class Cross(Result):
    """Trainings of a cross of settings.

    Attributes
    ----------
    settings : mapping
        What all have in common: steps, schedule, label smoothing, dtype.
    axes : mapping
        Axis -> its values, in order.
    asked : tuple of str
        Names of those that the last call asked for.
    data : mapping
        ``name``, ``kind``, ``vocab_size``, ``unigram_entropy`` (nats per token or None), ``description``.
    metadata : mapping
        Kernels, threads, versions, dtype.
    """

    settings: Mapping[str, Any]
    axes: Mapping[str, tuple[Any, ...]]
    asked: tuple[str, ...]
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def _check_told(self) -> None:
        check_cross(self.settings, self.axes, self.data)

    @property
    @abstractmethod
    def members(self) -> tuple[Any, ...]:
        """Runs or cells, in the order of the axes' values, the last axis fastest."""

    @abstractmethod
    def with_members(self: C, members: Iterable[Any], **changes: Any) -> C:
        """The same with other members."""

    @property
    def interrupted(self) -> bool:
        """Whether some that were asked for are not there, or not translated, as after Ctrl-C."""
        there = {one.name for one in self.members if not self._lacks(one)}
        return not set(self.asked) <= there

    def _lacks(self, member: Any) -> bool:
        """Whether a whole one is without translations that were asked for."""
        return self.settings.get("bleu") is not None and lacks_translations(member)

    @property
    def entropy(self) -> float | None:
        """Unigram entropy of the data, nats per token."""
        return self.data.get("unigram_entropy")

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of the models."""
        return ("decoder",) if self.data.get("kind") == "language_model" else ("encoder", "decoder")

    def values(self, axis: str) -> tuple[Any, ...]:
        """The values of an axis, or of ``"encoder"`` or ``"decoder"``, in order.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        axis = place_of(axis)
        there = dict.fromkeys(at(one, axis) for one in self.members)
        if axis in self.axes:
            return tuple(value for value in self.axes[axis] if value in there)
        return tuple(there)

    @property
    def several(self) -> tuple[str, ...]:
        """Axes with more than one value, from the slowest to the fastest."""
        return tuple(axis for axis in AXES if len(self.values(axis)) > 1)

    def select(self: C, **values: Any) -> C:
        """Those with these values of axes.

        Parameters
        ----------
        **values
            Axis -> one value, or a list of values: ``layers=(6, 12)`` is one model of 6 + 12 layers,
            ``layers=[6, 12]`` are two depths.

        Raises
        ------
        ValueError
            For an axis that there is not, and where nothing is left.
        """
        wanted = {place_of(name): _wanted(name, given) for name, given in values.items()}
        kept = [
            one for one in self.members if all(at(one, axis) in allowed for axis, allowed in wanted.items())
        ]
        if not kept:
            given = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
            have = {name: self.values(name) for name in values}
            raise ValueError(f"nothing with {given}; there is {have}")
        names = {one.name for one in kept}
        axes = {axis: tuple(v for v in own if _has(kept, axis, v)) for axis, own in self.axes.items()}
        return self.with_members(kept, axes=axes, asked=tuple(name for name in self.asked if name in names))

    def need_one(self, *free: str) -> None:
        """That nothing varies but the axes named.

        Raises
        ------
        ValueError
            Naming an axis that does, and how to choose one of its values.
        """
        for axis in self.several:
            if axis not in free:
                shown = ", ".join(map(show, self.values(axis)))
                raise ValueError(f"{axis} varies too ({shown}); choose one with select({axis}=...)")


def _wanted(name: str, given: Any) -> tuple[Any, ...]:
    """Values that are asked for; a pair of equal depths is one number, a pair of schemes its name."""
    several = given if isinstance(given, list) else [given]
    return tuple(_normal(place_of(name), value) for value in several)


def _normal(axis: str, value: Any) -> Any:
    if axis == "layers" and isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    if axis == "scheme" and isinstance(value, tuple):
        names = dict.fromkeys(str(attribute_of(one, "name", one)) for one in value)
        return "/".join(names)
    return attribute_of(value, "name", value) if axis in ("scheme", "encoder", "decoder") else value


def _has(members: Iterable[Member], axis: str, value: Any) -> bool:
    return any(at(one, axis) == value for one in members)


def in_order(members: Iterable[M], axes: Mapping[str, tuple[Any, ...]]) -> tuple[M, ...]:
    """Members in the order of their axes' values."""
    rank = {axis: {value: i for i, value in enumerate(values)} for axis, values in axes.items()}

    def key(member: M) -> tuple[Any, ...]:
        places = (rank.get(axis, {}).get(member.values.get(axis), 0) for axis in AXES)
        return (*places, member.name)

    return tuple(sorted(members, key=key))


def axes_of(values: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Axis -> values, in the order in which trainings have them."""
    listed = list(values)
    return {axis: tuple(dict.fromkeys(one[axis] for one in listed)) for axis in AXES}


def grown(cross: C, old: C) -> C:
    """A cross whose axes also have the values of an earlier call's."""
    axes = {axis: tuple(dict.fromkeys((*old.axes.get(axis, ()), *own))) for axis, own in cross.axes.items()}
    return replace(cross, axes=axes)
