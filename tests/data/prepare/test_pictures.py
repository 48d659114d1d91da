from __future__ import annotations

import pytest

from qbert4rec_hf.data.domain import Domain

ROWS = [("u", "a", 1), ("u", "b", 2), ("u", "two words", 3)]


def images_of(folder) -> dict[str, list[str]]:
    items = Domain.load(folder).items
    return dict(zip(items["item_id"], items["images"], strict=True))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "pictures-files"
    folder.mkdir()
    for name in ("a.jpg", "a.PNG", "two words.webp", "other.jpg", "b.txt", "b"):
        (folder / name).write_bytes(name.encode())
    (folder / "b.jpg").mkdir()
    return folder


def test_pictures_named_by_item_are_copied_and_stand_before_urls(prepare, images):
    items = [{"item_id": "a", "title": "A", "images": ["https://shop.example/a.jpg"]}]
    prepared = prepare(ROWS, items, images=images)
    assert images_of(prepared.folder) == {
        "a": ["images/a.PNG", "images/a.jpg", "https://shop.example/a.jpg"],
        "b": [],
        "two words": ["images/two words.webp"],
    }
    assert (prepared.folder / "images" / "a.PNG").read_bytes() == b"a.PNG"
    assert len(list((prepared.folder / "images").iterdir())) == 3
    assert prepared.table["pictures copied"] == 3
    assert prepared.table["picture files of no item that is kept"] == 1
    assert prepared.table["share of items with image"] == pytest.approx(2 / 3)


def test_pictures_without_metadata(prepare, images):
    prepared = prepare(ROWS, images=images)
    assert images_of(prepared.folder)["a"] == ["images/a.PNG", "images/a.jpg"]


def test_paths_in_metadata_are_copied_only_from_below_the_given_folders(prepare, images, tmp_path):
    beside = tmp_path / "shop-files"
    (beside / "images").mkdir(parents=True)
    (beside / "images" / "front.jpg").write_bytes(b"front")
    (beside / "a.jpg").write_bytes(b"another")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (beside / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    listed = [
        "images/front.jpg",
        "../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "link.jpg",
        "absent.jpg",
        "log.parquet",
        "file:///etc/passwd",
    ]
    items = [
        {"item_id": "a", "title": "A", "images": listed},
        {"item_id": "b", "title": "B", "images": ["a.jpg"]},
    ]
    prepared = prepare(ROWS, items)
    assert images_of(prepared.folder)["a"] == ["images/front.jpg"]
    assert prepared.table["paths of pictures that lead to no picture"] == 6
    # The user's own folder comes first, and there "a.jpg" is another file.
    prepared = prepare(ROWS, items, images=images)
    found = images_of(prepared.folder)
    assert found["a"] == ["images/a.PNG", "images/a.jpg", "images/front.jpg"]
    assert found["b"] == ["images/a.jpg"]
    assert (prepared.folder / "images" / "a.jpg").read_bytes() == b"a.jpg"


def test_two_files_of_one_name_do_not_overwrite_each_other(prepare, tmp_path):
    beside = tmp_path / "shop-files"
    (beside / "images").mkdir(parents=True)
    (beside / "images" / "x.jpg").write_bytes(b"inner")
    (beside / "x.jpg").write_bytes(b"outer")
    items = [{"item_id": "a", "title": "A", "images": ["images/x.jpg", "x.jpg"]}]
    prepared = prepare(ROWS, items)
    assert images_of(prepared.folder)["a"] == ["images/x.jpg", "images/x-2.jpg"]
    assert (prepared.folder / "images" / "x-2.jpg").read_bytes() == b"outer"


def test_downloads_into_a_folder_survive_its_replacement(prepare):
    folder = prepare(ROWS).folder
    picture = folder / "images" / "0a" / f"{'0a' * 16}.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"fetched for hours")
    (folder / "images" / "manifest.jsonl").write_text("{}\n")
    prepare(ROWS[:2])
    assert picture.read_bytes() == b"fetched for hours"
    assert (folder / "images" / "manifest.jsonl").read_text() == "{}\n"
    assert len(Domain.load(folder)) == 2


def test_a_picture_that_cannot_be_copied_is_missing(prepare, images, tmp_path):
    # A file and a folder of one name, below different folders.
    beside = tmp_path / "shop-files" / "a.jpg"
    beside.mkdir(parents=True)
    (beside / "back.jpg").write_bytes(b"back")
    items = [{"item_id": "a", "title": "A"}, {"item_id": "b", "images": ["a.jpg/back.jpg"]}]
    prepared = prepare(ROWS, items, images=images)
    assert images_of(prepared.folder)["a"] == ["images/a.PNG", "images/a.jpg"]
    assert images_of(prepared.folder)["b"] == []
    assert prepared.table["paths of pictures that lead to no picture"] == 1
