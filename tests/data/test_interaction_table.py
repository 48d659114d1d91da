from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qbert4rec_hf.data import interaction_table
from qbert4rec_hf.data.interaction_table import Numbered, read_interactions
from qbert4rec_hf.errors import QBert4RecError

ITEMS = [f"i{number}" for number in range(7)]


def log(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user_id": [f"user {number}" for number in rng.integers(0, 30, rows)],
            "item_id": [ITEMS[number] for number in rng.integers(0, 7, rows)],
            "timestamp": rng.integers(0, 1000, rows),
        }
    )


def write_shards(folder, frame: pd.DataFrame, shards: int) -> None:
    (folder / "interactions").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(frame)), shards)):
        frame.iloc[part].to_parquet(folder / "interactions" / f"{number}.parquet", index=False)


@pytest.mark.parametrize(("shards", "batch"), [(1, 1000), (1, 7), (4, 7), (3, 1)])
def test_batches_and_shards_change_nothing(tmp_path, monkeypatch, shards, batch):
    # Merge often, so that merging is tested too.
    monkeypatch.setattr(interaction_table, "PENDING_IDS", 5)
    frame = log(100)
    write_shards(tmp_path, frame, shards)
    read = read_interactions(tmp_path, ITEMS, batch_rows=batch)
    assert read.user_ids.tolist() == frame["user_id"].drop_duplicates().tolist()
    assert read.user_ids[read.user_index].tolist() == frame["user_id"].tolist()
    assert [ITEMS[row] for row in read.item_index] == frame["item_id"].tolist()
    assert read.timestamps.tolist() == frame["timestamp"].tolist()
    assert read.user_index.dtype == read.item_index.dtype == np.int32
    assert read.timestamps.dtype == np.int64 and read.time_unit is None


def test_a_row_is_counted_within_its_shard_whatever_the_batch(tmp_path):
    frame = log(40)
    frame.loc[33, "item_id"] = "nowhere"
    write_shards(tmp_path, frame, 2)
    with pytest.raises(QBert4RecError, match=r"1\.parquet, row 13, .*'nowhere'"):
        read_interactions(tmp_path, ITEMS, batch_rows=4)


@pytest.mark.parametrize("missing", [[5], [35]])
def test_stamps_in_some_rows_only(tmp_path, missing):
    frame = log(40).astype({"timestamp": "Int64"})
    frame.loc[missing, "timestamp"] = pd.NA
    write_shards(tmp_path, frame, 2)
    where = rf"{missing[0] // 20}\.parquet, row {missing[0] % 20}, column timestamp"
    with pytest.raises(QBert4RecError, match=where):
        read_interactions(tmp_path, ITEMS, batch_rows=3)


def test_stamps_nowhere(tmp_path):
    frame = log(40).assign(timestamp=pd.array([pd.NA] * 40, dtype="Int64"))
    write_shards(tmp_path, frame, 2)
    assert read_interactions(tmp_path, ITEMS).timestamps is None


def test_the_type_of_stamps_tells_their_unit(tmp_path):
    frame = log(10)
    frame["timestamp"] = frame["timestamp"].astype("datetime64[s]").astype("datetime64[ms]")
    write_shards(tmp_path, frame, 1)
    read = read_interactions(tmp_path, ITEMS)
    assert read.time_unit == "ms" and (read.timestamps % 1000 == 0).all()


def test_shards_of_other_types_are_read_alike(tmp_path):
    frame = log(20)
    write_shards(tmp_path, frame, 2)
    table = pa.table(
        {
            "timestamp": pa.array(frame["timestamp"][10:], pa.int32()),
            "user_id": pa.array(frame["user_id"][10:], pa.large_string()),
            "item_id": pa.array(frame["item_id"][10:]).cast(pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "interactions" / "1.parquet")
    read = read_interactions(tmp_path, ITEMS)
    assert read.timestamps.tolist() == frame["timestamp"].tolist()
    assert read.user_ids[read.user_index].tolist() == frame["user_id"].tolist()


def test_an_empty_shard_and_a_damaged_one(tmp_path):
    write_shards(tmp_path, log(20), 2)
    path = tmp_path / "interactions" / "0.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    assert len(read_interactions(tmp_path, ITEMS).user_index) == 10
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(QBert4RecError, match=r"0\.parquet cannot be read as Parquet"):
        read_interactions(tmp_path, ITEMS)


def test_numbers_of_nothing():
    texts, numbers = Numbered().result()
    assert len(texts) == len(numbers) == 0
