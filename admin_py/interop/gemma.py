"""Gemma and Gemma 2 as Hugging Face has them: Llama's tensors, and then more norms, caps and windows.

RMSNorm before each branch, whose gains are kept without the 1 that is added to them; feed-forwards gated by
gelu; embeddings times sqrt(D), which are the output's too. Of Gemma 2 also norms after each branch, soft caps
of scores and logits, and windows of attention in every second layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.interop import llama
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece, Places
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, refuse
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scheme, Site

MEANS_NOTHING = llama.MEANS_NOTHING

UNKNOWN = {"use_bidirectional_attention": "attention that is not causal"}

KINDS = ("gemma", "gemma2")
"""Values of ``model_type``."""

WITHIN = {**llama.WITHIN, "feed_forward.norm": "pre_feedforward_layernorm"}
"""Of a layer of Gemma 2."""


def _around_branches(site: Site) -> Residual:
    del site
    return Residual(norm_pre="rms", norm_branch="rms")


AROUND_RMS = Scheme(
    "around_rms",
    _around_branches,
    source="Gemma Team, Gemma 2, arXiv 2408.00118",
    final_norm="rms",
    summary="y = x + RMSNorm(f(RMSNorm(x)))",
)


class Gemma:
    """How the first one is read, or the second.

    Parameters
    ----------
    kind : {"gemma", "gemma2"}
    """

    def __init__(self, kind: str) -> None:
        self.second = kind == "gemma2"

    def config_of(self, source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
        """The model that the configuration describes."""
        refuse(source, settings, UNKNOWN)
        config = llama.config_of(source, settings)
        told = settings.get("hidden_activation") or settings.get("hidden_act") or "gelu_pytorch_tanh"
        config = config.replace(activation=activation_of(source, told), embedding_scale=None)
        if not self.second:
            return config
        divisor = settings.get("query_pre_attn_scalar", 256)
        return config.replace(
            scheme=AROUND_RMS,
            attention_scale=None if divisor == config.width_of_heads else float(divisor) ** -0.5,
            score_cap=settings.get("attn_logit_softcapping", 50.0),
            logits_cap=settings.get("final_logit_softcapping", 30.0),
        )

    def places(self, source: Source, config: TransformerConfig) -> Places:
        """Where the tensors lie."""
        del config
        return names(llama.prefix(source), second=self.second)


def names(before: str, *, second: bool) -> Places:
    """The places of parameters, of names that begin with this; gains are 1 more than theirs."""
    within = WITHIN if second else llama.WITHIN
    table = LayerNames(llama.ends_of(before), before + "layers.{layer}", within)

    def place(name: str) -> Piece | NDArray[np.float64]:
        piece = table(name)
        return piece._replace(plus=1.0) if isinstance(piece, Piece) and name.endswith(".gamma") else piece

    return place
