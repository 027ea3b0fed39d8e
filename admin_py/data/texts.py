"""Texts in memory as a dataset: strings for language models, pairs of strings for translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral
from typing import Any, Literal

import tokenizers

from admin_py.base.arguments import door
from admin_py.base.checks import (
    MAX_DRAW_SEED,
    as_number,
    check_integer,
    check_listed,
    check_unicode,
    is_real,
    shown,
)
from admin_py.data.codes import SubwordCodes
from admin_py.data.dataset import Dataset
from admin_py.data.held_out import counts_of, parted
from admin_py.data.pairs import MAX_LENGTH, PairOptions
from admin_py.data.reading import LinePairs, Path
from admin_py.data.tokenizer import Tokenizer
from admin_py.data.windows import CONTEXT, VALID, TextOptions, cut

Texts = Iterable[str] | Iterable[Sequence[str]]

_READY = "a list like texts"


@door
def from_texts(
    texts: Texts,
    *,
    vocab_size: int | None = None,
    level: Literal["char", "subword"] | None = None,
    tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None = None,
    pretokenized: bool = False,
    moses: tuple[str, str] | None = None,
    codes: SubwordCodes | Path | None = None,
    context: int | None = None,
    max_length: int | None = None,
    valid: Texts | float | int | None = None,
    test: Texts | float | int | None = None,
    seed: int = 0,
    name: str = "texts",
) -> Dataset:
    """Texts in memory, without files: strings for a language model, or pairs of strings for translation.

    Parameters
    ----------
    texts : list of str, or list of pairs of str
        Pairs are (source, target), as lines of the two files of `parallel_text`. A string alone is a text as
        `text` reads it from a file: it is cut into windows, none of which goes over to the next text. Line
        feeds inside are text like any other character.
    vocab_size : int, optional
        Subwords of the vocabulary, as for `parallel_text` and `text`.
    level : {"char", "subword"}, optional
        Of strings, as for `text`.
    tokenizer : Tokenizer, tokenizers.Tokenizer or path, optional
        Use this vocabulary instead of learning one.
    pretokenized : bool
        Of pairs, as for `parallel_text`.
    moses, codes : pair of str, SubwordCodes or path, optional
        Of pairs, as for `parallel_text`.
    context : int, optional
        Of strings, as for `text`: 256 by default.
    max_length : int, optional
        Of pairs, as for `parallel_text`: 256 by default.
    valid, test : list like texts, float, or int, optional
        Held-out texts, or a share (below 1) or number of the texts, taken at random; 0 for none. By default
        5 % of them for "valid", at most 1,000, and none for "test". A share of one string alone is taken from
        its end, as by `text`, by default a tenth for "valid".
    seed : int
        Of the choice of held-out texts.
    name : str
        Of the dataset.

    Returns
    -------
    Dataset
        For translation of pairs, for a language model of strings. What gives nothing to learn is left out and
        counted in `describe()`: pairs with a blank side, strings that are blank or one token long.

    Raises
    ------
    TypeError
        If texts is a bare string or no list, or holds what is neither a string nor a pair, or both.
    ValueError
        If texts is empty or has no text, a pair is not of two, a string has lone surrogates, an option is
        given that does not fit the texts or is out of range, or nothing is left to train on.

    Examples
    --------
    >>> pairs = [("two", "zwei"), ("twenty", "zwanzig"), ("two and twenty", "zweiundzwanzig")]
    >>> data = from_texts(pairs, vocab_size=270, valid=1)
    >>> data
    Dataset('texts', translation, vocab_size=270, train 2, valid 1)
    >>> data.pairs("valid")
    [('two and twenty', 'zweiundzwanzig')]
    >>> from_texts(["row, row, row your boat", "gently down the stream"], context=8, valid=0, name="rhyme")
    Dataset('rhyme', language_model, vocab_size=22, train 6)
    """
    given = _checked("texts", texts)
    held_out = {
        key: _checked_held_out(key, value, given) for key, value in (("valid", valid), ("test", test))
    }
    if isinstance(given[0], tuple):
        _refuse("texts are pairs", level=level, context=context)
        options = PairOptions.checked(
            vocab_size=vocab_size,
            tokenizer=tokenizer,
            pretokenized=pretokenized,
            max_length=MAX_LENGTH if max_length is None else max_length,
            seed=seed,
            moses=moses,
            codes=codes,
        )
        lines = {
            key: _line_pairs(key, value) if isinstance(value, list) else value
            for key, value in held_out.items()
        }
        return options.dataset(name, _line_pairs("texts", given), lines, ready=_READY)
    of_pairs = {
        "max_length": max_length,
        "pretokenized": pretokenized or None,
        "moses": moses,
        "codes": codes,
    }
    _refuse("texts are strings", **of_pairs)
    windows = TextOptions.checked(
        level=level,
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        context=CONTEXT if context is None else context,
    )
    lists = {"train": given, **{key: value for key, value in held_out.items() if isinstance(value, list)}}
    kept = {key: _with_text("texts" if key == "train" else key, value) for key, value in lists.items()}
    asked = {key: value for key, value in held_out.items() if key not in lists}
    parts = kept | _parts(kept["train"], asked, seed)
    return windows.dataset(name, parts, blank={key: len(lists[key]) - len(kept[key]) for key in lists})


def _parts(texts: list[str], asked: Mapping[str, Any], seed: int) -> dict[str, list[str]]:
    """The strings to train on, and those that are taken from them for the splits that ask for some."""
    seed = check_integer("seed", seed, 0, MAX_DRAW_SEED)
    if len(texts) == 1 and all(value is None or is_real(value) for value in asked.values()):
        default = {"valid": VALID, "test": 0.0}
        shares = {key: default[key] if value is None else value for key, value in asked.items()}
        return {key: [part] for key, part in cut(texts[0], shares).items()}
    counts = counts_of(asked, len(texts), ready=_READY, unit="texts")
    chosen = parted(len(texts), counts, seed) if counts else {"train": range(len(texts))}
    return {key: [texts[i] for i in indices] for key, indices in chosen.items()}


def _checked_held_out(name: str, value: Any, texts: list[Any]) -> Any:
    """What was given for a split: a list of texts of the same kind, or what is none, as it is."""
    if is_real(value):
        return as_number(name, value)
    if value is None or isinstance(value, Integral):
        return value
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping, Set)):
        raise TypeError(f"{name} must be {_READY}, a share or a number of them, got {shown(value)}")
    found = _checked(name, value)
    kinds = [_kind(one[0]) for one in (found, texts)]
    if kinds[0] != kinds[1]:
        raise TypeError(f"{name} must hold {kinds[1]}s, as texts does, got {kinds[0]}s")
    return found


def _checked(name: str, texts: Any) -> list[Any]:
    """A list of strings, or of tuples of two."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(
            f"{name} must be a list of strings or of pairs of strings, got one string, {shown(texts)}; "
            "put it in a list"
        )
    if not isinstance(texts, Iterable) or isinstance(texts, (Mapping, Set)):
        raise TypeError(f"{name} must be a list of strings or of pairs of strings, got {shown(texts)}")
    listed = check_listed(name, texts, "strings or of pairs of strings")
    found = [_checked_text(f"{name}: number {i}", one) for i, one in enumerate(listed)]
    if not found:
        raise ValueError(f"{name} must hold at least one string or pair of strings, got an empty list")
    for i, one in enumerate(found):
        if _kind(one) != _kind(found[0]):
            raise TypeError(
                f"{name} must be all strings or all pairs, but number 0 is a {_kind(found[0])} and number "
                f"{i} a {_kind(one)}"
            )
    return found


def _checked_text(name: str, one: Any) -> str | tuple[str, str]:
    if isinstance(one, str):
        return _checked_string(name, one)
    if not isinstance(one, (tuple, list)):
        raise TypeError(f"{name} must be a string or a pair of strings, got {shown(one)}")
    if len(one) != 2:
        raise ValueError(f"{name} must be a pair (source, target), got {len(one)} of them")
    source, target = (
        _checked_string(f"{name}, {side},", value) for side, value in zip(("source", "target"), one)
    )
    return source, target


def _checked_string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {shown(value)}")
    return str(check_unicode(name, value))


def _kind(text: str | tuple[str, str]) -> str:
    return "string" if isinstance(text, str) else "pair"


def _line_pairs(name: str, pairs: Sequence[tuple[str, str]]) -> LinePairs:
    kept = [(source, target) for source, target in pairs if source.strip() and target.strip()]
    if not kept:
        raise ValueError(f"{name}: no pair has text on both sides")
    return LinePairs(
        [source for source, _ in kept], [target for _, target in kept], blank=len(pairs) - len(kept)
    )


def _with_text(name: str, texts: Sequence[str]) -> list[str]:
    kept = [one for one in texts if one.strip()]
    if not kept:
        raise ValueError(f"{name}: none of the strings has text")
    return kept


def _refuse(why: str, **options: Any) -> None:
    """No option may be given that does nothing."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} does not apply where {why}, got {name}={shown(value)}")
