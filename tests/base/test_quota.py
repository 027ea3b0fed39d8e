"""Quotas of control groups, as files of version 1, of version 2 and of both say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_py.base.builds import MODULES
from admin_py.base.environment import first_threads
from admin_py.base.quota import processors_granted

VERSION_2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
VERSION_1 = "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"


def system(folder: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    """A root of a file system with the files that are read."""
    for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


def version_2(folder: Path, *, group: str = "/", root: str = "/", **quotas: str) -> Path:
    """Quotas by the folder below the mount, with _ for /, and "here" for the mount itself."""
    files = {
        f"sys/fs/cgroup/{'' if name == 'here' else name.replace('_', '/')}/cpu.max": text
        for name, text in quotas.items()
    }
    return system(folder, VERSION_2.format(root=root), f"0::{group}", files)


@pytest.mark.parametrize(
    ("quota", "granted"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("6400000 100000", 64),
        ("", None),
        ("many 100000", None),
        ("200000", None),
        ("200000 0", None),
        ("-1 100000", None),
    ],
)
def test_version_2(tmp_path: Path, quota: str, granted: int | None) -> None:
    assert processors_granted(version_2(tmp_path, here=quota)) == granted


def test_the_tightest_quota_above_a_group_counts(tmp_path: Path) -> None:
    place = version_2(tmp_path, group="/a/b", here="max 100000", a="300000 100000", a_b="400000 100000")
    assert processors_granted(place) == 3


def test_groups_beside_do_not_count(tmp_path: Path) -> None:
    assert processors_granted(version_2(tmp_path, group="/a/b", a_c="100000 100000")) is None


def test_a_group_that_is_mounted_as_the_root_lies_at_the_mount(tmp_path: Path) -> None:
    place = version_2(tmp_path, group="/docker/1/inner", root="/docker/1", inner="200000 100000")
    assert processors_granted(place) == 2


@pytest.mark.parametrize("group", ["/../other", "/not/seen/here"])
def test_of_a_group_that_is_not_seen_the_mount_counts(tmp_path: Path, group: str) -> None:
    assert processors_granted(version_2(tmp_path, group=group, here="200000 100000")) == 2


@pytest.mark.parametrize(("quota", "granted"), [("-1", None), ("150000", 1), ("400000", 4)])
def test_version_1(tmp_path: Path, quota: str, granted: int | None) -> None:
    mounts = f"{MEMORY}\n{VERSION_1.format(root='/')}"
    groups = "9:memory:/elsewhere\n4:cpu,cpuacct:/job\n0::/"
    files = {
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": quota,
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
    }
    assert processors_granted(system(tmp_path, mounts, groups, files)) == granted


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert processors_granted(tmp_path) is None
    assert processors_granted(system(tmp_path, "no mount", "no group", {})) is None


def test_threads_are_as_many_as_a_quota_grants_unless_the_environment_says_otherwise() -> None:
    assert first_threads({}, 8, 2) == 2
    assert first_threads({}, 2, 8) == 2
    assert first_threads({"ADMIN_PY_NUM_THREADS": "4"}, 8, 2) == 4
    assert first_threads({"OMP_NUM_THREADS": "16"}, 8, 2) == 8


def test_this_process_has_at_least_one_thread() -> None:
    assert first_threads({}, MODULES["float32"].num_procs(), processors_granted()) >= 1
