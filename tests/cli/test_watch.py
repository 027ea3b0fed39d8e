"""`admin-py watch`: the page of trainings that are under way, in a browser too, and what it refuses."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from command import COMMAND, LIMIT, run

import admin_py as ap
from admin_py.report.watching import watch

DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
SMALL: dict[str, Any] = {
    "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 4, "valid_every": 2, "max_tokens": 128,
    "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three schemes, the last of which was not begun, and the second is under way."""
    folder = tmp_path_factory.mktemp("watched") / "study"

    def stop(step: int, model: ap.Transformer, history: Any) -> None:
        if model.config.scheme_name == "pre_ln" and step == 3:
            raise KeyboardInterrupt

    ap.study(DATA, schemes=["post_ln", "pre_ln", "admin"], out=folder, callbacks=[stop], **SMALL)
    return folder


class Server:
    """The command in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "watch", str(folder), "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.match(r"http://127\.0\.0\.1:(\d+)/ shows ", self.process.stdout.readline())
        assert found is not None
        self.port = int(found[1])

    def get(self, path: str, **headers: str) -> tuple[int, str, str | None]:
        """Status, text and tag of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("ETag")

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, said


@pytest.fixture
def server(study: Path) -> Iterator[Server]:
    one = Server(study)
    yield one
    if one.process.poll() is None:
        one.process.kill()
        one.process.communicate()


def test_trainings_are_told_with_their_losses(study: Path) -> None:
    found = watch(study)
    assert [(one.title.split("-")[0], one.state) for one in found] == [
        ("post_ln", "whole"), ("pre_ln", "under way"), ("admin", "waits"),
    ]  # fmt: skip
    assert [one.row()["step"] for one in found] == ["4 / 4", "3 / 4", "0 / 4"]
    history = found[1].history
    assert history is not None
    alone = ap.study(DATA, schemes="pre_ln", **SMALL).runs[0].history
    assert history.nll.tolist() == alone.nll[:3].tolist()
    assert history.valid["nll"].tolist() == alone.valid["nll"][:1].tolist()


def test_the_page_and_what_changes_of_it(server: Server) -> None:
    status, page, _ = server.get("/")
    assert status == 200
    status, now, tag = server.get("/now")
    assert (status, "1 of 3 trainings are whole" in now, now in page) == (200, True, True)
    assert "under way" in now
    assert tag is not None
    assert server.get("/now", **{"If-None-Match": tag})[:2] == (304, "")
    assert server.get("/report")[0] == 200
    assert server.end() == (130, "")


@pytest.mark.parametrize("path", ["/study.json", "/../../etc/passwd", "/now/", "/report.html"])
def test_nothing_else_is_served(server: Server, path: str) -> None:
    assert server.get(path)[0] == 404


def test_a_page_elsewhere_whose_name_leads_here_is_refused(server: Server) -> None:
    assert server.get("/", Host="elsewhere.example")[0] == 403
    assert server.get("/", Host=f"localhost:{server.port}")[0] == 200


def test_many_ask_at_once(server: Server) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(server.get("/now")[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_renews_itself_in_a_browser(tmp_path: Path) -> None:
    """A grid of one cell becomes one of two while the browser looks; then the server ends."""
    ap.grid(DATA, schemes="post_ln", out=tmp_path / "grid", **SMALL)
    server = Server(tmp_path / "grid")
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"http://127.0.0.1:{server.port}/", width=800)
        assert "One training" in browser.evaluate("document.body.innerText")
        ap.grid(DATA, schemes=["post_ln", "admin"], out=tmp_path / "grid", **SMALL)
        browser.evaluate(until("document.body.innerText.includes('2 of 2 trainings are whole')"))
        assert browser.evaluate("document.querySelectorAll('#now svg').length") == 1
        assert server.end()[0] == 130
        browser.evaluate(until("!document.getElementById('gone').hidden"))
        assert "The server has ended" in browser.evaluate("document.body.innerText")


def until(condition: str) -> str:
    """A promise that is kept as soon as a condition holds."""
    return f"new Promise(done => setInterval(() => {{ if ({condition}) done(true); }}, 50))"


def test_a_training_of_the_command_line_is_watched(tmp_path: Path) -> None:
    ap.train(
        ap.Transformer(
            ap.TransformerConfig(
                vocab_size=DATA.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
            ),
            seed=1,
        ),
        DATA, optimizer="sgd", lr=1e30, steps=5, max_tokens=128, valid_every=1, progress=False,
        checkpoint=tmp_path / "checkpoint.safetensors",
    )  # fmt: skip
    (one,) = watch(tmp_path)
    assert one.row()["state"] == "diverged"


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    said = run("watch", tmp_path)
    assert said.returncode == 1
    assert "folder must be the folder of a study, a grid or a training, which has begun" in said.stderr
    said = run("watch", tmp_path, "--port", "70000")
    assert said.returncode == 2
    assert "--port must be from 0 to 65535, got 70000" in said.stderr
    ap.grid(DATA, schemes="post_ln", out=tmp_path / "grid", **SMALL)
    server = Server(tmp_path / "grid")
    said = run("watch", tmp_path / "grid", "--port", str(server.port))
    assert said.returncode == 2
    assert f"--port {server.port} is taken; --port 0 finds another" in said.stderr
    server.end()
