from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from fake_hub import FakeHub
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub.run_card import write_card
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs import content_stages, sequence_stages
from qbert4rec_hf.runs.manifest import StageManifest, partial_folder
from qbert4rec_hf.runs.pipeline import Run
from qbert4rec_hf.runs.report_stage import FROM_SCRATCH, PRETRAINED_ONLY
from qbert4rec_hf.semantic_ids.catalogue import ItemCatalog

STAGES = [
    "features",
    "fusion",
    "quantizer",
    "semantic_ids",
    "pretrain",
    "finetune",
    "from_scratch",
    "model",
    "report",
]


def attempts(folder) -> dict[str, tuple[int, float]]:
    return {name: _identity(folder / name) for name in STAGES}


def _identity(folder):
    return (folder / "stage.json").read_text()


def redone(folder, before) -> set[str]:
    return {name for name in STAGES if _identity(folder / name) != before[name]}


def test_every_stage_leaves_its_folder_and_nothing_half_done(finished_run):
    for name in STAGES:
        assert StageManifest.load(finished_run / name).status == "finished"
    left = {path.name for path in finished_run.iterdir()}
    assert left <= {*STAGES, "config.yaml", ".lock", "cache"}
    # A pickle is nothing to hand around.
    assert not [p for p in finished_run.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".pth")]


def test_semantic_ids_are_unique_within_each_domain(finished_run, shops):
    catalog = ItemCatalog.load(finished_run / "semantic_ids" / "pretrain")
    assert catalog.domains == ["outdoor", "home"] and not catalog.collides.any()
    target = ItemCatalog.load(finished_run / "semantic_ids" / "target")
    domain = Domain.load(shops / "weekend")
    assert target.item_ids == domain.item_ids and not target.collides.any()


def test_the_model_folder_opens_with_the_auto_classes(finished_run, shops):
    folder = finished_run / "model"
    model = AutoModelForMaskedLM.from_pretrained(folder)
    num_items = len(Domain.load(shops / "weekend"))
    assert model.config.num_items == [num_items]
    assert AutoModel.from_pretrained(folder).config.model_type == "qbert4rec"
    # Trained on other shops, so the table of their own queries is of no use here.
    assert AutoModel.from_pretrained(folder / "fusion").config.num_items == 0
    assert AutoModel.from_pretrained(folder / "quantizer").codebook_sizes == [8, 8, 8]
    assert len(AutoTokenizer.from_pretrained(folder)("<a_0><b_0><c_0>")["input_ids"]) == 3


def test_the_report_names_every_system(finished_run):
    page = (finished_run / "report" / "report.html").read_text()
    table = (finished_run / "report" / "results.md").read_text()
    for name in ("Q-BERT4Rec", FROM_SCRATCH, PRETRAINED_ONLY, "EASE", "Popularity"):
        assert name in page and name in table
    run = Run.open(finished_run)
    assert [result.split for result in run.results()] == ["test"] * len(run.results())


def test_a_second_run_does_nothing(run_copy):
    before = attempts(run_copy)
    Run.open(run_copy).all()
    assert redone(run_copy, before) == set()


def test_a_changed_setting_redoes_what_follows_from_it(run_copy):
    before = attempts(run_copy)
    Run.open(run_copy, assignments=["finetune.epochs=1"]).all()
    assert redone(run_copy, before) == {"finetune", "from_scratch", "model", "report"}


@pytest.mark.parametrize(
    ("target", "pretrained"),
    [
        ("weekend", ["home", "outdoor"]),
        ("weekend", ["outdoor", "home", "weekend"]),
        ("home", ["outdoor", "weekend"]),
    ],
)
def test_the_same_domains_in_other_roles_are_another_run(run_copy, shops, target, pretrained):
    before = Run.open(run_copy).fingerprint("features")
    assert StageManifest.load(run_copy / "features").fingerprint == before
    run = Run.open(
        run_copy,
        domain=str(shops / target),
        pretrain_domains=[str(shops / name) for name in pretrained],
    )
    assert run.fingerprint("features") != before


def test_domains_may_be_repositories(run_copy, shops, tmp_path, monkeypatch):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "home")
        for shop in shops.iterdir():
            files = {p.relative_to(shop).as_posix(): p for p in shop.rglob("*") if p.is_file()}
            contents = {name: path.read_bytes() for name, path in files.items()}
            hub.add(f"tester/{shop.name}", contents, repo_type="dataset")
        local = Run.open(run_copy)
        run = Run.open(
            run_copy,
            domain="tester/weekend",
            pretrain_domains=["tester/outdoor", "tester/home"],
        )
        assert run.outside_inputs == local.outside_inputs
        assert run.config.domain == "tester/weekend" and run.target.path != local.target.path
        # The same bytes: all stages are finished.
        before = {p: p.stat().st_mtime_ns for p in run_copy.glob("*/stage.json")}
        Run.open(run_copy).all()
        assert {p: p.stat().st_mtime_ns for p in run_copy.glob("*/stage.json")} == before
        card = write_card(run_copy).read_text()
        assert "--domain tester/weekend" in card and "order of a user's interactions" in card
    with pytest.raises(QBert4RecError, match="no-such/shop"):
        Run.open(tmp_path / "run", domain="no-such/shop")


def test_a_stage_by_itself_asks_for_the_one_before(run_copy):
    shutil.rmtree(run_copy / "fusion")
    with pytest.raises(QBert4RecError, match="qbert4rec fuse --output-dir"):
        Run.open(run_copy).quantize()
    run = Run.open(run_copy, assignments=["pretrain.epochs=2"])
    with pytest.raises(QBert4RecError, match="other settings.*qbert4rec pretrain"):
        run.finetune()


def test_a_run_interrupted_inside_a_training_goes_on(run_copy, monkeypatch):
    before = Recommender.from_pretrained(run_copy / "model")
    trained = sequence_stages.train_sequence

    def stop_after_first_checkpoint(*args, **kwargs):
        from transformers import TrainerCallback

        from qbert4rec_hf.training import train_sequence as module

        class Stop(TrainerCallback):
            def on_save(self, *args, **kwargs):
                raise KeyboardInterrupt

        trainer = module.SequenceTrainer

        class Stopping(trainer):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.add_callback(Stop())

        with monkeypatch.context() as patch:
            patch.setattr(module, "SequenceTrainer", Stopping)
            return trained(*args, **kwargs)

    for name in ("finetune", "model", "report"):
        shutil.rmtree(run_copy / name)
    with monkeypatch.context() as patch:
        patch.setattr(sequence_stages, "train_sequence", stop_after_first_checkpoint)
        with pytest.raises(KeyboardInterrupt):
            Run.open(run_copy).finetune()
    assert list((partial_folder(run_copy / "finetune") / "checkpoints").glob("checkpoint-*"))
    run = Run.open(run_copy)
    run.finetune()
    assert StageManifest.load(run_copy / "finetune").attempts == 2
    after = Recommender.from_pretrained(run_copy / "model")
    for name, value in before.model.state_dict().items():
        assert np.array_equal(value.numpy(), after.model.state_dict()[name].numpy()), name


def test_the_target_alone_is_pretrained_on_itself(shops, tmp_path):
    run = Run.open(tmp_path / "run", domain=str(shops / "weekend"))
    assert [domain.name for domain in run.pretrain_domains] == ["weekend"]
    assert run.pretrained_rows.tolist() == list(range(len(run.target)))


def test_what_a_run_remembers(shops, tmp_path):
    Run.open(tmp_path / "run", domain=str(shops / "weekend"), assignments=["fusion.epochs=3"])
    again = Run.open(tmp_path / "run", seed=9)
    assert again.config.fusion.epochs == 3 and again.config.fusion.seed == 9
    assert again.target.name == "weekend"


def test_mistakes_leave_the_run_as_it_was(run_copy, shops):
    before = attempts(run_copy)
    config = (run_copy / "config.yaml").read_text()
    for arguments, message in (
        ({"domain": str(run_copy / "absent")}, "absent"),
        ({"assignments": ["finetune.epoch=3"]}, "did you mean finetune.epochs"),
        ({"pretrain_domains": [str(shops / "home"), str(shops / "home")]}, "two domains"),
    ):
        with pytest.raises(QBert4RecError, match=message):
            Run.open(run_copy, **arguments)
    (run_copy / "config.yaml").write_text(config + "fuson: 1\n")
    with pytest.raises(QBert4RecError, match="config.yaml.*'fuson'"):
        Run.open(run_copy)
    assert redone(run_copy, before) == set()


def test_a_new_run_needs_a_domain(tmp_path):
    with pytest.raises(QBert4RecError, match="--domain"):
        Run.open(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_structure_comes_from_the_training_part_alone(shops, tmp_path):
    """Histories that differ in validation and test items only give the same features."""
    source = Domain.load(shops / "weekend")
    users, sequences = source.sequences()
    changed = []
    for history in sequences:
        history = history.tolist()
        changed.append([*history[:-2], history[-1], history[-2]] if len(history) > 2 else history)
    from qbert4rec_hf.data.sequences import Sequences

    other = Domain.from_sequences(
        source.items, users, Sequences.from_lists(changed), name="weekend"
    )
    found = []
    for number, domain in enumerate((source, other)):
        folder = domain.path if domain.path is not None else other.save(tmp_path / "other")
        run = Run.open(
            tmp_path / f"run{number}",
            domain=str(folder),
            assignments=["features.image.kind=none"],
        )
        run.stages["features"].work(tmp_path / f"run{number}" / "features")
        features = content_stages.load_features(tmp_path / f"run{number}" / "features", ["weekend"])
        found.append(features.modalities["structural"].vectors)
    assert np.array_equal(*found)


def test_the_manifest_says_what_came_of_a_stage(finished_run):
    value = json.loads((finished_run / "semantic_ids" / "stage.json").read_text())
    assert set(value["summary"]) == {"outdoor", "home", "weekend"}
