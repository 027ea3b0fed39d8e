"""The proofs run on one thread: the models are tiny, and test_threads.py says that it makes no difference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proofs.core import BUILDS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = {module: module.get_num_threads() for module in BUILDS.values()}
    for module in BUILDS.values():
        module.set_num_threads(1)
    yield
    for module, threads in before.items():
        module.set_num_threads(threads)
