from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.encoder_set import EncoderSet
from qbert4rec_hf.ranking.recommender import Recommender
from qbert4rec_hf.runs.base_model import BaseModel


@pytest.fixture(scope="module")
def folder(finished_run):
    return finished_run / "model"


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_the_fingerprint_is_of_what_a_run_takes(folder, copy):
    before = BaseModel.open(folder).fingerprint
    (copy / "README.md").write_text("another card")
    shutil.rmtree(copy / "item_graph")
    (copy / "stage.json").unlink()
    assert BaseModel.open(copy).fingerprint == before
    weights = copy / "quantizer" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    assert BaseModel.open(copy).fingerprint != before


def test_which_items_it_knows(folder, shops):
    base = BaseModel.open(folder)
    weekend = Domain.load(shops / "weekend")
    assert base.rows_of(weekend).tolist() == list(range(len(weekend)))
    assert base.rows_of(Domain.load(shops / "home")) is None
    items = weekend.items.assign(images=[[] for _ in range(len(weekend))])
    # Only the name is the same.
    other = Domain.from_sequences(
        items.assign(item_id=[f"x{i}" for i in range(len(items))]),
        weekend.user_ids,
        weekend.sequences()[1],
        name="weekend",
    )
    assert base.rows_of(other) is None


def test_own_queries_are_forgotten(folder):
    assert BaseModel.open(folder).fusion().config.num_items == 0


def test_how_structure_was_made(folder, copy):
    assert BaseModel.open(folder).structure == "propagated"
    path = copy / "recommender.json"
    info = json.loads(path.read_text())
    assert info.pop("structural") == "propagated" and info.pop("trained_on")
    path.write_text(json.dumps(info))
    # Folders of an earlier version do not say; the number of axes does.
    old = BaseModel.open(copy)
    assert old.structure == "propagated" and old.trained_on == ["weekend"]
    path.write_text(json.dumps({**info, "structural": "spectral"}))
    assert BaseModel.open(copy).structure == "spectral"


def test_a_model_of_interactions_alone_is_refused(copy):
    EncoderSet({}).save(copy / "features")
    with pytest.raises(QBert4RecError, match="interactions alone.*cannot code"):
        BaseModel.open(copy)


def test_parts_that_do_not_fit_are_refused(copy):
    catalog = json.loads((copy / "catalog.json").read_text())
    (copy / "catalog.json").write_text(json.dumps({**catalog, "fingerprint": "0" * 16}))
    with pytest.raises(QBert4RecError, match="take both from the same run"):
        BaseModel.open(copy)


def test_no_path_of_the_machine_goes_along(folder):
    about = BaseModel.open(folder).describe()
    assert about["name"] == "run/model" and about["commit"] is None
    assert str(folder.parent.parent) not in json.dumps(about)


def test_saving_over_the_model_of_a_run_is_refused_and_the_run_goes_on(run_copy):
    from qbert4rec_hf.runs.pipeline import Run

    recommender = Recommender.from_pretrained(run_copy / "model")
    recommender.add_items([{"item_id": "NEW", "title": "Tent"}])
    with pytest.raises(QBert4RecError, match="stage of a run"):
        recommender.save_pretrained(run_copy / "model")
    before = (run_copy / "report" / "stage.json").read_text()
    Run.open(run_copy).all()
    assert (run_copy / "report" / "stage.json").read_text() == before
    # Beside the run it is a model like any other, and one to start from: its new item keeps its ID.
    grown = recommender.save_pretrained(run_copy / "grown")
    base = BaseModel.open(grown)
    assert base.catalog.encode("NEW") == recommender.items.encode("NEW")
    assert np.array_equal(
        base.catalog.codes[:-1], Recommender.from_pretrained(run_copy / "model").items.codes
    )
