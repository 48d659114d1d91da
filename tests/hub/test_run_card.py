from __future__ import annotations

import json
import shutil

import pytest
from huggingface_hub import ModelCard

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub.run_card import card_of_run, facts_of_run, write_card
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.manifest import StageManifest
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog


@pytest.fixture(scope="module")
def facts(run_folder):
    return facts_of_run(run_folder)


@pytest.fixture(scope="module")
def card(run_folder) -> str:
    return card_of_run(run_folder)


def test_every_fact_is_the_runs_own(facts, run_folder):
    catalog = ItemCatalog.load(run_folder / "model")
    assert facts.domain == "weekend" and facts.num_items == len(catalog)
    assert facts.codebook_sizes == [8, 8, 8, 8] and facts.seed == 3
    assert facts.pretrain_domains == ["outdoor"] and not facts.imported_ids
    assert facts.graph_share == {"all_items": 0.5, "unseen_items": 0.5}
    assert list(facts.encoders) == ["text", "structural"]
    assert facts.settings["fusion.epochs"] == "1" and facts.recipe["finetune.preset"] == "paper"
    assert facts.recipe["finetune.learning_rate"] == "0.0001"
    for stage, seconds in facts.seconds.items():
        assert StageManifest.load(run_folder / stage).seconds == seconds
    assert set(facts.seconds) == {
        "features",
        "fusion",
        "quantizer",
        "semantic_ids",
        "pretrain",
        "finetune",
        "model",
        "report",
    }
    recommender = Recommender.from_pretrained(run_folder / "model")
    asked = [item.item_id for item in facts.history]
    assert len(asked) == 3 and set(asked) <= set(catalog.item_ids)
    assert [i.item_id for i in facts.answer] == [
        i.item_id for i in recommender.recommend(asked, top_k=5)
    ]


def test_the_figures_are_those_of_the_report(card, run_folder):
    listed = json.loads((run_folder / "report" / "results.json").read_text())["systems"]
    systems = [json.loads((run_folder / "report" / name).read_text()) for name in listed]
    for system in systems:
        for protocol in system["results"].values():
            metrics = protocol["metrics"]
            row = f"| {system['name']} | {metrics['HR@1']:.4f} | {metrics['HR@5']:.4f} |"
            assert row in card
    for result in ModelCard(card).data.eval_results:
        metrics = systems[0]["results"][result.metric_config]["metrics"]
        name = result.metric_type.upper().replace("_AT_", "@")
        assert result.metric_value == pytest.approx(metrics[name], abs=1e-6)


def test_no_path_of_the_machine_is_in_the_card(card, run_folder):
    assert str(run_folder.parent) not in card
    assert "--domain weekend" in card and '"run/model"' in card


def test_the_card_lies_in_the_model_folder_and_changes_nothing_else(run_copy):
    before = {p: p.read_bytes() for p in run_copy.rglob("*") if p.is_file()}
    path = write_card(run_copy, model="shop/weekend", name="weekend-tiny")
    assert path == run_copy / "model" / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.count('"shop/weekend"') == 7 and "# weekend-tiny" in text
    after = {p: p.read_bytes() for p in run_copy.rglob("*") if p.is_file()}
    assert {p: b for p, b in after.items() if p != path} == before
    Recommender.from_pretrained(run_copy / "model")


def test_settings_are_those_of_the_stages_and_not_of_an_edited_file(run_copy):
    path = run_copy / "config.yaml"
    changed = path.read_text().replace("epochs: 2", "epochs: 99")
    assert "epochs: 99" in changed
    path.write_text(changed)
    facts = facts_of_run(run_copy)
    assert facts.settings["quantizer.epochs"] == "2" and "99" not in facts.command


def test_a_domain_that_changed_since_is_not_described(run_copy, run_folder):
    assert facts_of_run(run_copy).domain_facts["users"]
    path = run_copy / "config.yaml"
    path.write_text(path.read_text().replace("/weekend", "/home"))
    assert not facts_of_run(run_copy).domain_facts


def test_a_model_that_was_made_again_has_no_card(run_copy):
    manifest = StageManifest.load(run_copy / "finetune")
    manifest.fingerprint = "0" * 16
    manifest.save(run_copy / "finetune")
    with pytest.raises(QBert4RecError, match="finetune was made again after .*qbert4rec run"):
        card_of_run(run_copy)


@pytest.mark.parametrize("stage", ["report", "model"])
def test_an_unfinished_run_has_no_card(run_copy, stage):
    shutil.rmtree(run_copy / stage)
    with pytest.raises(QBert4RecError, match=f"{stage}.*qbert4rec"):
        card_of_run(run_copy)


def test_removed_stages_only_lose_their_seconds(run_copy):
    shutil.rmtree(run_copy / "fusion")
    facts = facts_of_run(run_copy)
    assert "fusion" not in facts.seconds and facts.results
