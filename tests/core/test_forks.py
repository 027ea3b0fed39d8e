"""A forked child computes, on as many threads as its parent, and computes the same bits.

GNU OpenMP's threads are lost in a child and its next parallel region would wait for them for ever.
"""

from __future__ import annotations

import pytest
from company import run_script, train

SCRIPT = """
    import admin_py as ap
    from company import Training, in_child, num_threads_alive, train
    ap.set_num_threads({threads}, oversubscribe=True)
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_before_and_after_the_first_use(threads: int) -> None:
    """Children of a process that has not computed yet, of one that has, and of a child."""
    code = """
    print(in_child(lambda: train(1)))
    print(train(1))
    print(in_child(lambda: train(1)))
    print(in_child(lambda: in_child(lambda: train(1))))
    print(in_child(lambda: (train(2), in_child(lambda: train(1)))[1]))
    print(train(1))
    """
    assert run_script(SCRIPT.format(threads=threads) + code) == [train(1)] * 6


def test_either_build_after_the_other() -> None:
    """The two builds share the pool: what one has used is lost to the other too."""
    code = """
    train(1, dtype="float32")
    print(in_child(lambda: train(1, dtype="float64")))
    train(1, dtype="float64")
    print(in_child(lambda: train(1, dtype="float32")))
    """
    expected = [train(1, dtype="float64"), train(1, dtype="float32")]
    assert run_script(SCRIPT.format(threads=3) + code) == expected


def test_parent_and_child_go_on_with_a_training() -> None:
    code = """
    training = Training(1)
    training.steps(2)
    print(in_child(lambda: training.steps(2)))
    print(training.steps(2))
    """
    assert run_script(SCRIPT.format(threads=3) + code) == [train(1, 4)] * 2


def test_both_keep_their_threads() -> None:
    code = """
    def work():
        train(1)
        return str(num_threads_alive() >= 6)
    print(in_child(work), work(), in_child(work), work())
    """
    assert run_script(SCRIPT.format(threads=6) + code) == ["True True True True"]


@pytest.mark.parametrize("used", [False, True])
def test_multiprocessing(used: bool) -> None:
    """Its context "fork", which was the default on Linux before Python 3.14."""
    code = f"""
    import multiprocessing
    if {used}:
        train(4)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for digest in pool.map(train, [1, 2, 3]):
            print(digest)
    """
    assert run_script(SCRIPT.format(threads=3) + code) == [train(seed) for seed in (1, 2, 3)]


def test_while_other_threads_train() -> None:
    """A fork waits for the regions of other threads; these are not in the child, which trains as ever."""
    code = """
    import threading
    train(9)  # what is imported late, is imported: Python's children wait for ever for locks of imports
    others = [Training(seed) for seed in (2, 3)]
    end = threading.Event()
    def go_on(training):
        while not end.is_set():
            training.steps(1)
    threads = [threading.Thread(target=go_on, args=(training,)) for training in others]
    for thread in threads:
        thread.start()
    try:
        print(len({in_child(lambda: train(1, 1)) for _ in range(10)}), in_child(lambda: train(1)))
    finally:
        end.set()
    for thread in threads:
        thread.join()
    for training in others:
        print(training.digest() == train(training.seed, training.done), training.done > 0)
    """
    assert run_script(SCRIPT.format(threads=2) + code) == [f"1 {train(1)}", "True True", "True True"]
