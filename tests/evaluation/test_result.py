from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from qbert4rec_hf.data.splitting import Splitting
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.baselines import popularity_scorer
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.evaluation.metrics import ALL_ITEMS, PROTOCOLS
from qbert4rec_hf.evaluation.result import EvaluationResult

SPLITTING = Splitting("leave_one_out", "test", "timestamps", num_users=60, tied_users=15)


@pytest.fixture
def result(shop) -> EvaluationResult:
    return evaluate_ranker(
        popularity_scorer(shop.train, shop.num_items),
        shop.histories,
        shop.targets,
        name="Popularity",
        splitting=SPLITTING,
        **shop.arguments(),
    )


def test_the_file_names_protocol_candidates_and_seen_rule(result, tmp_path):
    result.save(tmp_path / "test.json")
    value = json.loads((tmp_path / "test.json").read_text())
    assert value["protocol"]["candidates"] == "full catalogue, nothing sampled"
    assert value["protocol"]["num_candidates"] == 45
    assert value["protocol"]["split"] == "test"
    assert "validation item" in value["protocol"]["history"]
    assert value["protocol"]["splitting"].startswith("leave-one-out")
    assert value["protocol"]["tied_share"] == 0.25 and value["protocol"]["cutoffs"] is None
    assert "against the target" in value["protocol"]["ties"]
    assert value["results"]["all_items"]["seen_items"].startswith("kept")
    assert value["results"]["unseen_items"]["seen_items"].startswith("excluded")
    assert value["primary_metric"] == "NDCG@10"
    assert "ranks" not in json.dumps(value["results"])


def test_what_is_saved_comes_back(result, tmp_path):
    path = tmp_path / "deep" / "test.json"
    result.save(path, ranks=True)
    loaded = EvaluationResult.load(path)
    assert loaded.to_dict() == result.to_dict()
    for protocol in PROTOCOLS:
        np.testing.assert_array_equal(
            loaded.protocols[protocol].ranks, result.protocols[protocol].ranks
        )
    result.save(tmp_path / "plain.json")
    plain = EvaluationResult.load(tmp_path / "plain.json")
    assert plain.metric() == result.metric()
    assert plain.protocols[ALL_ITEMS].ranks.size == 0
    assert plain.splitting == SPLITTING


def test_a_split_that_nobody_stated_is_called_so(result, tmp_path):
    dataclasses.replace(result, splitting=None).save(tmp_path / "x.json")
    value = json.loads((tmp_path / "x.json").read_text())
    assert value["protocol"]["splitting"] == value["protocol"]["history"] == "not stated"
    loaded = EvaluationResult.load(tmp_path / "x.json")
    assert loaded.splitting is None and loaded.order_note == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an evaluation result"),
        ('{"format_version": 1}', "lacks a part"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(QBert4RecError, match=f"x.json.*{message}"):
        EvaluationResult.load(tmp_path / "x.json")
