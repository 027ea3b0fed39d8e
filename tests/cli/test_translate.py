"""``admin-py translate``: a filter, in real processes and pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import COMMAND, LIMIT, run, run_filter
from helpers.table_model import VOCABULARY, table_model
from hypothesis import given, settings
from hypothesis import strategies as st

import admin_py as ap
from admin_py.cli.input_lines import windows
from admin_py.data import CharacterTokenizer, WordTokenizer
from admin_py.data.reading import read_lines

NUMBERS = ap.data.number_words(train=400, valid=20, limit=500)
LINES = [source for source, _ in NUMBERS.pairs("train")[:150]]
translate = partial(run_filter, "translate")
WORDS = WordTokenizer([f"w{i}" for i in range(VOCABULARY - 4)])


@pytest.fixture(scope="module")
def translator(tmp_path_factory) -> Path:
    """The folder of one that knows some numbers, reads 15 tokens, and has no recipe."""
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 32, "heads": 4, "d_ff": 64, "dropout": 0.0}
    config = ap.TransformerConfig(vocab_size=NUMBERS.vocab_size, max_length=16, **sizes)
    model = ap.Transformer(config, seed=1)
    ap.train(model, NUMBERS, lr=1e-2, steps=60, max_tokens=512, progress=False)
    folder = tmp_path_factory.mktemp("translator")
    ap.TrainedModel(model, NUMBERS.tokenizer).save(folder)
    return folder


@pytest.fixture(scope="module")
def speaker(tmp_path_factory) -> Path:
    """The folder of a language model that says the last word over and over, and reads 50 tokens."""
    folder = tmp_path_factory.mktemp("speaker")
    ap.TrainedModel(table_model(lambda token: token, kind="language_model"), WORDS).save(folder)
    return folder


def translate_process(*arguments: Any, given: bytes | str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, between pipes."""
    data = given.encode() if isinstance(given, str) else given
    command = [*COMMAND, "translate", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=LIMIT, check=False)
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )


def shell(line: str) -> subprocess.CompletedProcess[str]:
    line = "set -o pipefail; " + line.replace("admin-py", shlex.join(COMMAND))
    return subprocess.run(
        line, shell=True, capture_output=True, text=True, timeout=LIMIT, check=False, executable="/bin/bash"
    )


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_every_line_has_its_line_in_order(translator: Path) -> None:
    lines = [*LINES[:70], "", "   ", *LINES[70:], ""]
    done = translate_process(translator, "--batch-size", 8, given=text(lines))
    assert (done.returncode, done.stderr) == (0, "")
    alone = ap.load(translator)
    assert done.stdout == text([alone.translate(line) if line.strip() else "" for line in lines])


def test_a_search_is_that_of_python(translator: Path) -> None:
    options = ["--beam", 3, "--lenpen", 0.6, "--penalty", "gnmt", "--max-len-a", 1, "--max-len-b", 2]
    options += ["--min-len", 2, "--no-repeat-ngram", 2]
    done = translate(translator, *options, given=text(LINES[:20]))
    assert (done.returncode, done.stderr) == (0, "")
    expected = ap.load(translator).translate(
        LINES[:20], beam=3, length_penalty=0.6, penalty="gnmt", max_length=(1, 2), min_length=2,
        no_repeat_ngram=2,
    )  # fmt: skip
    assert done.stdout == text(expected)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["none", "feed", "return"])
def test_ends_of_lines(translator: Path, end: str) -> None:
    plain = translate(translator, given="one\n\ntwo hundred\n").stdout
    assert plain.count("\n") == 3
    between = end or "\n"
    done = translate_process(translator, given="\ufeff" + between.join(["one", "", "two hundred"]) + end)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain, "")


@pytest.mark.parametrize("where", ["</dev/null", "<&-"])
def test_nothing_of_nothing(translator: Path, where: str) -> None:
    done = shell(f"admin-py translate {translator} {where}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_waits_for_an_answer_gets_it(translator: Path) -> None:
    """Line by line, in and out, as a program would that has the command beside it."""
    process = subprocess.Popen(
        [*COMMAND, "translate", os.fspath(translator)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    found = []
    for line in LINES[:5]:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        found.append(process.stdout.readline())
    _, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, errors) == (0, "")
    assert "".join(found) == translate(translator, given=text(LINES[:5])).stdout


def test_a_reader_that_has_seen_enough_ends_a_stream_without_end(translator: Path) -> None:
    done = shell(
        f"(trap '' PIPE; yes 'two hundred' 2>/dev/null; true) | admin-py translate {translator} | head -1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == translate(translator, given="two hundred\n").stdout


def test_a_place_that_is_full(translator: Path) -> None:
    done = shell(f"echo one | admin-py translate {translator} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("admin-py: error: the standard output stream cannot be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_done_is_written_when_it_is_stopped(translator: Path, number: int, status: int) -> None:
    """In a stream without end: whole lines, in order, and the status of the signal."""
    reading, writing = os.pipe()
    lines = text(LINES * 400).encode()
    feeder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=writing)
    os.close(writing)
    process = subprocess.Popen(
        [*COMMAND, "translate", os.fspath(translator)],
        stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(reading)
    assert feeder.stdin is not None
    assert process.stdout is not None
    feeder.stdin.write(lines[: 2**15])
    feeder.stdin.flush()
    first = process.stdout.readline()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=LIMIT)
    feeder.kill()
    feeder.communicate()
    assert (process.returncode, errors) == (status, b"admin-py: stopped\n")
    found = (first + rest).decode().splitlines(keepends=True)
    assert found[-1].endswith("\n")
    count = len(found)
    known = dict(zip(LINES, translate(translator, given=text(LINES)).stdout.splitlines(), strict=True))
    assert found == [f"{known[line]}\n" for line in (LINES * 400)[:count]]


def test_bytes_that_are_no_text(translator: Path) -> None:
    wrong = b"one\ntwo\n\xc3\x28three\nfour\n"
    done = translate_process(translator, given=wrong)
    assert done.returncode == 1
    assert done.stdout == translate(translator, given="one\ntwo\n").stdout, "what stands before it"
    assert done.stderr == (
        "admin-py: error: line 3 of the standard input is not UTF-8 (byte 0xc3 at position 1 of the line); "
        "--errors replace takes it nevertheless\n"
    )
    done = translate(translator, "--errors", "replace", given=wrong)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 4


LONG = "one hundred . " * 12
TOO_LONG = "admin-py: warning: line 2 has"


def test_a_line_that_is_too_long_is_cut_and_named(translator: Path) -> None:
    short = translate(translator, given="one\n\ntwo\n").stdout.splitlines()
    done = translate(translator, given=f"one\n{LONG}\ntwo\n")
    assert done.returncode == 0
    found = done.stdout.splitlines()
    assert [found[0], found[2]] == [short[0], short[2]]
    assert found[1]
    assert done.stderr.startswith(TOO_LONG)
    assert "the model reads 15: what follows is not translated" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_line_that_is_too_long_is_split(translator: Path) -> None:
    tokens = len(NUMBERS.encode("one hundred"))
    assert 2 * tokens < 15
    sentences = ["one hundred .", "two hundred !", "three hundred", *["four"] * 3]
    given = f"one\n{' '.join(sentences * 4)}\n"
    done = translate(translator, "--split", given=given)
    assert done.returncode == 0
    assert done.stderr.startswith(TOO_LONG)
    assert done.stderr.endswith(" parts\n")
    assert done.stderr.count("\n") == 1
    alone = ap.load(translator)
    assert done.stdout.splitlines()[1].startswith(
        f"{alone.translate('one hundred .')} {alone.translate('two hundred !')} "
    )
    assert translate(translator, "--split", given="one\ntwo hundred\n").stderr == "", "none is too long"


def test_the_n_best_as_moses_writes_them(translator: Path) -> None:
    done = translate(translator, "--beam", 4, "--nbest", 3, given=f"{LINES[0]}\n\n{LINES[1]}\n")
    assert (done.returncode, done.stderr) == (0, "")
    found = [line.split(" ||| ") for line in done.stdout.splitlines()]
    assert [one[0] for one in found] == ["0"] * 3 + ["1"] + ["2"] * 3
    assert found[3] == ["1", "", "LogProb= 0.000000", "0.000000"]
    trained = ap.load(translator)
    for lines, source in ((found[:3], LINES[0]), (found[4:], LINES[1])):
        for one, expected in zip(lines, trained.translate(source, beam=4, n_best=3), strict=True):
            assert one[1] == expected.text
            assert float(one[2].removeprefix("LogProb= ")) == pytest.approx(
                expected.log_probability, abs=1e-6
            )
            assert float(one[3]) == pytest.approx(expected.score, abs=1e-6)


def test_draws_do_not_depend_on_batches(translator: Path) -> None:
    options = ["--sample", "--temperature", 3, "--top-k", 20, "--top-p", 0.9, "--seed", 7]
    lines = [*LINES[:30], "", *LINES[:30]]
    whole = translate(translator, *options, given=text(lines))
    assert (whole.returncode, whole.stderr) == (0, "")
    assert translate(translator, *options, "--batch-size", 3, given=text(lines)).stdout == whole.stdout
    found = whole.stdout.splitlines()
    assert found[:30] != found[31:], "each line has random numbers of its own"
    expected = ap.load(translator).translate(lines[:30], temperature=3.0, top_k=20, top_p=0.9, seed=7)
    assert found[:30] == expected
    assert translate(translator, *options[:-1], 8, given=text(lines)).stdout != whole.stdout


def test_a_language_model_continues(speaker: Path) -> None:
    done = translate(speaker, "--max-new-tokens", 3, given="w1 w2\n\nw5\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "w1 w2 w2 w2 w2\n\nw5 w5 w5 w5\n", "")
    prompt = "w3 " * 60 + "w4"
    done = translate(speaker, "--max-new-tokens", 2, given=f"{prompt}\n")
    assert (done.stdout, done.stderr) == (f"{prompt} w4 w4\n", ""), "it reads the last of any number"
    done = translate(speaker, "--beam", 2, "--max-new-tokens", 2, given=f"w1\n{prompt}\n")
    assert done.stdout == f"w1 w1 w1\n{prompt} w4 w4\n", "nothing of the prompt is lost"
    assert done.stderr.startswith("admin-py: warning: line 2 has 61 tokens")
    assert done.stderr.count("\n") == 1
    done = translate(speaker, "--split", given="w1\n")
    assert done.returncode == 1
    assert done.stderr == "admin-py: error: --split goes with a translator; this is a language model\n"


def test_ends_of_lines_inside_are_escapes(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer("a\n")
    model = table_model(lambda token: 9 - token if token in (4, 5) else token, kind="language_model")
    ap.TrainedModel(model, tokenizer).save(tmp_path)
    assert set(tokenizer.decode([4, 5])) == {"a", "\n"}
    done = translate(tmp_path, "--max-new-tokens", 3, given="a\na\n")
    assert done.stdout == "a\\na\\n\n" * 2


def test_a_terminal_has_a_bar_where_the_lines_go_elsewhere(translator: Path) -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, "translate", os.fspath(translator)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=child,
    )  # fmt: skip
    os.close(child)
    assert process.stdin is not None
    process.stdin.write(text(LINES[:9]).encode())
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    shown = b""
    try:
        while chunk := os.read(parent, 1024):
            shown += chunk
    except OSError:  # the terminal is closed with the process
        pass
    os.close(parent)
    found, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, found.count(b"\n")) == (0, 9)
    assert b"translating: 9line" in shown


def test_options_that_would_do_nothing(translator: Path) -> None:
    for arguments, message in (
        (["--lenpen", "0.6"], "--lenpen goes with --beam"),
        (["--nbest", "2"], "--nbest goes with --beam"),
        (["--max-len-a", "2"], "--max-len-a goes with --beam"),
        (["--top-k", "2"], "--top-k goes with --sample"),
        (["--seed", "2"], "--seed goes with --sample"),
        (["--sample", "--beam", "2"], "--beam goes with a search: --sample draws"),
        (["--beam", "2", "--nbest", "2", "--split"], "--split goes with one translation a line"),
    ):
        found = run("translate", translator, *arguments)
        assert found.returncode == 2, arguments
        assert found.stderr.startswith("admin-py translate: error: ")
        assert message in found.stderr
        assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "0"], "batch_size must be at least 1"),
        (["--beam", "0"], "beam must be"),
        (["--beam", "2", "--nbest", "3"], "n_best must be"),
        (["--sample", "--temperature", "0"], "temperature must be above 0"),
        (["--beam", "2", "--max-len-a", "2", "--max-new-tokens", "3"], "both say how long it may be"),
        (["--threads", "0"], "n must be an integer from 1"),
    ],
)
def test_options_that_are_wrong(translator: Path, arguments: list[str], message: str) -> None:
    done = translate(translator, *arguments, given="one\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("admin-py: error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def copy(folder: Path, to: Path) -> ap.TrainedModel:
    trained = ap.load(folder)
    trained.save(to)
    return trained


def test_folders_of_other_things(translator: Path, tmp_path: Path) -> None:
    copy(translator, tmp_path / "nan")
    model = ap.Transformer.load(translator / "model.safetensors")
    model.parameters["embedding.weight"][3, 1] = np.nan
    model.save(tmp_path / "nan" / "model.safetensors")
    copy(translator, tmp_path / "vocabulary")
    WORDS.save(tmp_path / "vocabulary" / "tokenizer.json")
    copy(translator, tmp_path / "missing")
    (tmp_path / "missing" / "model.safetensors").unlink()
    (tmp_path / "empty").mkdir()
    ap.TrainedModel(ap.Transformer(model.config)).save(tmp_path / "mute")
    config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2)
    ap.TrainedModel(ap.Transformer(config), WordTokenizer(["a"])).save(tmp_path / "encoder")
    sizes = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 1, "progress": False}
    ap.study(ap.data.copy_task(train=20, valid=4), schemes="admin", out=tmp_path / "study", **sizes)
    for name, message in {
        "nan": "the weight embedding.weight must be finite, got nan at [3, 1]",
        "vocabulary": "is damaged, or not that of the model",
        "missing": "model.safetensors: No such file or directory",
        "nowhere": "nowhere: No such file or directory",
        "empty": "is an empty folder; expected a model",
        "mute": "has no tokenizer, so it takes no text",
        "encoder": "an encoder generates nothing",
        "study": "holds a Study, expected the folder of a trained model",
        "vocabulary/model.safetensors": "holds a Transformer, expected the folder of a trained model",
    }.items():
        found = run("translate", tmp_path / name)
        assert (found.returncode, found.stdout) == (1, ""), name
        assert message in found.stderr
        assert found.stderr.startswith("admin-py: error: ")
        assert found.stderr.count("\n") == 1


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 5))
def test_windows_are_the_lines_of_a_file(tmp_path_factory, data: bytes, most: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes(data)
    expected: list[str] | None = None
    with contextlib.suppress(ValueError):
        expected = list(read_lines(path))
    found: list[list[str]] = []
    with open(path, "rb") as stream:
        try:
            found.extend(windows(stream.fileno(), most))
        except ValueError:
            assert expected is None
            return
    assert [line for window in found for line in window] == expected
    assert all(1 <= len(window) <= most for window in found)
    assert all(len(window) == most for window in found[:-1])
