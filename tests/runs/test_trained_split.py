"""A domain that was split in another way for the training is not evaluated on what was learnt."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.trained_split import TRAINED_SPLIT, check_split, split_settings


def shop(rows: list[tuple[str, str, int]], **arguments) -> Domain:
    interactions = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    names = sorted(set(interactions["item_id"]))
    items = pd.DataFrame({"item_id": names, "title": names})
    items["text"] = items["images"] = [[] for _ in names]
    return Domain.from_tables(items, interactions, name="shop", **arguments)


@pytest.fixture(scope="module")
def domain() -> Domain:
    """Two users with six items each, one a time stamp, one of them from the fourth on."""
    rows = [("early", f"i{time}", time) for time in range(6)]
    return shop(rows + [("late", f"i{time}", 4 + time) for time in range(6)])


def temporal(domain: Domain, validation_from: int, test_from: int) -> Domain:
    return domain.with_split("temporal", validation_from=validation_from, test_from=test_from)


def test_the_split_of_the_training_is_no_hindrance(domain):
    for same in (domain, temporal(domain, 2, 5)):
        check_split(split_settings(same.info), same, "test")
        check_split(json.loads(json.dumps(split_settings(same.info))), same, "validation")
    check_split(None, domain, "test")


def test_test_items_that_were_trained_on_are_counted(domain):
    # Trained before 8: the last item of the early user, and none of the late one.
    trained = split_settings(temporal(domain, 8, 9).info)
    with pytest.raises(QBert4RecError, match="trained on 1 of the 2 test items") as caught:
        check_split(trained, domain, "test")
    assert "validation_from 8, test_from 9" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(QBert4RecError, match="trained on 1 of the 2 validation items"):
        check_split(trained, domain, "validation")
    # Trained on all but the last two items of each user.
    with pytest.raises(QBert4RecError, match="trained on 1 of the 1 validation items"):
        check_split(split_settings(domain.info), temporal(domain, 2, 5), "validation")


def test_later_cut_offs_and_fewer_users_are_no_leak(domain):
    check_split(split_settings(temporal(domain, 2, 4).info), temporal(domain, 4, 5), "test")
    tied = shop([("u", item, 1 + (item > "b")) for item in "abcd"])
    dropped = tied.with_split(ties="drop-users")
    check_split(split_settings(tied.info), dropped, "test")
    with pytest.raises(QBert4RecError, match="trained on 1 of the 1 test items"):
        check_split(split_settings(dropped.info), tied, "test")


def test_another_order_of_ties_is_found_out():
    rows = [("u", f"i{number}", 1) for number in range(30)]
    first, found = shop(rows), set()
    for seed in range(20):
        other = shop(rows, tie_seed=seed)
        trained = first.split().train.items.tolist()
        test = other.split().targets("test")[0]
        leaks = first.item_ids.index(other.item_ids[test]) in trained
        found.add(leaks)
        if leaks:
            with pytest.raises(QBert4RecError, match="trained on 1 of the 1 test items"):
                check_split(split_settings(first.info), other, "test")
        else:
            check_split(split_settings(first.info), other, "test")
    assert True in found


def test_a_domain_that_lost_its_time_stamps_is_refused(domain):
    users, sequences = domain.sequences()
    without = Domain.from_sequences(domain.items, users, sequences, name="shop")
    with pytest.raises(QBert4RecError, match="shop cannot be split as it was for the training"):
        check_split(split_settings(temporal(domain, 2, 5).info), without, "test")


def test_a_model_folder_says_how_it_was_trained(finished_run, shops, tmp_path):
    domain = Domain.load(shops / "weekend")
    model = Recommender.from_pretrained(finished_run / "model")
    assert model.info[TRAINED_SPLIT] == split_settings(domain.info)
    model.save_pretrained(tmp_path / "copy")
    again = Recommender.from_pretrained(tmp_path / "copy").info[TRAINED_SPLIT]
    check_split(again, domain, "test")
    cutoffs = np.quantile(domain.timestamps, [0.2, 0.4]).astype(int).tolist()
    with pytest.raises(QBert4RecError, match="was trained on"):
        check_split(again, temporal(domain, *cutoffs), "test")
