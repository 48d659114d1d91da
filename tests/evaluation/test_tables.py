from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qbert4rec_hf.data.splitting import Splitting
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.evaluation.metrics import ALL_ITEMS
from qbert4rec_hf.evaluation.report_pieces import metric_tables
from qbert4rec_hf.evaluation.tables import bucket_table, markdown_table, metric_names


def results(shop):
    table = np.random.default_rng(1).random((shop.num_items, shop.num_items))
    first = evaluate_ranker(
        lambda h: np.stack([table[items].sum(axis=0) for items in h]),
        shop.histories,
        shop.targets,
        name="a | b",
        **shop.arguments(),
    )
    return [first, dataclasses.replace(first, name="second")]


def test_every_row_of_a_table_has_the_same_columns(shop):
    text = markdown_table(results(shop))
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 2
    for block in blocks:
        lines = block.strip().splitlines()
        assert len(lines) == 4
        counts = {line.replace("\\|", "").count("|") for line in lines}
        assert len(counts) == 1
        assert len({len(line) for line in lines}) == 1
    assert "60 users, 45 candidates" in text
    assert text.index("ranking everything") < text.index("seen items excluded")


def test_figures_stand_in_their_columns(shop):
    found = results(shop)
    header, _, row, _ = markdown_table(found, metrics=["HR@10", "MRR"]).splitlines()[2:6]
    assert [cell.strip() for cell in header.split("|")[1:4]] == [
        "ranking everything",
        "HR@10",
        "MRR",
    ]
    cells = [cell.strip() for cell in row.replace("a \\| b", "name").split("|")[1:-1]]
    assert cells == [
        "name",
        f"{found[0].metric('HR@10'):.4f}",
        "-",
        f"{found[0].protocols[ALL_ITEMS].coverage:.3f}",
    ]


@pytest.mark.parametrize(
    ("tied", "words"),
    [
        (None, "taken on trust"),
        (15, "The test item of 25% of these users shares its time stamp with the item before"),
        (0, "No test item of these users shares its time stamp"),
    ],
)
def test_under_the_tables_stands_how_far_the_order_can_be_believed(shop, tied, words):
    order = "trust" if tied is None else "timestamps"
    splitting = Splitting("leave_one_out", "test", order, num_users=60, tied_users=tied)
    found = [dataclasses.replace(result, splitting=splitting) for result in results(shop)]
    text = markdown_table(found)
    assert words in text.splitlines()[-1] and text.endswith("\n")
    page = metric_tables(found)
    assert page.count(words) == 2, "one under each table of the page"


def test_ndcg_at_one_is_not_shown_beside_its_equal(shop):
    assert metric_names(results(shop)) == ["HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10"]


def test_buckets_have_a_row_each_and_systems_a_column_each(shop):
    found = results(shop)
    for by in ("popularity", "history_length"):
        lines = bucket_table(found, by).splitlines()
        buckets = getattr(found[0].protocols[ALL_ITEMS], f"by_{by}")
        assert len(lines) == 2 + len(buckets)
        assert lines[2].split("|")[1].strip() == buckets[0].label
        assert f"{buckets[0].metrics['NDCG@10']:.4f}" in lines[2]


def test_no_results_make_an_empty_table():
    assert "ranking everything" in markdown_table([])
