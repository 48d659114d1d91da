"""Downloads from servers that are busy, broken or hostile."""

from __future__ import annotations

import threading
import time
from collections import Counter

import picture_server
from downloads import download, entries, listed, numbered
from picture_server import fails_first, picture, redirect

from qbert4rec_hf.data.domain import Domain

RED, BLUE = picture("red"), picture("blue")


def test_errors_that_pass_are_waited_for(server, make_folder):
    waits = []

    def delay(failed, asked):
        waits.append((failed, asked))
        return 0.01

    server.routes = {
        "/429.jpg": fails_first(2, 429, RED, {"Retry-After": "3"}),
        "/503.jpg": fails_first(1, 503, BLUE),
        "/500.jpg": fails_first(9, 500, BLUE),
    }
    folder = make_folder([[server.url(f"/{name}.jpg")] for name in (429, 503, 500, 404)])
    summary = download(folder, delay=delay, retries=3)
    assert summary.pictures == 2
    assert summary.reasons == Counter({"HTTP 500": 1, "HTTP 404": 1})
    assert server.counts == {"/429.jpg": 3, "/503.jpg": 2, "/500.jpg": 4, "/404.jpg": 1}
    expected = [(1, 3.0), (2, 3.0), (1, None), (1, None), (2, None), (3, None)]
    assert Counter(waits) == Counter(expected)


def test_a_busy_host_is_left_alone_by_all_workers(server, make_folder):
    times = []

    def route(handler, number):
        times.append(time.monotonic())
        if len(times) == 1:
            handler.reply(429, b"", {"Retry-After": "1"})
        else:
            numbered(handler, number)

    server.default = route
    folder = make_folder([[server.url(f"/{number}.png")] for number in range(6)])
    summary = download(folder, per_host=1, delay=lambda failed, asked: 0.3 * asked)
    assert summary.pictures == 6
    # Whoever came first waited, and nobody else came meanwhile.
    assert min(times[1:]) - times[0] >= 0.29


def test_all_ways_of_failing_in_one_run(server, make_folder):
    bomb = picture(size=(400, 400), kind="PNG")
    server.routes = {
        "/good.jpg": RED,
        "/html.jpg": lambda h, n: h.reply(200, b"<html>", {"Content-Type": "text/html"}),
        "/cut.jpg": picture_server.truncated(picture(size=(300, 300))),
        "/broken.jpg": picture(size=(300, 300))[:700],
        "/pixel.gif": picture(size=(1, 1), kind="GIF"),
        "/loop.jpg": redirect("/loop.jpg"),
        "/bomb.png": bomb,
        "/large.jpg": picture_server.endless,
        "/silent.jpg": picture_server.silent,
        "/drip.jpg": picture_server.dripping(RED, 0.05),
        "/hang.jpg": picture_server.hang_up,
    }
    urls = [server.url(path) for path in server.routes]
    urls += [server.url("/gone.jpg"), "http://[bad", "http://nowhere.example/x.jpg"]
    folder = make_folder([[url] for url in urls])

    async def lookup(host, port, family):
        raise OSError(None, "unknown")

    summary = download(
        folder,
        lookup=lookup,
        timeout=0.2,
        retries=1,
        max_bytes=200_000,
        max_pixels=100_000,
        concurrency=16,
        per_host=16,
    )
    reasons = {url.rpartition("/")[2]: entry.reason for url, entry in entries(folder).items()}
    assert reasons == {
        "good.jpg": "",
        "html.jpg": "not a picture",
        "cut.jpg": "incomplete answer",
        "broken.jpg": "broken picture",
        "pixel.gif": "placeholder",
        "loop.jpg": "too many redirects",
        "bomb.png": "too many pixels",
        "large.jpg": "too many bytes",
        "silent.jpg": "time-out",
        "drip.jpg": "time-out",
        "hang.jpg": "no connection",
        "gone.jpg": "HTTP 404",
        "[bad": "malformed address",
        "x.jpg": "host not found",
    }
    assert summary.items_with_picture == 1 and summary.failed == len(urls) - 1
    assert [len(row) for row in listed(folder)] == [1] + [0] * (len(urls) - 1)
    assert [len(row) for row in Domain.load(folder).items["image_urls"]] == [1] * len(urls)


def test_private_addresses_get_no_request_unless_allowed(server, make_folder):
    server.default = RED
    folder = make_folder([[server.url("/a.jpg")], [server.url("/b.jpg", "localhost")]])
    summary = download(folder, allow_private_addresses=False)
    assert summary.reasons == Counter({"not a public address": 2})
    assert not server.headers
    assert download(folder, retry_failed=True).pictures == 2


def test_a_host_that_never_answers_is_given_up(server, make_folder):
    server.routes = {"/good.jpg": RED}
    server.default = picture_server.hang_up
    folder = make_folder(
        [[server.url(f"/{number}.jpg")] for number in range(30)] + [["http://[bad"]]
    )
    summary = download(folder, give_up_after=4, per_host=2, retries=0)
    assert summary.reasons["host given up"] >= 24
    assert summary.reasons["host given up"] + summary.reasons["no connection"] == 30
    # A later run may find it well again.
    server.default = numbered
    assert download(folder, retry_failed=True).pictures == 30


def test_a_host_that_drips_is_given_up(server, make_folder):
    server.default = picture_server.dripping(RED, 0.02)
    folder = make_folder([[server.url(f"/{number}.jpg")] for number in range(30)])
    summary = download(folder, timeout=0.05, give_up_after=2, per_host=2, retries=0)
    assert summary.reasons["host given up"] >= 26


def test_the_same_bytes_from_many_addresses_are_no_picture(server, make_folder):
    server.default = BLUE
    server.routes = {"/good.jpg": RED}
    same = [[server.url(f"/{number}.jpg")] for number in range(5)]
    folder = make_folder([*same, [server.url("/good.jpg"), *same[0]]])
    summary = download(folder, placeholder_repeats=5)
    assert summary.reasons == Counter({"placeholder": 5}) and summary.items_with_picture == 1
    assert [len(row) for row in listed(folder)] == [0] * 5 + [1]
    entry = entries(folder)[same[0][0]]
    assert entry.status == "placeholder" and "5 addresses" in entry.detail
    # Nothing is lost where that was wrong.
    summary = download(folder, placeholder_repeats=0)
    assert summary.fetched == 0 and summary.items_with_picture == 6
    assert [len(row) for row in listed(folder)] == [1] * 5 + [2]
    download(folder, placeholder_repeats=5)
    assert [len(row) for row in listed(folder)] == [0] * 5 + [1]


def test_no_more_requests_at_a_time_than_allowed(server, make_folder):
    active, most, lock = [0], [0], threading.Lock()

    def route(handler, number):
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.005)
        with lock:
            active[0] -= 1
        numbered(handler, number)

    server.default = route
    folder = make_folder([[server.url(f"/{number}.png")] for number in range(60)])
    assert download(folder, concurrency=16, per_host=3).pictures == 60
    assert most[0] == 3
    # Connections are used again and again.
    assert len(server.clients) <= 6
