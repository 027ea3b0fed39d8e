"""Decoding by admin-py, through its public API."""

from __future__ import annotations

import time
from typing import Any

import admin_py as ap
from admin_py.generation import beam_search, greedy
from benchmarks.decoding_cases import BOS, EOS, TOKENS, Case
from benchmarks.our_side import make_config, told_system


class Side:
    """Searches of one model."""

    def __init__(self, case: Case, given: list[list[int]], threads: int) -> None:
        ap.set_num_threads(threads)
        self.case = case
        self.model = ap.Transformer(make_config(case.workload), seed=1)
        self.given = given

    def describe(self) -> dict[str, Any]:
        """Version, kernels, BLAS, threads."""
        return {"name": f"admin-py {ap.__version__}", **told_system()}

    def save(self, folder: str) -> None:
        """The same weights for the other side."""
        from benchmarks.ctranslate2_model import save_for_ctranslate2

        save_for_ctranslate2(self.model, folder)

    def decode(self, count: int) -> tuple[float, float, list[list[int]]]:
        """Seconds and seconds of processors for the first `count` sources; what follows bos."""
        start, cpu = time.perf_counter(), time.process_time()
        found = beam_search(
            self.model,
            self.given[:count],
            beam=self.case.beam,
            stop="count",
            min_length=TOKENS - 1,
            max_length=TOKENS - 1,
            batch_size=self.case.batch,
        )
        took = time.perf_counter() - start, time.process_time() - cpu
        return (*took, [one[0].ids[1:].tolist() for one in found])

    def whole_passes(self, count: int) -> tuple[float, float]:
        """Seconds of greedy decoding, and of the same by a pass over all that is there for every token."""
        start = time.perf_counter()
        first = greedy(self.model, self.given[:count], max_new_tokens=TOKENS, batch_size=self.case.batch)
        middle = time.perf_counter()
        second: list[list[int]] = []
        for at in range(0, count, self.case.batch):
            second += _by_whole_passes(self.model, self.given[at : min(at + self.case.batch, count)])
        end = time.perf_counter()
        if [ids.tolist() for ids in first] != second:
            raise RuntimeError("both ways to decode must find the same tokens")
        return middle - start, end - middle


def _by_whole_passes(model: ap.Transformer, given: list[list[int]]) -> list[list[int]]:
    """The likeliest token after each other, until there are TOKENS or the end."""
    grown = [[BOS] for _ in given]
    going = list(range(len(given)))
    for _ in range(TOKENS):
        batch = ap.Batch(
            [given[i] for i in going], [[*grown[i], 0] for i in going]
        )  # the last is predicted only
        logits = model.forward(batch)
        last = -1
        for i in list(going):
            last += len(grown[i])
            grown[i].append(int(logits[last].argmax()))
        going = [i for i in going if grown[i][-1] != EOS]
        if not going:
            break
    return grown
