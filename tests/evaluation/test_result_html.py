from __future__ import annotations

from dataclasses import replace

import numpy as np
from html_laws import HOSTILE, read_html

from qbert4rec_hf.evaluation.evaluator import evaluate_systems
from qbert4rec_hf.evaluation.result import EvaluationResults
from qbert4rec_hf.evaluation.tables import markdown_table
from qbert4rec_hf.notebook import plain


def results(shop) -> EvaluationResults:
    scores = np.tile(np.arange(45, dtype=np.float32), (60, 1))
    systems = {
        "rising": lambda rows: scores[: len(rows)],
        HOSTILE: lambda rows: -scores[: len(rows)],
    }
    return evaluate_systems(systems, shop.histories, shop.targets, **shop.arguments())


def test_every_figure_of_every_system_under_both_rules(shop):
    found = results(shop)
    assert isinstance(found, list) and type(found) is EvaluationResults
    rows, text = read_html(found._repr_html_())
    assert rows[0] == ["system", "HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10", "coverage@10"]
    expected = found[0].protocols["unseen_items"]
    assert rows[4][:4] == ["rising", *(f"{expected.metrics[f'HR@{k}']:.4f}" for k in (1, 5, 10))]
    assert rows[4][-1] == f"{expected.coverage:.1%}"
    assert "Test split, ranking everything" in text and "Test split, seen items excluded" in text
    assert "60 users, 45 candidates each" in text


def test_a_system_of_any_name_is_text(shop):
    rows, _ = read_html(results(shop)._repr_html_())
    assert rows[2][0] == rows[5][0] == plain(HOSTILE, 100)


def test_one_result_and_none(shop):
    (first, _) = results(shop)
    rows, _ = read_html(first._repr_html_())
    assert len(rows) == 4
    assert repr(first).startswith("EvaluationResult('rising', test split, 60 users, 45 items, NDCG")
    assert "array" not in repr(first) and "array" not in repr(first.protocols["all_items"])
    assert read_html(EvaluationResults()._repr_html_())[1] == "There are no results."
    assert repr(EvaluationResults()) == "EvaluationResults([])"


def test_a_result_that_lacks_a_rule_or_a_metric(shop):
    (first, second) = results(shop)
    alone = replace(first, protocols={"all_items": first.protocols["all_items"]})
    rows, _ = read_html(EvaluationResults([alone])._repr_html_())
    assert len(rows) == 2
    figures = {"HR@10": 0.5}
    partly = replace(second.protocols["all_items"], metrics=figures)
    rows, _ = read_html(
        EvaluationResults([first, replace(second, protocols={"all_items": partly})])._repr_html_()
    )
    assert rows[2][1:4] == ["–", "–", "0.5000"]


def test_a_terminal_shows_the_markdown_table(shop):
    found = results(shop)
    assert repr(found) == markdown_table(found).rstrip()
