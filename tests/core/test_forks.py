"""A forked child computes, on as many threads as its parent, and computes the same bits.

The threads of a parent are not in its child, whose next region would wait for them for ever.
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


DEEP = """
    import os, signal, subprocess, sys, threading
    import admin_py as ap
    from company import end_if_it_hangs, in_child, sequences
    ap.set_num_threads({threads}, oversubscribe=True)
    config = ap.TransformerConfig(
        vocab_size=60, encoder_layers=12, decoder_layers=12, d_model=64, heads=2, d_ff=256, scheme="admin"
    )
    model = ap.Transformer(config, seed=1)
    long, short = ap.Batch(*[sequences(2, 200)] * 2), ap.Batch([[3, 4]], [[3, 4]])
    loss = model.copy().loss(short).loss
    end_if_it_hangs()
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "fork",
    [
        "in_child(lambda: str(model.copy().loss(short).loss == loss))",
        "subprocess.run([sys.executable, '-c', ''], check=True, preexec_fn=lambda: None)",
        "subprocess.run([sys.executable, '-c', ''], check=True, user=os.getuid())",  # without Python's hooks
    ],
    ids=["os.fork", "subprocess", "subprocess without hooks"],
)
def test_beside_the_main_thread(threads: int, fork: str) -> None:
    """Amid a call the main thread lets Python handle signals: a fork must not wait with the GIL."""
    code = f"""
    def forks():
        for _ in range(8):
            assert {fork} != "False"
        done.set()
    done = threading.Event()
    thread = threading.Thread(target=forks)
    thread.start()
    while not done.is_set():
        model.backward(long)
    thread.join()
    print("done")
    """
    assert run_script(DEEP.format(threads=threads) + code) == ["done"]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_that_was_busy_stays_so_in_the_child(threads: int) -> None:
    code = """
    def attempt():
        try:
            model.loss(short)
        except RuntimeError as error:
            return f"{error}, {model.copy().loss(short).loss == loss}"
        return ""
    def forks():
        while not (said := in_child(attempt)):
            pass
        print(said)
        done.set()
    done = threading.Event()
    thread = threading.Thread(target=forks)
    thread.start()
    while not done.is_set():
        model.loss(long)
    thread.join()
    print(model.loss(short).loss == loss)
    """
    said, again = run_script(DEEP.format(threads=threads) + code)
    assert said.endswith(
        "was busy in another thread when this process was forked, and stays so here: use a copy, True"
    )
    assert again == "True"


HANDLER = """
    parent, children = os.getpid(), []
    def handle(*_):
        # no fork amid a fork: for the lock that hooks of concurrent.futures hold, it would wait for ever
        outer = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGVTALRM])
        child = os.fork()
        if child > 0:
            children.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            signal.pthread_sigmask(signal.SIG_SETMASK, outer)
            return
        end_if_it_hangs()
        assert model.copy().loss(short).loss == loss
        {end}
    expected = model.backward(long, step=0).loss
    signal.signal(signal.SIGVTALRM, handle)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.1, 0.1)
    while {missing}:
        assert model.backward(long, step=0).loss == expected
        if os.getpid() != parent:
            os._exit(7)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    print(set(children))
"""


@pytest.mark.parametrize(
    ("threads", "end", "status"),
    [(1, "sys.exit(5)", 5), (2, "sys.exit(5)", 5), (2, "os._exit(6)", 6), (1, "return", 7)],
)
def test_a_signals_handler_may_fork(threads: int, end: str, status: int) -> None:
    """Its child computes with a copy, and goes on with the call where that has but one thread."""
    said = run_script(DEEP.format(threads=threads) + HANDLER.format(end=end, missing="len(children) < 4"))
    assert said == [f"{{{status}}}"]


def test_the_child_of_a_handler_cannot_go_on_without_the_threads_of_the_call() -> None:
    """Some come between two calls, and go on."""
    with pytest.raises(AssertionError, match="the child must end in the handler"):
        run_script(DEEP.format(threads=2) + HANDLER.format(end="return", missing="1 not in children"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_signals_handler_computes_beside_forks(threads: int, dtype: str) -> None:
    """Its call does not wait for a fork, which waits for the call that the handler interrupts.

    That goes for the two builds of the core together, too, of which each has regions of its own.
    """
    code = f"""
    handled = []
    other = ap.Transformer(config, seed=1, dtype="{dtype}")
    loss = other.loss(short).loss
    def handle(*_):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # its own call asks, too
        handled.append(other.loss(short).loss == loss)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    signal.signal(signal.SIGUSR1, handle)
    def forks():
        while len(handled) < 8:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            assert in_child(lambda: "") == ""
    thread = threading.Thread(target=forks)
    thread.start()
    while thread.is_alive():
        model.backward(long)
    thread.join()
    print(set(handled))
    """
    assert run_script(DEEP.format(threads=threads) + code) == ["{True}"]
