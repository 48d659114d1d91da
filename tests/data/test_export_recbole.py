"""From a domain to RecBole's files and back."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import yaml

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.export_recbole import MAX_HISTORY, export_recbole
from qbert4rec_hf.data.import_recbole import import_recbole
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError


def table(path) -> pd.DataFrame:
    """As RecBole reads it."""
    return pd.read_csv(path, delimiter="\t", dtype=str, keep_default_na=False)


@pytest.fixture
def hostile(interactions) -> Domain:
    """Ids and texts with what separates or quotes; many ties, and a repeat."""
    names = {"007": "00 7", "b": 'b"', "c": '"c"', "d": "d,😀"}
    items = pd.DataFrame(
        {
            "item_id": list(names.values()),
            "title": ['5" nail', '"Best" of', None, "tab\there"],
            "text": [["a | b", "c"], [], ["line\nbreak"], []],
            "images": [[], ["images/x.png"], [], []],
            "price": [1.5, None, 3.0, 1e9],
            "brand": ["Holm", None, "", "N/A"],
        }
    )
    frame = interactions.assign(
        item_id=interactions["item_id"].map(names),
        user_id='u "' + interactions["user_id"],
        timestamp=1_500_000_000 + interactions["timestamp"] // 25,
    )
    frame.loc[len(frame)] = frame.loc[0]
    return Domain.from_tables(items, frame, name="hostile")


def test_a_log_comes_back(hostile, histories, tmp_path):
    folder = export_recbole(hostile, tmp_path / "shop")
    assert sorted(path.name for path in folder.iterdir()) == [
        "shop.inter",
        "shop.item",
        "shop.yaml",
    ]
    domain = import_recbole(folder).domain
    assert histories(domain) == histories(hostile)
    assert domain.info.repeats and domain.info.tied_pairs == hostile.info.tied_pairs > 0
    np.testing.assert_array_equal(np.sort(domain.timestamps), np.sort(hostile.timestamps))
    items = domain.items.set_index("item_id")
    assert items["title"].to_dict() == {
        "00 7": '5" nail',
        'b"': '"Best" of',
        '"c"': None,
        "d,😀": "tab here",
    }
    # A separator inside a text separates.
    assert items.loc["00 7", "text"] == ["a", "b", "c"] and items.loc["00 7", "brand"] == "Holm"
    assert items.loc["d,😀", "price"] == 1e9 and np.isnan(items.loc['b"', "price"])


def test_recbole_reads_the_same_order(hostile, histories, tmp_path):
    folder = export_recbole(hostile, tmp_path / "shop")
    settings = yaml.safe_load((folder / "shop.yaml").read_text())
    assert settings["TIME_FIELD"] == "position"
    frame = table(folder / "shop.inter")
    frame["position:float"] = frame["position:float"].astype(float)
    # Shuffled first: its order is that of the time field, within a user.
    frame = frame.sample(frac=1, random_state=0).sort_values(["user_id:token", "position:float"])
    found = frame.groupby("user_id:token")["item_id:token"].apply(list).to_dict()
    assert found == histories(hostile)


def test_an_order_on_trust_stays_one(items, histories, tmp_path):
    original = Domain.from_sequences(
        items, ["u", "v"], Sequences.from_lists([[2, 0, 1], [1, 3]]), name="x"
    )
    folder = export_recbole(original, tmp_path / "x")
    assert "timestamp" not in (folder / "x.inter").read_text()
    domain = import_recbole(folder).domain
    assert histories(domain) == histories(original)
    assert domain.info.time_order == "trust" and domain.timestamps is None


def test_ready_histories_come_back_and_are_split_as_here(items, histories, tmp_path):
    rng = np.random.default_rng(0)
    lengths = [2, 3, 5, MAX_HISTORY + 9, 70]
    ids = [f"item{number}" for number in range(80)]
    items = pd.DataFrame({"item_id": ids, "title": None, "text": [[]] * 80, "images": [[]] * 80})
    original = Domain.from_sequences(
        items,
        [f"u{number}" for number in range(5)],
        Sequences.from_lists([rng.permutation(80)[:length] for length in lengths]),
        name="x",
    )
    folder = export_recbole(original, tmp_path / "x", benchmark=True)
    settings = yaml.safe_load((folder / "x.yaml").read_text())
    assert settings["benchmark_filename"] == ["train", "valid", "test"]
    assert histories(import_recbole(folder).domain) == histories(original)
    split = original.split()
    for part, name in (("valid", "validation"), ("test", "test")):
        frame = table(folder / f"x.{part}.inter")
        targets = [original.item_ids[row] for row in split.targets(name)]
        assert frame["item_id:token"].tolist() == targets
        for known, history in zip(
            frame["item_id_list:token_seq"], split.histories(name), strict=True
        ):
            assert known.split() == [original.item_ids[row] for row in history[-MAX_HISTORY:]]
    train = table(folder / "x.train.inter")
    assert len(train) == sum(len(history) - 1 for history in split.train)
    held_out = {original.item_ids[row] for row in split.targets("test")}
    of_user = train[train["user_id:token"] == "u2"]
    assert not set(of_user["item_id:token"]) & held_out & set(histories(original)["u2"][-2:])


def test_a_temporal_split_needs_ready_histories(domain, tmp_path):
    temporal = domain.with_split("temporal", validation_from=30, test_from=40)
    with pytest.raises(QBert4RecError, match="cannot repeat .*--benchmark"):
        export_recbole(temporal, tmp_path / "x")
    folder = export_recbole(temporal, tmp_path / "x", benchmark=True)
    frame = table(folder / "x.test.inter")
    assert frame.values.tolist() == [["u2", "d", "b"]]


@pytest.mark.parametrize(
    ("benchmark", "item", "message"),
    [
        (False, "a\tb", "a tab or a line break"),
        (False, "a\nb", "a tab or a line break"),
        (True, "a b", "white space.*leave out --benchmark"),
    ],
)
def test_ids_that_cannot_be_written_are_named(items, tmp_path, benchmark, item, message):
    items["item_id"] = [item, "b", "c", "d"]
    domain = Domain.from_sequences(items, ["u"], Sequences.from_lists([[0, 1]]), name="x")
    with pytest.raises(QBert4RecError, match=message):
        export_recbole(domain, tmp_path / "x", benchmark=benchmark)
    assert not (tmp_path / "x").exists()


def test_only_an_empty_folder_is_written_to(domain, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(QBert4RecError, match="is not empty"):
        export_recbole(domain, tmp_path)
    with pytest.raises(QBert4RecError, match="is a file"):
        export_recbole(domain, tmp_path / "notes.txt")
    with pytest.raises(QBert4RecError, match="another --name"):
        export_recbole(domain, tmp_path / "x", name="a/b")
    export_recbole(domain, tmp_path / "x", name="other")
    with (tmp_path / "x" / "other.inter").open(newline="") as file:
        assert len(list(csv.reader(file, delimiter="\t"))) == 1 + domain.info.num_interactions
