from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.files import (
    atomic_file,
    atomic_folder,
    fingerprint,
    lies_inside,
    make_folder,
    read_json,
    write_json,
    write_text,
)


def test_json_round_trip_of_numpy_values(tmp_path):
    path = tmp_path / "deep" / "values.json"
    write_json(path, {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path})
    assert read_json(path) == {"a": 0.5, "b": [0, 1], "c": str(tmp_path)}
    assert [entry.name for entry in path.parent.iterdir()] == ["values.json"]


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe"])
def test_unreadable_json_names_the_file(tmp_path, content):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(QBert4RecError, match="broken.json"):
        read_json(path)


def test_a_folder_is_no_json(tmp_path):
    with pytest.raises(QBert4RecError, match=f"{tmp_path.name} cannot be read"):
        read_json(tmp_path)


def test_a_folder_never_takes_the_place_of_a_file_or_of_where_we_are(tmp_path, monkeypatch):
    (tmp_path / "notes").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for place, reason in (("notes", "is a file"), (".", "inside it"), ("..", "inside it")):
        with pytest.raises(QBert4RecError, match=reason), atomic_folder(place):
            raise AssertionError("nothing is to be written")
    assert (tmp_path / "notes").read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(QBert4RecError, match="cannot write to .*file"):
        make_folder(tmp_path / "file" / "folder")


def test_a_failed_write_leaves_what_stood_there(tmp_path):
    with atomic_folder(tmp_path / "stage") as temporary:
        (temporary / "old").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "stage") as temporary:
        (temporary / "new").write_text("2")
        raise RuntimeError
    assert [entry.name for entry in (tmp_path / "stage").iterdir()] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["stage"]


def test_a_finished_write_replaces_the_folder(tmp_path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "stage") as temporary:
            (temporary / name).write_text(name)
    assert [entry.name for entry in (tmp_path / "stage").iterdir()] == ["new"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["stage"]


def test_fingerprints_tell_type_shape_and_order():
    values = [
        (np.zeros(4, np.int64),),
        (np.zeros(4, np.int32),),
        (np.zeros((2, 2), np.int64),),
        ("a", "b"),
        ("b", "a"),
        ({"x": 1, "y": 2},),
    ]
    assert len({fingerprint(*parts) for parts in values}) == len(values)
    assert fingerprint({"x": 1, "y": 2}) == fingerprint({"y": 2, "x": 1})


def test_a_text_takes_the_place_of_the_old_one_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new folder" / "card.md"
    write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == "é\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["card.md"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "card.md").mkdir()
    with pytest.raises(QBert4RecError, match="cannot write .*card.md"):
        write_text(tmp_path / "card.md", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.md"]


def test_a_link_out_of_a_folder_is_not_inside_it(tmp_path):
    folder = tmp_path / "folder"
    for place in (folder / "part", tmp_path / "secret"):
        place.mkdir(parents=True)
        (place / "a.txt").write_text("a")
    (folder / "inner").symlink_to("part/a.txt")
    (folder / "outer").symlink_to("../secret/a.txt")
    (folder / "outer folder").symlink_to(tmp_path / "secret")
    (folder / "chain").symlink_to("outer")
    (folder / "circle").symlink_to("circle")
    for name in ("part/a.txt", "part", "inner", "absent"):
        assert lies_inside(folder / name, folder), name
    for name in ("outer", "outer folder/a.txt", "chain", "../secret/a.txt"):
        assert not lies_inside(folder / name, folder), name
    assert not (folder / "circle").is_file()
    lies_inside(folder / "circle", folder)  # Whatever it says, it ends.
    # The folder itself may be reached by a link.
    (tmp_path / "link").symlink_to(folder)
    assert lies_inside(tmp_path / "link" / "inner", tmp_path / "link")


def test_the_contents_of_the_hubs_cache_belong_to_its_snapshots(tmp_path):
    snapshot, blobs = (
        tmp_path / "models--a--b" / "snapshots" / "0a1b",
        tmp_path / "models--a--b/blobs",
    )
    for place in (snapshot, blobs):
        place.mkdir(parents=True)
    (blobs / "good").write_text("a")
    (tmp_path / "secret").write_text("secret")
    (blobs / "bad").symlink_to(tmp_path / "secret")
    for name in ("good", "bad"):
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    (snapshot / "worse").symlink_to(tmp_path / "secret")
    assert lies_inside(snapshot / "good", snapshot)
    assert not lies_inside(snapshot / "bad", snapshot)
    assert not lies_inside(snapshot / "worse", snapshot)
