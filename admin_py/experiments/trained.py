"""A trained model with all that belongs to it, in one folder: text goes in, text comes out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import msgspec

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_mapping
from admin_py.base.locks import locked
from admin_py.base.paths import absolute_path
from admin_py.base.plain_files import read_plain
from admin_py.base.plain_values import freeze_field, thaw
from admin_py.base.unused import goes_with
from admin_py.base.whole_files import clear_all_aside
from admin_py.data.dataset import encode_lines
from admin_py.data.tokenizer import Tokenizer, load_tokenizer
from admin_py.experiments.decoding import DRAW, SEARCH, decoding_of, telling, told_search, translations
from admin_py.generation import BATCH_SIZE
from admin_py.model.profile import VarianceProfile
from admin_py.model.transformer import Transformer
from admin_py.results import decode, encode, read_json
from admin_py.training.history import History

TRAINED_FILE = "trained.json"
"""Written last: says that the folder is whole."""

KIND = "trained model"


class _Kept(Protocol):
    def save(self, path: str | os.PathLike[str]) -> None: ...


FILES: Mapping[str, str] = {
    "model": "model.safetensors",
    "tokenizer": "tokenizer.json",
    "history": "history.json",
    "profile": "profile.json",
}
"""Attribute -> its file in the folder; all but the model may be None, and have no file then."""

DRAWN = ("a temperature, such as 1.0, which makes draws", lambda given: given["temperature"] is not None)
UNDRAWN = ("a search, and a temperature makes draws", lambda given: given["temperature"] is None)
SEARCHED = (
    "a beam, which makes a search",
    lambda given: (
        given["temperature"] is None
        and (given["beam"] is not None or bool(told_search(given["self"].settings)))
    ),
)
BESIDES = ("n_best", "temperature", "max_new_tokens")
"""Arguments of `TrainedModel.generate` that say how text is found, beside those of a search and a draw."""

MAPPINGS = ("settings", "data", "metadata")
"""Attributes that are kept in `TRAINED_FILE` itself."""


@door
@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel:
    """A model with its tokenizer and what is known of its training; ``admin-py train`` writes one.

    Parameters
    ----------
    model : Transformer
    tokenizer : Tokenizer, optional
        Of its data, such as ``data.tokenizer``. Without one it takes and gives no text.
    history : History, optional
        Of its training.
    profile : VarianceProfile, optional
        Before its training.
    settings : mapping
        How it was trained, as plain values.
    data : mapping
        What it was trained on, as plain values: of ``admin-py train`` name, kind, vocab_size,
        unigram_entropy, description, fingerprint, that of its vocabulary, and in ``options`` those of the
        command that read it.
    metadata : mapping
        Further plain values, such as versions.

    Raises
    ------
    TypeError, ValueError
        Naming the argument that is of another type, or a tokenizer with more ids than the model knows, or
        with others than those that it was trained on.

    Examples
    --------
    >>> import tempfile
    >>> import admin_py as ap
    >>> data = ap.data.number_words(train=50, valid=10)
    >>> config = ap.TransformerConfig(vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1,
    ...                               d_model=8, heads=2, d_ff=16)
    >>> trained = ap.TrainedModel(ap.Transformer(config, seed=1), data.tokenizer)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained.save(folder)
    ...     again = ap.load(folder)
    >>> again.translate("two hundred") == trained.translate("two hundred")
    True
    """

    model: Transformer
    tokenizer: Tokenizer | None = None
    _: KW_ONLY
    history: History | None = None
    profile: VarianceProfile | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {"model": Transformer, "tokenizer": Tokenizer, "history": History, "profile": VarianceProfile}
        for name, kind in kinds.items():
            given = getattr(self, name)
            if not isinstance(given, kind) and (given is not None or name == "model"):
                raise TypeError(
                    f"{name} must be a {kind.__name__}, got an object of type {type(given).__name__}"
                )
        if self.tokenizer is not None and self.tokenizer.vocab_size > self.model.config.vocab_size:
            raise ValueError(
                f"tokenizer has {self.tokenizer.vocab_size} ids, model only {self.model.config.vocab_size}"
            )
        known = self.model.vocabulary
        if self.tokenizer is not None and known and known.fingerprint != self.tokenizer.fingerprint:
            raise ValueError(
                f"tokenizer is another than that of the model, which knows {known}, got {self.tokenizer!r}; "
                "model.vocabulary = None takes it nevertheless"
            )
        for name in MAPPINGS:
            object.__setattr__(self, name, freeze_field(name, check_mapping(name, getattr(self, name))))

    # Text

    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ValueError(
                "this model has no tokenizer, so it takes no text; admin_py.generation takes ids"
            )
        return self.tokenizer

    @overload
    def translate(self, texts: str, **options: Any) -> Any: ...
    @overload
    def translate(self, texts: Sequence[str], **options: Any) -> list[Any]: ...
    def translate(self, texts: str | Sequence[str], **options: Any) -> Any:
        """Translate text with an encoder-decoder.

        Parameters
        ----------
        texts : str or sequence of str
            One sentence or several.
        **options
            As of `generate`: ``beam=5`` searches, ``n_best=3`` returns several with their scores.

        Returns
        -------
        str, or a list, one a text
            As of `generate`.

        Raises
        ------
        ValueError
            If the model does not translate, or as `generate`.
        """
        kind = self.model.config.kind
        if kind != "encoder_decoder":
            hint = "; generate continues texts" if kind == "language_model" else ""
            raise ValueError(f"model must be an encoder-decoder to translate, got one of kind {kind!r}{hint}")
        return self.generate(texts, **options)

    @goes_with(
        beam=UNDRAWN,
        **dict.fromkeys((*SEARCH[1:], "n_best"), SEARCHED),
        **dict.fromkeys(DRAW, DRAWN),
    )
    def generate(
        self,
        texts: str | Sequence[str],
        *,
        max_new_tokens: int | None = None,
        beam: int | None = None,
        n_best: int | None = None,
        length_penalty: float | None = None,
        penalty: str | None = None,
        min_length: Any = None,
        max_length: Any = None,
        no_repeat_ngram: int | None = None,
        stop: str | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Any:
        """Text from text: a language model continues it, an encoder-decoder translates it.

        Parameters
        ----------
        texts : str or sequence of str
            One text or several.
        max_new_tokens : int, optional
            Of each, at most, the end counted but for a search; by default as many as fit, see
            `admin_py.generation.greedy`, and of a search `max_length`.
        beam : int, optional
            Search with so many hypotheses, see `admin_py.generation.beam_search`; 1 takes the likeliest token
            each time. By default as ``settings["decoding"]`` says, which a recipe has filled in, and without
            that no search.
        n_best : int, optional
            Return so many for each text, with their scores, at most `beam`.
        length_penalty, penalty, min_length, max_length, no_repeat_ngram, stop
            Of the search, as of `admin_py.generation.beam_search`; by default as ``settings["decoding"]``
            says, or that function.
        temperature : float, optional
            Draw from the model's distribution, its logits divided by it, instead of searching.
        top_k, top_p : int, float, optional
            Draw from the k likeliest tokens alone, and from the fewest with p of the probability; with a
            temperature.
        seed : int
            Of the draw.
        batch_size : int
            Texts that are read at once.
        progress : bool
            Show a bar, where the standard error stream is a terminal or in a notebook.

        Returns
        -------
        str, or a list of str, one a text
            A translation; or the text given, as the tokenizer knows it, with its continuation. With `n_best`
            a list of `Translation` instead of each, the best first: their ``text``, ``score`` and
            ``log_probability``.

        Raises
        ------
        ValueError, TypeError
            If there is no tokenizer, a text is none or too long, a text to be continued has no tokens, an
            option does not go with the others, or as `beam_search`, `greedy` and `sample`.
        """
        asked = {name: value for name, value in locals().items() if name in (*SEARCH, *DRAW, *BESIDES)}
        how = decoding_of(self.settings, asked)
        progress = check_bool("progress", progress)
        tokenizer = self._tokenizer()
        continues = self.model.config.kind == "language_model"
        several = [texts] if isinstance(texts, str) else texts
        kind = "language_model" if continues else "translation"
        given = encode_lines(tokenizer, several, kind=kind)  # type: ignore[arg-type]
        for i, length in enumerate(given.lengths):
            if length == 0:
                which = "texts" if isinstance(texts, str) else f"texts: number {i}"
                raise ValueError(f"{which} has no tokens to be continued: {several[i]!r:.80}")
        if not several:
            return []
        with telling(progress, len(given), "continuing" if continues else "translating") as told:
            hypotheses = how.find(self.model, given, batch_size=batch_size, progress=told)
        found = [translations(tokenizer, one) for one in hypotheses]
        results = found if n_best is not None else [one[0].text for one in found]
        return results[0] if isinstance(texts, str) else results

    # Files

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder: ``model.safetensors``, ``tokenizer.json``, ``history.json``, ``profile.json``, and
        ``trained.json`` last, without which the folder is not opened.

        Raises
        ------
        OSError
            If a file cannot be written.
        RuntimeError
            If another process writes into the folder.
        """
        base = absolute_path(folder, "folder")
        with locked(base, "folder"):
            clear_all_aside(base)
            write_files(self, base)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> TrainedModel:
        """Read what `save` wrote.

        Raises
        ------
        OSError
            If a file is missing.
        ValueError
            If a file is not what it should be.
        """
        base = absolute_path(folder, "folder")
        told = read_json(base / TRAINED_FILE, _parse)
        if told["tokenizer_digest"] is not None:
            _check_digest(base / FILES["tokenizer"], told["tokenizer_digest"])
        loaders = {"tokenizer": load_tokenizer, "history": History.load, "profile": VarianceProfile.load}
        model = Transformer.load(base / FILES["model"], allow_nonfinite=True)
        parts: dict[str, Any] = {
            name: loader(base / FILES[name]) for name, loader in loaders.items() if name in told["files"]
        }
        return cls(model, **parts, **{name: told[name] for name in MAPPINGS})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {one.name: thaw(getattr(self, one.name)) for one in fields(self)})

    def __repr__(self) -> str:
        parts = [repr(self.model)]
        if self.tokenizer is not None:
            parts.append(repr(self.tokenizer))
        if "name" in self.data:
            parts.append(f"data {self.data['name']!r}")
        if self.history is not None:
            parts.append(f"{self.history.num_steps:,} steps, validation {self.history.valid_nll:.3g} nats")
        return f"TrainedModel({', '.join(parts)})"


def write_files(trained: TrainedModel, folder: Path) -> None:
    """Write a trained model into a folder that is held already, as `TrainedModel.save` does.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    kept: dict[str, _Kept] = {
        name: getattr(trained, name) for name in FILES if getattr(trained, name) is not None
    }
    told = {"files": list(kept), **{name: getattr(trained, name) for name in MAPPINGS}}
    (folder / TRAINED_FILE).unlink(missing_ok=True)  # until all files are those of one model again
    for name, part in kept.items():
        part.save(folder / FILES[name])
    if trained.tokenizer is not None:
        told["tokenizer_digest"] = _digest(folder / FILES["tokenizer"])
    documents.write(folder / TRAINED_FILE, {"kind": KIND, **encode(told)})


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """What is in `TRAINED_FILE`, decoded."""

    files: tuple[Literal["model", "tokenizer", "history", "profile"], ...]
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    tokenizer_digest: str | None = None


def _parse(data: Any) -> dict[str, Any]:
    """What is in `TRAINED_FILE`, checked."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ValueError(f"expected a {KIND}")
    told = {name: decode(data[name], documents.place_in("$", name)) for name in data if name != "kind"}
    documents.convert(told, _Told)
    return {"tokenizer_digest": None, **told}


def _digest(path: Path) -> str:
    """Of the whole file, whichever library's format it has."""
    return f"sha256:{sha256(read_plain(path)).hexdigest()}"


def _check_digest(path: Path, wanted: str) -> None:
    if _digest(path) != wanted:
        raise ValueError(
            f"path: {os.fspath(path)!r} is damaged, or not that of the model: its digest is not the one in "
            f"{TRAINED_FILE}"
        )


def _rebuild(kind: type[TrainedModel], parts: Mapping[str, Any]) -> TrainedModel:
    """One out of what was pickled, or as a copy, checked."""
    return kind(**parts)
