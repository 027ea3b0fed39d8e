"""What a Transformer is: sizes, regularisation, and the scheme of its residual connections."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from admin_py import schemes
from admin_py.base.arguments import door
from admin_py.base.checks import (
    check_bool,
    check_choice,
    check_integer,
    check_number,
    check_probability,
    shown,
)
from admin_py.model.core_config import core_config
from admin_py.model.counting import count_parameters
from admin_py.model.embedding_norm import EmbeddingNorm, check_embedding_norm
from admin_py.model.rotary import Scaling, check_scaling
from admin_py.model.windows import Window, check_windows
from admin_py.schemes import Residual, Scheme, Site
from admin_py.schemes import scheme as scheme_module

STACKS = ("encoder", "decoder")

ACTIVATIONS = ("relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "relu_squared")
BIASES = ("all", "none", "qkv", "attention", "feed_forward")
POSITIONS = ("sinusoidal", "learned", "rotary")
SHARING = ("none", "decoder", "inputs", "all")

MAX_LAYERS = 100_000
MAX_SIZE = 2**30
MAX_VOCAB = 2**31 - 1  # ids are int32
MAX_PARAMETERS = 10**12

SchemeLike = str | Scheme
"""A registered scheme's name, or a scheme."""


@door
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TransformerConfig:
    """The sizes and the scheme of a Transformer. Frozen, and checked when it is made.

    Parameters
    ----------
    vocab_size : int
        V, of the joint vocabulary of source and target.
    encoder_layers, decoder_layers : int
        N and N'. Without an encoder it is a language model, without a decoder an encoder.
    d_model, heads, d_ff : int
        D, H and F; H divides D unless ``head_width`` is given.
    scheme : str, Scheme or pair of these
        How residual connections are built and started. A pair is the encoder's and the decoder's; so is a
        string ``"post_ln/pre_ln"``.
    dropout : float
        On the embeddings and on the output of every residual branch, a probability in [0, 1).
    attention_dropout, activation_dropout : float
        On the attention probabilities; after the activation.
    activation : {"relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "relu_squared"}
        max(z, 0); z Phi(z), the exact one; z sigma(z); z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2;
        z sigma(1.702 z); max(z, 0)^2. Phi is the normal distribution function, sigma the logistic function.
    gated : bool
        Whether a second map, named gate, multiplies the hidden units:
        (h W_fc1^T + b_fc1) activation(h W_gate^T + b_gate). That is SwiGLU with silu, GeGLU with gelu, ReGLU
        with relu (Shazeer 2020, arXiv:2002.05202). Llama's up_proj is fc1, gate_proj gate, down_proj fc2.
    bias : {"all", "none", "qkv", "attention", "feed_forward"}
        Which linear maps of the branches add a bias: all, as in BERT and GPT-2; none, as in Llama;
        q, k and v, as in Qwen 2; all four of attention; those of the feed-forward, as in GPT-J.
    output_bias : bool
        Whether the logits have a bias, as in Marian and BERT.
    logits_scale : float
        Positive factor on the logits, their bias included, before `logits_cap`.
    share_embeddings : {"all", "decoder", "inputs", "none"}
        Which of source, target and output embeddings are one matrix: all three; target and output; source and
        target; none. Where a scheme scales embeddings, a matrix both stacks read takes the encoder's gain.
    positions : {"sinusoidal", "learned", "rotary"}
        Added to the embeddings; or rotary (Su et al. 2021), which turn queries and keys of self-attention.
    head_width : int, optional
        K, features of each head of attention; D / H by default. q, k and v are matrices of H K rows.
    kv_heads : int, optional
        G, heads of keys and values; H by default. G divides H, and head h of queries reads head
        h // (H / G) of keys and values: grouped-query attention (Ainslie et al. 2023), with 1
        multi-query attention (Shazeer 2019).
    attention_scale : float, optional
        Factor on the products of queries and keys; 1 / sqrt(K) by default.
    rotary_theta : float, optional
        Base of the wavelengths of rotary positions, 10000 by default.
    rotary_width : int, optional
        Features of each head that are turned, the first ones; K by default, and even.
    rotary_interleaved : bool
        Whether pairs are neighbours, as GPT-J has them, or one of each half, as Llama and GPT-NeoX do.
    rotary_scaling : tuple of 4 numbers, optional
        Llama 3's factor, low and high frequency factor, and original length: wavelengths beyond the
        length over the low factor become ``factor`` times as long, those below it over the high factor stay.
    qk_norm : {"none", "layer", "rms", "dyt"}
        A norm of queries and one of keys, before rotary positions turn them; with rms as in Qwen 3.
    qk_norm_whole : bool
        Whether that norm is over all heads of a token, as in OLMo 2, or over each, as in Qwen 3.
    attention_window : int or sequence of these and None, optional
        W, so that in self-attention token i sees tokens i - W < j <= i, and in an encoder those with
        abs(i - j) < W; None, the default, for all. One for all layers, or one for each, the encoder's first:
        Mistral has the former, Gemma 2 windows in turn.
    score_cap, logits_cap : float, optional
        Soft caps (Gemma 2): scores of attention, and logits, become cap tanh(x / cap). None by default.
    max_length : int
        Of a sequence the model reads, tokens.
    qkv_fused_init : bool
        Draw q, k and v as one matrix of H K + 2 G K rows, unless the scheme says otherwise.
    init_gain : float
        Factor on the standard deviation of the initial weights of all linear maps, beside the scheme's own.
    norm_eps : float
        Inside the root of LayerNorm and RMSNorm.
    embedding_scale : float, optional
        Factor on the embeddings before positions are added. Default: sqrt(D), as in the original Transformer;
        GPT-2, OPT and BERT have 1.
    embedding_norm : {"none", "layer", "rms", "dyt"} or pair of these
        Norm of the sum of embedding and position, before dropout: LayerNorm in BERT and BART. A pair is the
        encoder's and the decoder's.
    input_scale : {"none", "scalar", "vector"}
        A trained factor on the input of each stack, 1 at first; it comes from folding omega.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was given and what was expected.

    See Also
    --------
    admin_py.schemes.names : the names of schemes.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=8000, encoder_layers=18, decoder_layers=18, d_model=128,
    ...                            heads=4, d_ff=256, scheme="admin")
    >>> config.num_sublayers("encoder"), config.num_sublayers("decoder")
    (36, 54)
    >>> config.replace(scheme=("post_ln", "pre_ln")).scheme_name
    'post_ln/pre_ln'
    >>> TransformerConfig(vocab_size=8000, d_model=100)
    Traceback (most recent call last):
        ...
    ValueError: heads must divide d_model, got heads=8 and d_model=100
    """

    vocab_size: int
    encoder_layers: int = 6
    decoder_layers: int = 6
    d_model: int = 512
    heads: int = 8
    d_ff: int = 2048
    scheme: SchemeLike | tuple[SchemeLike, SchemeLike] = "admin"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    activation: str = "relu"
    gated: bool = False
    bias: str = "all"
    output_bias: bool = False
    logits_scale: float = 1.0
    share_embeddings: str = "all"
    positions: str = "sinusoidal"
    max_length: int = 1024
    qkv_fused_init: bool = True
    init_gain: float = 1.0
    norm_eps: float = 1e-5
    embedding_scale: float | None = None
    embedding_norm: EmbeddingNorm = "none"
    input_scale: str = "none"
    head_width: int | None = None
    kv_heads: int | None = None
    attention_scale: float | None = None
    score_cap: float | None = None
    logits_cap: float | None = None
    rotary_theta: float | None = None
    rotary_width: int | None = None
    rotary_interleaved: bool = False
    rotary_scaling: Scaling | None = None
    qk_norm: str = "none"
    qk_norm_whole: bool = False
    attention_window: Window | tuple[Window, ...] = None

    def __post_init__(self) -> None:
        def store(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name, low, high in _SIZES:
            store(name, check_integer(name, getattr(self, name), low, high))
        for name in ("head_width", "kv_heads"):
            if getattr(self, name) is not None:
                store(name, check_integer(name, getattr(self, name), 1, MAX_SIZE))
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            store(name, check_probability(name, getattr(self, name)))
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        store("embedding_norm", check_embedding_norm(self.embedding_norm))
        for name in ("gated", "output_bias", "qkv_fused_init", "qk_norm_whole"):
            store(name, check_bool(name, getattr(self, name)))
        for name in ("norm_eps", "init_gain", "logits_scale", *_OPTIONAL):
            if getattr(self, name) is None and name in _OPTIONAL:
                continue
            store(name, check_number(name, getattr(self, name)))
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {shown(getattr(self, name))}")
        if self.encoder_layers == 0 and self.decoder_layers == 0:
            raise ValueError("a model needs a stack: encoder_layers and decoder_layers are both 0")
        if self.output_bias and self.decoder_layers == 0:
            raise ValueError("output_bias must be False for an encoder, which has no logits")
        self._check_attention()
        self._check_rotary()
        given, pair = _resolve_scheme(self.scheme)
        store("scheme", given)
        store("_schemes", dict(zip(STACKS, pair, strict=True)))
        store("_residuals", {stack: self._apply_scheme(stack) for stack in self.stacks})
        if self.num_parameters > MAX_PARAMETERS:
            raise ValueError(f"the model would have {self.num_parameters:,} parameters, more than 10^12")

    def _check_attention(self) -> None:
        if self.head_width is None and self.d_model % self.heads != 0:
            raise ValueError(f"heads must divide d_model, got heads={self.heads} and d_model={self.d_model}")
        if self.heads * self.width_of_heads > MAX_SIZE:
            raise ValueError(
                f"all heads together must have at most {MAX_SIZE} features, got heads={self.heads} and "
                f"head_width={self.head_width}"
            )
        if self.heads % self.num_kv_heads != 0:
            raise ValueError(
                f"kv_heads must divide heads, got kv_heads={self.kv_heads} and heads={self.heads}"
            )
        if self.qk_norm_whole and self.qk_norm == "none":
            raise ValueError("qk_norm_whole must be False where qk_norm is 'none'")

        layers = self.encoder_layers + self.decoder_layers
        windows = check_windows("attention_window", self.attention_window, layers)
        object.__setattr__(self, "attention_window", windows)

    def _check_rotary(self) -> None:
        given = {name: getattr(self, name) for name in _ROTARY}
        object.__setattr__(
            self, "rotary_interleaved", check_bool("rotary_interleaved", given.pop("rotary_interleaved"))
        )
        for name, value in given.items():
            if value is not None:
                object.__setattr__(self, name, _ROTARY[name](name, value))
        unused = [name for name in _ROTARY if getattr(self, name) not in (None, False)]
        if self.positions != "rotary":
            if unused:
                raise ValueError(f"{unused[0]} is of positions='rotary', got positions={self.positions!r}")
            return
        width, most = self.rotary_width or self.width_of_heads, self.width_of_heads
        if width % 2 != 0 or width > most:
            raise ValueError(
                f"rotary_width must be even and at most the {most} features of a head, got {width}"
            )

    def _apply_scheme(self, stack: str) -> tuple[Residual, ...]:
        """The stack's sub-layers as its scheme fills them, checked against the sizes."""
        scheme = self.stack_scheme(stack)
        table = tuple(scheme.residual(site) for site in self.sites(stack))
        per_layer = self.sublayers_per_layer(stack)
        for name, residual in zip(self.sublayer_names(stack), table, strict=True):
            if residual.init == "looks_linear" and self.d_ff % 2 != 0:
                raise ValueError(
                    f"d_ff must be even for the looks-linear initialisation of {name}, got {self.d_ff}"
                )
            if residual.init == "looks_linear" and self.gated:
                raise ValueError(
                    f"gated must be False for the looks-linear initialisation of {name}, whose relu would be "
                    "multiplied"
                )
        for first in range(0, len(table), per_layer):
            shared = {row.alpha for row in table[first : first + per_layer] if row.alpha.shared}
            if len(shared) > 1:
                raise ValueError(
                    f"scheme {scheme.name!r} shares one alpha in a layer but gives its sub-layers different "
                    f"ones in {stack} layer {first // per_layer}: {', '.join(sorted(map(repr, shared)))}"
                )
        return table

    # What it says of the model

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks it has: "encoder", "decoder" or both."""
        return tuple(stack for stack in STACKS if self.stack_layers(stack) > 0)

    @property
    def kind(self) -> str:
        """ "encoder_decoder", "language_model" (no encoder) or "encoder" (no decoder)."""
        if len(self.stacks) == 2:
            return "encoder_decoder"
        return "encoder" if self.stacks == ("encoder",) else "language_model"

    @property
    def width_of_heads(self) -> int:
        """K, features of one head of attention: ``head_width``, or D / H."""
        return self.d_model // self.heads if self.head_width is None else self.head_width

    @property
    def num_kv_heads(self) -> int:
        """G, heads of keys and values: ``kv_heads``, or H."""
        return self.heads if self.kv_heads is None else self.kv_heads

    def windows(self, stack: str) -> tuple[Window, ...]:
        """W of self-attention in each layer of a stack; None where a token sees all.

        Examples
        --------
        >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=2,
        ...                            attention_window=[None, 4, None])
        >>> config.windows("encoder"), config.windows("decoder")
        ((None,), (4, None))
        """
        layers, given = self.stack_layers(stack), self.attention_window
        first = 0 if stack == "encoder" else self.encoder_layers
        return given[first : first + layers] if isinstance(given, tuple) else (given,) * layers

    @property
    def scheme_name(self) -> str:
        """Name of the scheme; of a hybrid ``"encoder's/decoder's"``."""
        used = dict.fromkeys(self.stack_scheme(stack).name for stack in self.stacks)
        return "/".join(used)

    def stack_scheme(self, stack: str) -> Scheme:
        """The scheme of one stack."""
        schemes_by_stack: dict[str, Scheme] = vars(self)["_schemes"]
        return schemes_by_stack[check_choice("stack", stack, STACKS)]

    def stack_layers(self, stack: str) -> int:
        """Layers of a stack, 0 if the model has it not."""
        return (
            self.encoder_layers if check_choice("stack", stack, STACKS) == "encoder" else self.decoder_layers
        )

    def sublayers_per_layer(self, stack: str) -> int:
        """2, or 3 with cross-attention."""
        check_choice("stack", stack, STACKS)
        return 3 if stack == "decoder" and self.encoder_layers > 0 else 2

    def num_sublayers(self, stack: str) -> int:
        """R of a stack."""
        return self.stack_layers(stack) * self.sublayers_per_layer(stack)

    def sites(self, stack: str) -> list[Site]:
        """Places of a stack's sub-layers, from bottom to top."""
        per_layer = self.sublayers_per_layer(stack)
        kinds = schemes.KINDS if per_layer == 3 else (schemes.KINDS[0], schemes.KINDS[2])
        return [
            Site(
                stack=stack,
                layer=index // per_layer,
                sublayer=index,
                kind=kinds[index % per_layer],
                per_layer=per_layer,
                encoder_layers=self.encoder_layers,
                decoder_layers=self.decoder_layers,
                d_model=self.d_model,
            )
            for index in range(self.num_sublayers(stack))
        ]

    def sublayer_names(self, stack: str) -> list[str]:
        """Names of a stack's sub-layers, as the parameters' names begin.

        Examples
        --------
        >>> TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1).sublayer_names("decoder")
        ['decoder.0.self_attn', 'decoder.0.cross_attn', 'decoder.0.feed_forward']
        """
        return [f"{stack}.{site.layer}.{site.kind}" for site in self.sites(stack)]

    def residuals(self, stack: str) -> tuple[Residual, ...]:
        """Fields of a stack's sub-layers, from bottom to top; () for a stack the model has not."""
        tables: dict[str, tuple[Residual, ...]] = vars(self)["_residuals"]
        return tables.get(check_choice("stack", stack, STACKS), ())

    def embedding_gain(self, stack: str) -> float:
        """Factor on the standard deviation D^(-1/2) of the stack's initial embeddings."""
        sites = self.sites(stack)
        return self.stack_scheme(stack).embedding_gain_of(sites[0]) if sites else 1.0

    @property
    def num_parameters(self) -> int:
        """Number of trained elements.

        Examples
        --------
        >>> TransformerConfig(vocab_size=1000, encoder_layers=1, decoder_layers=0, d_model=64, heads=4,
        ...                   d_ff=128, scheme="post_ln").num_parameters
        97472
        """
        return count_parameters(self)

    @property
    def num_embeddings(self) -> int:
        """How many [V, D] matrices there are, those of the output included."""
        if self.kind == "encoder":
            return 1
        if self.kind == "language_model":
            return 1 if self.share_embeddings in ("all", "decoder") else 2
        return {"all": 1, "decoder": 2, "inputs": 2, "none": 3}[self.share_embeddings]

    # As plain values

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values that JSON keeps exactly.

        A scheme that comes with the package is kept by its name. Any other is written out, one entry a
        sub-layer, so that the model can be rebuilt where its rule is not at hand.

        Examples
        --------
        >>> config = TransformerConfig(vocab_size=100, scheme="deepnorm")
        >>> TransformerConfig.from_dict(config.to_dict()) == config
        True
        """
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        entries = [self._scheme_entry(stack) for stack in STACKS]
        data["scheme"] = entries if isinstance(self.scheme, tuple) else self._scheme_entry(*self.stacks)
        return data

    def _scheme_entry(self, *stacks: str) -> str | dict[str, Any]:
        """Name, or fields written out, of the scheme of these stacks."""
        scheme = self.stack_scheme(stacks[0])
        if schemes.BUILT_IN.get(scheme.name) is scheme:
            return scheme.name
        return scheme_module.to_dict(
            scheme,
            {stack: self.residuals(stack) for stack in stacks},
            {stack: self.embedding_gain(stack) for stack in stacks},
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TransformerConfig:
        """The inverse of `to_dict`; fields that are left out take their defaults.

        Raises
        ------
        ValueError, TypeError
            For a key that is no field, or as the constructor does.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"a TransformerConfig is rebuilt from a mapping, got {type(data).__name__}")
        fields = _check_fields(data)
        if "vocab_size" not in fields:
            raise ValueError("data must have vocab_size, which a TransformerConfig needs")
        scheme = fields.get("scheme")
        if isinstance(scheme, Mapping):
            fields["scheme"] = scheme_module.from_dict(scheme)
        elif isinstance(scheme, (list, tuple)):
            entries = (scheme_module.from_dict(e) if isinstance(e, Mapping) else e for e in scheme)
            fields["scheme"] = tuple(entries)
        return cls(**fields)

    def replace(self, **changes: Any) -> TransformerConfig:
        """A copy with some fields changed, checked anew."""
        return dataclasses.replace(self, **_check_fields(changes))

    def to_core(self) -> dict[str, Any]:
        """The dict that the compute core builds a model from."""
        return core_config(self)

    # Python's protocols

    def __eq__(self, other: object) -> bool:
        """Whether both describe the same model: schemes are compared by name and by what they fill in."""
        if not isinstance(other, TransformerConfig):
            return NotImplemented
        return self._key() == other._key() and self.to_core() == other.to_core()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        fields = (f.name for f in dataclasses.fields(self) if f.name != "scheme")
        return (*(getattr(self, name) for name in fields), self.scheme_name)

    def __copy__(self) -> TransformerConfig:
        return self  # it does not change

    def __deepcopy__(self, memo: dict[int, Any]) -> TransformerConfig:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return TransformerConfig.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in _REPR_ALWAYS} | {"scheme": self.scheme_name}
        for field in dataclasses.fields(self):
            if field.name not in shown and getattr(self, field.name) != field.default:
                shown[field.name] = getattr(self, field.name)
        return f"TransformerConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


_REPR_ALWAYS = ("vocab_size", "encoder_layers", "decoder_layers", "d_model", "heads", "d_ff")

_SIZES = (
    ("vocab_size", 1, MAX_VOCAB),
    ("encoder_layers", 0, MAX_LAYERS),
    ("decoder_layers", 0, MAX_LAYERS),
    ("d_model", 1, MAX_SIZE),
    ("heads", 1, MAX_SIZE),
    ("d_ff", 1, MAX_SIZE),
    ("max_length", 1, MAX_SIZE),
)

_ROTARY: Mapping[str, Callable[[str, Any], Any]] = {
    "rotary_theta": lambda name, value: check_number(name, value, low=1.0),
    "rotary_width": lambda name, value: check_integer(name, value, 1, MAX_SIZE),
    "rotary_interleaved": check_bool,
    "rotary_scaling": check_scaling,
}
"""Fields of rotary positions -> their checks."""

_OPTIONAL = ("embedding_scale", "attention_scale", "score_cap", "logits_cap")
"""Positive numbers, or None for what is usual."""

_CHOICES = {
    "activation": ACTIVATIONS,
    "bias": BIASES,
    "positions": POSITIONS,
    "share_embeddings": SHARING,
    "input_scale": schemes.SCALE_KINDS,
    "qk_norm": schemes.NORMS,
}


def _check_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    known = [field.name for field in dataclasses.fields(TransformerConfig)]
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; its fields are {', '.join(known)}"
            raise ValueError(f"a TransformerConfig has no field {shown(name)}{hint}")
    return dict(data)


def _resolve_scheme(
    given: Any,
) -> tuple[SchemeLike | tuple[SchemeLike, SchemeLike], tuple[Scheme, Scheme]]:
    """What the field keeps, and the schemes of encoder and decoder."""
    if isinstance(given, str) and "/" in given:
        given = tuple(given.split("/"))
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise ValueError(f"a pair of schemes is the encoder's and the decoder's, got {len(given)}")
        pair = (_one_scheme(given[0]), _one_scheme(given[1]))
        return (given[0], given[1]), pair
    scheme = _one_scheme(given)
    return given, (scheme, scheme)


def _one_scheme(given: Any) -> Scheme:
    if isinstance(given, Scheme):
        return given
    if isinstance(given, str):
        return schemes.get(given)
    raise TypeError(f"scheme must be a name, a Scheme or a pair of these, got {shown(given)}")
