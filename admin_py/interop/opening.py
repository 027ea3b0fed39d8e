"""Opening what a model of another library lies in: a file, a folder, a mapping or a module."""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from admin_py.base import documents, tensors
from admin_py.base.checks import shown
from admin_py.base.extras import installed_by
from admin_py.base.paths import is_path, path_of
from admin_py.base.plain_files import open_plain
from admin_py.interop import joeynmt, torch_nn
from admin_py.interop.source import Source, source_of

HEAD = 16
"""Bytes that tell a safetensors file from a pickle."""

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
COMPILED = "_orig_mod."
BESIDE = "config.yaml"
"""JoeyNMT's configuration, in the folder of its checkpoints."""

INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""Files of Hugging Face's folders; what comes first is taken."""

STATES = ("model", "model_state", "state_dict")
"""Entries of a checkpoint under which its tensors are."""


_ASKED_FOR = re.compile(r"GLOBAL (\S+)")
"""In PyTorch's error: what a pickle would have called or made."""


class Opened(NamedTuple):
    """A model of another library.

    Attributes
    ----------
    source : Source
    settings : mapping
        What the checkpoint says of the model beside its tensors, in its own words.
    """

    source: Source
    settings: Mapping[str, Any]


@contextmanager
def opened(given: Any) -> Iterator[Opened]:
    """What is to be read, as long as it is open.

    Parameters
    ----------
    given : path, mapping or module
        A safetensors file or a pickle of PyTorch; a folder of Hugging Face, with ``config.json``; tensors by
        name, or a checkpoint that holds them; a module, whose ``state_dict`` is taken, and ``config`` if it
        has one.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If it is nothing of these.
    ModuleNotFoundError
        Where a pickle needs PyTorch.
    """
    with ExitStack() as stack:
        if callable(getattr(given, "state_dict", None)):
            state = _plain_names(given.state_dict())
            yield Opened(source_of(f"the module {type(given).__name__}", state), _of_module(given))
        elif isinstance(given, Mapping):
            yield _of_checkpoint("the mapping", given)
        elif is_path(given):
            path = path_of(given)
            yield _of_folder(path, stack) if path.is_dir() else _of_file(str(path), stack)
        else:
            raise TypeError(
                f"source must be a path, a mapping of tensors or a module of PyTorch, got {shown(given)}"
            )


def _of_module(module: Any) -> Mapping[str, Any]:
    """What a module says of itself: by its configuration, or by its layers; distributed training wraps it."""
    config = getattr(module, "config", None)
    if config is None:
        config = getattr(getattr(module, "module", None), "config", None)
    if isinstance(config, Mapping):
        return config
    told = getattr(config, "to_dict", None)
    if callable(told):
        return told()
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return dataclasses.asdict(config)
    return torch_nn.told_by(module) if callable(getattr(module, "modules", None)) else {}


def _plain_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Without what ``torch.compile`` puts into the names of modules."""
    return {
        name.replace(COMPILED, "") if isinstance(name, str) else name: value
        for name, value in tensors.items()
    }


def _of_file(where: str, stack: ExitStack) -> Opened:
    with open_plain(where) as stream:
        head = stream.read(HEAD)
    if not tensors.looks_like_tensors(head):
        found = _of_checkpoint(repr(where), _unpickled(where))
        return found._replace(settings=_beside(Path(where))) if joeynmt.recognises(found.source) else found
    file = stack.enter_context(tensors.opened_foreign(where))
    shapes = {name: entry.shape for name, entry in file.entries.items()}
    return Opened(Source(repr(where), shapes, file.read_one), {})


def _of_folder(folder: Path, stack: ExitStack) -> Opened:
    """What Hugging Face's ``save_pretrained`` writes: a configuration, and tensors in one file or several."""
    config = _json(folder / "config.json")
    for name in WEIGHTS:
        if (folder / name).exists():
            return Opened(_of_file(str(folder / name), stack).source, config)
    for name in INDICES:
        if (folder / name).exists():
            return Opened(_of_parts(folder, folder / name, stack), config)
    raise ValueError(f"{str(folder)!r} must hold one of {', '.join((*WEIGHTS, *INDICES))}, and has none")


def _of_parts(folder: Path, index: Path, stack: ExitStack) -> Source:
    """Tensors that lie in several files, as an index says."""
    places = _json(index).get("weight_map")
    if not isinstance(places, Mapping):
        raise ValueError(f"{str(index)!r} must have a weight_map, from names to files")
    parts: dict[str, Source] = {}
    for file in dict.fromkeys(places.values()):
        if not isinstance(file, str) or Path(file).name != file:
            raise ValueError(f"{str(index)!r} must name files in its folder, got {file!r}")
        parts[file] = _of_file(str(folder / file), stack).source
    for name, file in places.items():
        if name not in parts[file]:
            raise ValueError(f"{parts[file].where} has no tensor {name!r}, which the index says")
    shapes = {name: parts[file].shapes[name] for name, file in places.items()}
    return Source(repr(str(folder)), shapes, lambda name: parts[places[name]].read(name))


def _json(path: Path) -> dict[str, Any]:
    with open_plain(path) as stream:
        found = documents.parse(stream.read())
    if not isinstance(found, dict):
        raise ValueError(f"{str(path)!r} must hold an object")
    return found


def _unpickled(where: str) -> Any:
    """What a pickle of tensors and plain values holds; one with code is refused before any of it runs."""
    with installed_by("pretrained"):
        import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(where, map_location="cpu", weights_only=True, mmap=_can_be_mapped(where))
    except pickle.UnpicklingError as error:
        asked = _ASKED_FOR.search(str(error))
        why = "is no checkpoint of PyTorch" if asked is None else f"asks for {asked[1]}"
        raise ValueError(
            f"{where!r} must hold tensors and plain values alone, but {why}; nothing of it was run"
        ) from None
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{where!r} is cut off or no checkpoint of PyTorch: {error}") from None


def _beside(checkpoint: Path) -> dict[str, Any]:
    """What JoeyNMT's configuration says of the model; nothing where there is none."""
    path = checkpoint.parent / BESIDE
    if not path.exists():
        return {}
    with installed_by("pretrained"):
        import yaml
    with open_plain(path) as stream:
        try:
            found = yaml.safe_load(stream.read())
        except yaml.YAMLError as error:
            raise ValueError(f"{str(path)!r} is no YAML: {error}") from None
    model = found.get("model") if isinstance(found, Mapping) else None
    if not isinstance(model, Mapping):
        raise ValueError(f"{str(path)!r} must have an entry 'model'")
    return dict(model)


def _can_be_mapped(where: str) -> bool:
    """Whether it is a zip file, as PyTorch writes since 1.6: older pickles cannot be mapped."""
    with open_plain(where) as stream:
        return stream.read(4) == b"PK\x03\x04"


def _of_checkpoint(where: str, found: Any) -> Opened:
    """Tensors, and what stands beside them."""
    if not isinstance(found, Mapping):
        raise ValueError(f"{where} must hold tensors by name, got an object of type {type(found).__name__}")
    for entry in STATES:
        if isinstance(found.get(entry), Mapping):
            return Opened(source_of(where, _plain_names(found[entry])), _settings(found))
    return Opened(source_of(where, _plain_names(found)), {})


def _settings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """``args`` or the part ``model`` of ``cfg`` of fairseq's checkpoints, ``model_args`` of nanoGPT's."""
    told = checkpoint.get("cfg")
    later = told.get("model") if isinstance(told, Mapping) else None
    for found in (checkpoint.get("args"), later, checkpoint.get("model_args")):
        if isinstance(found, argparse.Namespace):
            return dict(vars(found))
        if isinstance(found, Mapping):
            return dict(found)
    return {}
