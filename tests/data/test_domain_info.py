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
