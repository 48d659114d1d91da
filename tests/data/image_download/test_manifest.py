from __future__ import annotations

import json
import os

import pytest

from qbert4rec_hf.data.image_download.manifest import MANIFEST_FILE, Manifest, ManifestEntry
from qbert4rec_hf.errors import QBert4RecError

FILE = "images/ab/" + "ab" * 16 + ".jpg"
GOOD = ManifestEntry("https://a.example/ä.jpg", "ok", "", "", FILE, 10, "ab" * 32, 8, 6)
BAD = ManifestEntry("https://a.example/b.jpg", "failed", "HTTP 404")


def test_entries_are_on_disk_at_once(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.add(GOOD)
        manifest.add(BAD)
        assert Manifest(tmp_path).entries == {GOOD.url: GOOD, BAD.url: BAD}


def test_later_lines_win_and_saving_drops_the_earlier_ones(tmp_path):
    later = ManifestEntry(BAD.url, "failed", "HTTP 503")
    for entry in (BAD, GOOD, later):
        with Manifest(tmp_path) as manifest:
            manifest.add(entry)
    manifest = Manifest(tmp_path)
    assert manifest.entries == {BAD.url: later, GOOD.url: GOOD}
    manifest.save([GOOD.url, "https://never.example/x.jpg"])
    lines = (tmp_path / MANIFEST_FILE).read_text().splitlines()
    assert [json.loads(line)["url"] for line in lines] == [GOOD.url, BAD.url]
    assert Manifest(tmp_path).entries == manifest.entries


@pytest.mark.parametrize("kept", [1, 30, 60, -1])
def test_a_line_that_was_cut_off_costs_that_line_only(tmp_path, kept, caplog):
    with Manifest(tmp_path) as manifest:
        manifest.add(BAD)
        whole = len((tmp_path / MANIFEST_FILE).read_bytes())
        manifest.add(GOOD)
    path = tmp_path / MANIFEST_FILE
    data = path.read_bytes()
    path.write_bytes(data[: whole + kept] if kept > 0 else data[:kept])
    with Manifest(tmp_path) as manifest:
        assert BAD.url in manifest.entries
        manifest.add(GOOD)
    assert Manifest(tmp_path).entries == {BAD.url: BAD, GOOD.url: GOOD}


@pytest.mark.parametrize(
    "changed",
    [
        {"file": "../../etc/passwd"},
        {"file": "/etc/passwd"},
        {"file": FILE + "\n"},
        {"file": FILE.replace("images", "other")},
        {"file": None},
        {"file": 5},
        {"status": "fine"},
        {"url": None},
        {"reason": []},
        {"sha256": {}},
    ],
)
def test_what_we_never_write_is_not_believed(tmp_path, changed):
    path = tmp_path / MANIFEST_FILE
    path.parent.mkdir()
    values = {"url": GOOD.url, "status": "ok", "file": FILE, "new_field": 1}
    path.write_text(json.dumps(values) + "\n[]\n\nnull\n{}\n")
    assert list(Manifest(tmp_path).entries) == [GOOD.url]
    path.write_text(json.dumps(values | changed) + "\n")
    assert Manifest(tmp_path).entries == {}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
def test_a_full_disk(tmp_path, monkeypatch):
    with Manifest(tmp_path) as manifest:
        manifest.add(BAD)

    def full(path, mode="r", *, open=open, **options):
        return open("/dev/full" if mode == "a" else path, mode, **options)

    monkeypatch.setattr("builtins.open", full)
    message = "cannot write .*manifest.jsonl .No space left"
    with pytest.raises(QBert4RecError, match=message), Manifest(tmp_path) as manifest:
        manifest.add(GOOD)
    assert Manifest(tmp_path).entries == {BAD.url: BAD}


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / MANIFEST_FILE).mkdir(parents=True)
    with pytest.raises(QBert4RecError, match="manifest.jsonl cannot be read"):
        Manifest(tmp_path)
