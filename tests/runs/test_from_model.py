"""A run that starts from a model, as `qbert4rec run --from` does it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from fake_hub import FakeHub
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub.run_card import write_card
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.manifest import StageManifest
from qbert4rec_hf.runs.pipeline import Run, run_domain
from qbert4rec_hf.runs.report_stage import FROM_SCRATCH, PRETRAINED_ONLY
from qbert4rec_hf.runs.run_folder import BASE_MODEL
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM

STAGES = [
    "features",
    "fusion",
    "quantizer",
    "semantic_ids",
    "pretrain",
    "finetune",
    "model",
    "report",
]


@pytest.fixture(scope="session")
def settings(short) -> list[str]:
    """What a run that starts from a model can be told."""
    return [text for text in short if text.startswith(("finetune", "ranking", "evaluation.ex"))]


@pytest.fixture(scope="session")
def base(finished_run):
    """The model folder to start from: it recommends in `weekend`."""
    return finished_run / "model"


@pytest.fixture(scope="session")
def started(base, shops, settings, tmp_path_factory):
    """A finished run on `home`, which is not in the model's catalogue."""
    folder = tmp_path_factory.mktemp("from") / "run"
    run_domain(
        shops / "home",
        folder,
        from_model=base,
        assignments=[*settings, "evaluation.from_scratch=true"],
    )
    return folder


@pytest.fixture
def started_copy(started, tmp_path):
    return shutil.copytree(started, tmp_path / "run")


def manifests(folder):
    return {name: (folder / name / "stage.json").read_text() for name in STAGES}


def test_encoders_fusion_and_quantizer_are_those_of_the_model(started, base):
    for part in ("features", "quantizer"):
        for path in sorted((base / part).rglob("*")):
            if path.suffix in (".safetensors", ".json"):
                copy = started / "model" / path.relative_to(base)
                assert copy.read_bytes() == path.read_bytes(), path
    mine, theirs = (
        load_file(folder / "fusion" / "model.safetensors") for folder in (started / "model", base)
    )
    assert {name for name in theirs if "item_query" not in name} == set(mine)
    for name, value in mine.items():
        np.testing.assert_array_equal(value, theirs[name])


def test_items_get_the_ids_that_the_model_would_give_them_later(started, base, shops):
    """The same as for `add_items`, but for structure, which an item in a history has."""
    recommender = Recommender.from_pretrained(started / "model")
    domain = Domain.load(shops / "home")
    assert recommender.items.item_ids == domain.item_ids and not recommender.items.collides.any()
    summary = StageManifest.load(started / "semantic_ids").summary["home"]
    assert summary["kept their ID"] == 0 and summary["newly coded"] == len(domain)
    lonely = np.setdiff1d(np.arange(len(domain)), domain.split().train.items)
    coder = Recommender.from_pretrained(base).coder
    items = coder.table(domain.items)
    fused, _ = coder.embed(items, domain.path)
    codes, _ = coder.quantizer.encode(fused)
    # Beside the few that were moved off a code that was taken.
    same = (codes.numpy() == recommender.items.codes)[:, 0]
    assert len(lonely) and same[lonely].all()


def test_single_new_items_come_with_text_and_picture(started, shops):
    domain = Domain.load(shops / "weekend")
    row = next(row for row, images in enumerate(domain.items["images"]) if images)
    new = domain.items.iloc[[row]].assign(item_id="NEW")
    embeddings = {}
    for root in (domain.path, None):
        recommender = Recommender.from_pretrained(started / "model")
        old = {i: recommender.items.encode(i) for i in recommender.items.item_ids}
        embeddings[root], known = recommender.coder.embed(recommender.coder.table(new), root)
        assert known.all()
        recommender.add_items(new, images_root=root)
        assert {i: recommender.items.encode(i) for i in old} == old
    # The picture counts where its folder is known.
    assert not torch.allclose(embeddings[domain.path], embeddings[None])
    history = [recommender.items.item_ids[0]]
    assert "NEW" in [item.item_id for item in recommender.recommend(history, top_k=99)]
    assert recommender.recommend(["NEW"]) and recommender.similar_items("NEW", top_k=1)


def test_the_report_compares_what_the_model_brought(started):
    names = [result.name for result in Run.open(started).results()]
    assert PRETRAINED_ONLY in names and FROM_SCRATCH in names
    page = (started / "report" / "report.html").read_text()
    assert "Taken over from run/model: encoders, fusion, quantizer and sequence model." in page
    # It was pre-trained on this shop, which is in its memory and not in its catalogue.
    assert "That model was trained on home before" in page


def test_training_starts_from_the_models_weights_or_from_its_architecture(started, base):
    start = QBert4RecForMaskedLM.from_pretrained(started / "pretrain")
    original = QBert4RecForMaskedLM.from_pretrained(base)
    for name, value in original.state_dict().items():
        assert torch.equal(start.state_dict()[name], value), name
    scratch = QBert4RecForMaskedLM.from_pretrained(started / "from_scratch").config
    assert (scratch.hidden_size, scratch.num_hidden_layers) == (16, 1)


def test_it_is_a_run_folder_like_any_other(started_copy, base, settings, shops):
    before = manifests(started_copy)
    prints = {json.loads(text)["inputs"][BASE_MODEL] for text in before.values()}
    assert prints == {Run.open(started_copy).base_model.fingerprint}
    Run.open(started_copy).all()
    assert manifests(started_copy) == before
    Run.open(started_copy, assignments=["finetune.epochs=1"]).all()
    after = manifests(started_copy)
    assert {n for n in STAGES if after[n] != before[n]} == {"finetune", "model", "report"}
    info = json.loads((started_copy / "model" / "recommender.json").read_text())
    assert info["base_model"]["name"] == "run/model" and info["structural"] == "propagated"
    assert info["trained_on"] == ["outdoor", "home", "weekend"]


def test_another_model_makes_everything_outdated(started_copy, base, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    run = Run.open(started_copy, from_model=str(other))
    assert run.fingerprint("features") == StageManifest.load(started_copy / "features").fingerprint
    encoder = other / "features" / "text" / "encoder.json"
    encoder.write_text(encoder.read_text() + " ")
    run = Run.open(started_copy, from_model=str(other))
    for name in STAGES:
        assert run.fingerprint(name) != StageManifest.load(started_copy / name).fingerprint


def test_an_interrupted_start_goes_on(base, shops, settings, tmp_path):
    run = Run.open(tmp_path, domain=str(shops / "home"), from_model=str(base), assignments=settings)
    run.features()
    run.fuse()
    before = (tmp_path / "features" / "stage.json").read_text()
    again = Run.open(tmp_path)
    assert again.config.from_model == str(base)
    again.quantize()
    again.pretrain()
    assert (tmp_path / "features" / "stage.json").read_text() == before
    assert json.loads((tmp_path / "pretrain" / "stage.json").read_text())["status"] == "finished"


def test_the_card_says_what_was_taken_over(started_copy):
    card = write_card(started_copy).read_text()
    assert "Fine-tuned from run/model, which was trained on outdoor, home, weekend." in card
    assert "Taken over from it: encoders, fusion, quantizer and sequence model." in card
    assert "--from model" in card and "pre-trained, then" not in card
    # A folder of this machine is no model of the Hub, and what was taken over had no settings.
    assert ModelCard(card).data.base_model is None
    assert "| fusion.epochs |" not in card and "| finetune.epochs | 2 |" in card


@pytest.fixture(scope="module")
def grown(shops, tmp_path_factory):
    """`weekend` some months later: new items, one that is gone, longer histories."""
    old = Domain.load(shops / "weekend")
    interactions = old.interactions()
    items = old.items.assign(images=[[] for _ in range(len(old))])
    gone = items["item_id"].iloc[3]
    fresh = items.iloc[[0, 5]].assign(item_id=["NEW-1", "NEW-2"], title=["Red tent", "Blue stove"])
    items = pd.concat([fresh, items[items["item_id"] != gone]], ignore_index=True)
    last = int(interactions["timestamp"].max())
    users = interactions["user_id"].unique()[:20]
    more = pd.DataFrame(
        {
            "user_id": np.repeat(users, 2),
            "item_id": ["NEW-1", "NEW-2"] * len(users),
            "timestamp": last + 10 * np.arange(2 * len(users)) + 10,
        }
    )
    interactions = pd.concat([interactions[interactions["item_id"] != gone], more])
    folder = tmp_path_factory.mktemp("grown") / "weekend"
    Domain.from_tables(items, interactions, name="weekend").save(folder)
    return folder


def test_a_domain_that_the_model_knows_keeps_its_ids(base, grown, settings, tmp_path):
    run_domain(grown, tmp_path / "run", from_model=base, assignments=settings)
    old, new = (Recommender.from_pretrained(f).items for f in (base, tmp_path / "run" / "model"))
    known = [item_id for item_id in new.item_ids if item_id in old.item_ids]
    assert set(new.item_ids) - set(known) == {"NEW-1", "NEW-2"} and len(known) == len(old) - 1
    assert {i: new.encode(i) for i in known} == {i: old.encode(i) for i in known}
    assert not new.collides.any()
    summary = StageManifest.load(tmp_path / "run" / "semantic_ids").summary["weekend"]
    assert (summary["kept their ID"], summary["newly coded"]) == (len(known), 2)
    # What was learnt about single items went along.
    run = Run.open(tmp_path / "run")
    rows = run.pretrained_rows
    model = QBert4RecForMaskedLM.from_pretrained(base)
    assert (rows >= 0).sum() == len(known)
    for row, item_id in zip(rows, new.item_ids, strict=True):
        assert row == (old.item_ids.index(item_id) if item_id in known else -1)
    assert len(model.item_bias) == len(old)
    assert "trained on weekend before" in (run.path("report") / "report.html").read_text()
    # No picture is left of what this domain had: the modality is masked, and the report says so.
    notes = StageManifest.load(run.path("features")).summary["notes"]
    assert any("image features" in note for note in notes)


def test_a_retrained_quantizer_starts_the_sequence_model_afresh(base, shops, tmp_path):
    run_domain(
        shops / "home",
        tmp_path / "run",
        from_model=base,
        assignments=[
            "semantic_ids.quantizer=retrain",
            "quantizer.model.quantizer_type=residual_kmeans",
            "quantizer.model.codebook_size=6",
            "quantizer.model.num_levels=3",
            "model.hidden_size=16",
            "model.num_attention_heads=2",
            "pretrain.enabled=false",
            "finetune.epochs=1",
            "ranking.regularizations=[50.0]",
            "ranking.recencies=[0.8]",
            "ranking.weights=[0.5]",
        ],
    )
    recommender = Recommender.from_pretrained(tmp_path / "run" / "model")
    assert recommender.items.codebook_sizes == [6, 6, 6] and not recommender.items.collides.any()
    assert not (tmp_path / "run" / "pretrain").exists()
    names = [result.name for result in Run.open(tmp_path / "run").results()]
    assert PRETRAINED_ONLY not in names
    card = write_card(tmp_path / "run").read_text()
    assert "Taken over from it: encoders and fusion; all else was trained anew." in card
    mine, theirs = (
        load_file(folder / "fusion" / "model.safetensors")
        for folder in (tmp_path / "run" / "model", base)
    )
    for name, value in mine.items():
        np.testing.assert_array_equal(value, theirs[name])


def test_a_repository_is_pinned_to_the_commit_that_was_found(base, shops, tmp_path, monkeypatch):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        Recommender.from_pretrained(base).push_to_hub("tester/weekend")
        commit = hub.history("tester/weekend")[0].id
        run = Run.open(tmp_path / "run", domain=str(shops / "home"), from_model="tester/weekend")
        assert run.config.from_revision == commit
        before = run.base_model.fingerprint
        hub.add("tester/weekend", {"features/text/vocabulary.json": b"[]"})
        assert Run.open(tmp_path / "run").base_model.fingerprint == before
        run = Run.open(tmp_path / "run", from_model=str(base))
        assert run.config.from_revision is None
    with pytest.raises(QBert4RecError, match="no-such/model"):
        Run.open(tmp_path / "run", from_model="no-such/model")


def test_a_models_repository_is_named_in_the_cards_metadata(started_copy):
    for name in ("features", "fusion", "quantizer", "pretrain"):
        manifest = StageManifest.load(started_copy / name)
        manifest.summary["taken over from"] |= {"name": "tester/weekend", "commit": "abc123"}
        manifest.save(started_copy / name)
    card = write_card(started_copy).read_text()
    # One model alone is a string in the metadata, several are a list.
    assert "tester/weekend" in np.atleast_1d(ModelCard(card).data.base_model)
    assert "Fine-tuned from tester/weekend (commit abc123)" in card


def one_line(capsys, *arguments: str) -> str:
    assert main(["run", *arguments, "--quiet"]) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("qbert4rec: ")]
    assert len(lines) == 1
    return lines[0]


def test_what_cannot_be_asked_for_ends_in_one_line(base, finished_run, shops, tmp_path, capsys):
    start = ["--from", str(base), "--domain", str(shops / "home")]
    start += ["--output-dir", str(tmp_path / "run")]
    other = ["--pretrain-domain", str(shops / "outdoor")]
    assert "is pre-trained already" in one_line(capsys, *start, *other)
    message = one_line(capsys, *start, "--set", "features.text.kind=hf_text")
    assert "'hf_text'" in message and "'tfidf'" in message
    message = one_line(capsys, *start, "--set", "features.text.options.dim=3")
    assert "with 3" in message and "'tfidf'" in message
    message = one_line(capsys, *start, "--set", "features.structural=spectral")
    assert "'spectral'" in message and "propagated" in message
    assert "semantic_ids.source" in one_line(capsys, *start, "--set", "semantic_ids.source=codes")
    for setting in ("fusion.epochs=2", "model.hidden_size=32", "pretrain.epochs=3"):
        message = one_line(capsys, *start, "--set", setting)
        assert setting.partition("=")[0] in message and "no effect" in message
    plain = [*start[2:], "--set", "semantic_ids.quantizer=retrain"]
    assert "without --from" in one_line(capsys, *plain)
    assert not (tmp_path / "run" / "config.yaml").exists()
    start[1] = str(finished_run)
    assert f"run folder; start from its model, {base}" in one_line(capsys, *start)
    start[1] = str(finished_run / "fusion")
    assert "family 'qbert4rec_fusion'" in one_line(capsys, *start)


def test_a_model_with_imported_ids_cannot_code_items(base, shops, tmp_path, capsys):
    bare = shutil.copytree(base, tmp_path / "bare")
    for part in ("features", "fusion", "quantizer"):
        shutil.rmtree(bare / part)
    start = ["--from", str(bare), "--domain", str(shops / "home"), "--output-dir", str(tmp_path)]
    message = one_line(capsys, *start)
    assert "no encoders" in message and "imported" in message
