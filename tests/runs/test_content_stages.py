from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qbert4rec_hf.data.codes import load_codes
from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.files import read_json
from qbert4rec_hf.runs.content_stages import DUPLICATES_FILE, load_catalog, load_features
from qbert4rec_hf.runs.manifest import StageManifest
from qbert4rec_hf.runs.pipeline import Run

SAMPLE = Path(__file__).parents[2] / "examples" / "published_sample"
NO_CONTENT = ["features.text.kind=none", "features.image.kind=none"]
SMALL = [
    "fusion.epochs=1",
    "fusion.model.hidden_size=16",
    "fusion.model.num_attention_heads=2",
    "quantizer.model.quantizer_type=residual_kmeans",
    "quantizer.model.codebook_size=8",
]


def test_interactions_alone_give_semantic_ids(shops, tmp_path):
    run = Run.open(
        tmp_path / "run",
        domain=str(shops / "weekend"),
        assignments=[*NO_CONTENT, *SMALL, "features.spectral_dim=8"],
    )
    run.features()
    features = load_features(run.path("features"), ["weekend"])
    assert features.dims == {"structural": 8}
    run.fuse()
    run.quantize()
    catalog = load_catalog(run.path("semantic_ids"))
    assert len(np.unique(catalog.codes, axis=0)) == len(run.target)


def test_spectral_axes_are_refused_for_several_domains(shops, tmp_path):
    run = Run.open(
        tmp_path / "run",
        domain=str(shops / "weekend"),
        pretrain_domains=[str(shops / "home")],
        assignments=NO_CONTENT,
    )
    with pytest.raises(QBert4RecError, match="spectral"):
        run.features()


@pytest.fixture
def coded(tmp_path) -> Path:
    return import_published(SAMPLE).save(tmp_path / "sample")


def test_published_codes_are_taken_as_they_are(coded, tmp_path):
    run = Run.open(tmp_path / "run", domain=str(coded), assignments=["semantic_ids.source=codes"])
    run.quantize()
    catalog = load_catalog(run.path("semantic_ids"))
    shared = {catalog.item_ids[row] for row in np.flatnonzero(catalog.collides)}
    assert shared == {"SKU-03", "SKU-04"}
    assert catalog.encode("SKU-05") == "<a_7><b_5><c_1><d_2>"
    with pytest.raises(QBert4RecError, match="semantic_ids.source"):
        run.fuse()


def test_codes_that_are_not_there_are_named(coded, shops, tmp_path):
    settings = ["semantic_ids.source=codes", "semantic_ids.codes=[vit]"]
    run = Run.open(tmp_path / "run", domain=str(coded), assignments=settings)
    with pytest.raises(QBert4RecError, match="no codes 'vit'; it has lemb"):
        run.quantize()
    run = Run.open(tmp_path / "other", domain=str(shops / "home"), assignments=settings[:1])
    with pytest.raises(QBert4RecError, match="no codes folder"):
        run.quantize()


def test_imported_ids_become_unique_where_that_is_asked_for(coded, tmp_path):
    settings = ["semantic_ids.source=codes", "semantic_ids.reallocate=true"]
    run = Run.open(tmp_path / "run", domain=str(coded), assignments=settings)
    with pytest.raises(QBert4RecError, match="qbert4rec features"):
        run.quantize()
    run.features()
    run.quantize()
    catalog = load_catalog(run.path("semantic_ids"))
    assert not catalog.collides.any() and len(np.unique(catalog.codes, axis=0)) == 5
    published = load_codes(coded)["lemb"]
    moved = (catalog.codes != published.codes).any(axis=1)
    assert moved.sum() == 1 and published.collides[moved].all()
    summary = StageManifest.load(run.path("semantic_ids")).summary["Sample"]
    assert summary["items that share their ID"] == 2 and summary["moved items"] == 1
    with pytest.raises(QBert4RecError, match="semantic_ids.source"):
        run.fuse()


def test_one_product_listed_twice_is_found_though_its_queries_differ(shops, tmp_path):
    source = Domain.load(shops / "weekend")
    items = source.items.assign(images=[[] for _ in range(len(source))])
    chosen = int(items["title"].notna().to_numpy().nonzero()[0][0])
    twin = items.iloc[[chosen]].assign(item_id="TWIN")
    domain = Domain.from_sequences(
        pd.concat([items, twin], ignore_index=True),
        source.user_ids,
        source.sequences()[1],
        name="weekend",
    )
    domain.save(tmp_path / "shop")
    run = Run.open(tmp_path / "run", domain=str(tmp_path / "shop"), assignments=SMALL)
    run.features()
    run.fuse()
    run.quantize()
    listed = read_json(run.path("semantic_ids") / DUPLICATES_FILE)["weekend"]
    assert [items["item_id"].iloc[chosen], "TWIN"] in listed
    summary = StageManifest.load(run.path("semantic_ids")).summary["weekend"]
    assert summary["possible duplicates"] == sum(map(len, listed))
    catalog = load_catalog(run.path("semantic_ids"))
    assert len(np.unique(catalog.codes, axis=0)) == len(domain)
