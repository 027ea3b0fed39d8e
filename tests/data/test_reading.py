"""Reading lines: encodings, compression, and files that are not what they should be."""

from __future__ import annotations

import errno
import gzip
import os

import pytest

from admin_py.data.reading import read_lines, read_pairs


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_only_a_line_feed_ends_a_line(tmp_path):
    path = write(tmp_path / "a", "one\u2028two\x0bthree\x85\r\nlast\rline\n\nend")
    assert list(read_lines(path)) == ["one\u2028two\x0bthree\x85", "last\rline", "", "end"]


def test_a_last_line_feed_begins_no_line(tmp_path):
    assert list(read_lines(write(tmp_path / "a", "one\ntwo\n"))) == ["one", "two"]


def test_byte_order_mark_is_no_text(tmp_path):
    assert list(read_lines(write(tmp_path / "a", b"\xef\xbb\xbfeins\n\xef\xbb\xbfzwei"))) == [
        "eins",
        "\ufeffzwei",
    ]


@pytest.mark.parametrize("name", ["text.gz", "text"])
def test_compressed_text_reads_like_plain_text(tmp_path, name):
    path = write(tmp_path / name, gzip.compress("für\nüber\n".encode()))
    assert list(read_lines(path)) == ["für", "über"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_bad_encoding_names_argument_file_line_and_byte(tmp_path, compress):
    path = write(tmp_path / "bad", compress(b"fine\nfine\nf\xfcr\n"))
    with pytest.raises(
        ValueError, match=r"target: line 3 of '.*bad' is not UTF-8 \(byte 0xfc at position 2 "
    ):
        list(read_lines(path, "target"))


def test_utf16_is_bad_encoding_of_line_one(tmp_path):
    with pytest.raises(ValueError, match=r"line 1 of .* \(byte 0xff at position 1 "):
        list(read_lines(write(tmp_path / "a", "text\n".encode("utf-16"))))


def test_truncated_gzip_is_damaged(tmp_path):
    data = gzip.compress(b"line of text\n" * 1000)
    with pytest.raises(ValueError, match=r"source: '.*a\.gz' is damaged after line "):
        list(read_lines(write(tmp_path / "a.gz", data[: len(data) // 2]), "source"))


def test_changed_gzip_is_damaged(tmp_path):
    data = bytearray(gzip.compress(b"line of text\n" * 1000))
    data[-8] ^= 0xFF  # the checksum
    with pytest.raises(ValueError, match="is damaged after line 1000"):
        list(read_lines(write(tmp_path / "a.gz", bytes(data))))


def test_plain_text_under_a_compressed_name(tmp_path):
    with pytest.raises(ValueError, match="is not a gzip file, as its name says"):
        list(read_lines(write(tmp_path / "a.gz", "plain\n")))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"source: no such file: '.*nowhere'") as caught:
        list(read_lines(tmp_path / "nowhere", "source"))
    assert caught.value.errno == errno.ENOENT


def test_directory(tmp_path):
    with pytest.raises(IsADirectoryError, match="source: a directory, not a file"):
        list(read_lines(tmp_path, "source"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_forbidden_file(tmp_path):
    path = write(tmp_path / "a", "text")
    path.chmod(0)
    with pytest.raises(PermissionError, match="source: Permission denied"):
        list(read_lines(path, "source"))


def test_what_is_no_path():
    with pytest.raises(TypeError, match="source must be the path of a file, got 3"):
        list(read_lines(3, "source"))  # an open file descriptor is not meant


def test_pairs_with_a_blank_side_are_left_out_and_counted(tmp_path):
    source = write(tmp_path / "s", "one\n\nthree\nfour\n \t\n")
    target = write(tmp_path / "t", "eins\nzwei\n  \nvier\n\n")
    pairs = read_pairs(source, target)
    assert (pairs.sources, pairs.targets, pairs.blank) == (["one", "four"], ["eins", "vier"], 3)


def test_lines_that_do_not_match(tmp_path):
    source, target = write(tmp_path / "s", "a\nb\nc\n"), write(tmp_path / "t", "a\nb\n")
    with pytest.raises(ValueError, match=r"same number of lines, but '.*s' has 3 and '.*t' has 2"):
        read_pairs(source, target)
    with pytest.raises(ValueError, match=r"valid source .* has 2 and '.*s' has 3"):
        read_pairs(target, source, names="valid ")


def test_max_lines_reads_no_further(tmp_path):
    source, target = write(tmp_path / "s", b"a\nb\n\xff\n"), write(tmp_path / "t", "c\nd\n")
    assert read_pairs(source, target, max_lines=2).sources == ["a", "b"]
    with pytest.raises(ValueError, match="line 3"):
        read_pairs(source, target, max_lines=3)


@pytest.mark.parametrize("name", ["empty", "empty.gz"])
def test_empty_file(tmp_path, name):
    full, empty = write(tmp_path / "full", "a\n"), write(tmp_path / name, "")
    with pytest.raises(ValueError, match=rf"target: '.*{name}' is empty"):
        read_pairs(full, empty)
    with pytest.raises(ValueError, match=rf"source: '.*{name}' is empty"):
        read_pairs(empty, full)


def test_nothing_but_blank_pairs(tmp_path):
    source, target = write(tmp_path / "s", "a\n\n"), write(tmp_path / "t", "\nb\n")
    with pytest.raises(ValueError, match="no line has text in both files"):
        read_pairs(source, target)
