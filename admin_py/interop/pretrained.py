"""`load_pretrained` reads a model of another library as a Transformer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_mapping
from admin_py.base.streams import warn
from admin_py.interop import (
    encoders,
    fairseq,
    gemma,
    gpt2,
    gpt_neox,
    gptj,
    joeynmt,
    llama,
    nanogpt,
    opt,
    own,
    refused,
    torch_nn,
    translators,
)
from admin_py.interop.opening import opened
from admin_py.interop.pieces import Places, copy_parameters
from admin_py.interop.source import Source
from admin_py.model.config import TransformerConfig
from admin_py.model.transformer import Transformer
from admin_py.model.undrawn import undrawn


class Format(NamedTuple):
    """How models of a library are read."""

    config_of: Callable[[Source, Mapping[str, Any]], TransformerConfig]
    places: Callable[[Source, TransformerConfig], Places]
    means_nothing: tuple[str, ...]
    """Patterns of the names of tensors that are no weights."""
    heads: tuple[str, ...] = ()
    """And of those that belong to no sub-layer and are left out with a warning."""
    recognises: Callable[[Source], bool] = lambda source: False
    """Whether the names of the tensors tell it, where nothing else does."""


class LeftOut(UserWarning):
    """A head or a pooler of a model of another library is no part of what was read."""


def _format(module: Any, one: Any = None) -> Format:
    """Of a module, or of a kind that the module has a table of."""
    one = module if one is None else one
    how = Format(one.config_of, one.places, module.MEANS_NOTHING, getattr(module, "HEADS", ()))
    return how._replace(recognises=one.recognises) if hasattr(one, "recognises") else how


FORMATS: Mapping[str, Format] = {
    "fairseq": _format(fairseq),
    "nanogpt": _format(nanogpt),
    "joeynmt": _format(joeynmt),
    "torch": _format(torch_nn),
    **{kind: _format(gemma, gemma.Gemma(kind)) for kind in gemma.KINDS},
    "gpt2": _format(gpt2),
    "gpt_neox": _format(gpt_neox),
    "gptj": _format(gptj),
    **{kind: _format(llama) for kind in llama.KINDS},
    "opt": _format(opt),
    **{kind: _format(translators, translators.Translator(kind)) for kind in translators.FAMILIES},
    **{kind: _format(encoders, encoders.Encoder(kind)) for kind in encoders.FAMILIES},
    own.MODEL_TYPE: _format(own),
}
"""Name -> how it is read."""


@door
def load_pretrained(
    source: str | os.PathLike[str] | Mapping[str, Any] | Any,
    format: str = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> Transformer:
    """Read a model of another library: the same logits, and all analyses work on it.

    Parameters
    ----------
    source : path, mapping, or torch.nn.Module
        A checkpoint or a safetensors file; a folder of Hugging Face, with ``config.json``; tensors by name,
        of NumPy or PyTorch; or a module, whose ``state_dict`` is taken. Pickles are read by PyTorch, tensors
        and plain values only: one that holds code is refused before any of it runs. Safetensors need no
        PyTorch.
    format : str
        By default, ``"auto"``, told by the configuration beside the tensors, or by their names.
        ``"fairseq"`` is its ``transformer`` and ``transformer_lm`` of all versions, and Transformer-Clinic,
        whose models may have Admin's omegas; ``"admin_py"`` what `interop.torch.module` and
        `interop.torch.write` have made of a model of this package; ``"torch"`` is torch.nn.Transformer and
        its parts, alone or within a model; ``"nanogpt"`` and ``"joeynmt"``; the others are families of
        Hugging Face. Language models: ``"gemma"``, ``"gemma2"``, ``"gpt2"``, ``"gpt_neox"``, ``"gptj"``,
        ``"llama"``, ``"mistral"``, ``"qwen2"``, ``"qwen3"``, ``"olmo2"``, ``"opt"``; translators:
        ``"marian"``, ``"pegasus"``, ``"m2m_100"``, ``"bart"``, ``"mbart"``, ``"fsmt"``; encoders:
        ``"bert"``, ``"electra"``, ``"roberta"``, ``"xlm-roberta"``, ``"camembert"``, ``"distilbert"``, whose
        hidden states are read: their heads and poolers are left out, with a warning that names them.
    settings : mapping, optional
        What is not said beside the tensors, in the other library's words, such as
        ``{"encoder_attention_heads": 4, "decoder_attention_heads": 4}``; it comes before what is said there.
    dtype : {"float32", "float64"}
        Of the model. float16 and bfloat16 are widened.

    Returns
    -------
    Transformer

    Raises
    ------
    ValueError
        If the format is not known, a tensor is missing, is left over, has another shape than it should or
        holds what is no number, or a part of the model cannot be expressed; naming it.
    TypeError
        If `source` is nothing that holds tensors.
    OSError
        If a file cannot be read.
    ModuleNotFoundError
        If a pickle needs PyTorch, which is not installed.

    Notes
    -----
    Token ids stay as they are: fairseq's have 0 for the beginning, 1 for padding, 2 for the end, and its
    models begin to decode with the end: ``ap.generation.beam_search(model, sources, bos=2, eos=2)``.

    Examples
    --------
    A model of fairseq's, here a Post-LN language model of zeros and ones:

    >>> import numpy as np
    >>> D, F, V = 4, 8, 10
    >>> shapes = {"embed_tokens.weight": (V, D)}
    >>> for name, shape in (("fc1", (F, D)), ("fc2", (D, F)), *((f"self_attn.{x}_proj", (D, D)) for x in
    ...                     ("q", "k", "v", "out"))):
    ...     shapes |= {f"layers.0.{name}.weight": shape, f"layers.0.{name}.bias": shape[:1]}
    >>> for name in ("self_attn_layer_norm", "final_layer_norm"):
    ...     shapes |= {f"layers.0.{name}.weight": (D,), f"layers.0.{name}.bias": (D,)}
    >>> tensors = {f"decoder.{name}": np.zeros(shape) for name, shape in shapes.items()}
    >>> model = load_pretrained(tensors, settings={"decoder_attention_heads": 2})
    >>> model.config.kind, model.config.scheme_name
    ('language_model', 'post_ln')
    """
    check_choice("format", format, ("auto", *FORMATS))
    given = {} if settings is None else check_mapping("settings", settings)
    with opened(source) as found:
        told = {**found.settings, **given}
        why = refused.reason(told, found.source.shapes)
        if why is not None:
            raise ValueError(f"{found.source.where} cannot be expressed: {why}")
        name = _told(found.source, told) if format == "auto" else format
        how, told = FORMATS[name], {"model_type": name, **told}
        found.source.settings = told
        found.source.pass_over(how.means_nothing)
        _say_left_out(found.source, how.heads)
        config = how.config_of(found.source, told)
        with undrawn():
            model = Transformer(config, dtype=dtype)
        copy_parameters(model, found.source, how.places(found.source, config))
        found.source.check_all_taken()
    return model


def _say_left_out(source: Source, heads: tuple[str, ...]) -> None:
    """Warn of the parts that a model of ours has not."""
    names = source.leave_out(heads)
    if names:
        parts = ", ".join(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
        warn(
            f"{source.where} is read without its head: {parts}; hidden states are the same",
            LeftOut,
            stacklevel=4,
        )


def _told(source: Source, settings: Mapping[str, Any]) -> str:
    """The format that is said, or that the names of the tensors are of."""
    kind = settings.get("model_type")
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"{source.where} is of the kind {kind!r}, which is none of {', '.join(FORMATS)}")
    found = (
        name for name, one in FORMATS.items() if name == kind or (kind is None and one.recognises(source))
    )
    name = next(found, None)
    if name is not None:
        return name
    if any(name.endswith(".feed_forward.fc1.weight") for name in source.shapes):
        raise ValueError(
            f"{source.where} is a model of admin-py itself: admin_py.load opens its files, and tensors alone "
            "need settings, the module's config"
        )
    some = ", ".join(list(source.shapes)[:3])
    raise ValueError(
        f"{source.where} is of no format that is known ({', '.join(FORMATS)}); its tensors are {some}, ..."
    )
