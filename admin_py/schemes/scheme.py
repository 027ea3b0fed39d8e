"""A scheme: a rule that fills the fields of every residual sub-layer, and what is known of it by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_listed, check_mapping, check_number, shown
from admin_py.schemes.residual import NORMS, Residual, Site

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*")


@door
@dataclass(frozen=True)
class Scheme:
    """How residual connections are built and started: a rule from a sub-layer's place to its fields.

    Parameters
    ----------
    name : str
        Letters, digits, spaces and ``_ . + -``; files are named after it.
    rule : callable
        Takes a `Site`, returns the `Residual` there.
    source : str
        Where it is published: authors, title, arXiv number, equation.
    final_norm : {"none", "layer", "rms", "dyt"}
        Norm after the last sub-layer of a stack.
    embedding_gain : float or callable
        Factor on the standard deviation of the stack's initial embeddings; a callable takes the `Site` of the
        stack's first sub-layer.
    summary : str
        The formula in one line, for tables.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was given and what was expected.

    Examples
    --------
    A scheme of one's own: Post-LN whose skip grows from layer to layer.

    >>> from admin_py.schemes import Residual, Scale, Scheme, Site
    >>> def rule(site: Site) -> Residual:
    ...     return Residual(norm_post="layer", omega=Scale("scalar", 1 + 0.1 * site.layer))
    >>> growing = Scheme("growing_skip", rule, source="this example")
    >>> from admin_py.model.config import TransformerConfig
    >>> config = TransformerConfig(vocab_size=100, encoder_layers=3, decoder_layers=0, scheme=growing)
    >>> [residual.omega.value for residual in config.residuals("encoder")]
    [1.0, 1.0, 1.1, 1.1, 1.2, 1.2]
    """

    name: str
    rule: Callable[[Site], Residual]
    source: str = ""
    final_norm: str = field(default="none", kw_only=True)
    embedding_gain: float | Callable[[Site], float] = field(default=1.0, kw_only=True)
    summary: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name of a Scheme must be a string, got {shown(self.name)}")
        if not is_name(self.name):
            raise ValueError(
                "name of a Scheme must be letters, digits, spaces and _ . + - (files are named after it), "
                f"got {shown(self.name)}"
            )
        if not callable(self.rule):
            raise TypeError(
                f"rule of scheme {self.name!r} must take a Site and return a Residual, got {shown(self.rule)}"
            )
        for what in ("source", "summary"):
            if not isinstance(getattr(self, what), str):
                raise TypeError(
                    f"{what} of scheme {self.name!r} must be a string, got {shown(getattr(self, what))}"
                )
        check_choice(f"final_norm of scheme {self.name!r}", self.final_norm, NORMS)
        if not callable(self.embedding_gain):
            gain = check_number(f"embedding_gain of scheme {self.name!r}", self.embedding_gain, low=0.0)
            object.__setattr__(self, "embedding_gain", gain)

    def __repr__(self) -> str:
        return f"Scheme({self.name!r}, source={self.source!r})"

    def residual(self, site: Site) -> Residual:
        """The fields at a place.

        Raises
        ------
        TypeError
            If the rule returns anything but a Residual.
        """
        residual = self.rule(site)
        if not isinstance(residual, Residual):
            raise TypeError(
                f"the rule of scheme {self.name!r} must return a Residual, got {shown(residual)} for "
                f"{site.stack} layer {site.layer} {site.kind}"
            )
        return residual

    def embedding_gain_of(self, first: Site) -> float:
        """The stack's embedding gain; ``first`` is the place of its first sub-layer."""
        gain = self.embedding_gain
        if callable(gain):
            return check_number(f"embedding_gain of scheme {self.name!r}", gain(first), low=0.0)
        return gain


def is_name(text: str) -> bool:
    """Whether a text may be a scheme's name: files are named after it.

    Examples
    --------
    >>> is_name("post_ln"), is_name("../x"), is_name("")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None and text == text.strip()


@door
@dataclass(frozen=True)
class Table:
    """A rule written out, one Residual a sub-layer: what remains of a scheme whose function is not at hand.

    Examples
    --------
    >>> table = Table({"encoder": [Residual(norm_post="layer"), Residual(norm_pre="layer")]})
    >>> table(Site("encoder", 0, 1, "feed_forward", 2, encoder_layers=1, decoder_layers=0, d_model=8))
    Residual(norm_pre='layer')
    """

    residuals: Mapping[str, Iterable[Residual]] = field(hash=False)

    def __post_init__(self) -> None:
        given = check_mapping("residuals", self.residuals)
        rows = {stack: tuple(check_listed(f"residuals[{stack!r}]", given[stack])) for stack in given}
        for stack, table in rows.items():
            check_choice("residuals: a stack", stack, ("encoder", "decoder"))
            for row in table:
                if not isinstance(row, Residual):
                    raise TypeError(f"residuals must be Residuals, got {shown(row)} for the {stack}")
        object.__setattr__(self, "residuals", rows)

    def __call__(self, site: Site) -> Residual:
        rows = tuple(self.residuals.get(site.stack, ()))
        if len(rows) != site.num_sublayers:
            raise ValueError(
                f"the table of this scheme has {len(rows)} sub-layers for the {site.stack}, the model has "
                f"{site.num_sublayers}: a scheme that came from a file fits only models of its own depth"
            )
        return rows[site.sublayer]


_REGISTRY: dict[str, Scheme] = {}


@door
def register(scheme: Scheme, *, replace: bool = False) -> Scheme:
    """Make a scheme known by its name, so that configurations and the command line can say it.

    Parameters
    ----------
    scheme : Scheme
    replace : bool
        Take the place of a scheme of that name.

    Returns
    -------
    Scheme
        The same one.

    Raises
    ------
    ValueError
        If the name is taken by another scheme and ``replace`` is false.

    Examples
    --------
    >>> plain = register(Scheme("plain_residual", lambda site: Residual(), "He et al. 2016"))
    >>> get("plain_residual") is plain
    True
    >>> unregister("plain_residual")
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"register takes a Scheme, got {shown(scheme)}")
    known = _REGISTRY.get(scheme.name)
    if known is not None and known is not scheme and not replace:
        raise ValueError(
            f"a scheme named {scheme.name!r} is registered already; replace=True takes its place"
        )
    _REGISTRY[scheme.name] = scheme
    return scheme


@door
def unregister(name: str) -> None:
    """Forget a scheme; ValueError if there is none of that name."""
    get(name)
    del _REGISTRY[name]


def names() -> tuple[str, ...]:
    """Names of all registered schemes, in the order of their registration.

    Examples
    --------
    >>> names()[:3]
    ('post_ln', 'pre_ln', 'admin')
    """
    return tuple(_REGISTRY)


@door
def get(name: str) -> Scheme:
    """The scheme of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names and the nearest one.

    Examples
    --------
    >>> get("ds_init").name
    'ds_init'
    >>> get("admn")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown scheme 'admn'; did you mean 'admin'? The schemes are post_ln, ...
    """
    if not isinstance(name, str):
        raise TypeError(f"a scheme is got by its name, a string, got {shown(name)}")
    if name in _REGISTRY:
        return _REGISTRY[name]
    folded = re.sub(r"[^a-z0-9]+", "_", name.lower())
    near = difflib.get_close_matches(folded, _REGISTRY, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown scheme {shown(name)}{hint} The schemes are {', '.join(_REGISTRY)}")


def to_dict(
    scheme: Scheme, residuals: Mapping[str, Iterable[Residual]], gains: Mapping[str, float]
) -> dict[str, Any]:
    """A scheme written out as plain values.

    Parameters
    ----------
    scheme : Scheme
    residuals : mapping
        Stack -> its sub-layers, as the rule gave them.
    gains : mapping
        Stack -> its embedding gain.
    """
    return {
        "name": scheme.name,
        "source": scheme.source,
        "final_norm": scheme.final_norm,
        "embedding_gain": dict(gains),
        "sublayers": {
            stack: [residual.to_dict() for residual in table] for stack, table in residuals.items()
        },
    }


class _Written(TypedDict):
    """What `to_dict` gives."""

    name: str
    source: str
    final_norm: str
    embedding_gain: Mapping[Literal["encoder", "decoder"], float]
    sublayers: Mapping[Literal["encoder", "decoder"], list[Mapping[str, Any]]]


def from_dict(data: Mapping[str, Any]) -> Scheme:
    """The inverse of `to_dict`: a scheme whose rule is a `Table`.

    Raises
    ------
    ValueError
        If a key is missing, or a value is of another type.
    """
    missing = [
        key for key in ("name", "source", "final_norm", "embedding_gain", "sublayers") if key not in data
    ]
    if missing:
        raise ValueError(f"a scheme written out needs the key {missing[0]!r}, got the keys {', '.join(data)}")
    documents.convert(dict(data), _Written, "$.scheme")
    gains = dict(data["embedding_gain"])
    table = {stack: [Residual.from_dict(row) for row in rows] for stack, rows in data["sublayers"].items()}
    return Scheme(
        data["name"],
        Table(table),
        data["source"],
        final_norm=data["final_norm"],
        embedding_gain=StackGains(tuple(gains.items())),
    )


@dataclass(frozen=True)
class StackGains:
    """An embedding gain for each stack, written out; 1 for a stack that is not named."""

    gains: tuple[tuple[str, float], ...]

    def __call__(self, site: Site) -> float:
        return dict(self.gains).get(site.stack, 1.0)
