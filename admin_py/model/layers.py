"""Single layers as parts: hidden states in, hidden states out, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.unused import goes_with
from admin_py.model.config import SchemeLike
from admin_py.model.layer_base import Layer, Place, check_attention
from admin_py.model.observation import Observation
from admin_py.model.profile import VarianceProfile


@door
class EncoderLayer(Layer):
    """One encoder layer: self-attention and feed-forward, forward and backward on hidden states.

    Parameters
    ----------
    d_model, heads, d_ff : int
        D, H and F; H divides D.
    scheme : str or Scheme
        How the residual connections are built and started.
    omega : float or ndarray, optional
        Skip scales to start with instead of the scheme's: one for all, [R] or [R, D] with R = 2.
    layer, num_layers : int
        Which layer, from 0, of how many it is: schemes may depend on it.
    dropout, attention_dropout, activation_dropout, activation, norm_eps
        As of `TransformerConfig`.
    causal : bool
        Whether a token attends to none after it.
    seed : int
        Of the first weights and of dropout.
    dtype : {"float32", "float64"}
        In which it computes.
    **attention
        ``head_width``, ``kv_heads``, ``attention_scale``, ``score_cap``, ``qk_norm``, ``qk_norm_whole`` and
        ``attention_window``, as of `TransformerConfig`.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected.

    Examples
    --------
    Two sequences, of 3 and 2 tokens:

    >>> import numpy as np
    >>> layer = EncoderLayer(8, 2, 16, seed=1)
    >>> x = np.random.default_rng(1).standard_normal((5, 8)).astype("float32")
    >>> y = layer.forward(x, [3, 2])
    >>> dx = layer.backward(np.ones_like(y))
    >>> y.shape, dx.shape, layer.gradients["feed_forward.fc1.weight"].shape
    ((5, 8), (5, 8), (16, 8))
    """

    _stack = "encoder"

    def __init__(
        self,
        d_model: int,
        heads: int,
        d_ff: int,
        *,
        scheme: SchemeLike = "admin",
        omega: ArrayLike | None = None,
        layer: int = 0,
        num_layers: int = 1,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        activation: str = "relu",
        gated: bool = False,
        bias: str = "all",
        norm_eps: float = 1e-5,
        causal: bool = False,
        seed: int = 0,
        dtype: str = "float32",
        **attention: Any,
    ) -> None:
        sizes = {
            "d_model": d_model,
            "heads": heads,
            "d_ff": d_ff,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "activation_dropout": activation_dropout,
            "activation": activation,
            "gated": gated,
            "bias": bias,
            "norm_eps": norm_eps,
            **check_attention(type(self).__name__, attention),
        }
        place = Place(scheme, layer, num_layers, cross=False)
        super().__init__(sizes, place, causal=causal, omega=omega, seed=seed, dtype=dtype)

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def forward(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        *,
        causal: bool | None = None,
        training: bool = False,
        step: int | None = None,
    ) -> NDArray[Any]:
        """Hidden states of the layer's end, [M, D].

        Parameters
        ----------
        x : ndarray [M, D]
            Hidden states, sequence after sequence, of the layer's dtype and C-contiguous.
        lengths : int [B]
            Lengths of the sequences, at least 1, M in all.
        causal : bool, optional
            Checked against what the layer was made with.
        training : bool
            Whether dropout is on.
        step : int, optional
            Of dropout's random numbers; by default `step`, the layer's counter, which goes on with every pass
            with dropout.
        """
        self._check_causal(causal)
        return self._forward(x, self._pass(lengths, None, None), training=training, step=step)

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def observe(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        *,
        activations: str | Sequence[str] = "*",
        training: bool = False,
        step: int = 0,
    ) -> Observation:
        """One forward pass with its named activations and the variances of its sub-layers.

        Parameters
        ----------
        x, lengths, training, step
            As for `forward`, but the step is 0 unless it is given; `backward` may follow.
        activations : str or list of str
            Patterns of names, such as ``"*.branch"`` or ``"self_attn.probabilities"``: those of
            `Transformer.observe` without the stack and the number of the layer.

        Returns
        -------
        Observation

        Raises
        ------
        ValueError
            If a pattern matches no name.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.random.default_rng(1).standard_normal((5, 8)).astype("float32")
        >>> seen = EncoderLayer(8, 2, 16, seed=1).observe(x, [3, 2])
        >>> seen["feed_forward.branch"].shape, seen["self_attn.probabilities"][1].shape
        ((5, 8), (2, 2, 2))
        """
        options = {"activations": activations, "training": training, "step": step}
        return self._observe(x, lengths, None, None, **options)

    def profile(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        *,
        method: str = "clinic",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> VarianceProfile:
        """Profile the variances; set omega where the scheme profiles it. See `Transformer.profile`."""
        return self._profile(x, lengths, None, None, method=method, dropout=dropout, seed=seed, apply=apply)


@door
class DecoderLayer(Layer):
    """One decoder layer: self-attention, cross-attention and feed-forward on hidden states.

    Parameters
    ----------
    d_model, heads, d_ff, scheme, omega, layer, num_layers, dropout, attention_dropout, activation_dropout, \
    activation, gated, bias, norm_eps, seed, dtype
        As of `EncoderLayer`, with R = 3 sub-layers, or 2 without cross-attention; ``num_layers`` is of the
        encoder too.
    causal : bool
        Whether a token attends to none after it.
    cross : bool
        Whether there is cross-attention to a memory.
    **attention
        As of `EncoderLayer`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = DecoderLayer(8, 2, 16, seed=1)
    >>> rng = np.random.default_rng(1)
    >>> x, memory = (rng.standard_normal((m, 8)).astype("float32") for m in (5, 7))
    >>> y = layer.forward(x, [3, 2], memory, [3, 4])
    >>> dx, dmemory = layer.backward(np.ones_like(y))
    >>> dx.shape, dmemory.shape
    ((5, 8), (7, 8))
    """

    _stack = "decoder"

    def __init__(
        self,
        d_model: int,
        heads: int,
        d_ff: int,
        *,
        scheme: SchemeLike = "admin",
        omega: ArrayLike | None = None,
        layer: int = 0,
        num_layers: int = 1,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        activation: str = "relu",
        gated: bool = False,
        bias: str = "all",
        norm_eps: float = 1e-5,
        causal: bool = True,
        cross: bool = True,
        seed: int = 0,
        dtype: str = "float32",
        **attention: Any,
    ) -> None:
        sizes = {
            "d_model": d_model,
            "heads": heads,
            "d_ff": d_ff,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "activation_dropout": activation_dropout,
            "activation": activation,
            "gated": gated,
            "bias": bias,
            "norm_eps": norm_eps,
            **check_attention(type(self).__name__, attention),
        }
        place = Place(scheme, layer, num_layers, cross=cross)
        super().__init__(sizes, place, causal=causal, omega=omega, seed=seed, dtype=dtype)

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def forward(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        memory: NDArray[Any] | None = None,
        memory_lengths: ArrayLike | None = None,
        *,
        causal: bool | None = None,
        training: bool = False,
        step: int | None = None,
    ) -> NDArray[Any]:
        """Hidden states of the layer's end, [M, D].

        Parameters
        ----------
        x, lengths, causal, training, step
            As for `EncoderLayer.forward`.
        memory : ndarray [M_memory, D]
            What cross-attention reads.
        memory_lengths : int [B]
            Lengths of its sequences.
        """
        self._check_causal(causal)
        return self._forward(x, self._pass(lengths, memory, memory_lengths), training=training, step=step)

    @goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
    def observe(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        memory: NDArray[Any] | None = None,
        memory_lengths: ArrayLike | None = None,
        *,
        activations: str | Sequence[str] = "*",
        training: bool = False,
        step: int = 0,
    ) -> Observation:
        """One forward pass with its named activations. See `EncoderLayer.observe`."""
        options = {"activations": activations, "training": training, "step": step}
        return self._observe(x, lengths, memory, memory_lengths, **options)

    def profile(
        self,
        x: NDArray[Any],
        lengths: ArrayLike,
        memory: NDArray[Any] | None = None,
        memory_lengths: ArrayLike | None = None,
        *,
        method: str = "clinic",
        dropout: bool = True,
        seed: int = 0,
        apply: bool = True,
    ) -> VarianceProfile:
        """Profile the variances; set omega where the scheme profiles it. See `Transformer.profile`."""
        return self._profile(
            x, lengths, memory, memory_lengths, method=method, dropout=dropout, seed=seed, apply=apply
        )
