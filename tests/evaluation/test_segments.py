from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.segments import bucket_metrics


def test_users_fall_into_the_range_that_holds_their_value():
    values = np.array([0, 1, 4, 5, 9, 10, 500])
    ranks = np.array([1, 1, 20, 20, 20, 2, 3])
    buckets = bucket_metrics(ranks, values, (0, 1, 5, 10), (10,))
    assert [(b.label, b.low, b.high, b.users) for b in buckets] == [
        ("0", 0, 0, 1),
        ("1-4", 1, 4, 2),
        ("5-9", 5, 9, 2),
        ("10+", 10, None, 2),
    ]
    assert [b.metrics["HR@10"] for b in buckets] == [1.0, 0.5, 0.0, 1.0]


def test_ranges_without_users_are_left_out():
    assert [b.label for b in bucket_metrics(np.array([1]), np.array([7]), (0, 5, 9), (1,))] == [
        "5-8"
    ]
    assert bucket_metrics(np.empty(0), np.empty(0), (0, 5), (1,)) == []


@pytest.mark.parametrize("edges", [(), (0, 5, 5), (3, 1), (2, 5)])
def test_edges_that_do_not_fit_are_refused(edges):
    with pytest.raises(QBert4RecError, match="bucket edges"):
        bucket_metrics(np.array([1]), np.array([1]), edges, (1,))
