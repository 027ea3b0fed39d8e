"""Where cells are trained changes nothing but the time: pools, threads, Dask; stops, kills, failures."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command import LIMIT, until, until_ended

import admin_py as ap
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.workers import DataFile, pack

SMALL: dict[str, Any] = {
    "schemes": ["post_ln", "admin"],
    "lr": [1e-3, 1e-2],
    "layers": 1,
    "d_model": 8,
    "d_ff": 16,
    "heads": 2,
    "steps": 3,
    "max_tokens": 128,
    "progress": False,
}
EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "grid_dask.py"
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


@pytest.fixture(scope="module")
def here() -> Grid:
    return ap.grid(DATA, **SMALL)


def same(a: Grid, b: Grid) -> bool:
    return len(a.cells) == len(b.cells) and all(map(type(a.cells[0]).same_numbers, a.cells, b.cells))


class Lazy:
    """An executor as simple as can be: futures with nothing but result()."""

    def submit(self, function: Any, *arguments: Any) -> Any:
        class Promise:
            def result(self) -> Any:
                return function(*arguments)

        return Promise()


def test_a_process_pool_gives_the_same_bits_on_one_thread_a_worker(here: Grid, tmp_path: Path) -> None:
    found = ap.grid(DATA, workers=2, out=tmp_path, **SMALL)
    assert same(here, found)
    assert {cell.metadata["threads"] for cell in found.cells} == {1}
    assert Grid.load(tmp_path) == found


def test_an_executor_of_ones_own_gives_the_same_bits(here: Grid) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        assert same(here, ap.grid(DATA, executor=executor, **SMALL))
    with ThreadPoolExecutor(3) as executor:
        assert same(here, ap.grid(DATA, executor=executor, **SMALL))
    assert same(here, ap.grid(DATA, executor=Lazy(), **SMALL))


def test_threads_of_this_process_are_set_for_the_grid_alone(here: Grid) -> None:
    before = ap.get_num_threads()
    found = ap.grid(DATA, threads=1, **SMALL)
    assert same(here, found)
    assert {cell.metadata["threads"] for cell in found.cells} == {1}
    assert ap.get_num_threads() == before


@pytest.mark.filterwarnings("ignore")  # its own, of its own dependencies
def test_the_example_with_dask(tmp_path: Path) -> None:
    """With workers in this process; then the same grid here."""
    pytest.importorskip("dask.distributed")
    example = runpy.run_path(str(EXAMPLE))["main"]
    found = example(str(tmp_path), steps=1, processes=False)
    assert len(found.cells) == 9
    data = ap.data.number_words(train=2000, valid=100)
    one = ap.grid(data, schemes="admin", layers=2, steps=1, progress=False).cells[0]
    assert found.select(scheme="admin", layers=2).cells[0].same_numbers(one)
    assert Grid.load(tmp_path) == found


def test_data_travel_without_their_text() -> None:
    sent = DataFile.of(pack(DATA))
    again = sent.load()
    assert again.fingerprint == DATA.fingerprint
    assert again.split("train").lines is None
    assert DataFile(sent.digest, path="/nowhere").load() is again, "read once a process"


def test_data_that_change_on_their_way_are_refused(tmp_path: Path) -> None:
    sent = DataFile.of(pack(DATA), tmp_path / "data")
    other = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6, seed=1)
    DataFile.of(pack(other), tmp_path / "data").load()
    with pytest.raises(ValueError, match=r"data: '.*/data' is not what was sent to this process"):
        sent.load()


def test_data_of_the_same_ids_and_other_words_are_other_data() -> None:
    """Sent one after the other to processes that keep what came last."""
    words = [(f"{a} {b}", f"{b} {a}") for a in "abc" for b in "abc"]
    first = ap.data.from_texts(words, pretokenized=True, valid=2)
    second = ap.data.from_texts(
        [tuple(text.upper() for text in pair) for pair in words], pretokenized=True, valid=2
    )
    assert first.fingerprint == second.fingerprint
    for data in (first, second):
        found = ap.study(data, executor=Lazy(), **{**SMALL, "schemes": "admin", "lr": 1e-3})
        assert [sample.source for sample in found.runs[0].samples] == [a for a, _ in data.pairs("valid")]


def test_what_cannot_be_sent_is_an_error_before_anything_is_trained(tmp_path: Path) -> None:
    class Local(ap.Adam):
        """Known to this function alone."""

    options = {**SMALL, "optimizer": Local, "out": tmp_path / "out"}
    with pytest.raises(ValueError, match="optimizer: 'Local' cannot be sent to another process"):
        ap.grid(DATA, workers=2, **options)
    assert not (tmp_path / "out").exists()
    plain = lambda lr: ap.AdamW(lr, weight_decay=0.2)  # noqa: E731  # what it makes is sent, not it
    found = ap.grid(DATA, workers=1, **{**SMALL, "optimizer": plain, "schemes": "admin", "lr": 1e-3})
    assert found.cells[0].setup["optimizer"]["weight_decay"] == 0.2


class Failing:
    """An executor whose third cell fails."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.count = error, 0
        self.futures: list[Future[Any]] = []

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        if len(self.futures) == 3:
            future.set_exception(self.error)
        elif len(self.futures) < 3:
            future.set_result(function(*arguments))
        return future


def test_a_cell_that_fails_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    executor = Failing(MemoryError("no memory for the weights"))
    with pytest.raises(RuntimeError, match=r"the training of admin, lr 0\.001, seed 1 failed: no memory"):
        ap.grid(DATA, executor=executor, out=tmp_path, **SMALL)
    assert len(Grid.load(tmp_path).cells) == 2
    assert executor.futures[3].cancelled()


def test_ctrl_c_keeps_whole_cells_and_cancels_what_waits(tmp_path: Path) -> None:
    executor = Failing(KeyboardInterrupt())
    found = ap.grid(DATA, executor=executor, out=tmp_path, **SMALL)
    assert found.interrupted
    assert len(found.cells) == 2
    assert executor.futures[3].cancelled()
    assert not ap.grid(DATA, out=tmp_path, **SMALL).interrupted


SCRIPT = """
import sys
import admin_py as ap
if __name__ == "__main__":
    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    found = ap.grid(data, schemes=["post_ln", "admin"], lr=[1e-3, 1e-2], seeds=[1, 2], layers=1, d_model=8,
                    d_ff=16, heads=2, steps=STEPS, max_tokens=128, out=sys.argv[1], workers=WORKERS)
    print("interrupted" if found.interrupted else "whole", len(found.cells))
"""


def start(folder: Path, *, steps: int, workers: int | None) -> subprocess.Popen[str]:
    """A grid in a process of its own, once its first cell is whole."""
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("STEPS", str(steps)).replace("WORKERS", str(workers)))
    command = [sys.executable, str(script), str(folder / "out")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: list(folder.glob("out/cells/*.json")), process)
    return process


def children(pid: int) -> list[int]:
    """Processes of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("workers", [None, 2])
def test_a_grid_that_is_killed_goes_on_and_ends_with_the_same_bits(tmp_path: Path, workers) -> None:
    """SIGKILL after the first cell, then the same call again; workers do not outlive who asked."""
    steps = 150
    process = start(tmp_path / "killed", steps=steps, workers=workers)
    alive = children(process.pid)
    process.kill()
    process.communicate()
    partial = Grid.load(tmp_path / "killed" / "out")
    assert partial.interrupted
    assert 1 <= len(partial.cells) < 8
    until_ended(alive)
    before = {cell.name: cell for cell in partial.cells}
    options = {**SMALL, "steps": steps, "seeds": [1, 2]}
    resumed = ap.grid(DATA, out=tmp_path / "killed" / "out", **options)
    assert not resumed.interrupted
    assert all(cell == before.get(cell.name, cell) for cell in resumed.cells), "whole cells stay"
    assert not list((tmp_path / "killed").rglob("*.part")), "what the kill left half-written is gone"
    assert same(resumed, ap.grid(DATA, **options))


@pytest.mark.parametrize("workers", [None, 2])
def test_ctrl_c_ends_a_grid_cleanly(tmp_path: Path, workers) -> None:
    """SIGINT to the whole group, as a terminal sends it."""
    process = start(tmp_path, steps=3000, workers=workers)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    assert out.split()[0] == "interrupted"
    assert len(Grid.load(tmp_path / "out").cells) == int(out.split()[1]) < 8
    assert "stopped: " in error


def test_progress_is_a_line_a_cell_in_a_pipe(tmp_path: Path) -> None:
    process = start(tmp_path, steps=2, workers=None)
    out, error = process.communicate(timeout=LIMIT)
    assert out == "whole 8\n"
    lines = error.splitlines()
    assert [line.split()[0] for line in lines] == [f"[{i}/8]" for i in range(1, 9)]
    assert lines[0].startswith("[1/8] post_ln, lr 0.001, seed 1: ")
    process = start(tmp_path, steps=2, workers=None)
    assert process.communicate(timeout=LIMIT)[1] == "8 of 8 cells are there already\n"
