"""What a download makes of a domain folder."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import threading
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from downloads import download, entries, listed, numbered
from picture_server import numbered_picture, picture, redirect
from PIL import Image

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.image_download.download import list_images
from qbert4rec_hf.data.image_download.manifest import MANIFEST_FILE
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.images import ImageReader

RED, BLUE = picture("red"), picture("blue")


def test_pictures_come_into_the_folder_and_the_encoders_find_them(server, make_folder):
    server.routes = {"/red.jpg": RED, "/blue.jpg": BLUE}
    red, blue, gone = (server.url(f"/{name}.jpg") for name in ("red", "blue", "gone"))
    folder = make_folder([["own.png", red, gone], [blue], [gone], []])
    Image.new("RGB", (8, 8)).save(folder / "own.png")
    summary = download(folder)
    assert (summary.items, summary.items_with_picture) == (4, 2)
    assert (summary.addresses, summary.fetched, summary.pictures, summary.failed) == (3, 3, 2, 1)
    assert summary.reasons == Counter({"HTTP 404": 1})
    domain = Domain.load(folder)
    images = domain.items["images"].tolist()
    assert [len(row) for row in images] == [2, 1, 0, 0] and images[0][0] == "own.png"
    assert [list(row) for row in domain.items["image_urls"]] == [[red, gone], [blue], [gone], []]
    reader = ImageReader(folder, 4)
    assert reader.open("item 0", images[0][1]).getpixel((0, 0))[0] > 240
    assert reader.open("item 1", images[1][0]).getpixel((0, 0))[2] > 240
    entry = entries(folder)[red]
    assert (entry.status, entry.bytes, entry.width, entry.height) == ("ok", len(RED), 24, 16)
    assert entries(folder)[gone].reason == "HTTP 404"
    # All that was there before is there still.
    assert domain.items["price"].tolist() == [1.5] * 4 and domain.info.num_interactions == 4


def test_each_address_is_asked_once_and_the_same_bytes_are_stored_once(server, make_folder):
    server.routes = {"/a.jpg": RED, "/b.jpg": RED, "/c.jpg": redirect("/a.jpg")}
    a, b, c = (server.url(f"/{name}.jpg") for name in "abc")
    folder = make_folder([[a], [a, b], [b, c]] * 3)
    summary = download(folder)
    assert server.counts == {"/a.jpg": 2, "/b.jpg": 1, "/c.jpg": 1}
    assert (summary.pictures, summary.files, summary.items_with_picture) == (3, 1, 9)
    files = list((folder / "images").rglob("*.*g"))
    assert len(files) == 1
    # One picture is listed once, also where two addresses of the item give it.
    assert listed(folder) == [[str(files[0].relative_to(folder))]] * 9
    again = download(folder, retry_failed=True)
    assert again.fetched == 0 and sum(server.counts.values()) == 4


def test_a_second_run_changes_nothing(server, make_folder):
    server.default = RED
    folder = make_folder([[server.url("/a.jpg")], [server.url("/no-image.png")]])
    download(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    download(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_failed_addresses_are_tried_again_when_asked(server, make_folder):
    urls = [server.url(f"/{name}.jpg") for name in "abc"]
    server.routes = {"/b.jpg": BLUE}
    folder = make_folder([["own.png", *urls]])
    assert download(folder).pictures == 1
    server.routes["/a.jpg"] = RED
    assert download(folder).fetched == 0
    summary = download(folder, retry_failed=True)
    assert summary.fetched == 2 and summary.pictures == 2
    files = {name: entries(folder)[url].file for name, url in zip("abc", urls, strict=True)}
    assert listed(folder) == [[files["a"], "own.png", files["b"]]]
    assert server.counts["/b.jpg"] == 1


def test_files_that_went_missing_are_fetched_again(server, make_folder):
    server.default = RED
    folder = make_folder([[server.url("/a.jpg")]])
    download(folder)
    file = folder / listed(folder)[0][0]
    before = file.read_bytes()
    file.unlink()
    assert download(folder).fetched == 1 and file.read_bytes() == before


def test_a_copied_domain_without_manifest_finds_the_same_files_again(server, make_folder, tmp_path):
    server.default = RED
    folder = make_folder([["own.png", server.url("/a.jpg")]])
    download(folder)
    Domain.load(folder).save(tmp_path / "copy")
    (tmp_path / "copy" / MANIFEST_FILE).unlink(missing_ok=True)
    download(tmp_path / "copy")
    assert listed(tmp_path / "copy") == listed(folder)


def test_later_addresses_wait_until_more_are_wanted(server, make_folder):
    server.default = numbered
    urls = [server.url(f"/{number}.png") for number in range(5)]
    folder = make_folder([urls])
    assert download(folder, max_images=2).pictures == 2
    assert len(listed(folder)[0]) == 2
    assert list(Domain.load(folder).items["image_urls"][0]) == urls
    download(folder, max_images=9)
    assert listed(folder)[0] == [entries(folder)[url].file for url in urls]
    # Fewer are no reason to throw any away.
    download(folder, max_images=1)
    assert len(listed(folder)[0]) == 5


def test_sharded_items(server, make_folder):
    server.default = numbered
    folder = make_folder([[server.url(f"/{number}.png")] for number in range(6)])
    table = pq.read_table(folder / "items.parquet")
    (folder / "items.parquet").unlink()
    for shard in range(3):
        pq.write_table(table.slice(2 * shard, 2), folder / f"items-{shard}-of-3.parquet")
    assert download(folder).items_with_picture == 6
    assert sorted(path.name for path in folder.glob("items*")) == [
        f"items-{shard}-of-3.parquet" for shard in range(3)
    ]
    assert listed(folder) == [[entry.file] for entry in entries(folder).values()]


def test_what_strangers_write_is_no_part_of_a_path(server, make_folder):
    server.default = lambda handler, number: handler.reply(200, numbered_picture(len(handler.path)))
    paths = ["/../../../../escape.jpg", "/%2e%2e/%2e%2e/x.png", "/🎁/ü.jpg", "/" + "a" * 10_000]
    paths += ["/con.jpg", "/a\\..\\b.jpg", "/.hidden", "/a.jpg?x=../../../y"]
    folder = make_folder([[server.url(path)] for path in paths])
    items = pq.read_table(folder / "items.parquet").to_pandas()
    ids = ["../../a", "🎁", "x" * 10_000, "/etc/passwd", "a\nb", "con", "'", "a b"]
    items["item_id"] = ids
    interactions = pd.DataFrame({"user_id": ["u"] * 8, "item_id": ids})
    shutil.rmtree(folder)
    Domain.from_tables(items, interactions, name="odd").save(folder)
    before = set(folder.parent.iterdir())
    assert download(folder).pictures == 8
    assert set(folder.parent.iterdir()) == before
    for (file,) in listed(folder):
        assert (folder / file).resolve().is_relative_to(folder / "images")
        assert len(file) < 60 and file.isascii()


def test_nothing_to_download_leaves_the_folder_alone(make_folder):
    folder = make_folder([["images/a.png", "missing.png"], []])
    (folder / "images").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.png")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    summary = download(folder)
    assert (summary.addresses, summary.items_with_picture, summary.missing_files) == (0, 1, 1)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_it_works_inside_a_running_loop_as_in_a_notebook(server, make_folder):
    server.default = RED
    folder = make_folder([[server.url("/a.jpg")]])

    async def cell():
        return download(folder)

    assert asyncio.run(cell()).pictures == 1


def test_two_processes_do_not_share_a_folder(server, make_folder):
    folder = make_folder([[server.url("/a.jpg")], [server.url("/b.jpg")]])
    caught = []

    def route(handler, number):
        try:
            download(folder)
        except QBert4RecError as error:
            caught.append(str(error))
        handler.reply(200, RED)

    server.default = route
    download(folder, concurrency=1)
    assert len(caught) == 2 and "another process downloads into" in caught[0]


def test_a_full_disk_stops_the_run_and_keeps_what_there_is(server, make_folder, monkeypatch):
    server.default = numbered
    folder = make_folder([[server.url(f"/{number}.png")] for number in range(20)])
    before = (folder / "items.parquet").read_bytes()
    write, written = Path.write_bytes, []

    def full(self, data):
        written.append(self)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(QBert4RecError, match="No space left on device"):
        download(folder)
    monkeypatch.undo()
    assert (folder / "items.parquet").read_bytes() == before
    assert not list(folder.rglob(".*.jpg.*")) and not list(folder.rglob(".*.png.*"))
    done = sum(entry.status == "ok" for entry in entries(folder).values())
    assert done <= 5
    summary = download(folder)
    assert summary.pictures == 20 and summary.fetched == 20 - done


def test_several_failures_at_a_time_end_in_one_message(server, make_folder, monkeypatch, caplog):
    server.default = numbered
    folder = make_folder([[server.url(f"/{number}.png")] for number in range(20)])
    barrier = threading.Barrier(2)

    def full(self, data):
        barrier.wait(5)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(QBert4RecError, match="No space left on device"):
        download(folder)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_name_that_no_file_can_have_is_a_missing_file(server, make_folder):
    server.default = RED
    folder = make_folder([["x" * 10_000, server.url("/a.jpg")]])
    summary = download(folder)
    assert (summary.missing_files, summary.items_with_picture) == (1, 1)


def test_folders_that_are_no_domain(tmp_path):
    with pytest.raises(QBert4RecError, match="is not a folder"):
        download(tmp_path / "absent")
    with pytest.raises(QBert4RecError, match="has no items.parquet"):
        download(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "urls", "expected"),
    [
        (["http://1", "own", "http://2"], ["http://1", "http://2"], ["f1", "own", "f2"]),
        (["own", "f2"], ["http://1", "http://2"], ["f1", "own", "f2"]),
        (["f1", "own"], ["http://1", "http://2"], ["f1", "f2", "own"]),
        (["http://9", "own"], ["http://9"], ["own"]),
        (["old", "f1", "own"], ["http://1"], ["f1", "own"]),
        (["f1", "http://1"], ["http://1"], ["f1"]),
        ([], [], []),
    ],
)
def test_the_order_of_an_items_pictures(images, urls, expected):
    files = {"http://1": "f1", "http://2": "f2"}
    ours = {"f1", "f2", "old"}
    assert list_images(images, urls, files, ours) == expected
    assert list_images(expected, urls, files, ours) == expected


def test_the_manifest_stands_in_the_order_of_the_items(server, make_folder):
    server.default = numbered
    urls = [server.url(f"/{number}.png") for number in range(30)]
    folder = make_folder([[url] for url in urls])
    download(folder)
    lines = (folder / MANIFEST_FILE).read_text().splitlines()
    assert [json.loads(line)["url"] for line in lines] == urls
