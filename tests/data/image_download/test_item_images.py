from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data.image_download import item_images
from qbert4rec_hf.data.image_download.item_images import read_item_images, rewrite_item_images
from qbert4rec_hf.errors import QBert4RecError

A, B = "https://a.example/1.jpg", "HTTPS://a.example/2.jpg"


def write(path, images, *, more=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "item_id": pa.array([str(number) for number in range(len(images))]),
        "images": images if isinstance(images, pa.Array) else pa.array(images),
        "price": pa.array([1.5] * len(images), pa.float32()),
        **(more or {}),
    }
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_addresses_come_from_both_columns_once_each(tmp_path):
    urls = pa.array([[B], None])
    write(tmp_path / "items.parquet", [["x.png", A, A, B], None], more={"image_urls": urls})
    assert list(read_item_images(tmp_path)) == [(["x.png", A, A, B], [B, A]), ([], [])]


@pytest.mark.parametrize(
    "names", [["items.parquet"], ["items-0.parquet", "items-1.parquet"], ["items/a.parquet"]]
)
def test_only_the_two_columns_change(tmp_path, names):
    for name in names:
        write(tmp_path / name, [["x.png", A], [], [B]], row_group_size=2)
    before = [pq.read_table(tmp_path / name) for name in names]
    rewrite_item_images(tmp_path, lambda images, urls: (["new.jpg"] * len(urls), urls))
    for name, old in zip(names, before, strict=True):
        file = pq.ParquetFile(tmp_path / name)
        assert file.num_row_groups == 2
        new = file.read()
        assert new.column_names == ["item_id", "images", "image_urls", "price"]
        assert new["images"].to_pylist() == [["new.jpg"], [], ["new.jpg"]]
        assert new["image_urls"].to_pylist() == [[A], [], [B]]
        assert new.drop_columns(["images", "image_urls"]).equals(old.drop_columns("images"))
    assert sorted(os.listdir((tmp_path / names[0]).parent)) == sorted(
        name.split("/")[-1] for name in names
    )


@pytest.mark.parametrize(
    "images",
    [
        pa.array([[], []], pa.list_(pa.null())),
        pa.array([None, None], pa.null()),
        pa.array([[], [A]], pa.large_list(pa.large_string())),
        pa.array([["x"], [A]], pa.list_(pa.string(), 1)),
    ],
)
def test_every_kind_of_list_is_read(tmp_path, images):
    path = write(tmp_path / "items.parquet", images)
    rewrite_item_images(tmp_path, lambda images, urls: (images, urls))
    new = pq.read_table(path)
    assert new["images"].type == pa.list_(pa.string())
    assert new["images"].to_pylist() == [values or [] for values in images.to_pylist()]


def test_bad_tables_are_named(tmp_path):
    path = write(tmp_path / "items.parquet", pa.array(["x.png"]))
    with pytest.raises(QBert4RecError, match="column images must hold lists of text, found string"):
        list(read_item_images(tmp_path))
    pq.write_table(pa.table({"item_id": ["a"]}), path)
    with pytest.raises(QBert4RecError, match="lacks column images"):
        list(read_item_images(tmp_path))
    path.write_bytes(b"PAR1")
    with pytest.raises(QBert4RecError, match="cannot be read as Parquet"):
        list(read_item_images(tmp_path))


def test_a_damaged_table_is_named_and_stays(tmp_path):
    path = write(tmp_path / "items.parquet", [["x.png", A]] * 1000, compression="none")
    data = bytearray(path.read_bytes())
    # The column that only the rewriting reads, and then the one that both do.
    for column in ("price", "images"):
        meta = pq.ParquetFile(path).metadata.row_group(0)
        place = [meta.column(i) for i in range(meta.num_columns)]
        start = next(c for c in place if c.path_in_schema.startswith(column)).data_page_offset
        data[start : start + 8] = b"\xff" * 8
        path.write_bytes(data)
        with pytest.raises(QBert4RecError, match="items.parquet cannot be read as Parquet"):
            rewrite_item_images(tmp_path, lambda images, urls: (images, urls))
        assert path.read_bytes() == data and os.listdir(tmp_path) == ["items.parquet"]
    with pytest.raises(QBert4RecError, match="items.parquet cannot be read as Parquet"):
        list(read_item_images(tmp_path))


def test_a_file_that_cannot_be_put_in_place(tmp_path, monkeypatch):
    write(tmp_path / "items.parquet", [[A]])

    def denied(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(item_images.os, "replace", denied)
    with pytest.raises(QBert4RecError, match="cannot write .*items.parquet .Permission denied"):
        rewrite_item_images(tmp_path, lambda images, urls: ([], urls))
    assert os.listdir(tmp_path) == ["items.parquet"]


def test_what_fails_leaves_every_shard_as_it_was(tmp_path):
    paths = [write(tmp_path / f"items-{shard}.parquet", [[A], [B]]) for shard in range(3)]
    before = [path.read_bytes() for path in paths]
    calls = []

    def fails(images, urls):
        calls.append(urls)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return [], urls

    with pytest.raises(KeyboardInterrupt):
        rewrite_item_images(tmp_path, fails)
    assert [path.read_bytes() for path in paths] == before
    assert len(os.listdir(tmp_path)) == 3


def test_shards_change_together_also_when_interrupted(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"items-{shard}.parquet", [[A], [B]]) for shard in range(3)]
    replace, calls = os.replace, []

    def interrupted(source, target):
        replace(source, target)
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(item_images.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rewrite_item_images(tmp_path, lambda images, urls: ([], urls))
    assert all("image_urls" in pq.read_schema(path).names for path in paths)
    assert len(os.listdir(tmp_path)) == 3
