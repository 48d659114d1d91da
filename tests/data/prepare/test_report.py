from __future__ import annotations

import pytest

from qbert4rec_hf.data.prepare.pipeline import prepare_domain
from qbert4rec_hf.data.prepare.report import show_value
from qbert4rec_hf.data.prepare.settings import PrepareSettings


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("users", 22363, "22,363"),
        ("mean length", 8.8764, "8.88"),
        ("sparsity", 0.95583, "95.58%"),
        ("share of items with text", 1.0, "100.00%"),
        ("sparsity", 0.9999820, "99.9982%"),
        ("mean length", 10.0, "10.00"),
    ],
)
def test_values_are_shown_for_people(name, value, shown):
    assert show_value(name, value) == shown


def test_malformed_lines_are_shown_with_their_numbers(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"user_id": "u", "item_id": "a", "rating": 5}\n'
        '{"user_id": "u", "item_id": \n'
        '{"user_id": "u", "item_id": "b", "rating": 0}\n'
        '{"user_id": "u", "rating": 3}\n'
    )
    settings = PrepareSettings(user_core=0, item_core=0)
    prepared = prepare_domain([log], tmp_path / "shop", settings=settings)
    printed = str(prepared)
    assert "malformed lines: 1" in printed and "line 2:" in printed
    assert "rating is 0 (kept): 1" in printed
    assert prepared.dropped == {"malformed line": 1, "no item id": 1}
    assert "malformed line" in (tmp_path / "shop" / "README.md").read_text()
    # Where the files lie is nobody's business once the folder is published.
    for name in ("README.md", "preparation.json", "domain.json"):
        assert str(tmp_path) not in (tmp_path / "shop" / name).read_text()
