from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from encoder_laws import check_laws
from PIL import Image

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.image_thumbnail import ThumbnailImageEncoder


def fitted(domain, **settings):
    encoder = ThumbnailImageEncoder(**{"dim": 5, **settings})
    encoder.fit([domain])
    return encoder


def test_laws(shared_domain, tmp_path):
    check_laws(fitted(shared_domain), shared_domain, tmp_path / "encoder")


def test_fitting_repeats(shared_domain):
    assert fitted(shared_domain).fingerprint() == fitted(shared_domain).fingerprint()


def test_each_picture_has_a_vector(shared_domain):
    encoder = fitted(shared_domain)
    features = encoder.encode(shared_domain.items, shared_domain.path, progress=False)
    expected = [len(images) for images in shared_domain.items["images"]]
    assert features.mask.sum(axis=1).tolist() == expected and max(expected) == 2
    first = fitted(shared_domain, max_images=1)
    assert first.encode(shared_domain.items, shared_domain.path).num_vectors == 1


def test_like_pictures_lie_together(shared_domain, tmp_path):
    for name, color in (("a", (200, 30, 30)), ("b", (190, 40, 35)), ("c", (20, 60, 220))):
        Image.new("RGB", (30, 30), color).save(tmp_path / f"{name}.png")
    items = pd.DataFrame({"item_id": list("abc"), "images": [["a.png"], ["b.png"], ["c.png"]]})
    vectors = fitted(shared_domain).encode(items, tmp_path, progress=False).vectors[:, 0]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_a_corrupt_picture_is_a_missing_one(domain, caplog):
    name = domain.items["images"][2][0]
    (domain.path / name).write_text("gone")
    encoder = fitted(domain)
    features = encoder.encode(domain.items, domain.path, progress=False)
    assert not features.mask[2].any() and not features.vectors[2].any()
    assert f"1 images are missing or cannot be opened and are left out: {name}" in caplog.text
    with pytest.raises(QBert4RecError, match=name):
        fitted(domain, on_corrupt="error")


def test_few_pictures(shared_domain, caplog):
    encoder = fitted(shared_domain, dim=100)
    assert encoder.dim < 100 and "instead of 100" in caplog.text
    drawn = fitted(shared_domain, max_fit_images=1)
    features = drawn.encode(shared_domain.items, shared_domain.path, progress=False)
    assert features.dim == 1 and np.isfinite(features.vectors).all()


def test_errors(domain):
    with pytest.raises(QBert4RecError, match="not fitted"):
        ThumbnailImageEncoder().encode(domain.items, domain.path)
    with pytest.raises(QBert4RecError, match="on_corrupt"):
        ThumbnailImageEncoder(on_corrupt="ignore")
    for path in (domain.path / "images").iterdir():
        path.unlink()
    with pytest.raises(QBert4RecError, match="leave the image modality out"):
        fitted(domain)
