from __future__ import annotations

import json

import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.domain_card import domain_card
from qbert4rec_hf.errors import QBert4RecError


def test_a_folder_without_the_file_is_named_after_itself(folder):
    (folder / "domain.json").unlink()
    info = Domain.load(folder).info
    assert info.name == "camp" and info.num_items == 4


def test_counts_follow_the_data_not_the_file(folder):
    values = json.loads((folder / "domain.json").read_text())
    (folder / "domain.json").write_text(json.dumps(values | {"num_items": 99, "repeats": True}))
    info = Domain.load(folder).info
    assert info.num_items == 4 and not info.repeats


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[]", "must hold an object"),
        ("{", "not valid JSON"),
        ('{"name": 3}', 'an object with "name"'),
        ('{"name": "x", "format_version": 2}', "format_version 2 is later"),
        ('{"name": "x", "tie_seed": "one"}', "tie_seed must be an integer"),
    ],
)
def test_malformed_files_are_named(folder, values, message):
    (folder / "domain.json").write_text(values)
    with pytest.raises(QBert4RecError, match=message) as caught:
        Domain.load(folder)
    assert "domain.json" in str(caught.value)


def test_the_card_tells_counts_and_ties(domain):
    card = domain_card(domain.info)
    assert card.startswith("---\n")
    assert "| interactions | 8 |" in card
    assert "for 0 users the tie-break alone" in card


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ties": "toss"}, "ties must be one of keep, drop-users"),
        ({"split": "random"}, "split must be one of leave_one_out, temporal"),
        ({"split": "temporal"}, "validation_from below test_from"),
        ({"split": "temporal", "validation_from": 5, "test_from": 5}, "below test_from, got 5"),
        ({"split": "temporal", "validation_from": 5, "test_from": "x"}, "must be an integer"),
        ({"time_unit": "days"}, "time_unit must be one of s, ms, us, ns"),
    ],
)
def test_settings_that_cannot_be_are_named(folder, values, message):
    known = json.loads((folder / "domain.json").read_text())
    (folder / "domain.json").write_text(json.dumps(known | values))
    with pytest.raises(QBert4RecError, match=rf"domain\.json.*{message}"):
        Domain.load(folder)


def test_the_card_tells_the_split_and_the_preparation(domain):
    temporal = domain.with_split("temporal", validation_from=30, test_from=40, ties="drop-users")
    preparation = {
        "table": {"users": 453, "mean_length": 6.4923},
        "dropped": {"rating below 3": 1200},
        "read": [
            {"path": "a|b.json.gz", "rows": 2972, "malformed": [{"line": 3}], "cut": None},
            {"path": "c.csv", "rows": 5, "strict": True},
        ],
        "settings": {"k_core": 5, "since": None},
    }
    card = domain_card(temporal.info, preparation, data_files={"interactions": "i/*.parquet"})
    assert "  data_files: items.parquet\n" in card and "  data_files: i/*.parquet\n" in card
    assert "training before time stamp 30" in card and "not evaluated" in card
    for line in (
        "| users | 453 |",
        "| mean length | 6.4923 |",
        "| rating below 3 | 1,200 |",
        "| path | rows | cut | strict |",
        "| a&#124;b.json.gz | 2,972 |  |  |",
        "| c.csv | 5 |  | yes |",
        "| k core | 5 |",
    ):
        assert line in card
    assert "How this was prepared" not in domain_card(temporal.info)
