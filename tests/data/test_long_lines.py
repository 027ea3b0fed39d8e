"""Long words and lines, small files that inflate, pipes: bounds and errors in place of hours and memory."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

import admin_py as ap
from admin_py.base.interruptible import interruptible
from admin_py.data import SubwordTokenizer, load_tokenizer, reading
from admin_py.data.reading import read_lines, read_whole
from admin_py.data.subwords import WORD_MOST


def plain_merges(lines, size):
    """What the library learns by itself, of whole words."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 4, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(lines, trainer)
    return SubwordTokenizer(made)


def test_words_up_to_the_bound_are_learned_from_as_a_whole():
    lines = ["ab " * 500, "the cat sat on the mat, " * 60, "x" * WORD_MOST, "猫" * (WORD_MOST // 3)]
    assert SubwordTokenizer.train(lines, vocab_size=320, prefix_space=False) == plain_merges(lines, 320)


@pytest.mark.parametrize("unit", ["ACGTTGCA", "a", " ", "猫犬", "0", "-", "🙂"])
def test_words_beyond_the_bound_are_learned_from_in_pieces_and_come_back(unit):
    line = f"x{unit * (40 * WORD_MOST // len(unit))}x"
    learned = SubwordTokenizer.train([line], vocab_size=300)
    longest = max(len(learned.piece(i)) for i in range(4, learned.vocab_size))
    assert longest <= WORD_MOST
    ids = learned.encode_lines([line])[0]
    assert learned.decode(ids) == line
    assert len(ids) < len(line.encode()) // 2


def test_ctrl_c_ends_a_long_call_and_what_it_was_given_is_told():
    stopped = threading.Event()

    def forever(stop):
        os.kill(os.getpid(), signal.SIGINT)
        stopped.wait() if not stop.wait(60) else stopped.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible(forever)
    assert stopped.wait(60)


def test_errors_of_a_long_call_are_its_own():
    def fails(stop):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        interruptible(fails)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(interruptible(lambda stop: threading.current_thread()))
    )
    thread.start()
    thread.join()
    assert found == [thread]  # no signal comes there


def test_ctrl_c_while_a_chromosome_is_learned_ends_the_process(tmp_path):
    code = (
        "import _thread, random, threading\n"
        "from admin_py.data import SubwordTokenizer, subwords\n"
        "letters = bytes('ACGT' * 64, 'ascii')\n"
        "line = random.Random(1).randbytes(20_000_000).translate(letters).decode()\n"
        "learn = subwords.interruptible\n"
        "def begun(function):\n"
        "    def run(stop):\n"
        "        threading.Timer(0.2, _thread.interrupt_main).start()\n"
        "        return function(stop)\n"
        "    return learn(run)\n"
        "subwords.interruptible = begun\n"
        "try:\n"
        "    SubwordTokenizer.train([line], vocab_size=30_000)\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (run.stdout, run.returncode) == ("stopped\n", 0), run.stderr


@pytest.mark.parametrize("size", [2**31, 2**63, 2**70])
def test_a_vocabulary_that_no_id_can_count(size):
    for learn in (
        lambda: SubwordTokenizer.train(["text"], vocab_size=size),
        lambda: ap.data.text(__file__, vocab_size=size),
        lambda: ap.data.from_texts([("a", "b")] * 9, vocab_size=size, pretokenized=True),
    ):
        with pytest.raises(ValueError, match=f"vocab_size must be at most 2147483647, .* got {size}"):
            learn()


def test_a_vocabulary_beyond_the_text_takes_no_more_than_the_text_has():
    assert SubwordTokenizer.train(["abab"], vocab_size=2**31 - 1).vocab_size < 270


def bomb(path, size, unit=b"\0"):
    with gzip.open(path, "wb") as stream:
        for _ in range(size // 2**20):
            stream.write(unit * (2**20 // len(unit)))
    return path


def test_a_line_that_inflates_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "INFLATED_LINE", 2**22)
    path = bomb(tmp_path / "line.gz", 2**25)
    read = []
    with pytest.raises(ValueError, match=r"source: line 1 of '.*line\.gz': 5,242,880 bytes have come out of"):
        read += read_lines(path, "source")
    assert read == []


def test_a_text_that_inflates_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "INFLATED_TEXT", 2**22)
    with pytest.raises(ValueError, match=r"line \d+ of .* if it is meant, decompress the file before"):
        list(read_lines(bomb(tmp_path / "text.gz", 2**24, b"row, row\nrow, ro\n"[:16])))


def test_a_long_line_of_text_is_read(tmp_path):
    text = " ".join(map(str, range(700_000)))
    for name, write in (("plain", open), ("packed.gz", gzip.open)):
        with write(tmp_path / name, "wb") as stream:
            stream.write(f"{text}\nend\n".encode())
        assert list(read_lines(tmp_path / name)) == [text, "end"]


def test_lines_and_files_beyond_the_bound_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LINE_MOST", 2**21)
    monkeypatch.setattr(reading, "WHOLE_MOST", 2**21)
    path = tmp_path / "sparse"
    with open(path, "wb") as stream:
        stream.truncate(2**31)
    with pytest.raises(ValueError, match=r"source: line 1 of '.*sparse' has more than 2,097,152 bytes"):
        list(read_lines(path, "source"))
    with pytest.raises(ValueError, match=r"tokenizer: '.*sparse' has more than 2,097,152 bytes"):
        read_whole(path, "tokenizer")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_with_a_name_is_refused_and_one_that_is_open_is_read(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a pipe, expected a file"):
        list(read_lines(path, "source"))
    with pytest.raises(ValueError, match="is a pipe, expected a file"):
        load_tokenizer(path)
    held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer need not wait for a reader
    try:
        path.write_text("one\ntwo\n")
        assert list(read_lines(f"/dev/fd/{held}")) == ["one", "two"]
    finally:
        os.close(held)


@pytest.mark.parametrize("name", ["a\0b", "", 3, None])
def test_what_is_no_path_names_the_argument(name):
    with pytest.raises((TypeError, ValueError), match="source must be the path of a file"):
        list(read_lines(name, "source"))
