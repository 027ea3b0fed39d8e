"""Decoding by CTranslate2 in float32."""

from __future__ import annotations

import time
from typing import Any

import ctranslate2

from benchmarks.ctranslate2_model import token_ids, token_names
from benchmarks.decoding_cases import TOKENS, Case


class Side:
    """Searches of one model, which lies in a folder."""

    def __init__(self, case: Case, given: list[list[int]], threads: int, folder: str) -> None:
        self.case = case
        names = token_names(case.workload.vocab_size)
        self.given = [[names[i] for i in ids] for ids in given]
        self.translator = ctranslate2.Translator(
            folder, device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads
        )

    def describe(self) -> dict[str, Any]:
        """Version and type."""
        return {"name": f"CTranslate2 {ctranslate2.__version__}", "type": self.translator.compute_type}

    def decode(self, count: int) -> tuple[float, float, list[list[int]]]:
        """Seconds and seconds of processors for the first `count` sources; what follows bos."""
        start, cpu = time.perf_counter(), time.process_time()
        found = self.translator.translate_batch(
            self.given[:count],
            beam_size=self.case.beam,
            max_batch_size=self.case.batch,
            min_decoding_length=TOKENS,
            max_decoding_length=TOKENS,
        )
        took = time.perf_counter() - start, time.process_time() - cpu
        return (*took, [token_ids(one.hypotheses[0]) for one in found])
