"""The command line: what it writes, its exit status, one line for every error, plain lines in a pipe."""

from __future__ import annotations

import argparse
import csv
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path

import numpy as np
import pytest
from command import COMMAND, LIMIT, run, run_process, until
from pictures import Picture

import admin_py as ap
from admin_py.analysis import GradientNorms
from admin_py.cli import entry as cli
from admin_py.training.checkpoint import load as load_checkpoint

SMALL = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2"]
TINY = [*SMALL, "--task", "copy", "--steps", "3"]


def text_pair(folder: Path, lines: int = 60) -> tuple[Path, Path]:
    source, target = folder / "train.en", folder / "train.de"
    source.write_text("".join(f"the cat number {i} sleeps\n" for i in range(lines)), encoding="utf-8")
    target.write_text("".join(f"die Katze Nummer {i} schläft\n" for i in range(lines)), encoding="utf-8")
    return source, target


@pytest.mark.parametrize("command", [[], *([name] for name in cli.COMMANDS)], ids=" ".join)
def test_help_says_what_there_is(command: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: admin-py")
    if command and command[0] not in ("convert", "info", "recipes", "score", "watch"):
        assert f"admin-py {command[0]} --" in text or f"admin-py {command[0]} gradients --" in text, (
            "an example"
        )
        assert "--threads" in text


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_takes_debug(command: str) -> None:
    """An error is told in one line or shown where it comes from, of whatever command."""
    parser = argparse.ArgumentParser()
    cli.COMMANDS[command].add_arguments(parser)
    assert "--debug" in parser._option_string_actions


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"admin-py {ap.__version__}\n"


def test_the_examples_of_the_help_are_understood() -> None:
    """Every command line shown in a help text parses."""
    parser = cli.build_parser()
    texts = [command.EXAMPLES for command in cli.COMMANDS.values()]
    shown = "\n".join(texts)
    lines = re.findall(r"^  admin-py (.*)$", shown.replace("\\\n", " "), flags=re.MULTILINE)
    assert len(lines) >= 9
    for line in lines:
        words = re.split(r" [<>|] ", line)[0].split()  # what follows is the shell's
        assert parser.parse_args(words).command == words[0]


def test_study_of_two_files_writes_results_that_load_and_a_report(tmp_path: Path) -> None:
    source, target = text_pair(tmp_path)
    text = ["--source", source, "--target", target, "--vocab-size", "300"]
    schemes = ["--schemes", "post_ln/pre_ln", "admin", "--seeds", "1", "2"]
    found = run("study", *SMALL, *text, *schemes, "--steps", "2", "--out", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    study = ap.Study.load(tmp_path / "out")
    pairs = [("post_ln/pre_ln", 1), ("post_ln/pre_ln", 2), ("admin", 1), ("admin", 2)]
    assert [(one.scheme, one.seed) for one in study.runs] == pairs
    assert study.data["vocab_size"] == 300
    assert study.runs[0].samples[0].source.startswith("the cat number")
    with open(tmp_path / "out" / "results.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["valid_nll"]) for row in rows] == [one.valid_nll for one in study.runs]
    assert "[4/4] admin, seed 2: " in found.stderr
    assert "\r" not in found.stderr
    assert "\x1b" not in found.stderr


@pytest.mark.usefixtures("no_pictures")
def test_quiet_says_only_what_was_found_and_its_folder_is_of_one_study(tmp_path: Path) -> None:
    arguments = ["study", *TINY, "--schemes", "pre_ln", "--quiet", "--out", tmp_path]
    found = run(*arguments)
    assert found.returncode == 0
    assert found.stderr == ""
    assert "pre_ln" in found.stdout
    found = run(*arguments, "--clip-norm", "0.5")
    assert found.returncode == 1
    assert "holds a study with" in one_line(found)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_gets_a_bar(tmp_path: Path, columns: int) -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [*COMMAND, "train", *TINY, "--out", os.fspath(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    shown = b""
    try:
        while chunk := os.read(parent, 1024):
            shown += chunk
    except OSError:  # the terminal is closed with the process
        pass
    os.close(parent)
    assert process.wait(timeout=LIMIT) == 0
    assert b"\r" in shown
    lines = [line for line in shown.decode("utf-8", "replace").split("\r") if "3/3" in line]
    assert lines
    assert min(len(line.split("|")[1]) for line in lines) >= columns // 6, lines


def test_profile_writes_json_text_table_and_Picture(tmp_path: Path) -> None:
    found = run("profile", *SMALL, "--task", "copy", "--out", tmp_path)
    assert found.returncode == 0, found.stderr
    profile = ap.VarianceProfile.load(tmp_path / "profile.json")
    again = ap.VarianceProfile.from_clinic(tmp_path / "profile.txt", encoder_layers=1, decoder_layers=1)
    np.testing.assert_array_equal(again.omega("decoder"), profile.omega("decoder"))
    assert Picture(tmp_path / "profile.png").drawn > 0.01
    assert len((tmp_path / "profile.csv").read_text().splitlines()) == 1 + 5
    assert repr(profile) in found.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder that `admin-py train` wrote."""
    folder = tmp_path_factory.mktemp("trained")
    found = run("train", *TINY, "--out", folder)
    assert found.returncode == 0, found.stderr
    return folder


def test_train_saves_a_model_that_loads_and_goes_on(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "run")
    model = ap.Transformer.load(folder / "model.safetensors")
    assert model.config.scheme_name == "admin"
    assert ap.History.load(folder / "history.json").num_steps == 3
    assert Picture(folder / "history.png").drawn > 0.01
    arguments = [*TINY[:-1], "6", "--out", folder, "--valid-every", "1"]
    assert run("train", *arguments).returncode == 0
    history = ap.History.load(folder / "history.json")
    assert history.num_steps == 6
    assert not any(
        np.array_equal(model.parameters[name], value)
        for name, value in ap.Transformer.load(folder / "model.safetensors").parameters.items()
        if name.endswith("fc1.weight")
    )


def test_what_train_leaves_is_opened_as_a_whole(tmp_path: Path) -> None:
    """Of text files, whose vocabulary was learnt and is nowhere else; and again after the run has gone on."""
    source, target = text_pair(tmp_path)
    arguments = [
        *SMALL,
        "--source",
        source,
        "--target",
        target,
        "--vocab-size",
        "300",
        "--out",
        tmp_path / "run",
    ]
    for steps in ("2", "4"):
        found = run("train", *arguments, "--steps", steps)
        assert found.returncode == 0, found.stderr
        assert f"admin_py.load('{tmp_path / 'run'}')" in found.stdout
        trained = ap.load(tmp_path / "run")
        assert trained.history.num_steps == int(steps)
    assert trained.settings["layers"] == 1
    assert trained.settings["valid_every"] == 1
    assert trained.data["name"] == "train.en - train.de"
    assert trained.data["options"]["source"] == str(source)
    assert trained.data["options"]["vocab_size"] == 300
    assert "debug" not in {*trained.settings, *trained.data["options"]}
    assert trained.profile == ap.VarianceProfile.load(tmp_path / "run" / "profile.json")
    data = ap.data.parallel_text(source, target, vocab_size=300)
    assert trained.tokenizer == data.tokenizer
    assert trained.data["fingerprint"] == data.fingerprint
    ids = ap.generation.greedy(trained.model, data.encode(["the cat sleeps"]))
    assert trained.translate(["the cat sleeps"]) == data.decode(ids)
    checkpoint = ap.load(tmp_path / "run" / "checkpoint.safetensors")
    np.testing.assert_equal(dict(checkpoint.parameters), dict(trained.model.parameters))


def test_train_a_language_model_and_continue(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("to be or not to be\n" * 40, encoding="utf-8")
    found = run("train", *SMALL, "--text", tmp_path / "book.txt", "--context", "16", "--steps", "2", "--out",
                tmp_path / "run")  # fmt: skip
    assert found.returncode == 0, found.stderr
    (text,) = ap.load(tmp_path / "run").generate(["to be"], max_new_tokens=5)
    assert text.startswith("to be")
    assert len(text) <= 5 + 5


def test_analyse_gradients_of_a_fresh_and_of_a_saved_model(trained: Path, tmp_path: Path) -> None:
    fresh = run("analyse", "gradients", *SMALL, "--task", "copy", "--out", tmp_path / "before")
    assert fresh.returncode == 0, fresh.stderr
    model = trained / "model.safetensors"
    saved = run("analyse", "gradients", "--task", "copy", "--model", model, "--out", tmp_path / "after")
    assert saved.returncode == 0, saved.stderr
    before, after = (GradientNorms.load(tmp_path / name / "gradients.json") for name in ("before", "after"))
    assert before.sublayers == after.sublayers
    assert before != after
    shown = [Picture(tmp_path / name / "gradients.png") for name in ("before", "after")]
    assert shown[0].size == shown[1].size
    assert all(one.drawn > 0.01 for one in shown)


def test_info_tells_versions_and_schemes(capsys) -> None:
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"admin-py {ap.__version__}" in " ".join(text.split())
    assert "threads" in text
    assert cli.main(["info", "--schemes"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ap.schemes.names())


def one_line(found: subprocess.CompletedProcess[str]) -> str:
    assert found.stdout == ""
    lines = found.stderr.splitlines()
    assert len(lines) == 1, found.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "--heads", "3"], "heads must divide d_model, got heads=3 and d_model=64"),
        (["study", "--schemes", "admni"], "did you mean 'admin'"),
        (["study", "--seeds", "1", "1"], "seeds must have values that are all different, got 1 twice"),
        (["study", "--steps", "0"], "steps must be an integer from 1"),
        (["train", "--lr", "-1"], "lr must be"),
        (["train", "--lr", "nan"], "lr must be"),
        (["profile", "--d-model", "0"], "d_model must be an integer from 1"),
        (["profile", "--threads", "0"], "n must be an integer from 1"),
        (["profile", "--threads", "999"], "n must be at most the number of processors"),
        (["profile", "--source", "no.en", "--target", "no.de"], "no.en: "),
        (["profile", "--text", "no.txt"], "no.txt: "),
        (["analyse", "gradients", "--model", "no.safetensors"], "no.safetensors"),
    ],
)
def test_errors_are_one_line_and_status_1(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = run(*arguments, cwd=tmp_path)
    assert found.returncode == 1
    line = one_line(found)
    assert line.startswith("admin-py: error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["stduy"], "invalid choice: 'stduy'"),
        (["study", "--steps", "many"], "argument --steps: expected a number, got 'many'"),
        (["study", "--layers", "1,2,3"], "expected a number from 1, or two as 18,6, got '1,2,3'"),
        (["study", "--layers", "0"], "expected a number from 1"),
        (["analyse", "dreams"], "invalid choice: 'dreams'"),
        (["study", "--source", "a.en"], "--source and --target go together"),
        (
            ["study", "--task", "copy", "--text", "a.txt"],
            "give one of --task, --source with --target, and --text",
        ),
        (["train", "--valid-source", "a.en"], "--valid-source and --valid-target go together"),
    ],
)
def test_wrong_usage_is_status_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = run(*arguments, cwd=tmp_path)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert message in found.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["study", "--heads", "3"],
            1,
            "admin-py: error: heads must divide d_model, got heads=3 and d_model=64",
        ),
        (["study", "--source", "a"], 2, "admin-py study: error: --source and --target go together"),
    ],
)
def test_a_process_ends_with_the_status_and_the_line(tmp_path: Path, arguments, status, message) -> None:
    found = run_process(*arguments, cwd=tmp_path)
    assert (found.returncode, one_line(found)) == (status, message)


def test_texts_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    source, target = text_pair(tmp_path)
    target.write_text(target.read_text("utf-8") + "eine Zeile mehr\n", encoding="utf-8")
    line = one_line(run("study", "--source", source, "--target", target, "--out", tmp_path / "out"))
    assert "60" in line
    assert "61" in line


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = run("profile", *SMALL, "--task", "copy", "--out", tmp_path / "file" / "out")
    assert found.returncode == 1
    assert "file" in one_line(found)


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    found = run_process("study", "--heads", "3", "--debug", "--out", tmp_path)
    assert found.returncode == 1
    assert "Traceback" in found.stderr
    assert "heads must divide d_model" in found.stderr.splitlines()[-1]


def test_ctrl_c_keeps_what_was_done_and_the_same_command_goes_on(tmp_path: Path) -> None:
    steps = ["--steps", "20000", "--valid-every", "20000"]
    arguments = ["study", *TINY[:-2], *steps, "--schemes", "post_ln", "--out", os.fspath(tmp_path)]

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    process = started()
    until(lambda: list(tmp_path.glob("runs/*/checkpoint.safetensors")), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "0 of 1 runs are whole" in errors
    assert "the same command goes on" in errors
    assert ap.Study.load(tmp_path).interrupted
    assert not (tmp_path / "report.html").exists(), "no run is whole"
    (checkpoint,) = tmp_path.glob("runs/*/checkpoint.safetensors")
    before, first = checkpoint.stat().st_mtime_ns, load_checkpoint(checkpoint).progress["step"]
    process = started()
    until(lambda: checkpoint.stat().st_mtime_ns != before, process)
    process.kill()
    process.communicate()
    assert load_checkpoint(checkpoint).progress["step"] > first, "it went on from the first one's checkpoint"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = subprocess.Popen(
        [*COMMAND, "info", "--schemes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=LIMIT)
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("x"), "KeyError: 'x' (--debug shows where)"),
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device", "a/b"), "a/b: No space left on device"),
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "ValueError:  (--debug shows where)"),
    ],
)
def test_every_error_has_its_line(error: Exception, line: str) -> None:
    assert cli.describe(error) == line
