"""Tokenizers of sentencepiece, whose pieces most families give ids of their own: a row each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from admin_py.base.plain_files import read_plain
from admin_py.data.library_errors import library_errors
from admin_py.interop.cutter import Cutter, read_json

FILES = ("sentencepiece.bpe.model", "tokenizer.model", "spiece.model", "spm.model")
MARIAN = ("source.spm", "target.spm", "vocab.json")
PIECES_OF_FAIRSEQ = {0: 3, 1: 0, 2: 2}
"""Unknown, beginning and end in the file -> in fairseq's dictionaries."""


class Rule(NamedTuple):
    """The ids of a family.

    Attributes
    ----------
    offset : int
        From ids of the file to those of the model.
    special : mapping
        Ids of the file -> of the model, where they are others than that.
    dropped : tuple of int
        Of the model: no text, padding among them.
    before, after : tuple of int
        Put around a line.
    behind : int
        Ids of the model behind the pieces, such as that of a mask.
    begins : bool
        Whether the id of the beginning that the configuration tells is put before a line.
    """

    offset: int = 0
    special: Mapping[int, int] = {}
    dropped: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    behind: int = 0
    begins: bool = False


LLAMA = Rule(begins=True)
MBART = Rule(1, PIECES_OF_FAIRSEQ, (0, 1, 2, 3), after=(2,))
"""The id of the language, which goes with it, is the caller's business; so it is of NLLB."""

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("llama", "mistral", "gemma", "gemma2"), LLAMA),
    "xlm-roberta": Rule(1, PIECES_OF_FAIRSEQ, (0, 1, 2, 3), (0,), (2,), behind=1),
    "camembert": Rule(4, {0: 3}, (0, 1, 2, 3, 4, 5, 6), (5,), (6,), behind=1),
    "mbart": MBART,
    "m2m_100": MBART,
    "pegasus": Rule(103, {0: 0, 1: 1}, (*range(103), 105), after=(1,)),
}
"""Value of ``model_type`` -> the ids of its pieces; of others they are those of the file."""


def of_folder(folder: Path, special: Mapping[str, int | None]) -> Cutter | None:
    """Of a checkpoint; None where there is no such file."""
    if all((folder / name).exists() for name in MARIAN):
        source, target, names = (folder / name for name in MARIAN)
        return _named(_opened(source), _opened(target), names, special)
    for name in FILES:
        if (folder / name).exists():
            return of_file(folder / name, special)
    return None


def of_file(path: Path, special: Mapping[str, int | None]) -> Cutter:
    """Of one file, by the ids of the family that the configuration beside it tells."""
    cutter, names = _opened(path), path.parent / "vocab.json"
    settings = path.parent / "config.json"
    told = read_json(settings) if settings.exists() else None
    kind = told.get("model_type") if isinstance(told, dict) else None
    if kind == "m2m_100" and names.exists():
        return _named(cutter, cutter, names, special)
    rule = RULES.get(str(kind), Rule())
    if rule.begins and special.get("bos") is not None and _asked_to_begin(path.parent):
        rule = rule._replace(before=(int(special["bos"] or 0),))
    return _numbered(cutter, rule)


def _asked_to_begin(folder: Path) -> bool:
    """Unless the tokenizer's settings say that it is not."""
    settings = folder / "tokenizer_config.json"
    told = read_json(settings) if settings.exists() else {}
    return not (isinstance(told, dict) and told.get("add_bos_token") is False)


def _opened(path: Path) -> Any:
    try:
        import sentencepiece
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"sentencepiece is not installed, which reads {path.name!r}: pip install sentencepiece",
            name=error.name,
        ) from error
    content = read_plain(path)
    with library_errors(f"{str(path)!r} is no model of sentencepiece"):
        if not content:  # which it takes for one without pieces
            raise ValueError("it is empty")
        return sentencepiece.SentencePieceProcessor(model_proto=content)


def _numbered(cutter: Any, rule: Rule) -> Cutter:
    count = int(cutter.get_piece_size())
    back = {theirs: piece for piece, theirs in rule.special.items()}
    dropped = {*rule.dropped, *rule.before, *rule.after}

    def encode(line: str, around: bool) -> list[int]:
        ids = [rule.special.get(piece, piece + rule.offset) for piece in cutter.encode(line)]
        return [*rule.before, *ids, *rule.after] if around else ids

    def decode(numbers: list[int]) -> str:
        pieces = [back.get(i, i - rule.offset) for i in numbers if i not in dropped]
        return str(cutter.decode([piece for piece in pieces if 0 <= piece < count]))

    return Cutter(encode, decode, count + rule.offset + rule.behind)


def _named(cutter: Any, joiner: Any, names: Path, special: Mapping[str, int | None]) -> Cutter:
    """Marian and M2M100 have the ids of pieces in a file of their own; an end is put behind a line."""
    ids = read_json(names)
    if not isinstance(ids, dict) or not all(isinstance(i, int) and i >= 0 for i in ids.values()):
        raise ValueError(f"{str(names)!r} must hold a table from pieces to ids")
    if "<unk>" not in ids:
        raise ValueError(f"{str(names)!r} must hold the id of '<unk>'")
    pieces = {number: piece for piece, number in ids.items()}
    unknown, end = int(ids["<unk>"]), special.get("end")
    last: list[int] = [] if end is None else [end]
    dropped = {*last, special.get("padding"), special.get("bos"), unknown}

    def encode(line: str, around: bool) -> list[int]:
        found: list[int] = [ids.get(piece, unknown) for piece in cutter.encode(line, out_type=str)]
        return [*found, *last] if around else found

    def decode(numbers: list[int]) -> str:
        known = [pieces[i] for i in numbers if i in pieces and i not in dropped]
        return str(joiner.decode(known))

    return Cutter(encode, decode, 1 + max(pieces))
