"""`to_hugging_face` writes a model as one of a family of Hugging Face."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from admin_py.base import tensors
from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_mapping
from admin_py.base.paths import make_folder, path_of
from admin_py.base.whole_files import write_whole
from admin_py.interop.families import FAMILIES
from admin_py.interop.family import Family
from admin_py.interop.plain import simplified
from admin_py.interop.writing import kept, tensors_of

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer

IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
"""Of the data of this package."""


@door
def to_hugging_face(
    model: Transformer,
    folder: str | os.PathLike[str],
    *,
    family: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Transformer:
    """Write a model as one of Hugging Face's, where a family holds it exactly.

    A model that a family does not hold as it is is made plain first, with the same function: omega is folded
    where the method allows it (an Admin model becomes a Post-LN model), alpha goes into the map before it,
    sinusoids become positions with the same numbers, embeddings that are scaled are no longer shared.

    Parameters
    ----------
    model : Transformer
        It stays as it is.
    folder : path
        Made if it is not there; gets ``config.json`` and ``model.safetensors``.
    family : str, optional
        ``"gpt2"``, ``"opt"``, ``"llama"``, ``"mistral"``, ``"qwen2"``, ``"qwen3"``, ``"olmo2"``,
        ``"gemma"``, ``"gemma2"``, ``"gpt_neox"``, ``"gptj"``, ``"marian"``, ``"pegasus"``, ``"m2m_100"``,
        ``"bart"``, ``"mbart"``, ``"fsmt"``, ``"bert"``, ``"electra"``, ``"roberta"``, ``"xlm-roberta"``,
        ``"camembert"`` or ``"distilbert"``. By default the first that holds the model.
    settings : mapping
        Further entries of ``config.json``, such as ``{"eos_token_id": 5}``. Ids of padding, beginning and end
        are 0, 1 and 2 unless it says otherwise, as in the data of this package.

    Returns
    -------
    Transformer
        What was written: the model, or what it became. `admin_py.load_pretrained` of the folder gives its
        parameters bit for bit.

    Raises
    ------
    ValueError
        If no family holds it; naming all that stands in the way into the nearest one. `interop.torch.module`
        holds every model.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from admin_py.model.config import TransformerConfig
    >>> from admin_py.model.transformer import Transformer
    >>> config = TransformerConfig(
    ...     vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=8, max_length=16
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_hugging_face(Transformer(config), folder).config.scheme_name
    'post_ln'
    >>> to_hugging_face(Transformer(config.replace(scheme="sandwich", logits_cap=9.0)), "out")
    Traceback (most recent call last):
    ValueError: model cannot be written as pegasus, the nearest family of Hugging Face: it has
    logits_cap=9.0; norm_branch='layer' of encoder.0.self_attn and 4 more.
    admin_py.interop.torch.module(model) holds all of it
    """
    place = path_of(folder, "folder")
    if family is not None:
        check_choice("family", family, tuple(FAMILIES))
    given = _plain({} if settings is None else check_mapping("settings", settings))
    families = {family: FAMILIES[family]} if family is not None else FAMILIES
    name, written = _fitting(model, families)
    config, chosen = written.config, FAMILIES[name]
    told = {
        "model_type": name,
        "architectures": [chosen.architecture],
        "dtype": model.dtype,
        **{key: value for key, value in IDS.items() if value < config.vocab_size},
        **chosen.settings(config),
    }
    _check_fixed(name, chosen, told, given)
    places = chosen.places(config)
    rounded = kept(written.parameters, places)
    if rounded:
        written = written.copy()
        for parameter, values in rounded.items():
            written.parameters[parameter][...] = values
    found = tensors_of(written.parameters, places)
    chosen.finish(config, found)
    make_folder(place)
    write_whole(place / "config.json", json.dumps({**told, **given}, indent=2) + "\n")
    tensors.write_foreign(place / "model.safetensors", found)
    return written


def _check_fixed(name: str, family: Family, told: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Nobody gives another value to a setting that the tensors depend on."""
    for setting in family.fixed:
        if given.get(setting, told[setting]) != told[setting]:
            raise ValueError(
                f"settings must leave {setting} of {name} at {told[setting]}, by which it counts positions, "
                f"got {given[setting]!r}"
            )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that JSON holds."""
    try:
        return json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"settings must be plain values that JSON holds: {error}") from None


def _fitting(model: Transformer, families: Mapping[str, Family]) -> tuple[str, Transformer]:
    """The first family that holds the model as it is, else the first that holds what it can become."""
    kind = model.config.kind
    mine = {name: one for name, one in families.items() if one.kind == kind}
    if not mine:
        kinds = sorted({one.kind for one in families.values()})
        raise ValueError(
            f"model is of the kind {kind}, and {', '.join(families)} {'is' if len(families) == 1 else 'are'} "
            f"{' or '.join(kinds)}; admin_py.interop.torch.module(model) holds it"
        )
    for name, one in mine.items():
        if not one.obstacles(model):
            return name, model
    left: dict[str, list[str]] = {}
    for name, one in mine.items():
        plain = simplified(model, factors=one.factors)
        left[name] = one.obstacles(plain)
        if not left[name]:
            return name, plain
    nearest = min(left, key=lambda name: len(left[name]))
    what = nearest if len(families) == 1 else f"{nearest}, the nearest family of Hugging Face"
    raise ValueError(
        f"model cannot be written as {what}: it has {'; '.join(left[nearest])}. "
        "admin_py.interop.torch.module(model) holds all of it"
    )
