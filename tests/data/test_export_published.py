"""From a domain to the form of MQL4GRec and LC-Rec and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.data.codes import ImportedCodes
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.export_published import export_published
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError


@pytest.fixture
def codes() -> dict[str, ImportedCodes]:
    values = np.array([[1, 0], [0, 3], [1, 0], [2, 2]])
    return {
        "index": ImportedCodes(values, [4, 4], ["a", "b"]),
        "vit": ImportedCodes(values[::-1].copy(), [4, 4], ["A", "B"]),
    }


def test_everything_comes_back(domain, codes, histories, tmp_path):
    folder = export_published(domain, tmp_path / "camp", codes=codes)
    assert sorted(path.name for path in folder.iterdir()) == [
        "camp.index.json",
        "camp.index_vit.json",
        "camp.inter.json",
        "camp.item.json",
        "camp.item2id",
        "camp.user2id",
    ]
    imported = import_published(folder)
    assert histories(imported.domain) == histories(domain)
    titles = imported.domain.items.set_index("item_id")["title"].to_dict()
    assert titles == domain.items.set_index("item_id")["title"].to_dict()
    texts = imported.domain.items.set_index("item_id")["text"]
    assert texts["007"] == ["roomy green"] and texts["b"] == []
    for key, part in codes.items():
        found = imported.codes[key]
        for item_id, row in imported.domain.item_row.items():
            assert found.tokens(row) == part.tokens(domain.item_row[item_id])


def test_the_files_have_the_form_of_the_real_ones(domain, codes, tmp_path):
    folder = export_published(domain, tmp_path / "camp", codes=codes)
    text = (folder / "camp.index.json").read_text()
    values = json.loads(text)
    assert list(values) == ["0", "1", "2", "3"]
    assert text == json.dumps(values, indent=4)
    assert all(token.startswith(("<a_", "<b_")) for tokens in values.values() for token in tokens)
    lines = (folder / "camp.item2id").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["0", "1", "2", "3"]
    inter = json.loads((folder / "camp.inter.json").read_text())
    assert list(inter) == ["0", "1", "2"] and set(map(type, inter["0"])) == {int}


def test_item_numbers_say_nothing_of_time(items, tmp_path):
    # As published: items numbered by first appearance, each user one step further.
    many = 300
    items = items.iloc[[0] * many].assign(
        item_id=[f"i{number}" for number in range(many)], images=[[]] * many
    )
    rows = np.arange(many - 3)[:, None] + np.arange(4)
    domain = Domain.from_sequences(
        items, [f"u{n}" for n in range(len(rows))], Sequences.from_lists(rows), name="x"
    )
    orders = []
    for seed in (0, 1):
        folder = export_published(domain, tmp_path / f"x{seed}", seed=seed)
        histories = list(json.loads((folder / f"x{seed}.inter.json").read_text()).values())
        orders.append(histories[0])
        assert np.mean([history[3] == max(history[:3]) + 1 for history in histories]) < 0.05
    assert orders[0] != orders[1]


def test_what_cannot_be_written_is_named(items, domain, codes, tmp_path):
    short = {"index": ImportedCodes(codes["index"].codes[:2], [4, 4], ["a", "b"])}
    with pytest.raises(QBert4RecError, match="those of 2 items, and camp has 4"):
        export_published(domain, tmp_path / "x", codes=short)
    with pytest.raises(QBert4RecError, match="seed must be 0 or more"):
        export_published(domain, tmp_path / "x", seed=-1)
    odd = Domain.from_sequences(items, ["a\tb"], Sequences.from_lists([[0, 1]]), name="x")
    with pytest.raises(QBert4RecError, match="user id 'a.tb' holds a tab"):
        export_published(odd, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_users_that_the_files_do_not_agree_on(domain, tmp_path):
    folder = export_published(domain, tmp_path / "camp")
    path = folder / "camp.user2id"
    path.write_text(path.read_text().replace("\t2", "\t7"))
    with pytest.raises(QBert4RecError, match="camp.user2id has no user '2'"):
        import_published(folder)
