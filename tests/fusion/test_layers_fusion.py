import torch
import torch.nn.functional as F

from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.fusion.layers_fusion import QBert4RecModalityAlignment, QBert4RecStopGate


def config(**fields):
    return QBert4RecFusionConfig(modalities={"text": 6}, hidden_size=8, **fields)


def test_alignment_is_equation_3_written_out():
    torch.manual_seed(0)
    alignment = QBert4RecModalityAlignment(6, config(attention_temperature=0.3))
    features, query = torch.randn(1, 3, 6), torch.randn(1, 8)
    mask = torch.tensor([[True, False, True]])
    vectors = [
        F.normalize(alignment.projection(F.normalize(features[0, j], dim=0)), dim=0) for j in (0, 2)
    ]
    cosines = torch.stack([F.cosine_similarity(query[0], v, dim=0) for v in vectors])
    weights = (cosines / 0.3).softmax(0)
    expected = F.normalize(weights[0] * vectors[0] + weights[1] * vectors[1], dim=0)
    torch.testing.assert_close(alignment(features, mask, query)[0], expected)


def test_low_temperature_takes_the_nearest_vector():
    torch.manual_seed(0)
    alignment = QBert4RecModalityAlignment(6, config(attention_temperature=1e-3))
    features, mask = torch.randn(1, 4, 6), torch.ones(1, 4, dtype=torch.bool)
    aligned = F.normalize(alignment.projection(F.normalize(features[0], dim=-1)), dim=-1)
    query = aligned[2] + 0.01 * torch.randn(8)
    torch.testing.assert_close(
        alignment(features, mask, query[None])[0], aligned[2], atol=1e-4, rtol=0
    )


def test_what_stands_in_a_masked_place_does_not_matter():
    torch.manual_seed(0)
    alignment = QBert4RecModalityAlignment(6, config())
    features, query = torch.randn(2, 2, 6), torch.randn(2, 8)
    mask = torch.tensor([[True, False], [False, False]])
    clean = alignment(features, mask, query)
    features[~mask] = float("nan")
    assert torch.equal(alignment(features, mask, query), clean)
    assert not clean[1].any()


def test_gate_tells_items_apart_and_judges_each_alone_afterwards():
    torch.manual_seed(0)
    gate = QBert4RecStopGate(config())
    hidden = torch.randn(64, 8)
    for _ in range(100):
        trained = gate(hidden)
    assert trained.std() > 0.1
    gate.eval()
    together = gate(hidden)
    alone = torch.cat([gate(row[None]) for row in hidden])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together, trained, atol=0.05, rtol=0)
    gate.train()
    assert torch.isfinite(gate(hidden[:1])).all()
