"""What holds for every encoder."""

from __future__ import annotations

import numpy as np

from qbert4rec_hf.features.base import FeatureEncoder


def check_laws(encoder: FeatureEncoder, domain, folder, *, exact: bool = True) -> None:
    """Shapes fit; saving and loading changes nothing; a batch equals its items one at a time."""
    items, root = domain.items, domain.path
    features = encoder.encode(items, root, progress=False)
    assert features.vectors.shape == (len(items), features.num_vectors, encoder.dim)
    assert features.vectors.dtype == np.float32
    assert features.mask.any() and not features.vectors[~features.mask].any()
    assert (features.vectors[features.mask] != 0).any(axis=1).all()

    encoder.save(folder)
    loaded = FeatureEncoder.load(folder)
    assert type(loaded) is type(encoder)
    assert loaded.dim == encoder.dim and loaded.modality == encoder.modality
    assert loaded.fingerprint() == encoder.fingerprint()
    again = loaded.encode(items, root, progress=False)
    np.testing.assert_array_equal(again.vectors, features.vectors)
    np.testing.assert_array_equal(again.mask, features.mask)

    for row in range(len(items)):
        single = encoder.encode(items.iloc[row : row + 1], root, progress=False)
        single = single.pad(features.num_vectors)
        np.testing.assert_array_equal(single.mask[0], features.mask[row])
        tolerance = 0 if exact else 1e-5
        np.testing.assert_allclose(single.vectors[0], features.vectors[row], atol=tolerance)

    none = encoder.encode(items.iloc[:0], root, progress=False)
    assert len(none) == 0 and none.dim == encoder.dim
