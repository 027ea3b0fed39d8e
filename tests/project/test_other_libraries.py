"""Beside NumPy, SciPy and PyTorch with their threads in one process: the same bits, and no hang."""

from __future__ import annotations

import importlib.util

import pytest
from company import run_script, train

WORK = {
    "numpy": """
        import numpy as np
        a = np.random.default_rng(1).standard_normal((500, 500))
        def work():
            return np.linalg.solve(a, a @ a.T).tobytes()
    """,
    "scipy": """
        import numpy as np
        import scipy.fft, scipy.linalg
        a = np.random.default_rng(1).standard_normal((500, 500))
        def work():
            return scipy.linalg.solve(a, a).tobytes() + scipy.fft.fft2(a, workers=2).tobytes()
    """,
    "torch": """
        import torch
        torch.set_num_threads(3)
        torch.manual_seed(1)
        a = torch.randn(500, 500)
        def work():
            weight = torch.ones(500, 500, requires_grad=True)
            torch.nn.functional.layer_norm(a @ weight, (500,)).pow(2).sum().backward()
            assert torch.get_num_threads() == 3
            return weight.grad.numpy().tobytes()
    """,
}
OURS = """
        import admin_py as ap
        from company import in_child, train
        ap.set_num_threads(3, oversubscribe=True)
"""
RUN = """
        print(train(1))
        first = work()
        print(train(1))
        print(work() == first)
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(3) as pool:
            beside = [pool.submit(work), pool.submit(train, 1), pool.submit(train, 2)]
            print(beside[0].result() == first, beside[1].result(), beside[2].result())
        print(in_child(lambda: train(1)))
        print(work() == first)
"""


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
@pytest.mark.parametrize("library", list(WORK))
def test_in_one_process(library: str, order: str) -> None:
    """Imported and used before and after a training, at the same time, and after a fork."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    theirs = WORK[library]
    parts = {"ours first": OURS + theirs, "theirs first": theirs + "        work()\n" + OURS}
    first, second = train(1), train(2)
    expected = [first, first, "True", f"True {first} {second}", first, "True"]
    assert run_script(parts[order] + RUN) == expected
