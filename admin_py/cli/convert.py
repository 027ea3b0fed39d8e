"""The command ``admin-py convert``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from admin_py.base.streams import say_result
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.options import UsageError
from admin_py.interop import to_fairseq, to_hugging_face
from admin_py.interop.families import FAMILIES
from admin_py.interop.pretrained import FORMATS, load_pretrained
from admin_py.interop.torch import write
from admin_py.model.transformer import Transformer

SUMMARY = "read a model of another library and write it as one of this package, or the other way"

EXAMPLES = """\
examples:
  admin-py convert checkpoint_best.pt model.safetensors
      a checkpoint of fairseq, or of Transformer-Clinic
  admin-py convert Llama-3.2-1B model.safetensors
      a folder with config.json
  admin-py convert --setting decoder_attention_heads=4 language_model.safetensors model.safetensors
      what the file does not say, in the other library's words
  admin-py analyse dependency --model model.safetensors
      and what then can be done with it
  admin-py convert --to torch run folder
      what admin-py train wrote, as plain PyTorch: code, configuration and weights
  admin-py convert --to hugging_face model.safetensors folder
      as a model of a family of Hugging Face that holds it exactly"""

READING = "reading a model of another library, without --to"

WORDS = {"true": True, "false": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="checkpoint of PyTorch, a safetensors file, or a folder of Hugging Face; with --to a model of "
        "this package",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="file to be written, such as model.safetensors; with --to torch and hugging_face a folder",
    )
    parser.add_argument(
        "--to", choices=tuple(WAYS_OUT), help="write a model of this package for this library"
    )
    parser.add_argument(
        "--family", choices=tuple(FAMILIES), help="of Hugging Face (default: the first that holds the model)"
    )
    parser.add_argument(
        "--format", choices=("auto", *FORMATS), default="auto", help="(default: by the names of the tensors)"
    )
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="may be given several times"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="(default: float32)"
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    note_given(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py convert``."""
    given = take_given(options)
    if options.to != "hugging_face":
        refuse(given, {"family": "--to hugging_face"})
    settings = dict(_setting(text) for text in options.setting)
    if options.to is None:
        model = load_pretrained(options.source, options.format, settings=settings, dtype=options.dtype)
        model.save(options.model)
    else:
        refuse(given, dict.fromkeys(("format", "dtype"), READING))
        if options.to != "hugging_face":
            refuse(given, {"setting": f"{READING}, and with --to hugging_face"})
        model = _own_model(options.source)
        model = WAYS_OUT[options.to](model, options.model, options.family, settings) or model
    lost = say_result(f"{model!r}\n{options.model}")
    if lost is not None:
        raise OSError(f"the standard output stream cannot be written: {lost}")
    return 0


def _to_torch(model: Transformer, out: str, family: None, settings: Mapping[str, Any]) -> None:
    write(model, out)


def _to_hugging_face(
    model: Transformer, out: str, family: str | None, settings: Mapping[str, Any]
) -> Transformer:
    return to_hugging_face(model, out, family=family, settings=settings)


def _to_fairseq(model: Transformer, out: str, family: None, settings: Mapping[str, Any]) -> Transformer:
    return to_fairseq(model, out)


WAYS_OUT: Mapping[str, Callable[..., Transformer | None]] = {
    "torch": _to_torch,
    "hugging_face": _to_hugging_face,
    "fairseq": _to_fairseq,
}
"""Library -> what writes a model for it; it returns what has become of the model."""


def _own_model(path: str) -> Transformer:
    """A model's file, a checkpoint, or the folder of a training."""
    from admin_py.loading import load

    found = load(path)
    model = getattr(found, "model", found)
    if not isinstance(model, Transformer):
        raise ValueError(f"{path!r} holds no model, but a {type(found).__name__}")
    return model


def _setting(text: str) -> tuple[str, Any]:
    """A name and its value: true, false, a number, or a word.

    Examples
    --------
    >>> _setting("encoder_attention_heads=4"), _setting("dropout=.1"), _setting("activation_fn=gelu")
    (('encoder_attention_heads', 4), ('dropout', 0.1), ('activation_fn', 'gelu'))
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--setting must be NAME=VALUE, got {text!r}")
    if value.lower() in WORDS:
        return name, WORDS[value.lower()]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value
