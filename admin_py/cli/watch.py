"""The command ``admin-py watch``: a page on this machine that shows how far trainings are."""

from __future__ import annotations

import argparse
import errno
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from admin_py.base.paths import path_of
from admin_py.base.printable import printable
from admin_py.base.streams import say
from admin_py.cli.options import STOPPED, UsageError, show

SUMMARY = "show in a browser how far a study, a grid or a training is, while it goes on"

EXAMPLES = """\
examples:
  admin-py watch study
      while `admin-py study` goes on elsewhere; open the address that it prints, Ctrl-C ends it
  admin-py watch --port 0 grid
      at any port that is free

The page is served on this machine alone (127.0.0.1). To see that of another one:
  ssh -L 8765:127.0.0.1:8765 HOST"""

HOST, PORT = "127.0.0.1", 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", metavar="DIR", help="of a study, a grid or a training")
    parser.add_argument(
        "--port", type=int, default=PORT, metavar="N", help=f"0 takes any that is free (default: {PORT})"
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, got {options.port}")
    view = View(path_of(options.folder, "DIR"))
    view.now()  # an error now, if it is no such folder
    try:
        server = ThreadingHTTPServer((HOST, options.port), partial(Handler, view))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {options.port} is taken; --port 0 finds another") from None
        raise
    server.daemon_threads = True
    with server:
        show(f"http://{HOST}:{server.server_address[1]}/ shows {options.folder}; Ctrl-C ends it")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return STOPPED
    return 0


class View:
    """What is served of a folder; nothing is read or drawn again that has not changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()  # pictures are drawn one after the other
        self._known: dict[str, Any] = {}
        self._now: tuple[Any, str] = (None, "")
        self._report: tuple[int, str] = (0, "")

    def _found(self) -> list[Any]:
        from admin_py.report.watching import watch

        return watch(self.folder, self._known)

    def page(self) -> str:
        """The page, with what changes of it as it is now."""
        from admin_py.report.watching import page

        return page(self.now(), title=self._title())

    def now(self) -> str:
        """What changes of the page."""
        from admin_py.report.watching import body

        with self._lock:
            found = self._found()
            rows = [one.row() for one in found]
            if self._now[0] != rows:
                drawn = body(found, title=self._title(), report=self._has_report(found))
                self._now = (rows, str(drawn))
            return self._now[1]

    def report(self) -> str | None:
        """The report of a study's runs that are whole; None where there are none."""
        from admin_py.experiments.study.results import Study
        from admin_py.report.page import render

        with self._lock:
            whole = sum(one.state == "whole" for one in self._found())
            if not self._is_one_study() or not whole:
                return None
            if self._report[0] != whole:
                self._report = (whole, render(Study.load(self.folder)))
            return self._report[1]

    def _title(self) -> str:
        return self.folder.resolve().name

    def _is_one_study(self) -> bool:
        """Whether it is a study that one report tells of: only schemes and seeds vary."""
        from admin_py.experiments.study.files import STUDY_FILE
        from admin_py.experiments.study.results import FILES

        if not (self.folder / STUDY_FILE).exists():
            return False
        axes = FILES.header(self.folder).axes
        return all(len(values) == 1 for axis, values in axes.items() if axis not in ("scheme", "seed"))

    def _has_report(self, found: list[Any]) -> bool:
        return any(one.state == "whole" for one in found) and self._is_one_study()


class Handler(BaseHTTPRequestHandler):
    """Answers a browser on this machine."""

    def __init__(self, view: View, *arguments: Any) -> None:
        self.view = view
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The page, what changes of it, or the report; nothing else is served."""
        pages = {"/": self.view.page, "/now": self.view.now, "/report": self.view.report}
        if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):
            self.send_error(403)  # a page elsewhere whose name was made to lead here
            return
        make = pages.get(self.path.partition("?")[0])
        if make is None:
            self.send_error(404)
            return
        try:
            text = make()
        except Exception as error:  # a file that is being changed: the browser asks again
            self.send_error(503, explain=printable(str(error)))
            return
        if text is None:
            self.send_error(404)
            return
        self._send(text.encode("utf-8"))

    def _send(self, content: bytes) -> None:
        tag = f'"{sha256(content).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a line every few seconds helps nobody."""

    def log_error(self, format: str, *arguments: Any) -> None:
        """What could not be answered."""
        say(f"admin-py watch: {format % arguments}")
