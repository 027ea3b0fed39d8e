"""Text to tokens to batches, and generated tasks.

`parallel_text` reads two line-aligned files, `text` one text for language models, `from_texts` takes either
from memory; `number_words` and `copy_task` make their own. All return a `Dataset`. `Moses` and
`SubwordCodes` cut text into tokens and subwords and join it again.
"""

from __future__ import annotations

from admin_py.data.characters import CharacterTokenizer
from admin_py.data.codes import SubwordCodes, remove_bpe
from admin_py.data.copy_symbols import copy_task
from admin_py.data.dataset import Dataset, Split
from admin_py.data.language import text
from admin_py.data.moses import Moses
from admin_py.data.moses_tokenizer import MosesTokenizer
from admin_py.data.number_task import NumberTokenizer, number_words
from admin_py.data.parallel import parallel_text
from admin_py.data.sequences import Sequences
from admin_py.data.subwords import SubwordTokenizer
from admin_py.data.summary import DatasetSummary
from admin_py.data.texts import from_texts
from admin_py.data.tokenizer import Tokenizer, load_tokenizer
from admin_py.data.vocabulary import Vocabulary
from admin_py.data.words import WordTokenizer

__all__ = [
    "CharacterTokenizer",
    "Dataset",
    "DatasetSummary",
    "Moses",
    "MosesTokenizer",
    "NumberTokenizer",
    "Sequences",
    "Split",
    "SubwordCodes",
    "SubwordTokenizer",
    "Tokenizer",
    "Vocabulary",
    "WordTokenizer",
    "copy_task",
    "from_texts",
    "load_tokenizer",
    "number_words",
    "parallel_text",
    "remove_bpe",
    "text",
]
