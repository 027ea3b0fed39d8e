"""One residual sub-layer as data: the fields of the one formula that every scheme fills.

::

    h   = s * Npre(x)                           or s * Npre(x_layer) where it is parallel
    a   = f(h)                                  f: attention or feed-forward, dropout on a
    y   = omega (.) r + alpha (.) Nbranch(a) + kappa * x_layer        r = x or Npre(x)
    out = Npost(y)

x is the input of the sub-layer, x_layer that of its layer; omega scales the skip, alpha the branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_choice, check_number, shown

NORMS = ("none", "layer", "rms", "dyt")
"""No norm, LayerNorm, RMSNorm, DyT (gamma tanh(scale x) + nu)."""

SCALE_KINDS = ("none", "scalar", "vector")
"""1 and no parameter; one number; one number a feature."""

INITS = ("xavier_uniform", "xavier_normal", "looks_linear")
"""Distribution of the initial weights; looks-linear is Xavier uniform with fc1 = [W; -W], fc2 = [U, -U]."""

WEIGHTS = ("q", "k", "v", "out", "fc1", "fc2")
"""Weight matrices of a sub-layer: the first four of attention, the last two of a feed-forward."""

KINDS = ("self_attn", "cross_attn", "feed_forward")
"""Kinds of sub-layer, in the order they have in a layer."""


@door
@dataclass(frozen=True)
class Scale:
    """omega or alpha of one sub-layer.

    Parameters
    ----------
    kind : {"none", "scalar", "vector"}
        "none" is the number 1 and no parameter.
    value : float
        At initialisation, of every element.
    trained : bool
        Whether the optimiser changes it.
    shared : bool
        One parameter for all sub-layers of a layer (alpha only).

    Raises
    ------
    ValueError
        For an unknown kind, a value that is not finite, or "none" with any other field set.

    Examples
    --------
    >>> Scale("scalar", 0.0, trained=True)
    Scale('scalar', 0.0, trained=True)
    """

    kind: str = "none"
    value: float = 1.0
    trained: bool = False
    shared: bool = False

    def __post_init__(self) -> None:
        check_choice("kind of a Scale", self.kind, SCALE_KINDS)
        object.__setattr__(self, "value", check_number("value of a Scale", self.value))
        object.__setattr__(self, "trained", check_bool("trained of a Scale", self.trained))
        object.__setattr__(self, "shared", check_bool("shared of a Scale", self.shared))
        if self.kind == "none" and (self.value != 1.0 or self.trained or self.shared):
            raise ValueError(
                "a Scale of kind 'none' is the number 1: value, trained and shared must be left alone, got "
                f"value={self.value!r}, trained={self.trained}, shared={self.shared}"
            )

    def __repr__(self) -> str:
        if self.kind == "none":
            return "Scale()"
        flags = "".join(f", {name}=True" for name in ("trained", "shared") if getattr(self, name))
        return f"Scale({self.kind!r}, {self.value!r}{flags})"

    def num_elements(self, d_model: int) -> int:
        """Numbers it holds: 0, 1 or D."""
        return {"none": 0, "scalar": 1, "vector": d_model}[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain values, as the core reads it and as JSON keeps it."""
        return {"kind": self.kind, "trained": self.trained, "shared": self.shared, "value": self.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scale:
        """The inverse of `to_dict`."""
        return cls(**_known("Scale", data, ("kind", "trained", "shared", "value")))


@door
@dataclass(frozen=True)
class Residual:
    """The fields of one residual sub-layer; the defaults are the plain residual x + f(x).

    Parameters
    ----------
    norm_pre, norm_branch, norm_post : {"none", "layer", "rms", "dyt"}
        Npre, Nbranch and Npost of the formula.
    norm_inner : {"none", "layer", "rms", "dyt"}
        Inside the branch: before the output projection of attention, before fc2 of a feed-forward.
    residual_normed : bool
        The skip starts at Npre(x) instead of x.
    parallel : bool
        The branch reads the layer's input x_layer instead of x, beside the branches before it in the layer,
        as the feed-forward of GPT-J and GPT-NeoX does; the skip stays.
    profiled : bool
        Variance profiling sets omega (Admin); omega must then be a scalar or a vector.
    input_scale : float
        s of the formula.
    kappa : float
        Weight of the layer's input in the sum.
    omega, alpha : Scale
        Of the skip and of the branch.
    init : {"xavier_uniform", "xavier_normal", "looks_linear"}
        Distribution of the initial weights.
    qkv_fused_init : bool, optional
        Draw q, k and v as one [3D, D] matrix; None leaves it to the configuration.
    gains : mapping
        Factors on the standard deviation of the initial weights, of any of "q", "k", "v", "out", "fc1" and
        "fc2"; what is not named is 1.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was given and what was expected.

    Examples
    --------
    >>> Residual(norm_post="layer", omega=Scale("vector", trained=True), profiled=True)
    Residual(norm_post='layer', profiled=True, omega=Scale('vector', 1.0, trained=True))
    """

    norm_pre: str = "none"
    norm_branch: str = "none"
    norm_post: str = "none"
    norm_inner: str = "none"
    residual_normed: bool = False
    profiled: bool = False
    input_scale: float = 1.0
    kappa: float = 0.0
    omega: Scale = Scale()
    alpha: Scale = Scale()
    init: str = "xavier_uniform"
    qkv_fused_init: bool | None = None
    gains: Mapping[str, float] = field(default_factory=dict, hash=False)
    parallel: bool = False

    def __post_init__(self) -> None:
        def store(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("norm_pre", "norm_branch", "norm_post", "norm_inner"):
            check_choice(name, getattr(self, name), NORMS)
        check_choice("init", self.init, INITS)
        for name in ("residual_normed", "profiled", "parallel"):
            store(name, check_bool(name, getattr(self, name)))
        if self.qkv_fused_init is not None:
            store("qkv_fused_init", check_bool("qkv_fused_init", self.qkv_fused_init))
        for name in ("input_scale", "kappa"):
            store(name, check_number(name, getattr(self, name)))
        for name in ("omega", "alpha"):
            if not isinstance(getattr(self, name), Scale):
                raise TypeError(f"{name} must be a Scale, got {shown(getattr(self, name))}")
        store("gains", _check_gains(self.gains))
        self._check_together()

    def _check_together(self) -> None:
        if self.omega.shared:
            raise ValueError("omega cannot be shared: every sub-layer has its own (alpha can)")
        if self.profiled and self.omega.kind == "none":
            raise ValueError("profiled=True needs an omega of kind 'scalar' or 'vector' to set, got 'none'")
        if self.parallel and self.residual_normed:
            raise ValueError(
                "residual_normed must be False where parallel is True: Npre is of the layer's input"
            )
        if self.residual_normed and self.norm_pre == "none":
            raise ValueError("residual_normed=True starts the skip at Npre(x), but norm_pre is 'none'")

    def __repr__(self) -> str:
        default = _DEFAULT_FIELDS
        shown = [f"{k}={v!r}" for k, v in vars(self).items() if k != "gains" and v != default[k]]
        gains = {name: gain for name, gain in self.gains.items() if gain != 1.0}
        return f"Residual({', '.join(shown + ([f'gains={gains}'] if gains else []))})"

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain values, from which `from_dict` rebuilds an equal Residual.

        Examples
        --------
        >>> residual = Residual(norm_pre="layer", gains={"v": 0.5})
        >>> Residual.from_dict(residual.to_dict()) == residual
        True
        """
        fields: dict[str, Any] = dict(vars(self))
        return {
            **fields,
            "omega": self.omega.to_dict(),
            "alpha": self.alpha.to_dict(),
            "gains": dict(self.gains),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Residual:
        """The inverse of `to_dict`."""
        fields = _known("Residual", data, tuple(_DEFAULT_FIELDS))
        fields |= {name: Scale.from_dict(fields[name]) for name in ("omega", "alpha") if name in fields}
        return cls(**fields)


def _known(what: str, data: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The mapping as a dict; a ValueError for a key that is no field."""
    if not isinstance(data, Mapping):
        raise TypeError(f"a {what} is rebuilt from a mapping of its fields, got {type(data).__name__}")
    unknown = [key for key in data if key not in names]
    if unknown:
        raise ValueError(f"a {what} has no field {unknown[0]!r}; its fields are {', '.join(names)}")
    return dict(data)


def _check_gains(gains: Any) -> dict[str, float]:
    """All six gains, in the order of `WEIGHTS`."""
    if not isinstance(gains, Mapping):
        raise TypeError(f"gains must map names of weights to numbers, got {shown(gains)}")
    unknown = [name for name in gains if name not in WEIGHTS]
    if unknown:
        raise ValueError(f"gains must be of {', '.join(WEIGHTS)}, got {shown(unknown[0])}")
    return {name: check_number(f"gains[{name!r}]", gains.get(name, 1.0), low=0.0) for name in WEIGHTS}


_DEFAULT_FIELDS: dict[str, Any] = dict(vars(Residual()))


@door
@dataclass(frozen=True)
class Site:
    """Where a sub-layer stands: what a scheme's rule is given. All indices count from 0.

    Parameters
    ----------
    stack : {"encoder", "decoder"}
    layer : int
        Of its stack.
    sublayer : int
        Of its stack, 0..R-1.
    kind : {"self_attn", "cross_attn", "feed_forward"}
    per_layer : int
        Sub-layers a layer of its stack has: 2, or 3 with cross-attention.
    encoder_layers, decoder_layers : int
        N and N' of the model; 0 for a stack it has not.
    d_model : int
        D.

    Examples
    --------
    >>> site = Site("decoder", layer=1, sublayer=5, kind="feed_forward", per_layer=3, encoder_layers=6,
    ...             decoder_layers=2, d_model=64)
    >>> site.layers, site.num_sublayers, site.first_in_layer, site.last_in_layer, site.encoder_decoder
    (2, 6, False, True, True)
    """

    stack: str
    layer: int
    sublayer: int
    kind: str
    per_layer: int
    encoder_layers: int
    decoder_layers: int
    d_model: int

    @property
    def layers(self) -> int:
        """Layers of its own stack."""
        return self.encoder_layers if self.stack == "encoder" else self.decoder_layers

    @property
    def num_sublayers(self) -> int:
        """R, the sub-layers of its own stack."""
        return self.layers * self.per_layer

    @property
    def first_in_layer(self) -> bool:
        """Whether it is the first sub-layer of its layer."""
        return self.sublayer % self.per_layer == 0

    @property
    def last_in_layer(self) -> bool:
        """Whether it is the last sub-layer of its layer."""
        return self.sublayer % self.per_layer == self.per_layer - 1

    @property
    def encoder_decoder(self) -> bool:
        """Whether the model has both stacks."""
        return self.encoder_layers > 0 and self.decoder_layers > 0
