"""A Hub on the loopback address: the protocol that the installed `huggingface_hub` speaks.

The client is the real one. It reads `HF_ENDPOINT` when it is imported, so there are two ways to it:

    with FakeHub() as hub:
        # 1. A process of its own: nothing is imported yet, everything is as for a user.
        subprocess.run([sys.executable, "script.py"], env=hub.environment(tmp_path))

        # 2. This process: what the client read at import is replaced until the test ends, and its
        #    waits between retries are left out. Faster, for everything that needs no fresh process.
        hub.connect(monkeypatch, tmp_path)
        recommender.push_to_hub("tester/camp")

        # What happened, and what is there:
        hub.files("tester/camp")            # path -> bytes
        hub.history("tester/camp")          # commits, latest first
        hub.requests                        # "POST /api/repos/create", ...
        hub.add("tester/other", {"config.json": b"{}"}, private=True)  # without any client

        # What goes wrong: the next request that matches, or several, or all from now on.
        hub.fail("POST .*/commit/", 500)
        hub.fail("PUT /lfs/", DROP, after=1)             # the second upload loses its connection
        hub.fail("POST .*/commit/", LOST)                # done, but the client does not hear of it
        hub.fail("HEAD|GET", 429, times=None, headers={"Retry-After": "0"})

There are two users: "tester" with `hub.token`, who may write to "tester/..." and "shop/...", and
"guest" with `hub.guest_token`, who may read what is public. Any other token is refused (401).
Files outside git go through LFS (batch, PUT, verify); Xet is switched off.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fake_hub_protocol import answer
from fake_hub_replies import Reply
from fake_hub_repositories import Blob, Commit, Repository, is_large

DROP = "drop"
LOST = "lost"
RESOLVE = "/{repo_id}/resolve/{revision}"


@dataclass
class Fault:
    """Something that goes wrong; see `FakeHub.fail`."""

    pattern: re.Pattern
    status: int | str
    times: int | None
    after: int
    headers: Mapping[str, str]
    message: str


@dataclass
class FakeHub:
    """A Hub that lives as long as its `with` block. Its use is explained at the top of the file."""

    token: str = "hf_writeTokenOfTheFakeHub"
    guest_token: str = "hf_readTokenOfTheFakeHub"
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    page_size: int = 1000

    def __enter__(self) -> FakeHub:
        self.lock = threading.RLock()
        self.connections: set[socket.socket] = set()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        # The client keeps connections open, which would go on being answered.
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def user_of(self, token: str | None) -> str | None:
        """Who a token belongs to; None for nobody."""
        return {self.token: "tester", self.guest_token: "guest"}.get(token)

    def may_write(self, user: str | None, repo_id: str) -> bool:
        return user == "tester" and repo_id.split("/")[0] in ("tester", "shop")

    # -- ways to the client ----------------------------------------------------------------------

    def settings(self, home: Path, token: str | None, *, offline: bool = False) -> dict[str, str]:
        """The environment variables that lead the client here."""
        found = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1" if offline else "0",
            "HF_TOKEN": token or "",
        }
        return found

    def environment(
        self, home: Path, *, token: str | None = "", offline: bool = False, **more: str
    ) -> dict[str, str]:
        """The environment of a new process whose Hub this is.

        Args:
            home: the client's cache; a new folder is a machine that has downloaded nothing.
            token: the token of "tester" by default, None for somebody who is not logged in.
            offline: as `HF_HUB_OFFLINE=1`.
            more: further variables.
        """
        token = self.token if token == "" else token
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_", "XDG_CACHE"))
        }
        return {**kept, **self.settings(home, token, offline=offline), **more}

    def connect(
        self, monkeypatch: Any, home: Path, *, token: str | None = "", offline: bool = False
    ) -> None:
        """Makes this the Hub of the present process, until `monkeypatch` is undone.

        Args:
            monkeypatch: of pytest.
            home, token, offline: as for `environment`.
        """
        import datasets
        import huggingface_hub
        import transformers.dynamic_module_utils
        import transformers.utils.hub
        from huggingface_hub import constants, file_download, hf_api
        from huggingface_hub.utils import _http

        token = self.token if token == "" else token
        for name, value in self.settings(home, token, offline=offline).items():
            monkeypatch.setenv(name, value)
        patched = {
            constants: {
                "ENDPOINT": self.url,
                "HUGGINGFACE_CO_URL_TEMPLATE": self.url
                + "/{repo_id}/resolve/{revision}/{filename}",
                "HF_HOME": str(home),
                "HF_HUB_CACHE": str(home / "hub"),
                "HUGGINGFACE_HUB_CACHE": str(home / "hub"),
                "HF_TOKEN_PATH": str(home / "token"),
                "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
                "HF_HUB_OFFLINE": offline,
                "HF_HUB_DISABLE_XET": True,
                "HF_HUB_DISABLE_TELEMETRY": True,
            },
            hf_api.api: {"endpoint": self.url},
            transformers.utils.hub: {"_hf_api": None},
            transformers.dynamic_module_utils: {"HF_MODULES_CACHE": str(home / "modules")},
            datasets.config: {
                "HF_ENDPOINT": self.url,
                "HUB_DATASETS_URL": f"{self.url}/datasets{RESOLVE}/{{path}}",
                "HF_HUB_OFFLINE": offline,
                "HF_DATASETS_CACHE": home / "datasets",
            },
            # Retries are made at once.
            _http: {"time": SimpleNamespace(sleep=lambda seconds: None)},
            file_download: {"time": SimpleNamespace(sleep=lambda seconds: None)},
        }
        for owner, values in patched.items():
            for name, value in values.items():
                # Other versions of the client lack some of these names.
                monkeypatch.setattr(owner, name, value, raising=False)
        # An open connection would lead to the Hub of another test.
        huggingface_hub.close_session()

    # -- what is there ---------------------------------------------------------------------------

    def add_folder(self, repo_id: str, folder: Path, **about: Any) -> Repository:
        """`add` with all files of a folder."""
        found = (path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        return self.add(repo_id, files, **about)

    def add(
        self,
        repo_id: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        repo_type: str = "model",
        private: bool = False,
        gated: bool = False,
        message: str = "files",
    ) -> Repository:
        """Puts files onto the main branch of a repository, which is made where it is not there."""
        with self.lock:
            repository = self.repositories.setdefault(
                (repo_type, repo_id), Repository(repo_id, repo_type, private, gated)
            )
            if files:
                state = dict(repository.find("main").files)
                for path, content in files.items():
                    content = content.encode() if isinstance(content, str) else content
                    state[path] = Blob(content, is_large(path, len(content)))
                repository.commit("main", message, state)
        return repository

    def files(
        self, repo_id: str, *, repo_type: str = "model", revision: str = "main"
    ) -> dict[str, bytes]:
        """All files but `.gitattributes`, which the Hub writes itself."""
        commit = self.repositories[repo_type, repo_id].find(revision)
        found = {path: blob.content for path, blob in sorted(commit.files.items())}
        found.pop(".gitattributes", None)
        return found

    def history(
        self, repo_id: str, *, repo_type: str = "model", revision: str = "main"
    ) -> list[Commit]:
        """Commits, latest first; the first of all is the Hub's own."""
        return self.repositories[repo_type, repo_id].history(revision)

    def fail(
        self,
        pattern: str,
        status: int | str,
        *,
        times: int | None = 1,
        after: int = 0,
        headers: Mapping[str, str] | None = None,
        message: str = "",
    ) -> None:
        """Makes requests fail.

        Args:
            pattern: of the method and the path, such as "POST /api/.*/commit/"; found from the
                beginning.
            status: of the answer; `DROP` closes the connection: at once, or in the middle of the
                file that is downloaded; `LOST` closes it after the work is done.
            times: how often; None for always.
            after: matching requests that still go well.
            headers: further ones, such as {"Retry-After": "1"} or {"X-Error-Code": "GatedRepo"}.
            message: what the Hub says.
        """
        fault = Fault(re.compile(pattern), status, times, after, headers or {}, message)
        self.faults.append(fault)

    def next_fault(self, request: str) -> Fault | None:
        """The fault that a request meets, counted."""
        for fault in self.faults:
            if fault.times == 0 or not fault.pattern.match(request):
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


@dataclass
class Request:
    """A request as the protocol's functions see it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: str | None


class _Handler(BaseHTTPRequestHandler):
    """Reads requests, and writes the replies that the protocol gives."""

    hub: FakeHub
    protocol_version = "HTTP/1.1"
    # Else a reply's header and its content wait for each other, 40 ms a request.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self) -> None:
        self.hub.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        body = self._body()
        request = f"{self.command} {path}"
        with self.hub.lock:
            self.hub.requests.append(request)
            fault = self.hub.next_fault(request)
        dropped = fault is not None and fault.status == DROP
        lost = fault is not None and fault.status == LOST
        if fault is not None and not dropped and not lost:
            message = fault.message or f"fault {fault.status}"
            headers = {"X-Error-Message": message, **fault.headers}
            self._send(Reply(fault.status, {"error": message}, headers))
            return
        if dropped and self.command != "GET":
            self._hang_up()
            return
        scheme, _, token = (self.headers.get("authorization") or "").partition(" ")
        user = self.hub.user_of(token) if scheme == "Bearer" else None
        if token and user is None:
            headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._send(Reply(401, {"error": headers["X-Error-Message"]}, headers))
            return
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        # The raw path: an encoded slash belongs to a revision or a file, not to the route.
        asked = Request(self.command, url.path, query, self.headers, body, user)
        with self.hub.lock:
            reply = answer(self.hub, asked)
        if lost:
            self._hang_up()
        else:
            self._send(reply, cut=dropped)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, reply: Reply, *, cut: bool = False) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content[: len(reply.content) // 2] if cut else reply.content)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """The tests read `FakeHub.requests` instead."""
