import pytest

from qbert4rec_hf.quantizer.configuration_quantizer import RQVAE_ONLY, QBert4RecQuantizerConfig


def test_sizes():
    assert QBert4RecQuantizerConfig().codebook_sizes == [256] * 4
    assert QBert4RecQuantizerConfig().encoder_sizes == [256, 512, 32]
    mixed = QBert4RecQuantizerConfig(num_levels=3, codebook_size=[4, 1000, 2])
    assert mixed.codebook_sizes == [4, 1000, 2]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"codebook_size": [4, 4]}, "num_levels 4"),
        ({"codebook_size": 0}, "1 or more"),
        ({"hidden_sizes": [0]}, "1 or more"),
        ({"usage_decay": 1.0}, "below 1"),
        ({"commitment_weight": -1}, "0 or more"),
        ({"checkpoint_rule": "best"}, "checkpoint_rule"),
        ({"quantizer_type": "vq"}, "quantizer_type"),
        ({"format_version": 2}, "later than this code reads"),
    ],
)
def test_values_that_cannot_work_are_refused(fields, reason):
    with pytest.raises(Exception, match=reason):
        QBert4RecQuantizerConfig(**fields)


def test_residual_kmeans_refuses_what_it_would_ignore():
    changed = {
        "codebook_dim": 8,
        "hidden_sizes": [8],
        "commitment_weight": 1.0,
        "revival_threshold": 0.0,
        "usage_decay": 0.5,
        "checkpoint_rule": "last",
    }
    assert set(changed) == set(RQVAE_ONLY)
    for name, value in changed.items():
        with pytest.raises(Exception, match=f"{name} has no effect"):
            QBert4RecQuantizerConfig(quantizer_type="residual_kmeans", **{name: value})
    for name, default in RQVAE_ONLY.items():
        assert getattr(QBert4RecQuantizerConfig(), name) == default
