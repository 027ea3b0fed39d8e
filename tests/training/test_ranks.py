"""Trainings that several processes share, by real MPI: the bits of one process, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mpi_training import CASES, DATA, OPTIONS, digest, make_model, train

import admin_py as ap
from admin_py.training.ranks import check_comm
from admin_py.training.regions import cut

pytest.importorskip("mpi4py")
HELPERS = Path(__file__).parents[1] / "helpers"
MPIEXEC = Path(sys.executable).with_name("mpiexec")
LIMIT = 300
"""Seconds after which a run counts as hanging: it needs ten."""

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason="no mpiexec beside this Python")


def launch(ranks: int, *command: object) -> list[str]:
    """A command of so many ranks; more than processors are allowed."""
    return [str(MPIEXEC), "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *map(str, command)]


def environment(**more: str) -> dict[str, str]:
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    paths = os.pathsep.join([str(HELPERS), str(HELPERS.parents[1])])
    return {**os.environ, **root, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", **more}


def run(ranks: int, *command: object, **more: str) -> subprocess.CompletedProcess[str]:
    """With more variables in the environment."""
    return subprocess.run(
        launch(ranks, *command), capture_output=True, text=True, timeout=LIMIT, env=environment(**more),
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    with ap.threads(1):
        return {case: train(case) for case in CASES}


@pytest.mark.parametrize(("ranks", "early"), [(2, "no"), (2, "yes"), (3, "yes"), (4, "no")])
def test_every_number_of_ranks_has_the_bits_of_one_process(
    ranks: int, early: str, alone: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """Whether the decoder's gradients are exchanged amid the pass or after it."""
    cases = [case for case in CASES if CASES[case].get("accumulate", OPTIONS["accumulate"]) % ranks == 0]
    assert cases
    command = [sys.executable, HELPERS / "mpi_training.py", tmp_path, *cases]
    ran = run(ranks, *command, EXCHANGE_EARLY=early)
    assert ran.returncode == 0, ran.stderr
    assert (int((tmp_path / "exchanged-early").read_text()) > 0) == (early == "yes")
    found = json.loads((tmp_path / f"{ranks}.json").read_text())
    assert found == {case: alone[case] for case in cases}


def test_the_cases_are_what_they_are_called(alone: dict[str, dict[str, Any]]) -> None:
    assert "not finite" in alone["diverges"]["diverged"]
    assert alone["large"]["diverged"] is None
    assert alone["threads"]["weights"] == alone["adam float32"]["weights"]
    assert len({one["weights"] for one in alone.values()}) == len(CASES) - 1


def test_parts_are_whole_blocks_as_even_as_can_be() -> None:
    for length in (0, 1, 16384, 100_000, 1_000_003):
        for ranks in (1, 2, 3, 7, 64):
            for first in (False, True):
                bounds = cut(length, 16384, ranks, first=first)
                sizes = [end - begin for begin, end in pairwise(bounds)]
                assert (bounds[0], bounds[-1], len(sizes)) == (0, length, ranks)
                assert all(begin % 16384 == 0 or begin == length for begin in bounds)
                assert min(sizes) >= 0
                assert max(sizes) - min(sizes) <= 2 * 16384


# What goes wrong


def faulty(
    fault: str, folder: Path, ranks: int = 2, **more: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """What a run said, and what its ranks left in the folder."""
    ran = run(ranks, sys.executable, HELPERS / "mpi_faults.py", fault, folder, **more)
    return ran, {one.name: one.read_text() for one in folder.glob("*-?") if "step" not in one.name}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("data", "all ranks must train alike: data.fingerprint is"),
        ("settings", "all ranks must train alike: clip_norm is 1.0 on rank 1 and 0.5 on rank 0"),
        ("steps", "all ranks must train alike: steps is 8 on rank 1 and 9 on rank 0"),
        ("weights", "all ranks must train alike: the weights' digest is"),
        ("checkpoint", "all ranks must train alike: checkpoint is"),
        ("patience", "all ranks must train alike: patience is 3 on rank 1 and None on rank 0"),
        ("keep", "all ranks must train alike: keep is"),
        ("folders", "all ranks must train alike: the checkpoint"),
        ("argument", "label_smoothing must be"),
    ],
)
def test_what_differs_on_one_rank_is_an_error_of_all(fault: str, words: str, tmp_path: Path) -> None:
    ran, left = faulty(fault, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert left["raised-1"].startswith(f"ValueError: {words}")
    assert left["raised-0"].startswith(f"OtherRankFailed: rank 1 of 2: ValueError: {words}")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("accumulate", "accumulate must be a multiple of the 2 ranks of comm, got 3"),
        ("no folder", "No such file or directory"),
        ("full disk", "the checkpoint cannot be written (File too large)"),
    ],
)
def test_what_is_wrong_on_all_ranks_or_the_one_that_writes(fault: str, words: str, tmp_path: Path) -> None:
    ran, left = faulty(fault, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert words in left["raised-0"]
    assert words in left["raised-1"]
    assert not list(tmp_path.glob("checkpoint*.tmp"))


@pytest.mark.parametrize("early", ["yes", "no"])
def test_an_error_amid_a_pass_ends_all_ranks(early: str, tmp_path: Path) -> None:
    """Where the others wait for its gradients, in a thread of their own or not."""
    ran, left = faulty("amid a pass", tmp_path, EXCHANGE_EARLY=early)
    assert ran.returncode != 0
    assert not left
    assert "rank 1 of 2: MemoryError: a pass of the last rank" in ran.stderr


def test_an_error_amid_the_training_ends_all_ranks_and_is_told(tmp_path: Path) -> None:
    ran, left = faulty("callback", tmp_path, ranks=4)
    assert ran.returncode != 0
    assert not left
    assert "rank 3 of 4: RuntimeError: a callback of the last rank" in ran.stderr


def test_ctrl_c_on_one_rank_ends_all_after_the_same_step(tmp_path: Path) -> None:
    ran, left = faulty("interrupted", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert left == {"ended-0": "5 True", "ended-1": "5 True"}


def test_a_killed_rank_ends_all_and_is_told(tmp_path: Path) -> None:
    ran, left = faulty("killed", tmp_path)
    assert ran.returncode != 0
    assert not left
    assert "Killed" in ran.stdout + ran.stderr


def command(folder: Path, *more: object) -> list[object]:
    return [
        sys.executable, "-m", "admin_py.cli", "train", "--task", "copy", "--layers", "1", "--d-model", "64",
        "--d-ff", "128", "--steps", "40", "--accumulate", "4", "--max-tokens", "256",
        "--checkpoint-every", "5", "--average", "2", "--keep-every", "10", "--out", folder, *more,
    ]  # fmt: skip


def files_of(folder: Path) -> dict[str, str]:
    """Digests of what a run computed."""
    paths = [folder / "model.safetensors", *sorted((folder / "kept").iterdir())]
    return {path.name: digest(path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    ran = subprocess.run(list(map(str, command(folder))), env=environment(), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return folder


def test_the_command_writes_what_one_process_writes(one_process: Path, tmp_path: Path) -> None:
    ran = run(2, *command(tmp_path / "run"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("written to") == 1
    assert ran.stderr.count("step 40/40") == 1
    assert files_of(tmp_path / "run") == files_of(one_process)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        path.name for path in one_process.iterdir()
    )


def test_killed_again_and_again_it_ends_with_the_same_bits(one_process: Path, tmp_path: Path) -> None:
    """All processes or one, of 2 or 4 ranks or of one process, at whatever step they are."""
    folder, kills = tmp_path / "run", 0
    for ranks in (2, 4, 1, 2, 4):
        arguments = list(map(str, command(folder)))
        process = subprocess.Popen(
            arguments if ranks == 1 else launch(ranks, *arguments),
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "validation" in line or "written" in line:
                break
        if process.poll() is None:
            kill_one_or_all(process, all_of_them=ranks != 4)
            kills += 1
        process.communicate(timeout=LIMIT)
        until = time.monotonic() + LIMIT
        while ranks_of(process) and time.monotonic() < until:
            time.sleep(0.05)  # the last of them holds the folder a little longer than mpiexec lives
    ran = run(2, *command(folder))
    assert ran.returncode == 0, ran.stderr
    assert kills >= 3
    assert files_of(folder) == files_of(one_process)


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes of a run that still train."""
    told = subprocess.run(
        ["ps", "-s", str(process.pid), "-o", "pid=,stat=,args="], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    return [
        int(line.split()[0])
        for line in told
        if "admin_py.cli" in line and "mpiexec" not in line and line.split()[1][0] != "Z"
    ]


def kill_one_or_all(process: subprocess.Popen[str], *, all_of_them: bool) -> None:
    """By SIGKILL: every process of the session, or one rank alone."""
    ranks = ranks_of(process)
    for pid in ranks if all_of_them else ranks[:1]:
        with suppress(ProcessLookupError):  # it has just come to its end
            os.kill(pid, 9)


def test_the_other_mpis_processes_find_each_other_or_are_told() -> None:
    """Without a launcher's variable there is one process; with one, and alone in the world, an error."""
    ran = subprocess.run(
        list(map(str, command(Path("unused")))), capture_output=True, text=True,
        env={**environment(), "PMI_SIZE": "4"},
    )  # fmt: skip
    assert ran.returncode == 2
    assert "4 processes were started, which do not find each other" in ran.stderr


# Without a launcher


@pytest.mark.parametrize("comm", [1, "world", object()])
def test_what_is_no_communicator(comm: Any) -> None:
    with pytest.raises(
        TypeError, match=r"comm must be a communicator of mpi4py, such as MPI\.COMM_WORLD, got"
    ):
        ap.train(make_model(DATA), DATA, comm=comm, **OPTIONS)


def test_one_rank_is_one_process(tmp_path: Path) -> None:
    from mpi4py import MPI

    assert check_comm(None).size == check_comm(MPI.COMM_SELF).size == 1
    with pytest.raises(ValueError, match="in, got MPI"):
        check_comm(MPI.COMM_NULL)


def test_the_launcher_is_there() -> None:
    assert shutil.which(MPIEXEC)
