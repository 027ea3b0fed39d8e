"""What the two kinds of layer have in common: building, weights, omega, backward, profile, observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import MAX_SEED, MODULES
from admin_py.base.checks import check_array, check_bool, check_choice, check_integer
from admin_py.base.mappings import ReadOnlyMapping
from admin_py.model.activations import Reader, places
from admin_py.model.config import MAX_LAYERS, SchemeLike, TransformerConfig
from admin_py.model.dropout_steps import CountsSteps
from admin_py.model.observation import Observation, select
from admin_py.model.omega import check_omega, read_omega, write_omega
from admin_py.model.precision import check_precision
from admin_py.model.profile import VarianceProfile
from admin_py.model.state import check_state, check_weights, write_state
from admin_py.results import run_metadata
from admin_py.schemes import Scheme, Table

MAX_LENGTH = 2**20
"""Of a sequence that a layer reads, tokens."""


ATTENTION = (
    "head_width", "kv_heads", "attention_scale", "score_cap", "qk_norm", "qk_norm_whole", "attention_window"
)  # fmt: skip
"""Fields of a configuration that a layer may be given beside those that its constructor names."""


def check_attention(kind: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same; TypeError if a name is another.

    Examples
    --------
    >>> check_attention("EncoderLayer", {"kv_heads": 2})
    {'kv_heads': 2}
    """
    for name in given:
        if name not in ATTENTION:
            raise TypeError(f"{kind} has no argument {name!r}; of attention it takes {', '.join(ATTENTION)}")
    return given


class Place(NamedTuple):
    """Where a layer stands: what the rule of its scheme is given."""

    scheme: SchemeLike
    layer: int
    num_layers: int
    cross: bool


def _one_layer(stack: str, sizes: Mapping[str, Any], place: Place) -> TransformerConfig:
    """Configuration with this one layer, its scheme applied as at its place in a deeper model."""
    num_layers = check_integer("num_layers", place.num_layers, 1, MAX_LAYERS)
    layer = check_integer("layer", place.layer, 0, num_layers - 1)
    cross = check_bool("cross", place.cross)

    def config(layers: int, scheme: SchemeLike) -> TransformerConfig:
        encoder = layers if stack == "encoder" or cross else 0
        decoder = layers if stack == "decoder" else 0
        pair = (scheme, scheme) if stack == "encoder" else ("post_ln", scheme)
        return TransformerConfig(
            vocab_size=1,
            encoder_layers=encoder,
            decoder_layers=decoder,
            scheme=pair,
            max_length=MAX_LENGTH,
            **sizes,
        )

    deep = config(num_layers, place.scheme)
    per_layer = deep.sublayers_per_layer(stack)
    rows = deep.residuals(stack)[layer * per_layer : (layer + 1) * per_layer]
    scheme = deep.stack_scheme(stack)
    return config(1, Scheme(scheme.name, Table({stack: rows}), scheme.source))


def _core_config(config: TransformerConfig, stack: str, causal: bool) -> dict[str, Any]:
    """What the core builds the layer from: one stack of one layer that reads hidden states."""
    core = config.to_core()
    core["vocab_size"] = 0
    core[stack] |= {"causal": causal, "norm_final": "none"}
    other = "decoder" if stack == "encoder" else "encoder"
    core[other] |= {"layers": 0, "cross": False, "sublayers": [], "norm_final": "none"}
    return core


@door
class Layer(CountsSteps):
    """What both kinds of layer have in common.

    Copies and pickles have weights (omega among them), seed, step and dtype and share nothing; gradients and
    what a pass keeps for `backward` do not come along.
    """

    _stack: ClassVar[str]

    def __init__(
        self, sizes: Mapping[str, Any], place: Place, *, causal: bool, omega: Any, seed: int, dtype: str
    ) -> None:
        self._build(_one_layer(self._stack, sizes, place), causal=causal, seed=seed, dtype=dtype)
        if omega is not None:
            self.set_omega(omega)

    def _build(self, config: TransformerConfig, *, causal: bool, seed: int, dtype: str) -> None:
        """The layer of the core, from a configuration with this one layer."""
        self._dtype = check_choice("dtype", dtype, tuple(MODULES))
        check_precision(config, self._dtype)
        self._causal = check_bool("causal", causal)
        self._config = config
        module = MODULES[self._dtype]
        kind = module.EncoderLayer if self._stack == "encoder" else module.DecoderLayer
        self._core = kind(
            _core_config(self._config, self._stack, self._causal), check_integer("seed", seed, 0, MAX_SEED)
        )
        self._parameters: Mapping[str, NDArray[Any]] = ReadOnlyMapping(self._renamed(self._core.parameters))

    def _renamed(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Names without the stack and the number of the layer."""
        prefix = f"{self._stack}.0."
        return {name.removeprefix(prefix): array for name, array in arrays.items()}

    @property
    def dtype(self) -> str:
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def d_model(self) -> int:
        """D."""
        return self._config.d_model

    @property
    def seed(self) -> int:
        """Of dropout; may be set."""
        return self._core.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._core.seed = check_integer("seed", value, 0, MAX_SEED)

    @property
    def num_parameters(self) -> int:
        """Number of trained elements."""
        return self._core.num_parameters

    @property
    def parameters(self) -> Mapping[str, NDArray[Any]]:
        """Name -> array of the weights, such as ``"self_attn.q.weight"``: views that write through."""
        return self._parameters

    @property
    def gradients(self) -> Mapping[str, NDArray[Any]]:
        """Name -> array of the gradients of the last `backward`, views."""
        return ReadOnlyMapping(self._renamed(self._core.gradients))

    def load_state(self, state: Mapping[str, Any], *, allow_nonfinite: bool = False) -> None:
        """Take all parameters from a mapping of names to arrays; see `Transformer.load_state`."""
        checked = check_state(
            state, self.parameters, allow_nonfinite=check_bool("allow_nonfinite", allow_nonfinite)
        )
        write_state(checked, self._renamed(self._core.parameters))

    def __copy__(self) -> Layer:
        kept = (self._config, self._causal, self.seed, self.dtype, self.parameters, self.step)
        return _rebuilt(type(self), *kept)

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        kept = (self._config.to_dict(), self._causal, self.seed, self.dtype, dict(self.parameters), self.step)
        return _rebuild, (type(self), *kept)

    @property
    def omega(self) -> NDArray[Any]:
        """Skip scale of every sub-layer: [R], or [R, D] where any is a vector. A copy."""
        return read_omega(self._config, self._stack, self._core.parameters)

    def set_omega(self, omega: ArrayLike | VarianceProfile) -> None:
        """Set the skip scales: a number, [R], [R, 1] or [R, D]."""
        values = (
            omega.omega(self._stack) if isinstance(omega, VarianceProfile) else check_array("omega", omega)
        )
        if values.ndim == 0:
            values = np.full(self._config.num_sublayers(self._stack), values)
        checked = check_omega(self._config, self._stack, values, self._dtype)
        write_omega(self._config, self._stack, checked, self._core.parameters)

    def _check_causal(self, causal: bool | None) -> None:
        if causal is not None and check_bool("causal", causal) != self._causal:
            raise ValueError(f"causal must be {self._causal}, as the layer was made, got {causal}")

    def _forward(self, x: Any, given: tuple[Any, ...], *, training: bool, step: int | None) -> NDArray[Any]:
        with self._numbered(step, training=training) as number:
            return self._core.forward(x, *given, training=training, step=number)

    def _pass(self, lengths: Any, memory: Any, memory_lengths: Any) -> tuple[Any, ...]:
        other = None if memory_lengths is None else _lengths("memory_lengths", memory_lengths)
        return _lengths("lengths", lengths), memory, other

    def backward(self, dy: NDArray[Any], *, accumulate: bool = False) -> Any:
        """Back through the last `forward` and its dropout: fills `gradients`, returns dx [M, D].

        Parameters
        ----------
        dy : ndarray [M, D]
            Gradient of the result of `forward`.
        accumulate : bool
            Add to the gradients of the parameters instead of replacing them.

        Returns
        -------
        ndarray [M, D]
            dx; with cross-attention the pair (dx, dmemory).

        Raises
        ------
        RuntimeError
            If there was no forward pass to go back through.
        """
        return self._core.backward(dy, accumulate=accumulate)

    def _observe(
        self, x: Any, lengths: Any, memory: Any, memory_lengths: Any, *, activations: Any, **options: Any
    ) -> Observation:
        config, stack = self._config, self._stack
        prefix = f"{stack}.0."
        where = {
            name.removeprefix(prefix).removeprefix(f"{stack}."): place
            for name, place in places(config).items()
            if place[0] == stack
        }
        wanted = select(list(where), activations)
        given = self._pass(lengths, memory, memory_lengths)
        self._core.forward(x, *given, observe=True, **options)
        own, _, other = given
        offsets = {stack: np.cumsum([0, *own])}
        if other is not None:
            offsets["encoder"] = np.cumsum([0, *other])
        causal = frozenset((stack,) if self._causal else ())
        reader = Reader(self._core, config, offsets, causal=causal, memory=memory)
        read = {name: reader.read(self._full_name(name), where[name]) for name in wanted}
        seen = self._core.observations()[stack]
        return Observation(
            activations=read,
            gradients={},
            var_input={stack: seen["var_input"]},
            var_branch={stack: seen["var_branch"]},
            names={stack: tuple(name.removeprefix(prefix) for name in config.sublayer_names(stack))},
            metadata=run_metadata(
                seed=self.seed, dtype=self.dtype, scheme=config.stack_scheme(stack).name, **options
            ),
        )

    def _full_name(self, name: str) -> str:
        return f"{self._stack}.0.{name}"

    def _profile(
        self, x: Any, lengths: Any, memory: Any, memory_lengths: Any, **options: Any
    ) -> VarianceProfile:
        check_weights(self.parameters, "layer")
        table = self._core.profile(x, *self._pass(lengths, memory, memory_lengths), **options)
        metadata = run_metadata(seed=self.seed, dtype=self.dtype)
        return VarianceProfile.from_arrays(
            {self._stack: table},
            scheme=self._config.stack_scheme(self._stack).name,
            method=options["method"],
            names={self._stack: tuple(self._config.sublayer_names(self._stack))},
            metadata=metadata,
        )

    def __repr__(self) -> str:
        config = self._config
        return (
            f"{type(self).__name__}(d_model={config.d_model}, heads={config.heads}, d_ff={config.d_ff}, "
            f"scheme={config.stack_scheme(self._stack).name!r}, {self.num_parameters:,} parameters, "
            f"{self.dtype})"
        )


def _rebuilt(
    kind: type[Layer],
    config: TransformerConfig,
    causal: bool,
    seed: int,
    dtype: str,
    state: Mapping[str, Any],
    step: int,
) -> Layer:
    """A layer with these weights, whatever numbers they are."""
    if config.stack_layers(kind._stack) != 1:
        raise ValueError(
            f"config must have one {kind._stack} layer, got {config.stack_layers(kind._stack)} of them"
        )
    layer = kind.__new__(kind)
    layer._build(config, causal=causal, seed=check_integer("seed", seed, 0, MAX_SEED), dtype=dtype)
    layer.load_state(state, allow_nonfinite=True)
    layer.step = step
    return layer


def _rebuild(
    kind: type[Layer],
    config: Mapping[str, Any],
    causal: bool,
    seed: int,
    dtype: str,
    state: Mapping[str, Any],
    step: int,
) -> Layer:
    """A layer out of what was pickled, checked."""
    return _rebuilt(kind, TransformerConfig.from_dict(config), causal, seed, dtype, state, step)


def _lengths(name: str, lengths: Any) -> NDArray[np.int64]:
    """Lengths as the core reads them; it checks their values."""
    array = check_array(name, lengths, "iufbcOSUVmM")
    if array.ndim != 1:
        raise ValueError(f"{name} must have 1 dimension, got {array.ndim}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    too_large = np.flatnonzero(array > MAX_LENGTH)  # of unsigned integers, before they are taken as signed
    if too_large.size:
        first = too_large[0]
        raise ValueError(f"{name}[{first}] must be from 1 to {MAX_LENGTH}, got {array[first]}")
    return np.array(array, dtype=np.int64)
