"""The arrays of a pass by name: activations, attention probabilities and gradients of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import exp, logs, product, tanh
from admin_py.model.norms import normed
from admin_py.model.observation import Observation, Place, select
from admin_py.model.rotary import THETA, Rotary
from admin_py.results import run_metadata

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.model.config import TransformerConfig

ATTENTION = (".self_attn", ".cross_attn")


def places(config: TransformerConfig) -> dict[str, Place]:
    """Where the core keeps each activation of a model, in the order of the pass."""
    found: dict[str, Place] = {}
    for stack in config.stacks:
        found[f"{stack}.input"] = (stack, 0, "output")
        names = config.sublayer_names(stack)
        for index, name in enumerate(names, start=1):
            found[f"{name}.input"] = (stack, index - 1, "output")
            found[f"{name}.normed"] = (stack, index, "normed")
            if name.endswith(ATTENTION):
                found[f"{name}.probabilities"] = (stack, index, "probabilities")
            found[f"{name}.branch"] = (stack, index, "branch")
            found[f"{name}.sum"] = (stack, index, "sum")
            found[f"{name}.output"] = (stack, index, "output")
        found[f"{stack}.output"] = (stack, len(names), "end")
    return found


def residual_places(config: TransformerConfig) -> dict[str, Place]:
    """Of the stream alone, each array once: stacks' inputs, branches and outputs of sub-layers."""
    found = {name: place for name, place in places(config).items() if place[2] in ("output", "branch")}
    inputs = {f"{stack}.input" for stack in config.stacks}
    return {name: place for name, place in found.items() if not name.endswith(".input") or name in inputs}


def gradient_places(config: TransformerConfig) -> dict[str, Place]:
    """Where the core keeps the gradients of activations."""
    sites = {"output": "output_gradient", "branch": "branch_gradient"}
    return {
        name: (stack, index, sites[site])
        for name, (stack, index, site) in places(config).items()
        if site in sites
    }


def last_name(config: TransformerConfig) -> str:
    """Name of what the pass returns: ``"logits"``, of an encoder ``"output"``."""
    return "output" if config.kind == "encoder" else "logits"


def observe(
    core: Any,
    config: TransformerConfig,
    batch: Batch,
    handed: Any,
    *,
    activations: str | Sequence[str],
    gradients: str | Sequence[str],
    spare: Callable[[], Any],
    training: bool,
    step: int,
    label_smoothing: float,
    z_loss: float,
    seed: int | None = None,
) -> Observation:
    """As `Transformer.observe`.

    `handed` is the batch as the core has it, `seed` the model's; `spare` gives the core of a copy, whose
    gradients may be overwritten.
    """
    where, last = places(config), last_name(config)
    wanted = select([*where, last], activations)
    back = gradient_places(config)
    if last == "logits":
        back["logits"] = ("", 0, "logits")
    asked = select(list(back), gradients, "gradients")
    if asked and last != "logits":
        raise ValueError("gradients: an encoder has no loss, so its activations have no gradients")
    logits = core.forward(handed, training=training, step=step, observe=True)
    seen = core.observations()
    reader = Reader(core, config, _offsets(batch))
    kept = {name: logits if name == last else reader.read(name, where[name]) for name in wanted}
    found: dict[str, Any] = {}
    if asked:
        keep = {"observe": True, "keep_gradients": True}
        other = spare()  # the user's gradients stay
        loss = {"label_smoothing": label_smoothing, "z_loss": z_loss}
        other.backward(handed, training=training, step=step, **loss, **keep)
        for name in asked:
            if name == "logits":
                found[name] = _logits_gradient(logits, batch, label_smoothing, z_loss)
            else:
                found[name] = other.activation(*back[name])
    return Observation(
        activations=kept,
        gradients=found,
        var_input={stack: values["var_input"] for stack, values in seen.items()},
        var_branch={stack: values["var_branch"] for stack, values in seen.items()},
        names={stack: tuple(config.sublayer_names(stack)) for stack in seen},
        metadata=run_metadata(
            seed=seed, dtype=logits.dtype.name, scheme=config.scheme_name, training=training, step=step
        ),
    )


class Reader:
    """Reads what an observed pass kept.

    Parameters
    ----------
    core : object of the core
        That made the pass.
    config : TransformerConfig
        Its configuration.
    offsets : mapping
        Stack -> offsets [B + 1] of the sequences that it read.
    causal : frozenset of str
        Stacks whose self-attention sees nothing after its token.
    memory : ndarray [M, D], optional
        What cross-attention read; by default the end of the encoder.
    """

    def __init__(
        self,
        core: Any,
        config: TransformerConfig,
        offsets: Mapping[str, NDArray[np.int64]],
        *,
        causal: frozenset[str] = frozenset(("decoder",)),
        memory: NDArray[Any] | None = None,
    ) -> None:
        self.core, self.config, self.offsets, self.causal = core, config, offsets, causal
        self.weights, self.memory = core.parameters, memory

    def read(self, name: str, place: Place) -> Any:
        """The array of a name; of probabilities a tuple, one array a sequence."""
        if place[2] == "probabilities":
            return tuple(self._probabilities(name.removesuffix(".probabilities"), place))
        return self.core.activation(*place)

    def _keys(self, read: NDArray[Any], stack: str, cross: bool) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """What the keys are made of, and its offsets."""
        if not cross:
            return read, self.offsets[stack]
        if self.memory is None:
            self.memory = self.core.activation("encoder", self.config.num_sublayers("encoder"), "end")
        return self.memory, self.offsets["encoder"]

    @property
    def _rotary(self) -> Rotary:
        config = self.config
        width, theta = config.rotary_width or config.width_of_heads, config.rotary_theta or THETA
        return Rotary(width, theta, config.rotary_interleaved, config.rotary_scaling)

    def _scored(self, products: NDArray[Any]) -> NDArray[Any]:
        """What the softmax reads of products of queries and keys."""
        scale, cap = self.config.attention_scale, self.config.score_cap
        width = np.sqrt(self.config.width_of_heads, dtype=products.dtype)
        scores = products / width if scale is None else products * products.dtype.type(scale)
        return scores if cap is None else cap * tanh(scores / cap)

    def _normed(self, x: NDArray[Any], heads: int, name: str) -> NDArray[Any]:
        """Queries or keys [M, heads K] after their norm, each head's or all features' of a row."""
        config = self.config
        parts = x if config.qk_norm_whole else x.reshape(len(x), heads, -1)
        return normed(config.qk_norm, parts, self.weights, name, config.norm_eps).reshape(x.shape)

    def _probabilities(self, name: str, place: Place) -> Iterator[NDArray[Any]]:
        """softmax(scale q k) of every sequence, before dropout: [H, T, S]."""
        stack, index, _ = place
        read = self.core.activation(stack, index, "normed")
        cross = name.endswith(".cross_attn")
        source, keys = self._keys(read, stack, cross)
        weights = self.weights
        q, k = (_linear(x, weights, f"{name}.{part}") for part, x in (("q", read), ("k", source)))
        heads, kv_heads = self.config.heads, self.config.num_kv_heads
        q, k = self._normed(q, heads, f"{name}.norm_q"), self._normed(k, kv_heads, f"{name}.norm_k")
        causal = not cross and stack in self.causal
        layer = (index - 1) // self.config.sublayers_per_layer(stack)
        window = None if cross else self.config.windows(stack)[layer]
        for (first, end), (start, stop) in zip(pairwise(self.offsets[stack]), pairwise(keys), strict=True):
            queries = q[first:end].reshape(end - first, heads, -1)
            others = k[start:stop].reshape(stop - start, kv_heads, -1)
            if self.config.positions == "rotary" and not cross:
                queries, others = self._rotary.turn(queries), self._rotary.turn(others)
            queries, others = queries.transpose(1, 0, 2), others.transpose(1, 0, 2)
            others = others.repeat(heads // kv_heads, axis=0)
            scores = np.array([product(*pair) for pair in zip(queries, others, strict=True)])
            scores = self._scored(scores)
            scores = np.where(_seen(end - first, stop - start, causal, window), scores, -np.inf)
            yield _softmax(scores).astype(q.dtype)


def _seen(queries: int, keys: int, causal: bool, window: int | None) -> NDArray[np.bool_]:
    """Which keys a query sees: [T, S].

    Examples
    --------
    >>> _seen(3, 3, True, 2).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    distance = np.arange(queries)[:, None] - np.arange(keys)
    seen = distance >= 0 if causal else np.ones(distance.shape, bool)
    return seen if window is None else seen & (np.abs(distance) < window)


def _linear(x: NDArray[Any], weights: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """X W^T, and the bias where the map has one."""
    y = product(x, weights[f"{name}.weight"])
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def _offsets(batch: Batch) -> dict[str, NDArray[np.int64]]:
    """Of what each stack reads: a decoder reads all but the last token of each sequence."""
    given = (batch.target or batch.source).offsets
    return {"encoder": batch.source.offsets, "decoder": given - np.arange(len(given))}


def _softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Along the last axis, in float64."""
    powers = exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _logits_gradient(
    logits: NDArray[Any], batch: Batch, label_smoothing: float, z_loss: float
) -> NDArray[Any]:
    """dL/dlogits = ((1 + 2 z_loss lse) softmax - target distribution) / M, in the dtype of the logits."""
    given = batch.target or batch.source
    first = np.zeros(given.tokens.size, dtype=bool)
    first[given.offsets[:-1]] = True
    labels = given.tokens[~first]
    gradient = _softmax(logits)
    if z_loss != 0:
        top = logits.max(axis=1, keepdims=True).astype(np.float64)
        gradient = gradient * (
            1.0 + 2.0 * z_loss * (top + logs(exp(logits - top).sum(axis=1, keepdims=True)))
        )
    gradient = gradient - label_smoothing / logits.shape[1]
    gradient[np.arange(len(labels)), labels] -= 1.0 - label_smoothing
    return np.asarray(gradient / len(labels), dtype=logits.dtype)
