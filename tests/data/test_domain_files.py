"""Replacing a domain folder deletes what stands there, so only our own files are replaced."""

from __future__ import annotations

import json
import shutil

import pytest

from qbert4rec_hf.data.codes import ImportedCodes, load_codes, save_codes
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.domain_files import foreign_files
from qbert4rec_hf.errors import QBert4RecError


@pytest.mark.parametrize(
    "name", ["notes.txt", "images/holiday.jpg", "codes/readme.md", ".git/HEAD", "items.csv"]
)
def test_a_file_that_is_not_ours_is_never_deleted(domain, folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(QBert4RecError, match=f"{name} is no part of a domain folder") as caught:
        domain.save(folder)
    assert "\n" not in str(caught.value) and "move it away" in str(caught.value)
    with pytest.raises(QBert4RecError, match="no part of a domain folder"):
        Domain.load(folder).save(folder)
    assert (folder / name).read_text() == "mine"


def test_the_message_counts_the_others(domain, folder):
    for name in "abc":
        (folder / f"{name}.txt").write_text("mine")
    with pytest.raises(QBert4RecError, match=r"a\.txt \(and 2 more\)"):
        domain.save(folder)


def test_everything_that_a_domain_folder_may_have_is_replaced(domain, folder):
    (folder / "images").mkdir()
    (folder / "images" / "007.png").write_bytes(b"picture")
    (folder / "images" / "ab").mkdir()
    downloaded = f"images/ab/{'ab' * 16}.jpg"
    (folder / downloaded).write_bytes(b"another")
    (folder / "images" / "manifest.jsonl").write_text("{}\n")
    (folder / "preparation.json").write_text(json.dumps({"dropped": {"no user id": 3}}))
    codes = ImportedCodes(domain.sequences()[1].items[:4].reshape(4, 1) % 4, [4], ["a"])
    save_codes({"lemb": codes}, domain.item_ids, folder)
    assert foreign_files(folder) == []
    loaded = Domain.load(folder)
    loaded.save(folder)
    # Nothing of it is lost on the way.
    assert (folder / "images" / "007.png").read_bytes() == b"picture"
    assert (folder / downloaded).read_bytes() == b"another"
    assert (folder / "images" / "manifest.jsonl").exists()
    assert load_codes(folder)["lemb"].codes.tolist() == codes.codes.tolist()
    assert json.loads((folder / "preparation.json").read_text()) == {"dropped": {"no user id": 3}}
    assert "| no user id | 3 |" in (folder / "README.md").read_text()


def test_a_sharded_domain_is_replaced_too(domain, folder):
    (folder / "items").mkdir()
    shutil.move(folder / "items.parquet", folder / "items" / "0.parquet")
    Domain.load(folder).save(folder)
    assert (folder / "items.parquet").exists() and not (folder / "items").exists()


def test_large_histories_are_written_group_by_group(domain, folder, monkeypatch):
    monkeypatch.setattr("qbert4rec_hf.data.domain_files.ROWS_PER_GROUP", 3)
    loaded = Domain.load(domain.save(folder))
    assert loaded.sequences()[1] == domain.sequences()[1]
    assert loaded.user_ids.tolist() == domain.user_ids.tolist()
    assert loaded.timestamps.tolist() == domain.timestamps.tolist()


@pytest.mark.parametrize(
    "name", ["images/007.png", "codes/lemb.parquet", "preparation.json", "codes/below"]
)
def test_files_from_elsewhere_are_not_copied_through_links(folder, tmp_path, name):
    (tmp_path / "private").write_text("{}")
    (tmp_path / "mine").mkdir()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(tmp_path / ("mine" if name == "codes/below" else "private"))
    with pytest.raises(QBert4RecError, match=f"{name} is a link to .*, outside") as caught:
        Domain.load(folder).save(tmp_path / "copy")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "copy").exists()


def test_links_inside_a_folder_and_in_the_cache_of_the_hub_are_followed(folder, tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "c0ffee", tmp_path / "blobs"
    shutil.copytree(folder, snapshot)
    blobs.mkdir()
    (blobs / "b10b").write_bytes(b"picture")
    (snapshot / "images").mkdir()
    (snapshot / "images" / "007.png").symlink_to("../../../blobs/b10b")
    copy = Domain.load(snapshot).save(tmp_path / "copy")
    assert (copy / "images" / "007.png").read_bytes() == b"picture"
    (folder / "images").mkdir()
    (folder / "other.png").write_bytes(b"another")
    (folder / "images" / "007.png").symlink_to("../other.png")
    copy = Domain.load(folder).save(tmp_path / "second")
    assert (copy / "images" / "007.png").read_bytes() == b"another"
    assert not (copy / "images" / "007.png").is_symlink()
