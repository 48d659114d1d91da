from __future__ import annotations

import numpy as np

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.ranking.transitions import STEPS, Transitions


def test_counts_equal_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    histories = Sequences.from_lists([rng.integers(0, 7, rng.integers(0, 9)) for _ in range(30)])
    expected = np.zeros((7, 7))
    for history in histories:
        for place, item in enumerate(history):
            for step in range(1, STEPS + 1):
                if place + step < len(history):
                    expected[item, history[place + step]] += 1 / step
    found = Transitions.fit(histories, 7)
    np.testing.assert_allclose(found.counts.toarray(), expected, rtol=1e-6)


def test_nothing_follows_across_users_or_in_an_empty_log():
    found = Transitions.fit(Sequences.from_lists([[0], [1], [2]]), 3)
    assert found.counts.nnz == 0
    assert Transitions.fit(Sequences.from_lists([]), 3).counts.nnz == 0


def test_further_items_follow_nothing():
    before = Transitions.fit(Sequences.from_lists([[0, 1, 2]]), 3)
    after = before.extended(2)
    assert repr(after) == "Transitions(5 items, 3 pairs)"
    np.testing.assert_array_equal(after.counts.toarray()[:3, :3], before.counts.toarray())
    assert after.counts.toarray()[3:].sum() == after.counts.toarray()[:, 3:].sum() == 0
