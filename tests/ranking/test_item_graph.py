from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.item_graph import GRAPH_FILE, INFO_FILE, ItemGraphPrior
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, UNSEEN_ITEMS

NUM_ITEMS = 40
UNUSED = 39


@pytest.fixture(scope="module")
def histories() -> Sequences:
    """Users who stay within one of three groups of items; the last item is never taken."""
    rng = np.random.default_rng(0)
    lists = []
    for user in range(150):
        group = np.arange(13) + 13 * (user % 3)
        lists.append(rng.choice(group, size=rng.integers(2, 7), replace=False))
    return Sequences.from_lists(lists)


def dense_weights(histories: Sequences, regularization: float) -> np.ndarray:
    """The positive part of the closed form, written as in the paper, in double precision."""
    matrix = np.zeros((len(histories), NUM_ITEMS))
    for user, items in enumerate(histories):
        matrix[user, items] = 1
    inverse = np.linalg.inv(matrix.T @ matrix + regularization * np.eye(NUM_ITEMS))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.maximum(weights, 0)


def test_closed_form_is_that_of_the_paper(histories):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS, regularization=5, max_per_row=NUM_ITEMS)
    np.testing.assert_allclose(
        prior.weights.toarray(), dense_weights(histories, 5), rtol=1e-4, atol=1e-6
    )
    assert prior.info["method"] == "closed_form"
    assert prior.info["mass_kept"] == 1


def test_closed_form_works_in_blocks(histories, monkeypatch):
    whole = ItemGraphPrior.fit(histories, NUM_ITEMS, max_per_row=7)
    monkeypatch.setattr("qbert4rec_hf.ranking.item_graph_solvers._BLOCK_ROWS", 6)
    blocks = ItemGraphPrior.fit(histories, NUM_ITEMS, max_per_row=7)
    np.testing.assert_array_equal(whole.weights.toarray(), blocks.weights.toarray())


def test_sparse_method_with_all_neighbours_is_the_closed_form():
    # Histories so long that every two items of a group meet; groups never do.
    rng = np.random.default_rng(1)
    groups = np.arange(39).reshape(3, 13)
    dense = Sequences.from_lists([rng.permutation(groups[u % 3])[:8] for u in range(150)])
    prior = ItemGraphPrior.fit(
        dense, NUM_ITEMS, regularization=5, method="sparse", neighbours=39, max_per_row=39
    )
    np.testing.assert_allclose(
        prior.weights.toarray(), dense_weights(dense, 5), rtol=1e-3, atol=1e-5
    )


def test_sparse_method_is_ridge_regression_on_the_nearest_items(histories):
    prior = ItemGraphPrior.fit(
        histories, NUM_ITEMS, regularization=5, method="sparse", neighbours=4, max_per_row=39
    )
    matrix = histories.to_csr(NUM_ITEMS).toarray().astype(float)
    gram = matrix.T @ matrix
    for item in (0, 17, 30):
        counts = np.diag(gram)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = np.nan_to_num(gram[item] / np.sqrt(counts * counts[item]))
        cosine[item] = 0
        near = np.argsort(-cosine, kind="stable")[:4]
        expected = np.zeros(NUM_ITEMS)
        expected[near] = np.linalg.solve(gram[np.ix_(near, near)] + 5 * np.eye(4), gram[near, item])
        np.testing.assert_allclose(prior.weights.toarray()[:, item], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["closed_form", "sparse"])
def test_the_largest_weights_of_each_row_are_kept(histories, method):
    whole = ItemGraphPrior.fit(histories, NUM_ITEMS, method=method, max_per_row=NUM_ITEMS)
    pruned = ItemGraphPrior.fit(histories, NUM_ITEMS, method=method, max_per_row=3)
    full, kept = np.abs(whole.weights.toarray()), np.abs(pruned.weights.toarray())
    np.testing.assert_allclose(np.sort(kept, axis=1)[:, -3:], np.sort(full, axis=1)[:, -3:])
    assert (np.count_nonzero(kept, axis=1) <= 3).all()
    assert pruned.info["mass_kept"] == pytest.approx(kept.sum() / full.sum(), abs=1e-4)
    assert 0 < pruned.info["mass_kept"] < 1


def test_score_is_a_recency_weighted_sum_over_the_history(histories):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS, recency=0.5)
    weights = prior.weights.toarray()
    scores = prior.score(Sequences.from_lists([[3, 8, 1], [], [20, 20]]))
    assert scores.dtype == np.float32
    assert scores.shape == (3, NUM_ITEMS)
    np.testing.assert_allclose(
        scores[0], 0.25 * weights[3] + 0.5 * weights[8] + weights[1], rtol=1e-5, atol=1e-8
    )
    assert not scores[1].any()
    np.testing.assert_allclose(scores[2], 1.5 * weights[20], rtol=1e-5)


def test_histories_keep_their_order():
    histories = Sequences.from_lists([[5, 1, 3], [9, 2]])
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS)
    prior.score(histories)
    assert [row.tolist() for row in histories] == [[5, 1, 3], [9, 2]]


def test_a_batch_scores_like_its_rows(histories):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS)
    scores = prior.score(histories)
    for row in (0, 77, 149):
        np.testing.assert_array_equal(scores[row], prior.score(histories.take([row]))[0])


def test_each_protocol_has_its_recency(histories):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS, recency={ALL_ITEMS: 0.5, UNSEEN_ITEMS: 1.0})
    some = Sequences.from_lists([[1, 2, 3]])
    np.testing.assert_array_equal(prior.score(some), prior.score(some, recency=0.5))
    np.testing.assert_array_equal(
        prior.score(some, protocol=UNSEEN_ITEMS), prior.score(some, recency=1.0)
    )
    assert not np.array_equal(prior.score(some), prior.score(some, protocol=UNSEEN_ITEMS))


@pytest.mark.parametrize("method", ["closed_form", "sparse"])
def test_an_item_without_interactions_scores_zero_and_changes_nothing(histories, method):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS, method=method)
    assert not prior.score(histories)[:, UNUSED].any()
    np.testing.assert_array_equal(
        prior.score(Sequences.from_lists([[UNUSED, 4]])), prior.score(Sequences.from_lists([[4]]))
    )
    assert prior.popularity[UNUSED] == 0
    assert prior.popularity.sum() == len(histories.items)
    assert prior.info["items_without_interactions"] == 1


@pytest.mark.parametrize("method", ["closed_form", "sparse"])
def test_renumbering_items_renumbers_scores(histories, method):
    new_row = np.random.default_rng(3).permutation(NUM_ITEMS)
    renumbered = Sequences(new_row[histories.items], histories.offsets)
    arguments = {"method": method, "max_per_row": NUM_ITEMS, "neighbours": NUM_ITEMS}
    before = ItemGraphPrior.fit(histories, NUM_ITEMS, **arguments).score(histories)
    after = ItemGraphPrior.fit(renumbered, NUM_ITEMS, **arguments).score(renumbered)
    np.testing.assert_allclose(after[:, new_row], before, atol=1e-5)


@pytest.mark.parametrize("method", ["closed_form", "sparse"])
def test_saved_and_loaded_scores_are_bit_equal(histories, method, tmp_path):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS, method=method, max_per_row=9)
    prior.save(tmp_path / "item_graph")
    loaded = ItemGraphPrior.load(tmp_path / "item_graph")
    for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
        np.testing.assert_array_equal(
            loaded.score(histories, protocol=protocol), prior.score(histories, protocol=protocol)
        )
    np.testing.assert_array_equal(loaded.popularity, prior.popularity)
    assert (loaded.info, loaded.recency) == (prior.info, prior.recency)
    assert {path.name for path in (tmp_path / "item_graph").iterdir()} == {GRAPH_FILE, INFO_FILE}


def test_an_empty_shop_has_an_empty_graph():
    for method in ("closed_form", "sparse"):
        prior = ItemGraphPrior.fit(Sequences.from_lists([]), 3, method=method)
        assert not prior.score(Sequences.from_lists([[0, 2]])).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularization": 0}, "regularization must be above 0"),
        ({"recency": 1.5}, "recency must be above 0 and at most 1, got 1.5"),
        ({"recency": {"all_items": 0.5}}, "one for each of all_items, unseen_items"),
        ({"method": "fast"}, "closed_form or sparse, got 'fast'"),
        ({"max_per_row": 0}, "must be at least 1"),
        ({"num_items": 30}, "history 2 holds item row"),
    ],
)
def test_bad_settings_are_named(histories, arguments, message):
    with pytest.raises(QBert4RecError, match=message):
        ItemGraphPrior.fit(histories, **{"num_items": NUM_ITEMS, **arguments})


def test_an_item_outside_the_graph_is_named(histories):
    prior = ItemGraphPrior.fit(histories, NUM_ITEMS)
    with pytest.raises(QBert4RecError, match="history 1 holds item row 40"):
        prior.score(Sequences.from_lists([[1], [2, 40]]))
    with pytest.raises(QBert4RecError, match="protocol must be one of"):
        prior.score(Sequences.from_lists([[1]]), protocol="some")


def test_a_damaged_folder_is_named(histories, tmp_path):
    with pytest.raises(QBert4RecError, match="does not exist"):
        ItemGraphPrior.load(tmp_path / "nowhere")
    ItemGraphPrior.fit(histories, NUM_ITEMS).save(tmp_path / "graph")
    info = json.loads((tmp_path / "graph" / INFO_FILE).read_text())
    (tmp_path / "graph" / INFO_FILE).write_text(json.dumps({**info, "num_items": 7}))
    with pytest.raises(QBert4RecError, match="is damaged or does not fit"):
        ItemGraphPrior.load(tmp_path / "graph")
    (tmp_path / "graph" / INFO_FILE).write_text(json.dumps({**info, "format_version": 99}))
    with pytest.raises(QBert4RecError, match="not an item graph of format"):
        ItemGraphPrior.load(tmp_path / "graph")
    (tmp_path / "graph" / INFO_FILE).write_text(json.dumps(info))
    (tmp_path / "graph" / GRAPH_FILE).write_bytes(b"short")
    with pytest.raises(QBert4RecError, match="is damaged"):
        ItemGraphPrior.load(tmp_path / "graph")
    (tmp_path / "graph" / GRAPH_FILE).unlink()
    with pytest.raises(QBert4RecError, match="does not exist"):
        ItemGraphPrior.load(tmp_path / "graph")
