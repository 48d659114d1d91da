from __future__ import annotations

import dataclasses
import html
import re
import textwrap

import numpy as np
import pytest
from card_pattern import expected
from huggingface_hub import ModelCard

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.evaluator import evaluate_systems
from qbert4rec_hf.hub.card_facts import ExampleItem, ModelCardFacts
from qbert4rec_hf.hub.model_card import card_metadata, eval_results, render_model_card, slug

HOSTILE = "x|<script>`*_[a](http://b.c)\n---\n# y"


def results():
    """A model that is right for two of three users, and the item graph that is right for one."""
    from qbert4rec_hf.data.sequences import Sequences
    from qbert4rec_hf.data.splitting import Splitting

    train = Sequences.from_lists([[0, 1], [1, 2], [2, 0]])
    histories = Sequences.from_lists([[0, 1], [1, 2], [2, 0]])
    good, poor = np.eye(4, dtype=np.float32)[[3, 3, 1]], np.eye(4, dtype=np.float32)[[3, 3, 3]]
    return evaluate_systems(
        {"Q-BERT4Rec": lambda _: good, "EASE": lambda _: poor},
        histories,
        np.array([3, 0, 1]),
        train=train,
        num_items=4,
        splitting=Splitting("leave_one_out", "test", "timestamps", num_users=3, tied_users=2),
        progress=False,
    )


@pytest.fixture(scope="module")
def facts() -> ModelCardFacts:
    return ModelCardFacts(
        name="tiny",
        model="shop/tiny",
        domain="teashop",
        num_items=4,
        codebook_sizes=[8, 8],
        max_items=20,
        graph_share={"all_items": 0.25, "unseen_items": 0.5},
        seen_weight=0.03,
        temperature=1.4,
        parameters=12345,
        history=[ExampleItem("mug-01", "Stoneware mug", "<a_1><b_2>"), ExampleItem("tea-01")],
        answer=[ExampleItem("pot-01", "Teapot", "<a_3><b_4>", 0.5)],
        pretrain_domains=["garden", "home"],
        encoders={"text": "hf_text org/encoder main, 384 numbers"},
        base_models=["org/encoder"],
        domain_facts={"users": "3", "source": "made up"},
        notes=["The order is taken on trust."],
        recipe={"finetune.epochs": 30},
        settings={"seed": 3, "finetune.epochs": 30},
        command="qbert4rec run --domain teashop --output-dir run",
        seed=3,
        machine="x86_64, 2 CPU cores",
        seconds={"fusion": 2.4, "finetune": 10.2},
        versions={"torch": "2.0"},
        results=results(),
    )


def test_the_whole_card(facts):
    card = render_model_card(facts)
    assert expected(facts).fullmatch(card), card


def test_the_hub_reads_the_figures_with_split_and_seen_item_rule(facts):
    card = ModelCard(render_model_card(facts))
    assert card.data.model_name == "tiny" and card.data.license == "apache-2.0"
    assert card.data.library_name == "transformers" and card.data.base_model == ["org/encoder"]
    found = {(r.metric_type, r.metric_args["exclude_seen"]): r for r in card.data.eval_results}
    assert len(found) == len(card.data.eval_results) == 10
    assert {r.dataset_split for r in found.values()} == {"test"}
    assert {r.dataset_name for r in found.values()} == {"teashop"}
    for exclude, protocol in ((False, "all_items"), (True, "unseen_items")):
        value = facts.results[0].metric("HR@1", protocol)
        assert found["hr_at_1", exclude].metric_value == pytest.approx(value, abs=1e-6)
    assert found["hr_at_1", True].metric_name == "HR@1 (seen items excluded)"
    # Read and written again it is the same.
    assert ModelCard(str(card)).data.to_dict() == card_metadata(facts).to_dict()


def test_a_dataset_of_the_hub_is_named(facts):
    facts = dataclasses.replace(facts, datasets=["shop/teashop"])
    card = ModelCard(render_model_card(facts))
    assert card.data.datasets == ["shop/teashop"]
    assert {r.dataset_type for r in card.data.eval_results} == {"shop/teashop"}


def test_text_of_others_stays_text(facts):
    hostile = dataclasses.replace(
        facts,
        name=HOSTILE,
        domain=HOSTILE,
        history=[ExampleItem(HOSTILE, HOSTILE, "<a_1><b_2>"), ExampleItem('a"b\\', None)],
        answer=[ExampleItem(HOSTILE, HOSTILE, "<a_1><b_2>", 0.25)],
        pretrain_domains=[HOSTILE],
        encoders={HOSTILE: HOSTILE},
        domain_facts={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        recipe={HOSTILE: HOSTILE},
        settings={HOSTILE: HOSTILE},
        machine=HOSTILE,
        seconds={HOSTILE: 1.0},
        versions={HOSTILE: HOSTILE},
        results=[dataclasses.replace(result, name=HOSTILE) for result in facts.results],
    )
    card = ModelCard(render_model_card(hostile))
    shown = " ".join(HOSTILE.split())
    assert card.data.model_name == shown and card.data.eval_results[0].dataset_name == shown
    prose = re.sub(r"```.*?```", "", card.text, flags=re.DOTALL)
    assert "<script" not in prose and "http://" not in prose and "[a]" not in prose
    assert html.unescape(prose).count(shown) >= 15
    headings = [line for line in prose.splitlines() if line.startswith("#")]
    plain = [line for line in ModelCard(render_model_card(facts)).text.splitlines()]
    assert headings[1:] == [line for line in plain if line.startswith("## ")]
    # In code it is a text of Python.
    blocks = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    call = next(line for line in blocks[0].splitlines() if line.startswith("for item in"))
    namespace: dict = {}
    ids = call.removeprefix("for item in recommender.recommend(").removesuffix(", top_k=5):")
    exec(f"ids = {ids}", namespace)
    assert namespace["ids"] == [HOSTILE, 'a"b\\']


def test_imported_ids_say_so(facts):
    imported = dataclasses.replace(
        facts, imported_ids=True, num_shared_ids=3, encoders={}, graph_share=None
    )
    card = render_model_card(imported)
    assert "3 items share theirs" in card and "`add_items` gives" not in card
    assert "cannot code new items" in card and "item graph (a linear" not in card


def test_what_is_not_known_is_not_claimed(facts):
    bare = ModelCardFacts(
        name="bare", domain="d", num_items=2, codebook_sizes=[4], model="m", history=[]
    )
    card = render_model_card(bare)
    assert "| hardware | not recorded |" in card and "None were measured." in card
    assert eval_results(bare) == [] and ModelCard(card).data.eval_results is None
    assert "\n\n\n" not in card


def test_facts_may_be_a_mapping(facts):
    values = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
    assert render_model_card(values) == render_model_card(facts)
    with pytest.raises(QBert4RecError, match="no fact 'domian'; did you mean domain"):
        render_model_card({**values, "domian": "x"})
    del values["domain"], values["model"]
    with pytest.raises(QBert4RecError, match="needs the facts domain, model"):
        render_model_card(values)


def test_figures_of_different_splits_are_not_put_side_by_side(facts):
    model, graph = facts.results
    mixed = dataclasses.replace(
        facts, results=[model, dataclasses.replace(graph, split="validation")]
    )
    with pytest.raises(QBert4RecError, match="same users and split"):
        render_model_card(mixed)


def test_slug():
    assert slug("Tea & more / 2") == "Tea-more-2" and slug("///") == "domain"


def test_the_pattern_can_fail(facts):
    card = render_model_card(facts)
    assert not expected(facts).fullmatch(card.replace("0.500", "0.501"))
    assert textwrap.dedent(card) == card
