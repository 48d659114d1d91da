from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import subprocess
import time
from email.utils import formatdate

import picture_server
import pytest
from picture_server import picture, redirect

from qbert4rec_hf import __version__
from qbert4rec_hf.data.image_download.client import (
    PictureClient,
    is_placeholder_name,
    retry_after,
    tls_context,
)
from qbert4rec_hf.data.image_download.failure import DownloadFailure
from qbert4rec_hf.data.image_download.settings import DownloadSettings

RED = picture()


def fetch(*urls, lookup=None, **settings):
    """The bodies, or the one failure."""
    settings = DownloadSettings(**{"allow_private_addresses": True, "timeout": 5.0} | settings)

    async def main():
        async with PictureClient(settings, lookup=lookup) as client:
            return [await client.fetch(url) for url in urls]

    return asyncio.run(main())


def failure(url, **settings):
    with pytest.raises(DownloadFailure) as caught:
        fetch(url, **settings)
    return caught.value


def lookup_here(*addresses):
    """Looks names up on this machine; the second time, another one, as in DNS rebinding."""
    asked = []

    async def lookup(host, port, family):
        asked.append(host)
        address = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    lookup.asked = asked
    return lookup


def test_a_picture_comes_over_one_connection_with_our_name_and_nothing_else(server):
    def cookie(handler, number):
        handler.reply(200, RED, {"Set-Cookie": "track=1"})

    server.routes = {"/a.jpg": cookie, "/b.jpg": RED}
    urls = [server.url("/a.jpg"), server.url("/gone.jpg"), server.url("/b.jpg")]
    assert fetch(urls[0], urls[2], urls[0]) == [RED] * 3
    assert len(server.clients) == 1
    for headers in server.headers:
        assert headers["User-Agent"] == f"qbert4rec_hf/{__version__}"
        assert not {"Cookie", "Referer", "Authorization"} & set(headers)


def test_credentials_of_an_address_stay_here(server):
    server.routes = {"/a.jpg": RED, "/b.jpg": redirect(server.url("/a.jpg", "me:pw@127.0.0.1"))}
    assert fetch(server.url("/a.jpg", "me:pw@127.0.0.1"), server.url("/b.jpg")) == [RED] * 2
    assert all("Authorization" not in headers for headers in server.headers)


def test_an_error_page_does_not_cost_the_connection(server):
    server.routes = {"/a.jpg": RED}

    async def main():
        settings = DownloadSettings(allow_private_addresses=True)
        async with PictureClient(settings) as client:
            with pytest.raises(DownloadFailure, match="HTTP 404"):
                await client.fetch(server.url("/gone.jpg"))
            return await client.fetch(server.url("/a.jpg"))

    assert asyncio.run(main()) == RED
    assert len(server.clients) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, status):
    server.routes = {"/a.jpg": RED, "/old/b.jpg": redirect("../a.jpg", status)}
    assert fetch(server.url("/old/b.jpg")) == [RED]


def test_redirects_end(server):
    server.routes = {
        "/loop.jpg": redirect("/loop.jpg"),
        "/0.jpg": redirect("/1.jpg"),
        "/1.jpg": redirect("/2.jpg"),
        "/2.jpg": RED,
    }
    assert failure(server.url("/loop.jpg")).reason == "too many redirects"
    assert server.counts["/loop.jpg"] == 6
    assert fetch(server.url("/0.jpg"), max_redirects=2) == [RED]
    assert failure(server.url("/0.jpg"), max_redirects=1).reason == "too many redirects"


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://shop.example/a.jpg", "http://[bad"])
def test_redirects_to_other_schemes_are_not_followed(server, to):
    server.routes = {"/a.jpg": redirect(to)}
    assert failure(server.url("/a.jpg")).reason == "malformed address"


def test_this_machine_is_not_asked_unless_allowed(server):
    server.default = RED
    port = server.server_address[1]
    hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0", "localhost"]
    for host in [*hosts, "127.0.0.1.", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "127%2e0%2e0%2e1"]:
        found = failure(f"http://{host}:{port}/a.jpg", allow_private_addresses=False)
        assert found.reason in ("not a public address", "host not found", "malformed address"), host
        assert not found.transient
    found = failure(
        server.url("/a.jpg", "shop.example"),
        allow_private_addresses=False,
        lookup=lookup_here("127.0.0.1"),
    )
    assert found.reason == "not a public address"
    assert not server.headers


@pytest.mark.parametrize("to", ["http://127.0.0.2:{port}/b.jpg", "http://inside.example:{port}/b"])
def test_each_hop_of_a_redirect_is_checked(server, monkeypatch, to):
    # The first hop stands for a public machine.
    from qbert4rec_hf.data.image_download import addresses

    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    server.default = RED
    server.routes = {"/a.jpg": redirect(to.format(port=server.server_address[1]))}

    async def lookup(host, port, family):
        address = {"shop.example": "127.0.0.1", "inside.example": "127.0.0.3"}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    found = failure(
        server.url("/a.jpg", "shop.example"), allow_private_addresses=False, lookup=lookup
    )
    assert found.reason == "not a public address"
    assert server.counts == {"/a.jpg": 1}


def test_the_connection_goes_to_the_address_that_was_checked(server, monkeypatch):
    from qbert4rec_hf.data.image_download import addresses

    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    server.default = RED
    # Whoever looks the name up again gets a machine where nobody listens.
    lookup = lookup_here("127.0.0.1", "127.0.0.99")
    url = server.url("/a.jpg", "shop.example")
    assert fetch(url, url, allow_private_addresses=False, lookup=lookup) == [RED] * 2
    assert lookup.asked == ["shop.example"]
    assert server.headers[0]["Host"] == f"shop.example:{server.server_address[1]}"


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.default = RED
    assert fetch(server.url("/a.jpg")) == [RED]


@pytest.mark.parametrize(
    ("status", "transient", "busy"),
    [
        (204, False, False),
        (403, False, False),
        (404, False, False),
        (429, True, True),
        (500, True, False),
        (503, True, True),
    ],
)
def test_statuses(server, status, transient, busy):
    server.default = lambda handler, number: handler.reply(status, b"", {"Retry-After": "7"})
    found = failure(server.url("/a.jpg"))
    assert found.reason == f"HTTP {status}" and found.transient == transient
    assert found.host_busy == busy and found.retry_after == 7


def test_retry_after_is_seconds_or_a_date():
    assert retry_after("120") == 120
    assert retry_after("9" * 400) >= 1e11
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 61
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    for text in (None, "", "soon", "-5", "1.5", "²", "Wed, 99 Foo"):
        assert retry_after(text) is None


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (b"<!DOCTYPE html><title>Sorry</title>" * 9000, "text/html; charset=utf-8", "an HTML page"),
        (b"<html>Sorry</html>", "image/jpeg", "an HTML page, sent as image/jpeg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", "a vector drawing"),
        (b'{"error": "gone"}', "application/json", "text, sent as application/json"),
        (b"", "image/png", "empty, sent as image/png"),
        (b"MZ" + b"\1" * 500, "image/png", "unknown bytes"),
    ],
)
def test_what_is_no_picture_fails_whatever_it_claims(server, body, kind, detail):
    server.default = lambda handler, number: handler.reply(200, body, {"Content-Type": kind})
    found = failure(server.url("/a.jpg"))
    assert found.reason == "not a picture" and detail in found.detail
    assert not found.transient


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "", "nonsense;;"])
def test_a_picture_is_a_picture_whatever_it_claims(server, kind):
    server.default = lambda handler, number: handler.reply(200, RED, {"Content-Type": kind})
    assert fetch(server.url("/a.jpg")) == [RED]


def test_large_files_are_given_up(server):
    server.routes = {"/a.jpg": RED, "/endless.jpg": picture_server.endless}
    assert fetch(server.url("/a.jpg"), max_bytes=len(RED)) == [RED]
    found = failure(server.url("/a.jpg"), max_bytes=len(RED) - 1)
    assert found.reason == "too many bytes" and "announced" in found.detail
    found = failure(server.url("/endless.jpg"), max_bytes=300_000)
    assert found.reason == "too many bytes" and "more than 300,000" in found.detail


def test_packed_answers_are_unpacked_up_to_the_limit(server):
    def packed(body, encoding):
        packed = gzip.compress(body)
        return lambda handler, number: handler.reply(200, packed, {"Content-Encoding": encoding})

    def more(handler, number):
        # What follows the packed picture unpacks to nothing, and would be kept all the same.
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(gzip.compress(RED))
        for _ in range(100):
            handler.wfile.write(b"\0" * 65536)

    server.routes = {
        "/a.jpg": packed(RED, "gzip"),
        "/bomb.jpg": packed(RED + b"\0" * 10_000_000, "gzip"),
        "/other.jpg": packed(RED, "br"),
        "/lie.jpg": lambda handler, number: handler.reply(200, RED, {"Content-Encoding": "gzip"}),
        "/more.jpg": more,
    }
    assert fetch(server.url("/a.jpg")) == [RED]
    assert failure(server.url("/bomb.jpg"), max_bytes=1_000_000).reason == "too many bytes"
    assert failure(server.url("/other.jpg")).reason == "malformed answer"
    assert failure(server.url("/lie.jpg")).reason == "malformed answer"
    assert failure(server.url("/more.jpg"), max_bytes=1_000_000).reason == "too many bytes"


def test_truncated_answers_are_noticed(server):
    server.default = picture_server.truncated(RED)
    found = failure(server.url("/a.jpg"))
    assert found.reason == "incomplete answer" and found.transient


def test_an_error_page_that_breaks_off_does_not_hide_the_error(server):
    def route(handler, number):
        handler.send_response(429)
        handler.send_header("Content-Length", "100")
        handler.send_header("Retry-After", "7")
        handler.end_headers()
        handler.wfile.write(b"later")
        handler.close_connection = True

    server.default = route
    found = failure(server.url("/a.jpg"))
    assert found.reason == "HTTP 429" and found.host_busy and found.retry_after == 7


def test_slow_servers_hold_nobody(server):
    server.routes = {
        "/silent.jpg": picture_server.silent,
        "/drip.jpg": picture_server.dripping(RED, 0.02),
    }
    found = failure(server.url("/silent.jpg"), timeout=0.2)
    assert found.reason == "time-out" and found.transient
    # Each byte comes in time, the picture never would; it may take six time-outs.
    started = time.monotonic()
    found = failure(server.url("/drip.jpg"), timeout=0.1)
    assert time.monotonic() - started < 3
    assert found.reason == "time-out" and "not complete" in found.detail
    assert not found.transient and found.host_at_fault


def test_broken_connections(server):
    server.default = picture_server.hang_up
    found = failure(server.url("/a.jpg"))
    assert found.reason == "no connection" and found.transient and found.host_at_fault
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = failure(f"http://127.0.0.1:{unused.getsockname()[1]}/a.jpg")
    assert found.reason == "no connection" and found.transient


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http(server, answer):
    def route(handler, number):
        handler.wfile.write(answer)
        handler.close_connection = True

    server.default = route
    found = failure(server.url("/a.jpg"))
    assert found.reason in ("malformed answer", "incomplete answer", "no connection")


@pytest.mark.parametrize(
    "name",
    [
        "no-img-sm._CB192198896_.gif",
        "noimage.png",
        "no_image_available.jpg",
        "no-photo",
        "image-not-available.jpg",
        "photo_unavailable.gif",
        "placeholder.png",
        "missing-image.png",
        "default_image.png",
    ],
)
def test_names_of_placeholders(server, name):
    server.default = RED
    found = failure(server.url(f"/x/{name}"))
    assert found.reason == "placeholder" and not server.headers
    server.routes = {"/a.jpg": redirect(f"/{name}")}
    assert failure(server.url("/a.jpg")).reason == "placeholder"


@pytest.mark.parametrize(
    "name", ["41abc.jpg", "nomad-tent.jpg", "northern-image.jpg", "imagecase.jpg", "piano.png", ""]
)
def test_names_of_pictures(name):
    from yarl import URL

    assert not is_placeholder_name(URL(f"https://shop.example/no-image/{name}"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Key and certificate of shop.example, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    command += " -keyout key.pem -out cert.pem -days 30 -subj /CN=shop.example"
    command += " -addext subjectAltName=DNS:shop.example"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def _fresh_context():
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.usefixtures("_fresh_context")
def test_certificates_are_checked_against_the_name(certificate, monkeypatch):
    with picture_server.Server(tls=certificate) as server:
        server.default = RED
        here = lookup_here("127.0.0.1")
        found = failure(server.url("/a.jpg", "shop.example"), lookup=here)
        assert found.reason == "no trusted TLS connection"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        tls_context.cache_clear()
        assert fetch(server.url("/a.jpg", "shop.example"), lookup=here) == [RED]
        found = failure(server.url("/a.jpg", "other.example"), lookup=here)
        assert found.reason == "no trusted TLS connection"
