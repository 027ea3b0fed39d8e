"""The command ``admin-py convert``."""

from __future__ import annotations

import argparse
from typing import Any

from admin_py.base.streams import say_result
from admin_py.cli.options import UsageError
from admin_py.interop.pretrained import FORMATS, load_pretrained

SUMMARY = "read a model of another library and write it as one of this package"

EXAMPLES = """\
examples:
  admin-py convert checkpoint_best.pt model.safetensors
      a checkpoint of fairseq, or of Transformer-Clinic
  admin-py convert Llama-3.2-1B model.safetensors
      a folder with config.json
  admin-py convert --setting decoder_attention_heads=4 language_model.safetensors model.safetensors
      what the file does not say, in the other library's words
  admin-py analyse dependency --model model.safetensors
      and what then can be done with it"""

WORDS = {"true": True, "false": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="checkpoint of PyTorch, a safetensors file, or a folder of Hugging Face",
    )
    parser.add_argument("model", metavar="MODEL", help="file to be written, such as model.safetensors")
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


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py convert``."""
    settings = dict(_setting(text) for text in options.setting)
    model = load_pretrained(options.source, options.format, settings=settings, dtype=options.dtype)
    model.save(options.model)
    lost = say_result(f"{model!r}\n{options.model}")
    if lost is not None:
        raise OSError(f"the standard output stream cannot be written: {lost}")
    return 0


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
