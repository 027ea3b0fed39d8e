"""``--model``: a model of this package or of another library, and what it reads."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from admin_py.base.paths import path_of
from admin_py.base.plain_files import open_plain
from admin_py.base.streams import say
from admin_py.base.tensors import CHECKPOINT, FORMATS, MODEL, looks_like_tensors, read_header
from admin_py.cli.options import UsageError, load_data
from admin_py.experiments.trained import TRAINED_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
    from admin_py.data.tokenizer import Tokenizer
    from admin_py.interop.text import PretrainedTokenizer
    from admin_py.model.transformer import Transformer

HEAD = 16
"""Bytes that tell a safetensors file."""

DRAWN_LENGTH = 64
"""Of the sequences that are drawn where no text is given, at most."""


class GivenModel(NamedTuple):
    """A model, and the tokenizer that lies beside it."""

    model: Transformer
    tokenizer: Tokenizer | PretrainedTokenizer | None
    without: str = ""
    """Why there is none."""


def open_model(path: str) -> GivenModel:
    """A model from a file or the folder of a training, of this package or of another library.

    Raises
    ------
    OSError, ValueError
        As `admin_py.load` and `admin_py.load_pretrained`.
    """
    from admin_py.interop.pretrained import load_pretrained
    from admin_py.interop.text import load_tokenizer_of
    from admin_py.loading import load

    place = path_of(path, "--model")
    if _is_ours(place):
        found = load(place)
        return GivenModel(getattr(found, "model", found), getattr(found, "tokenizer", None))
    model = load_pretrained(place)
    if not place.is_dir():
        return GivenModel(model, None, f"beside {place.name!r} no tokenizer is looked for: give its folder")
    try:
        return GivenModel(model, load_tokenizer_of(place, model=model))
    except (ValueError, ModuleNotFoundError) as error:  # without text it is not needed
        return GivenModel(model, None, str(error))


def _is_ours(place: Path) -> bool:
    """Whether this package has written a folder or file; one that is not there is as one of ours."""
    if place.is_dir():
        return (place / TRAINED_FILE).exists()
    with open_plain(place) as file:
        head = file.read(HEAD)
    if not looks_like_tensors(head):
        return False
    name = FORMATS.get(read_header(place).get("format", ""))
    return name in (MODEL, CHECKPOINT)


def read_batch(options: argparse.Namespace, given: GivenModel, seed: int) -> tuple[Batch, Dataset | None]:
    """What the model reads: the data that the options name, cut by its own tokenizer if none is named.

    Without data a model of the task that needs no files reads that; for others ids are drawn from the
    vocabulary, which the standard error stream is told of, and there is no dataset.

    Raises
    ------
    ValueError
        If the data are of another kind or vocabulary than the model's.
    """
    from admin_py.data.tokenizer import Tokenizer
    from admin_py.data.windows import CONTEXT

    named = any(getattr(options, name) is not None for name in ("task", "source", "target", "text"))
    theirs = named and options.tokenizer is None and options.vocab_size is None
    if theirs and given.tokenizer is not None and not isinstance(given.tokenizer, Tokenizer):
        return foreign_batch(options, given.model, given.tokenizer), None
    if theirs and given.without:
        raise ValueError(f"--model: {options.model} has no tokenizer for the text: {given.without}")
    if theirs:
        options.tokenizer = given.tokenizer
    if options.text is not None and options.context is None:
        options.context = min(CONTEXT, given.model.config.max_length - 1)
    data = load_data(options)
    try:
        _check(given.model, data)
    except ValueError as error:
        if named:
            raise ValueError(f"--model: {options.model}: {error}") from None
        say(f"no text is given: about {options.max_tokens} ids are drawn from the vocabulary, seed {seed}")
        return drawn_batch(given.model, options.max_tokens, seed), None
    return next(data.batches(max_tokens=options.max_tokens, seed=seed)), data


def foreign_batch(options: argparse.Namespace, model: Transformer, tokenizer: PretrainedTokenizer) -> Batch:
    """The beginning of the text that the options name, cut by the tokenizer of another library.

    One text is read as a whole, in sequences of up to as many tokens as `CONTEXT`; of pairs one after the
    other, the target behind the id with which decoding begins.

    Raises
    ------
    UsageError
        If another kind of data is named than the model reads.
    ValueError, OSError
        If there is no text, or it cannot be read.
    """
    from admin_py.data.windows import CONTEXT

    pairs = model.config.kind == "encoder_decoder"
    if (options.source is None) == pairs or (options.text is None) != pairs:
        raise UsageError(f"this model reads {'--source and --target' if pairs else '--text'}")
    room = min(CONTEXT, model.config.max_length - 1)
    return (_pairs if pairs else _text)(options, tokenizer, room)


def _text(options: argparse.Namespace, tokenizer: PretrainedTokenizer, room: int) -> Batch:
    """Sequences of one text, each with the token that follows it."""
    from admin_py.data.batch import Batch
    from admin_py.data.reading import read_lines

    ids: list[int] = []
    for line in read_lines(path_of(options.text, "--text"), "--text"):
        ids += tokenizer.encode_lines([f"{line}\n"], special=False)[0].tolist()
        if len(ids) > options.max_tokens:
            break
    ids = ids[: options.max_tokens + 1]
    found = [ids[i : i + room + 1] for i in range(0, len(ids) - 1, room)]
    if not found:
        raise ValueError(f"--text: {options.text} must have two tokens at least, got {len(ids)}")
    return Batch(found)


def _pairs(options: argparse.Namespace, tokenizer: PretrainedTokenizer, room: int) -> Batch:
    """The first sentences that have something to be predicted and are no longer than the model reads."""
    from admin_py.data.batch import Batch
    from admin_py.data.reading import read_pairs

    begin = [] if tokenizer.begin is None else [tokenizer.begin]
    lines = read_pairs(*(path_of(getattr(options, name), f"--{name}") for name in ("source", "target")))
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    for source, target in zip(lines.sources, lines.targets, strict=True):
        one, other = (tokenizer.encode_lines([line])[0].tolist() for line in (source, target))
        other = [*begin, *other]
        if one and len(other) > 1 and max(len(one), len(other)) <= room:
            sources.append(one)
            targets.append(other)
        if sum(map(len, sources)) >= options.max_tokens:
            break
    if not sources:
        raise ValueError(f"--source: {options.source} has no line that the model can read")
    return Batch(sources, targets)


def _check(model: Transformer, data: Dataset) -> None:
    """That the data are what the model reads, with exactly its vocabulary."""
    from admin_py.model.fitting import check_fits

    check_fits(model, data, way_out="--tokenizer takes the model's own, which train writes as tokenizer.json")
    if data.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"its vocabulary is of {model.config.vocab_size} ids, that of the data {data.name} of "
            f"{data.vocab_size}"
        )


def drawn_batch(model: Transformer, tokens: int, seed: int) -> Batch:
    """Sequences of ids drawn from the vocabulary of a model, all with the same probability.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2)
    >>> drawn_batch(ap.Transformer(config), 100, seed=1)
    Batch(2 pairs of sequences, 100 + 102 tokens)
    """
    from admin_py.data.batch import Batch

    config = model.config
    random = np.random.default_rng(seed)
    length = min(DRAWN_LENGTH, config.max_length - 1, tokens)
    lengths = [length] * (tokens // length) + [tokens % length] * (tokens % length > 0)

    def draw(more: int) -> list[list[int]]:
        return [random.integers(config.vocab_size, size=n + more).tolist() for n in lengths]

    if config.kind == "encoder":
        return Batch(draw(0))
    return Batch(draw(1)) if config.kind == "language_model" else Batch(draw(0), draw(1))
