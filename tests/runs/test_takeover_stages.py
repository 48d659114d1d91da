from __future__ import annotations

import numpy as np
import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.runs.base_model import BaseModel
from qbert4rec_hf.runs.content_stages import load_catalog, load_structure
from qbert4rec_hf.runs.feature_settings import FeatureSettings
from qbert4rec_hf.runs.takeover_stages import (
    make_features,
    name_items,
    take_fusion,
    take_quantizer,
    take_sequence_model,
)
from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM


@pytest.fixture(scope="module")
def base(finished_run):
    return BaseModel.open(finished_run / "model")


@pytest.fixture
def stages(base, shops, tmp_path):
    """Folders of features, fusion and quantizer for a domain that the model knows."""
    domain = Domain.load(shops / "weekend")
    folders = [tmp_path / name for name in ("features", "fusion", "quantizer")]
    make_features(
        folders[0],
        base,
        domain,
        domain.split(),
        FeatureSettings(),
        cache=tmp_path / "cache",
    )
    take_fusion(folders[1], base)
    take_quantizer(folders[2], base)
    return domain, folders


def test_known_items_are_not_coded_again(base, stages, tmp_path):
    domain, folders = stages
    summary = name_items(tmp_path / "ids", *folders, base, domain)
    assert summary["weekend"]["kept their ID"] == len(domain)
    assert summary["weekend"]["newly coded"] == 0
    catalog = load_catalog(tmp_path / "ids")
    assert catalog.fingerprint == base.catalog.fingerprint
    assert load_structure(folders[0]) == "propagated"


def test_new_items_are_coded_beside_the_ids_that_are_taken(base, stages, tmp_path, caplog):
    """The same items under other ids: each would get a code that another one has."""
    domain, folders = stages
    half = len(domain) // 2
    ids = [f"twin-{row}" if row < half else i for row, i in enumerate(domain.item_ids)]
    items = domain.items.assign(item_id=ids)
    other = Domain.from_sequences(
        items.assign(images=[[] for _ in ids]),
        domain.user_ids,
        domain.sequences()[1],
        name="weekend",
    )
    make_features(
        folders[0], base, other, other.split(), FeatureSettings(), cache=tmp_path / "cache"
    )
    summary = name_items(tmp_path / "ids", *folders, base, other)["weekend"]
    assert (summary["kept their ID"], summary["newly coded"]) == (len(domain) - half, half)
    catalog = load_catalog(tmp_path / "ids")
    np.testing.assert_array_equal(catalog.codes[half:], base.catalog.codes[half:])
    assert len(np.unique(catalog.codes, axis=0)) == len(domain)


def test_codebooks_that_hardly_fit_are_told_of(base, stages, tmp_path, caplog):
    domain, folders = stages
    # One product under many ids.
    ids = [f"copy-{row}" for row in range(len(domain))]
    items = domain.items.iloc[[0] * len(domain)].assign(item_id=ids, images=[[] for _ in ids])
    same = Domain.from_sequences(
        items, ["u"], domain.sequences()[1].take(np.array([0])), name="one"
    )
    make_features(folders[0], base, same, same.split(), FeatureSettings(), cache=tmp_path / "cache")
    summary = name_items(tmp_path / "ids", *folders, base, same)["one"]
    assert summary["moved items"] > 0 and summary["possible duplicates"] > 2
    assert "semantic_ids.quantizer=retrain" in caplog.text
    assert len(np.unique(load_catalog(tmp_path / "ids").codes, axis=0)) == len(ids)


def test_the_sequence_model_opens_by_itself(base, tmp_path):
    summary = take_sequence_model(tmp_path / "pretrain", base)
    assert summary["taken over from"]["name"] == "run/model"
    model = QBert4RecForMaskedLM.from_pretrained(tmp_path / "pretrain")
    assert model.config.catalog_fingerprint == base.catalog.fingerprint
