"""A web server on this machine that gives pictures, and misbehaves where a test asks for it."""

from __future__ import annotations

import io
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

# What answers a path: a body, or a function of the handler and the number of the request.
Route = bytes | Callable[["Handler", int], None]


def picture(
    color: str | tuple = "red", size: tuple[int, int] = (24, 16), kind: str = "JPEG"
) -> bytes:
    """A file with one color."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, format=kind)
    return buffer.getvalue()


def numbered_picture(number: int) -> bytes:
    """A picture that differs from those of other numbers."""
    return picture((number % 256, number // 256 % 256, 99), kind="PNG")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        with self.server.lock:
            self.server.counts[path] += 1
            self.server.headers.append(dict(self.headers))
            self.server.clients.add(self.client_address)
            number = self.server.counts[path]
        route = self.server.routes.get(path, self.server.default)
        if route is None:
            self.reply(404, b"<html>gone</html>", {"Content-Type": "text/html"})
        elif isinstance(route, bytes):
            self.reply(200, route)
        else:
            route(self, number)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": "image/jpeg", "Content-Length": str(len(body))} | (headers or {})
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, tls: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.default: Route | None = None
        self.counts: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.clients: set[tuple] = set()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_address[1]}{path}"

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are what many tests are about."""

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()


def redirect(to: str, status: int = 302) -> Route:
    return lambda handler, number: handler.reply(status, b"moved", {"Location": to})


def fails_first(times: int, status: int, body: bytes, headers: dict | None = None) -> Route:
    """Answers with an error so many times, then with the body."""

    def route(handler: Handler, number: int) -> None:
        if number <= times:
            handler.reply(status, b"later", headers)
        else:
            handler.reply(200, body)

    return route


def truncated(body: bytes) -> Route:
    """Announces all and sends half."""

    def route(handler: Handler, number: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True

    return route


def dripping(body: bytes, seconds: float) -> Route:
    """Sends a byte, waits, sends the next one."""

    def route(handler: Handler, number: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if handler.server.stopped.wait(seconds):
                return

    return route


def silent(handler: Handler, number: int) -> None:
    """Says nothing at all."""
    handler.server.stopped.wait(30)


def endless(handler: Handler, number: int) -> None:
    """A picture's beginning, then bytes without end, their number unannounced."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(picture())
    while not handler.server.stopped.is_set():
        handler.wfile.write(b"\0" * 65536)


def hang_up(handler: Handler, number: int) -> None:
    """Closes the connection without an answer."""
    handler.close_connection = True
