"""The one door for paths, and names that every file system takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_py.base.paths import (
    absolute_path,
    descriptor_of,
    fitting_name,
    longest_name,
    make_folder,
    path_of,
)

NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: not set(name) & set(b"/\0"))
"""Of files, as the system takes them."""


def test_a_tilde_is_a_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for one in ("~/a/b", Path("~/a/b"), b"~/a/b"):
        assert path_of(one) == tmp_path / "a" / "b"
    assert path_of("~") == tmp_path
    assert path_of("a/~") == Path("a/~")


def test_a_home_directory_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="out: '~nobody-here/a' begins with ~nobody-here, and there is no"):
        path_of("~nobody-here/a", "out")
    (tmp_path / "~nobody-here").mkdir()
    assert path_of("~nobody-here/a") == tmp_path / "~nobody-here" / "a"
    assert path_of("./~") == tmp_path / "~"


def test_a_path_goes_through_the_door_twice_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for one in ("~", "./~", "~file", "a", "./a", "/a"):
        assert path_of(path_of(one)) == path_of(one)


@given(NAMES)
def test_every_name_of_a_file_is_taken_as_bytes_and_as_text(name: bytes) -> None:
    for one in (b"/" + name, "/" + os.fsdecode(name), Path("/") / os.fsdecode(name)):
        assert os.fsencode(path_of(one)) == os.fsencode(Path("/" + os.fsdecode(name)))


@pytest.mark.parametrize("given", [3, True, None, 1.5, ["a"], {"a"}])
def test_what_is_no_path(given: object) -> None:
    with pytest.raises(TypeError, match=r"^out must be a path, got "):
        path_of(given, "out")


@pytest.mark.parametrize("given", ["", b"", "a\0b", "\ud800"])
def test_what_no_file_can_be_called(given: object) -> None:
    with pytest.raises(ValueError, match=r"^out must be a path, got "):
        path_of(given, "out")


def test_an_absolute_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = absolute_path("a/b")
    monkeypatch.chdir("/")
    assert found == tmp_path / "a" / "b"


def test_descriptors_are_found_through_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/dev/stderr")
    (tmp_path / "b").symlink_to("a")
    assert descriptor_of(tmp_path / "b") == 2
    assert descriptor_of("/proc/self/fd/7") == 7
    (tmp_path / "c").symlink_to("c")
    assert descriptor_of(tmp_path / "c") is None
    assert descriptor_of(tmp_path / "nothing") is None


def test_a_folder_is_made_where_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    make_folder(tmp_path / "link")
    assert (tmp_path / "there").is_dir()


# Names


@given(st.text(max_size=300), st.integers(min_value=9, max_value=260))
def test_a_name_fits_and_is_cut_between_letters(name: str, most: int) -> None:
    try:
        whole = os.fsencode(name)
    except UnicodeEncodeError:
        return  # no name
    found = os.fsencode(fitting_name(name, most))
    assert len(found) <= most
    if len(whole) <= most:
        assert found == whole
    else:
        kept, _ = found.rsplit(b"~", 1)
        assert whole.startswith(kept)
        assert _is_utf8(kept) or not _is_utf8(whole)


@given(NAMES.filter(lambda name: len(name) > 20), NAMES.filter(lambda name: len(name) > 20))
def test_names_that_differ_stay_different(a: bytes, b: bytes) -> None:
    names = {fitting_name(os.fsdecode(name), 20) for name in (a, b)}
    assert len(names) == len({a, b})


def test_the_longest_name_is_the_system_s(tmp_path: Path) -> None:
    most = longest_name(tmp_path)
    (tmp_path / ("a" * most)).touch()
    with pytest.raises(OSError, match="too long"):
        (tmp_path / ("a" * (most + 1))).touch()
    assert longest_name(tmp_path / "not there yet") >= 14


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
