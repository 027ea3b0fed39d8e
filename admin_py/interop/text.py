"""Text for models of other libraries: the tokenizers beside their checkpoints, whose ids stay as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from numpy.typing import ArrayLike
from tokenizers import decoders, models, pre_tokenizers

from admin_py.base.arguments import door
from admin_py.base.checks import check_array, check_bool, check_listed
from admin_py.base.paths import path_of
from admin_py.base.plain_files import read_plain
from admin_py.data.codes import SubwordCodes, remove_bpe
from admin_py.data.library_errors import library_errors
from admin_py.data.sequences import Sequences
from admin_py.interop import sentencepieces
from admin_py.interop.cutter import Cutter, read_json
from admin_py.model.transformer import Transformer

SETTINGS = ("generation_config.json", "config.json")
"""Files that tell special ids, the first of them last."""

MERGED = ("vocab.json", "merges.txt")

FAIRSEQ = {"begin": 2, "end": 2, "padding": 1}
OVERWRITTEN = " #fairseq:overwrite"
FAIRSEQ_WORDS = ("<s>", "<pad>", "</s>", "<unk>")
"""Before those of a dictionary's file."""


class PretrainedTokenizer:
    """Text to the ids of a model of another library, and back; `load_tokenizer_of` makes it.

    Attributes
    ----------
    begin, end, padding : int or None
        Ids with which decoding begins and ends, and of padding, where the checkpoint tells them.
    """

    def __init__(self, cutter: Cutter, special: Mapping[str, int | None]) -> None:
        self._cutter = cutter
        self.begin, self.end, self.padding = (special.get(name) for name in ("begin", "end", "padding"))

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return self._cutter.size

    def encode_lines(self, lines: Sequence[str], *, special: bool = True) -> Sequences:
        """Ids of every line.

        Parameters
        ----------
        lines : sequence of str
        special : bool
            Whether the tokens are put around it that the model expects, such as an end.
        """
        given = check_listed("lines", lines, "strings")
        around = check_bool("special", special)
        for i, line in enumerate(given):
            if not isinstance(line, str):
                raise TypeError(f"lines[{i}] must be a string, got {type(line).__name__}")
        return Sequences.from_lists([self._cutter.encode(line, around) for line in given])

    def decode(self, ids: ArrayLike) -> str:
        """Text of one sequence of ids, without special tokens.

        Raises
        ------
        IndexError
            If an id is not one of the vocabulary's.
        """
        numbers = [int(i) for i in check_array("ids", ids, "iu")]
        wrong = [i for i in numbers if not 0 <= i < self.vocab_size]
        if wrong:
            raise IndexError(f"token id {wrong[0]} is not in the vocabulary of {self.vocab_size} ids")
        return self._cutter.decode(numbers)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={getattr(self, name)}" for name in ("begin", "end", "padding"))
        return f"PretrainedTokenizer(vocab_size={self.vocab_size}, {told})"


@door
def load_tokenizer_of(
    source: str | os.PathLike[str],
    *,
    model: Transformer | None = None,
    codes: str | os.PathLike[str] | None = None,
) -> PretrainedTokenizer:
    """The tokenizer of a model of another library, whose ids are the model's.

    Parameters
    ----------
    source : path
        A checkpoint's folder; or a ``tokenizer.json`` of Hugging Face's ``tokenizers``, a model of
        sentencepiece, or a dictionary of fairseq, lines ``token count``.
    model : Transformer, optional
        Whose vocabulary must have all the ids. It may have more: matrices are often filled up.
    codes : path, optional
        With fairseq's dictionary: merges of subword-nmt. Words are cut at spaces alone without it.

    Returns
    -------
    PretrainedTokenizer

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If the folder has no tokenizer, a file is none, or it has more ids than the model.
    ModuleNotFoundError
        If sentencepiece, or subword-nmt for codes, is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "dict.txt")
    ...     with open(path, "w") as file:
    ...         print("a 7\\ncat 3", file=file)
    ...     tokenizer = load_tokenizer_of(path)
    >>> tokenizer.encode_lines(["a cat sat"])[0], tokenizer.decode([4, 5, 2])
    (array([4, 5, 3, 2], dtype=int32), 'a cat')
    """
    path = path_of(source)
    special: dict[str, int | None] = {}
    if codes is not None and (path.is_dir() or path.suffix != ".txt"):
        raise ValueError(f"codes go with a dictionary of fairseq, such as dict.en.txt, got {str(path)!r}")
    if path.is_dir():
        special = _special(path)
        cutter = _of_folder(path, special)
    elif path.suffix == ".txt":
        special = dict(FAIRSEQ)
        cutter = _of_words(path, None if codes is None else SubwordCodes.load(path_of(codes, "codes")))
    elif path.suffix in (".model", ".spm"):
        special = _special(path.parent)
        cutter = sentencepieces.of_file(path, special)
    else:
        cutter = _of_json(path)
    found = PretrainedTokenizer(cutter, special)
    if model is not None and found.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"tokenizer {str(path)!r} has {found.vocab_size} ids, the model's vocabulary only "
            f"{model.config.vocab_size}: it is of another model"
        )
    return found


def _of_folder(folder: Path, special: Mapping[str, int | None]) -> Cutter:
    if (folder / "tokenizer.json").exists():
        return _of_json(folder / "tokenizer.json")
    found = sentencepieces.of_folder(folder, special)
    if found is not None:
        return found
    if all((folder / name).exists() for name in MERGED):
        return _of_merges(folder, special)
    names = ", ".join(
        ("tokenizer.json", *sentencepieces.FILES, " with ".join(sentencepieces.MARIAN), " with ".join(MERGED))
    )
    raise ValueError(f"{str(folder)!r} has no tokenizer: one of {names}")


def _special(folder: Path) -> dict[str, int | None]:
    """Special ids, as the configurations tell them; of several ends the first."""
    told: dict[str, Any] = {}
    for name in reversed(SETTINGS):
        if (folder / name).exists():
            found = read_json(folder / name)
            told |= {k: v for k, v in found.items() if v is not None} if isinstance(found, dict) else {}

    def number(name: str) -> int | None:
        value = told.get(name)
        value = value[0] if isinstance(value, list) and value else value
        return value if isinstance(value, int) else None

    begin = number("decoder_start_token_id")
    return {
        "begin": number("bos_token_id") if begin is None else begin,
        "end": number("eos_token_id"),
        "padding": number("pad_token_id"),
        "bos": number("bos_token_id"),
    }


def _fast(tokenizer: tokenizers.Tokenizer, around: tuple[list[int], list[int]] | None = None) -> Cutter:
    """Of the library; its own post-processor, or these ids, are put around a line."""
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def encode(line: str, special: bool) -> list[int]:
        with library_errors(f"lines: the tokenizer cannot encode {line!r:.80}"):
            ids = list(tokenizer.encode(line, add_special_tokens=special and around is None).ids)
        return [*around[0], *ids, *around[1]] if special and around is not None else ids

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    return Cutter(encode, decode, 1 + max(vocabulary.values(), default=-1))


def _of_json(path: Path) -> Cutter:
    values = read_json(path)
    if not isinstance(values, dict) or "model" not in values:
        raise ValueError(f"{str(path)!r} is no tokenizer.json of Hugging Face's tokenizers")
    with library_errors(f"{str(path)!r} cannot be read by Hugging Face's tokenizers"):
        return _fast(tokenizers.Tokenizer.from_str(json.dumps(values)))


def _of_merges(folder: Path, special: Mapping[str, int | None]) -> Cutter:
    """Byte-level pairs as GPT-2 has them; RoBERTa and BART put a beginning and an end around."""
    kind = read_json(folder / "config.json").get("model_type") if (folder / "config.json").exists() else None
    with library_errors(f"{str(folder)!r} cannot be read by Hugging Face's tokenizers"):
        tokenizer = tokenizers.Tokenizer(models.BPE.from_file(*(str(folder / name) for name in MERGED)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = [
        word
        for word in ("<s>", "<pad>", "</s>", "<unk>", "<|endoftext|>")
        if tokenizer.token_to_id(word) is not None
    ]
    tokenizer.add_special_tokens(words)
    begin, end = ([one] if one is not None else [] for one in (special.get("bos"), special.get("end")))
    around = {"roberta": (begin, end), "bart": (begin, end), "opt": (begin, [])}.get(str(kind), ([], []))
    return _fast(tokenizer, around)


def _of_words(path: Path, codes: SubwordCodes | None) -> Cutter:
    """Of fairseq's dictionary, maybe with subwords; an end is put behind each line."""
    words = list(FAIRSEQ_WORDS)
    try:
        lines = read_plain(path).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{str(path)!r} is no dictionary of fairseq: it is not UTF-8") from None
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        word, space, rest = line.removesuffix(OVERWRITTEN).rpartition(" ")
        if not space or not rest.isdigit():
            raise ValueError(f"{str(path)!r}, line {number}: expected 'token count', got {line!r:.80}")
        words.append(word)
    ids = {word: number for number, word in enumerate(words)}

    def encode(line: str, around: bool) -> list[int]:
        cut = line if codes is None else codes.segment(line)
        found = [ids.get(word, ids["<unk>"]) for word in cut.split()]
        return [*found, FAIRSEQ["end"]] if around else found

    def decode(numbers: list[int]) -> str:
        text = " ".join(words[i] for i in numbers if i not in (0, 1, 2))
        return text if codes is None else remove_bpe(text)

    return Cutter(encode, decode, len(words))
