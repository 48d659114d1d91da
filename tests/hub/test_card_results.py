"""One figure, three ways: what `qbert4rec evaluate` prints, what the `hr_ndcg` module of the
`evaluate` library computes from the recommended lists, and what the card tells the Hub."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.evaluation.hr_ndcg import MODULE_PATH
from qbert4rec_hf.evaluation.metrics import PROTOCOLS, UNSEEN_ITEMS
from qbert4rec_hf.hub.run_card import write_card
from qbert4rec_hf.ranking.recommender import Recommender

DIGITS = 6


@pytest.fixture(scope="module")
def weekend(run_folder) -> str:
    return str(run_folder.parent / "shops" / "weekend")


@pytest.fixture(scope="module")
def card(run_folder, tmp_path_factory) -> ModelCard:
    path = write_card(run_folder, tmp_path_factory.mktemp("card") / "README.md")
    return ModelCard.load(path, ignore_metadata_errors=False)


def of_card(card: ModelCard) -> dict[tuple[str, str], float]:
    """Every figure of the card, by protocol and metric."""
    return {
        (result.metric_config, result.metric_name.split(" ")[0]): result.metric_value
        for result in card.data.eval_results
    }


def test_what_evaluate_reports_is_what_the_card_holds(run_folder, weekend, card, tmp_path, capsys):
    arguments = ["evaluate", str(run_folder / "model"), "--domain", weekend]
    assert main([*arguments, "--json", str(tmp_path / "found.json")]) in (0, None)
    printed = capsys.readouterr().out
    system = json.loads((tmp_path / "found.json").read_text())["systems"][0]
    reported = {
        (protocol, name): round(value, DIGITS)
        for protocol, found in system["results"].items()
        for name, value in found["metrics"].items()
        # The same figure as HR@1.
        if name != "NDCG@1"
    }
    assert of_card(card) == reported and len(reported) == 10
    assert all(f"{value:.4f}" in printed for value in reported.values())


def test_every_figure_says_data_set_split_metric_and_seen_items(weekend, card):
    domain = Domain.load(weekend)
    for result in card.data.eval_results:
        assert result.dataset_name == domain.name == "weekend"
        assert result.dataset_type and result.dataset_split == "test"
        name = result.metric_name.split(" ")[0]
        assert result.metric_type == name.lower().replace("@", "_at_")
        assert result.metric_type in card.data.metrics
        excluded = result.metric_config == UNSEEN_ITEMS
        assert result.metric_args == {"exclude_seen": excluded}
        assert ("seen items excluded" in result.metric_name) == excluded
    assert {result.metric_config for result in card.data.eval_results} == set(PROTOCOLS)


def test_the_index_survives_the_parser_of_the_hub(card, hub, tmp_path):
    index = eval_results_to_model_index(card.data.model_name, card.data.eval_results)
    name, results = model_index_to_eval_results(index)
    assert name == card.data.model_name and results == card.data.eval_results
    card.save(tmp_path / "README.md")
    again = ModelCard.load(tmp_path / "README.md", ignore_metadata_errors=False)
    assert again.data.to_dict() == card.data.to_dict()
    assert of_card(again) == of_card(card)
    card.validate()


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_the_evaluate_module_gives_the_figures_of_the_card(
    exclude_seen, run_folder, weekend, card, tmp_path
):
    evaluate = pytest.importorskip("evaluate")
    metric = evaluate.load(MODULE_PATH, cache_dir=str(tmp_path))
    split = Domain.load(weekend).split()
    recommender = Recommender.from_pretrained(run_folder / "model")
    ids = recommender.items.item_ids
    # The domain's rows are the model's: it was trained on this domain.
    assert ids == Domain.load(weekend).item_ids
    histories = [[ids[row] for row in history] for history in split.histories("test")]
    lists = recommender.recommend(histories, top_k=10, exclude_seen=exclude_seen)
    found = metric.compute(
        predictions=[[item.item_id for item in items] for items in lists],
        references=[ids[row] for row in split.targets("test")],
    )
    expected = of_card(card)
    protocol = PROTOCOLS[exclude_seen]
    assert (protocol == UNSEEN_ITEMS) == exclude_seen
    for name, value in found.items():
        if name != "NDCG@1":
            assert round(value, DIGITS) == pytest.approx(expected[protocol, name], abs=1e-6), name
