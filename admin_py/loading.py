"""`load` opens whatever this package has written, by what it is."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.paths import path_of
from admin_py.base.plain_files import open_plain
from admin_py.base.tensors import CHECKPOINT, FORMATS, MODEL, OBSERVATION, looks_like_tensors, read_header
from admin_py.data.tokenizer import tokenizer_kind, tokenizer_of
from admin_py.experiments.grid.files import GRID_FILE
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.study.files import RUN_FILE, STUDY_FILE
from admin_py.experiments.study.results import Study, StudyRun
from admin_py.experiments.trained import TRAINED_FILE, TrainedModel
from admin_py.model.observation import Observation
from admin_py.model.transformer import Transformer
from admin_py.results import result_classes, result_of
from admin_py.training.checkpoint import load_model

HEAD = 512
"""Bytes of a file that tell what it is."""

NAMES_SHOWN = 6
"""Names of a folder's entries in an error."""


class Folder(NamedTuple):
    """A folder that is opened as one thing."""

    file: str
    """Tells that the folder is one."""
    kind: str
    """In that file, and in words."""
    load: Callable[[Path], Any]


FOLDERS = (
    Folder(STUDY_FILE, "study", Study.load),
    Folder(GRID_FILE, "grid", Grid.load),
    Folder(RUN_FILE, "study run", StudyRun.load),
    Folder(TRAINED_FILE, "trained model", TrainedModel.load),
)

TENSORS: Mapping[str, Callable[[Path], Any]] = {
    MODEL.name: Transformer.load,
    CHECKPOINT.name: load_model,
    OBSERVATION.name: Observation.load,
}
"""Format of a safetensors file -> what opens it."""

EXPECTED = (
    "expected a model, a checkpoint of a training, a result, a tokenizer, or the folder of a study, a run of "
    "a study, a grid or a trained model"
)

BEGINNINGS: Mapping[bytes, str] = {
    rb"\x89PNG": "a picture (PNG)",
    rb"%PDF": "a picture or a document (PDF)",
    rb"\s*<!doctype html|\s*<html": "a page (HTML), to be opened in a browser",
    rb"\s*<\?xml|\s*<svg": "a picture (SVG)",
    rb"PK\x03\x04": "a zip archive, such as NumPy's .npz and PyTorch's files are",
    rb"\x1f\x8b": "compressed with gzip",
    rb"\x93NUMPY": "an array of NumPy (.npy)",
    rb"\x80[\x02-\x05]": "a pickle, which may run any code when it is opened: pickle.load does",
    rb"\d+ [-+.\de]+\r?\n": "a profile in the text format of Transformer-Clinic, which does not tell "
    "the layers: VarianceProfile.from_clinic opens it",
}
"""What a file that is not opened begins with -> what it is."""


@door
def load(path: str | os.PathLike[str]) -> Any:
    """Open what this package has written, whatever it is.

    Parameters
    ----------
    path : path
        Of a file or a folder.

    Returns
    -------
    Transformer
        Of a model's file, and of a checkpoint of a training: the model as it was then.
    Result
        Of any result's file: `History`, `VarianceProfile`, `Diagnosis`, `GridCell`, those of
        `admin_py.analysis` and your own classes.
    Study, StudyRun, Grid, TrainedModel
        Of the folder of a study, of one of its runs, of a grid, of ``admin-py train``; or of the file
        ``study.json``, ``run.json``, ``grid.json`` or ``trained.json`` in it.
    Tokenizer
        Of a tokenizer's file, a `tokenizer.json` of Hugging Face's `tokenizers` included.

    Raises
    ------
    OSError
        If there is nothing, or it cannot be read.
    ValueError
        Saying what the path is, if it is anything else; also if a file is cut off or damaged.

    Examples
    --------
    >>> import os, tempfile
    >>> from admin_py.model.config import TransformerConfig
    >>> config = TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Transformer(config).save(os.path.join(folder, "model.safetensors"))
    ...     load(os.path.join(folder, "model.safetensors"))
    Transformer(encoder 1 layers, ...)
    """
    place = path_of(path)
    if place.is_dir():
        return _load_folder(place)
    if place.exists() and not place.is_file():
        raise ValueError(f"{str(place)!r} is neither a file nor a folder; {EXPECTED}")
    return _load_file(place)


def _load_folder(place: Path) -> Any:
    for folder in FOLDERS:
        if (place / folder.file).is_file():
            return folder.load(place)
    names = sorted(one.name for one in place.iterdir())
    if not names:
        raise ValueError(f"{str(place)!r} is an empty folder; {EXPECTED}")
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    raise ValueError(
        f"{str(place)!r} is a folder without any of {', '.join(one.file for one in FOLDERS)}; it holds "
        f"{', '.join(names[:NAMES_SHOWN])}{more}. Files are opened one at a time; {EXPECTED}"
    )


def _load_file(place: Path) -> Any:
    try:
        with open_plain(place) as stream:
            head = stream.read(HEAD)
            has_tensors = looks_like_tensors(head) or place.suffix == ".safetensors"
            is_json = not has_tensors and head.lstrip()[:1] in (b"{", b"[")
            text = head + stream.read() if is_json else b""
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from None
    if not head:
        raise ValueError(f"{str(place)!r} is an empty file; {EXPECTED}")
    if has_tensors:
        return _load_tensors(place)
    if is_json:
        return _load_json(place, text)
    raise ValueError(f"{str(place)!r} is {_what(place, head)}; {EXPECTED}")


def _load_tensors(place: Path) -> Transformer:
    found = read_header(place).get("format", "")
    if found not in TENSORS:
        of = f"of format {found!r}" if found else "of something else"
        known = ", ".join(map(repr, FORMATS))
        raise ValueError(f"{str(place)!r} is a safetensors file {of}, expected one of format {known}")
    return TENSORS[found](place)


def _load_json(place: Path, text: bytes) -> Any:
    try:
        document = documents.Document.of(place, text)
    except documents.Damaged as error:
        raise ValueError(f"{str(place)!r} is damaged: {error}") from None
    except documents.NotJSON as error:
        raise ValueError(f"{str(place)!r} is {error}") from None
    except ValueError as error:
        raise ValueError(f"{str(place)!r} is JSON that is not read: {error}") from None
    data = document.value
    kind = data.get("kind") if isinstance(data, dict) else None
    for folder in FOLDERS:
        if kind == folder.kind:
            if place.name == folder.file:
                return folder.load(place.parent)
            raise ValueError(
                f"{str(place)!r} is the file {folder.file} of a {kind} under another name: it belongs into "
                f"the {kind}'s folder, which is opened as a whole"
            )
    if tokenizer_kind(data) is not None:
        return tokenizer_of(data, str(place))
    known = result_classes()
    if isinstance(kind, str) and kind in known:
        return result_of(document, known[kind])
    what = "JSON without a kind" if kind is None else f"JSON of kind {kind!r}"
    raise ValueError(f"{str(place)!r} is {what}, expected one of {', '.join(sorted(known))}; {EXPECTED}")


def _what(place: Path, head: bytes) -> str:
    """What a file is that is not opened, in words."""
    for beginning, what in BEGINNINGS.items():
        if re.match(beginning, head, re.IGNORECASE):
            return what
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not a letter that the end of the head has cut
            return "not of a kind that is known here"
    return "a table (CSV), which pandas.read_csv reads" if place.suffix == ".csv" else "text"
