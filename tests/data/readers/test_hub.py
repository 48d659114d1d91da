"""Data sets of the Hub, a local folder or a fake in their place."""

from __future__ import annotations

import datasets
import pytest

from qbert4rec_hf.errors import QBert4RecError

TRAIN = [{"user_id": "u", "item_id": "007", "ts": 5}, {"user_id": "u", "item_id": "b", "ts": 6}]
TEST = [{"user_id": "u", "item_id": "c", "ts": 7}]


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "owner" / "shop"
    folder.mkdir(parents=True)
    for split, rows in {"train": TRAIN, "test": TEST}.items():
        datasets.Dataset.from_list(rows).to_parquet(str(folder / f"{split}.parquet"))
    return f"hub:{folder}"


def test_all_splits_together_are_the_log(repository, reviews, tmp_path):
    report, found = reviews(repository)
    assert {row["item_id"] for row in found} == {"007", "b", "c"}
    assert [file.rows for file in report.files] == [2, 1]
    assert report.files[0].path == f"{repository}::train"
    assert report.files[0].compression == "zstd"


def test_one_split(repository, reviews):
    _, found = reviews(f"{repository}::test")
    assert [row["item_id"] for row in found] == ["c"]


def test_metadata_with_pictures_and_changing_types(metadata, monkeypatch):
    rows = [
        {"parent_asin": "A", "title": "One", "price": "None", "main_category": "x"}
        | {"images": {"hi_res": [None], "large": ["l"], "thumb": ["t"]}, "details": "{}"},
        {"parent_asin": "B", "title": "Two", "price": "5", "main_category": "x"}
        | {"images": {"hi_res": ["h"], "large": ["l"], "thumb": ["t"]}, "details": "{}"},
    ]
    asked = []

    def load(*arguments, **named):
        asked.append((arguments, named))
        return datasets.IterableDataset.from_generator(lambda: iter(rows))

    monkeypatch.setattr(datasets, "load_dataset", load)
    report, items = metadata("hub:owner/shop:raw_meta:full")
    assert asked == [(("owner/shop", "raw_meta"), {"split": "full", "streaming": True})]
    assert items["A"]["images"] == ["l"]
    assert (items["B"]["images"], items["B"]["price"]) == (["h"], 5.0)
    assert report.files[0].path == "hub:owner/shop:raw_meta:full"


def test_the_loading_script_of_2023_no_longer_runs(reviews, monkeypatch):
    def load(*arguments, **named):
        raise RuntimeError("Dataset scripts are no longer supported, but found X.py")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(QBert4RecError) as error:
        reviews("hub:McAuley-Lab/Amazon-Reviews-2023:raw_review_Toys_and_Games")
    message = str(error.value)
    assert "datasets 4 and later do not run" in message
    assert "raw/review_categories/Toys_and_Games.jsonl " in message
    assert "raw/meta_categories/meta_Toys_and_Games.jsonl " in message
    with pytest.raises(QBert4RecError, match="review_categories/Books.jsonl"):
        reviews("hub:McAuley-Lab/Amazon-Reviews-2023:5core_last_out_w_his_Books")
    with pytest.raises(QBert4RecError, match="download its data files and give their paths"):
        reviews("hub:other/set")


def test_what_cannot_be_had_is_one_line(reviews, monkeypatch, tmp_path):
    def load(*arguments, **named):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(QBert4RecError, match=r"cannot be loaded \(no route\); check") as error:
        reviews("hub:owner/shop")
    assert "\n" not in str(error.value)
    for name in ("hub:", "hub:a:b:c:d"):
        with pytest.raises(QBert4RecError, match="write hub:owner/name"):
            reviews(name)


def test_a_stream_that_breaks_off_leaves_nothing(reviews, monkeypatch, tmp_path):
    def rows():
        yield TRAIN[0]
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: datasets.IterableDataset.from_generator(rows)
    )
    with pytest.raises(QBert4RecError, match="reset by peer"):
        reviews("hub:owner/shop")
    assert not [path for path in (tmp_path / "staging").rglob("*") if path.is_file()]


def test_pictures_within_the_data_set_are_left_out(metadata, monkeypatch):
    features = datasets.Features(
        {"item_id": datasets.Value("string"), "title": datasets.Value("string")}
        | {"image": datasets.Image()}
    )
    rows = [{"item_id": "a", "title": "Tent", "image": {"bytes": b"no picture", "path": None}}]
    loaded = datasets.Dataset.from_list(rows, features=features).to_iterable_dataset()
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"train": loaded})
    _, items = metadata("hub:owner/shop")
    assert (items["a"]["title"], items["a"]["images"]) == ("Tent", [])
