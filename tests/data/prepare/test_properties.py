"""The preparation against a few lines of pandas that do the same in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError

ROW = st.tuples(
    st.integers(0, 6).map("u{}".format),
    st.integers(0, 6).map("i{}".format),
    # Times before 1970 occur in Amazon's files.
    st.integers(-2, 6),
    st.sampled_from([1.0, 2.0, 3.0, 5.0, None]),
)
SETTINGS = st.fixed_dictionaries(
    {
        "user_core": st.integers(0, 4),
        "item_core": st.integers(0, 4),
        "repeats": st.sampled_from(["first", "keep"]),
        "min_rating": st.sampled_from([None, 2.0, 3.0]),
        "since": st.sampled_from([None, "1970-01-01T00:00:00.001"]),
        "until": st.sampled_from([None, "1970-01-01T00:00:00.004"]),
        "max_history": st.sampled_from([None, 1, 3]),
        "seed": st.integers(0, 2),
    }
)


def reference(rows: list[tuple], chosen: dict) -> dict[str, list[tuple[str, int]]]:
    """User -> (item, time stamp), oldest first."""
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "rating"])
    log = log.drop_duplicates()
    if chosen["since"]:
        log = log[log.timestamp >= 1]
    if chosen["until"]:
        log = log[log.timestamp <= 4]
    if chosen["min_rating"]:
        log = log[log.rating >= chosen["min_rating"]]
    if chosen["repeats"] == "first":
        log = log.groupby(["user_id", "item_id"], as_index=False).timestamp.min()
    while True:
        users, items = log.user_id.value_counts(), log.item_id.value_counts()
        kept = log[
            (log.user_id.map(users) >= chosen["user_core"])
            & (log.item_id.map(items) >= chosen["item_core"])
        ]
        if len(kept) == len(log):
            break
        log = kept
    if not len(log):
        return {}
    items = pd.DataFrame({"item_id": log.item_id.unique(), "title": None})
    items["text"] = items["images"] = [[] for _ in range(len(items))]
    domain = Domain.from_tables(
        items,
        log[["user_id", "item_id", "timestamp"]].reset_index(drop=True),
        name="reference",
        tie_seed=chosen["seed"],
    )
    ordered = domain.interactions()
    latest = chosen["max_history"] or len(ordered)
    return {
        user: list(zip(part.item_id, part.timestamp, strict=True))[-latest:]
        for user, part in ordered.groupby("user_id")
    }


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=60), chosen=SETTINGS)
def test_the_result_is_that_of_pandas(rows, chosen, prepare_rows, file_order):
    expected = reference(rows, chosen)
    with tempfile.TemporaryDirectory() as folder:
        if not expected:
            with pytest.raises(QBert4RecError, match="no interaction is left|nothing remains"):
                prepare_rows(rows, Path(folder) / "shop", **chosen)
            return
        prepared = prepare_rows(rows, Path(folder) / "shop", **chosen)
        assert file_order(prepared.folder) == expected
        assert Domain.load(prepared.folder).info == prepared.info
        assert len(rows) == prepared.info.num_interactions + sum(prepared.dropped.values())
