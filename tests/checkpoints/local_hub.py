"""A server on this machine that answers like the hub, well or badly, and what it was asked."""

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Barrier, Event, Lock, Thread
from time import sleep
from typing import Any, Literal

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNREACHABLE = "http://127.0.0.1:9"


@dataclass
class Hub:
    """A server that answers like the hub for the models in `folders`, and what it was asked.

    Attributes
    ----------
    folders
        By the id of the model.
    gated
        The id of one that needs consent.
    asked
        Method, path and headers of each request.
    sent
        Bytes of content sent of each file, by its name.
    cut_after
        The connection stalls once, after so many bytes of a file of this name.
    cut_every
        Each connection breaks after so many bytes of a range.
    ranges
        What a request of a range is answered with: its bytes; the whole file; other bytes, which
        the answer says; fewer bytes; or an error.
    honest
        So many ranges are given all the same, first.
    pause
        Seconds before a range is given.
    together
        Those who ask for a list of files with their sizes wait for one another here.
    """

    folders: dict[str, Path]
    gated: str = "someone/gated"
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    cut_after: dict[str, int] = field(default_factory=dict)
    cut_every: int | None = None
    ranges: Literal["given", "ignored", "others", "fewer", "refused"] = "given"
    honest: int = 0
    pause: float = 0.0
    together: Barrier | None = None
    stalled: Event = field(default_factory=Event)
    lock: Any = field(default_factory=Lock)
    url: str = ""

    def fetched(self) -> list[str]:
        """The files whose content was asked for, in order."""
        wanted = f"/resolve/{COMMIT}"
        return [
            path.removeprefix("/").replace(wanted, "")
            for method, path, _ in self.asked
            if method == "GET" and wanted in path
        ]

    @staticmethod
    def listed(folder: Path, query: str) -> list[dict[str, Any]]:
        """The files of a repository, with their sizes on demand."""
        files = [file for file in folder.rglob("*") if file.is_file()]
        wanted = "blobs=true" in query.lower()
        sizes = [{"size": file.stat().st_size} if wanted else {} for file in files]
        names = [{"rfilename": str(file.relative_to(folder))} for file in files]
        return [name | size for name, size in zip(names, sizes, strict=True)]

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes | Path]:
        """Status, headers and content of a path."""
        path, _, query = path.partition("?")
        if path.startswith("/api/models/"):
            model, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if model not in self.folders:
                return 401, {"X-Error-Code": "RepoNotFound"}, b""
            if revision not in ("main", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            files = self.listed(self.folders[model], query)
            files.append({"rfilename": "onnx/model.safetensors"})
            return 200, {}, json.dumps({"id": model, "sha": COMMIT, "siblings": files}).encode()
        model, _, rest = path.removeprefix("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        if model == self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if model not in self.folders or commit != COMMIT:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        return 200, {"X-Repo-Commit": COMMIT}, self.folders[model] / name

    def span(self, asked: str, size: int) -> tuple[int, int, dict[str, str]] | None:
        """What is given of a file of which a range is asked, and how that is called."""
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1 if last else size
        with self.lock:
            how = "given" if self.honest > 0 else self.ranges
            self.honest -= 1
        sleep(self.pause)
        if how == "ignored":
            return None
        called = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        if how == "others":
            start, stop = 0, stop - start
            called = {"Content-Range": f"bytes {start}-{stop - 1}/{size + 1}"}
        if how == "refused":
            stop = start
        return start, stop - (how == "fewer"), called


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.reply(with_content=False)

    def do_GET(self) -> None:
        self.reply(with_content=True)

    def reply(self, *, with_content: bool) -> None:
        hub, name = self.hub, self.path.rpartition("/")[2]
        received = {name.lower(): value for name, value in self.headers.items()}
        with hub.lock:
            hub.asked.append((self.command, self.path, received))
        if hub.together is not None and "blobs=true" in self.path.lower():
            hub.together.wait(120)
        status, headers, content = hub.answer(self.path)
        of_a_file = isinstance(content, Path)
        if isinstance(content, Path):
            size = content.stat().st_size
            asked = self.headers.get("Range")
            span = hub.span(asked, size) if asked else None
            start, stop, called = span or (0, size, {})
            if start == stop:
                return self.send_error(416)
            if span is None:
                with content.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                called = {"ETag": f'"{digest}"'}
            status, headers = 206 if span else 200, headers | called
            with content.open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
        self.send_response(status)
        for header, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(header, value)
        self.end_headers()
        if not with_content:
            return None
        content = content[: hub.cut_after.get(name)]
        if hub.cut_every is not None and status == 206:
            content, self.close_connection = content[: hub.cut_every], True
        # Before it is sent: who has it may look at once how much that was.
        with hub.lock:
            hub.sent[name] += len(content) * of_a_file
        try:
            self.wfile.write(content)
        except ConnectionError:  # nobody waits for what was not asked for
            with hub.lock:
                hub.sent[name] -= len(content) * of_a_file
            return None
        if name in hub.cut_after:
            self.wfile.flush()
            self.close_connection = True
            del hub.cut_after[name]
            hub.stalled.wait(60)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a connection that the client has left."""


@contextmanager
def serving(folders: dict[str, Path]) -> Iterator[Hub]:
    """Answer for the models in these folders."""
    hub = Hub(folders)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with _Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()


def use_here(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, which reads its settings once, ask this one in this interpreter."""
    from huggingface_hub import close_session, constants

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    settings = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + template,
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_HUB_OFFLINE": False,
    }
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    close_session()


def new_interpreter(script: str, endpoint: str, folder: Path, **settings: str) -> Popen[str]:
    """Start a script that asks a hub, with a cache in a folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = inherited | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hub-cache"),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
    }
    return Popen(
        [sys.executable, "-c", script],
        env=environment | settings,
        cwd=folder,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
    )


def said_by(process: Popen[str]) -> Any:
    """What a script printed as JSON when it had ended."""
    with process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(output)
