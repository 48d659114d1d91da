from __future__ import annotations

import argparse
import shlex

import pandas as pd
import pytest
from picture_server import Server, picture

from qbert4rec_hf.cli import images
from qbert4rec_hf.cli.main import build_parser, main
from qbert4rec_hf.data.demo import make_demo_domains
from qbert4rec_hf.data.domain import Domain


@pytest.fixture
def server():
    with Server() as running:
        running.routes = {"/a.jpg": picture("red"), "/b.jpg": picture("blue")}
        yield running


def save(folder, images):
    ids = [str(number) for number in range(len(images))]
    items = pd.DataFrame({"item_id": ids, "title": None, "text": [[] for _ in ids]})
    items["images"] = images
    interactions = pd.DataFrame({"user_id": ["u"] * len(ids), "item_id": ids})
    return Domain.from_tables(items, interactions, name="shop").save(folder)


def test_downloads_and_says_what_came_of_it(server, tmp_path, capsys):
    urls = [server.url(f"/{name}.jpg") for name in ("a", "b", "gone")]
    folder = save(tmp_path / "shop", [[url] for url in urls] + [["missing.png"]])
    command = ["images", str(folder), "--allow-private-addresses", "--max-side", "8"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 of 4 items (50.0%) have at least one picture" in printed
    assert "1 local files that items list do not exist" in printed
    assert "3 addresses, 3 of them asked now" in printed
    assert "2 pictures in 2 files, 1 failed" in printed and "1  HTTP 404" in printed
    assert "--retry-failed" in printed
    server.routes["/gone.jpg"] = server.routes["/a.jpg"]
    assert main([*command, "--retry-failed", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "3 of 4 items" in printed and "1 of them asked now" in printed


def test_private_addresses_are_closed_by_default(server, tmp_path, capsys):
    folder = save(tmp_path / "shop", [[server.url("/a.jpg")]])
    assert main(["images", str(folder)]) == 0
    assert "1  not a public address" in capsys.readouterr().out
    assert not server.headers


def test_the_example_works_as_written(tmp_path, capsys, monkeypatch):
    make_demo_domains(tmp_path / "demo" / "domains", scale=0.05)
    monkeypatch.chdir(tmp_path)
    for line in images.EXAMPLE.strip().splitlines():
        assert main(shlex.split(line)[1:]) == 0
    assert "no item lists an address on the web" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20MB", 20_000_000),
        ("40M", 40_000_000),
        ("1.5k", 1500),
        ("512KiB", 524_288),
        ("2GB", 2_000_000_000),
        ("777", 777),
        ("10B", 10),
    ],
)
def test_amounts(text, number):
    assert images.amount(text) == number


@pytest.mark.parametrize("text", ["", "MB", "-5", "1e6", "20 TB", "ib", "5ib"])
def test_what_is_no_amount(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no amount"):
        images.amount(text)


def test_options_and_settings_have_the_same_defaults():
    from qbert4rec_hf.data.image_download.settings import DownloadSettings

    given = vars(build_parser().parse_args(["images", "folder"]))
    settings = vars(DownloadSettings())
    shared = set(given) & set(settings)
    assert len(shared) == 11
    assert {name: given[name] for name in shared} == {name: settings[name] for name in shared}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "absent is not a folder"),
        (["."], "has no items.parquet"),
        ([".", "--concurrency", "0"], "concurrency must be at least 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["images", *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1
