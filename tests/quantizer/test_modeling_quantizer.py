import subprocess
import sys

import pytest
import torch

from qbert4rec_hf.quantizer.configuration_quantizer import QBert4RecQuantizerConfig
from qbert4rec_hf.quantizer.modeling_quantizer import (
    QBert4RecCodebook,
    QBert4RecQuantizerModel,
    codebook_use,
)

TYPES = ["rqvae", "residual_kmeans"]


def make_model(quantizer_type="rqvae", initialize=True, **fields):
    torch.manual_seed(0)
    small = {"hidden_sizes": [16], "codebook_dim": 6} if quantizer_type == "rqvae" else {}
    config = QBert4RecQuantizerConfig(
        **{"input_size": 12, "num_levels": 3, "codebook_size": 16, "quantizer_type": quantizer_type}
        | small
        | fields
    )
    model = QBert4RecQuantizerModel(config)
    if initialize:
        model.initialize(embeddings())
    return model


def embeddings(items=200):
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(20, 12, generator=generator)
    rows = torch.randint(20, (items,), generator=generator)
    return 5 + 3 * centres[rows] + torch.randn(items, 12, generator=generator)


def test_codebook_use_by_hand():
    usage, perplexity = codebook_use(torch.tensor([[0, 1], [0, 2], [0, 1], [0, 2]]), [2, 4])
    assert usage.tolist() == [0.5, 0.5]
    torch.testing.assert_close(perplexity, torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("quantizer_type", TYPES)
def test_encode_is_equation_6_written_out(quantizer_type):
    model, h = make_model(quantizer_type).eval(), embeddings()
    codes, distances = model.encode(h, batch_size=64)
    residual = model.encoder((h - model.input_mean) / model.input_scale)
    for level, codebook in enumerate(model.codebooks):
        expected = ((residual[:, None] - codebook.weight) ** 2).sum(-1)
        torch.testing.assert_close(distances[:, level], expected, atol=1e-3, rtol=1e-3)
        assert torch.equal(codes[:, level], distances[:, level].argmin(1))
        residual = residual - codebook.weight[codes[:, level]]
    output = model(h)
    assert torch.equal(output.codes, codes)
    torch.testing.assert_close(model.decode(codes), output.reconstruction, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("quantizer_type", TYPES)
@pytest.mark.parametrize("size", [256, 512, 1000])
def test_large_codebooks(quantizer_type, size):
    model = make_model(quantizer_type, initialize=False, codebook_size=size)
    h = torch.randn(2 * size, 12)
    model.initialize(h)
    codes, distances = model.eval().encode(h)
    assert codes.shape == (len(h), 3) and distances.shape == (len(h), 3, size)
    assert codes.min() >= 0 and 256 <= codes.max() + 1 <= size
    assert codebook_use(codes, model.codebook_sizes)[0][0] > 0.9


def test_levels_of_different_size_are_filled_up_with_infinity():
    model = make_model(codebook_size=[4, 16, 2]).eval()
    codes, distances = model.encode(embeddings())
    assert distances.shape == (200, 3, 16)
    assert distances[:, 0, 4:].isinf().all() and distances[:, 1].isfinite().all()
    assert (codes < torch.tensor(model.codebook_sizes)).all()


def test_losses_by_hand_and_where_their_gradients_go():
    model, h = make_model(), embeddings()
    model.eval()
    output = model(h)
    inputs = (h - model.input_mean) / model.input_scale
    decoded = (output.reconstruction - model.input_mean) / model.input_scale
    torch.testing.assert_close(output.reconstruction_loss, (decoded - inputs).square().mean())
    torch.testing.assert_close(output.codebook_loss, output.commitment_loss)
    torch.testing.assert_close(
        output.loss,
        output.reconstruction_loss + output.codebook_loss + 0.25 * output.commitment_loss,
    )
    encoder, codeword = model.encoder[0].weight, model.codebooks[1].weight
    for name, reaches_encoder, reaches_codebook in (
        ("reconstruction_loss", True, False),
        ("codebook_loss", False, True),
        ("commitment_loss", True, False),
    ):
        gradients = torch.autograd.grad(
            model(h)[name], [encoder, codeword], allow_unused=True, materialize_grads=True
        )
        assert [bool(g.any()) for g in gradients] == [reaches_encoder, reaches_codebook], name


def test_training_lowers_reconstruction_and_uses_the_codebooks():
    model, h = make_model().train(), embeddings()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = model(h).reconstruction_loss.item()
    for _ in range(100):
        optimizer.zero_grad()
        output = model(h)
        output.loss.backward()
        optimizer.step()
    assert output.reconstruction_loss < 0.5 * first
    assert output.usage.min() > 0.7 and output.perplexity.min() > 8


def test_first_batch_initialises_and_scale_does_not_matter():
    for factor in (1.0, 1000.0):
        model = make_model(initialize=False).train()
        output = model(factor * embeddings())
        assert model.initialized
        if factor == 1:
            codes = output.codes
    assert (codes == output.codes).float().mean() > 0.99


def test_dead_codewords_come_back_where_embeddings_are():
    torch.manual_seed(0)
    codebook = QBert4RecCodebook(4, 2, decay=0.5, revival_threshold=0.1)
    codebook.weight.data = torch.tensor([[0.0, 0.0], [1.0, 1.0], [90.0, 90.0], [99.0, 99.0]])
    batch = torch.cat([torch.zeros(8, 2), torch.ones(8, 2)])
    for _ in range(5):
        codebook.revive(batch)
        codebook.count(codebook(batch)[0])
    assert codebook.weight.max() <= 1.0
    assert torch.equal(codebook.weight[:2], torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    frozen = QBert4RecCodebook(4, 2, decay=0.5, revival_threshold=0.0)
    frozen.recent_use.zero_()
    before = frozen.weight.clone()
    frozen.revive(batch)
    assert torch.equal(frozen.weight, before)


def test_evaluation_changes_nothing():
    model = make_model().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(embeddings(), return_loss=False)
    model.encode(embeddings())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("quantizer_type", TYPES)
def test_save_and_load_change_nothing(tmp_path, quantizer_type):
    model = make_model(quantizer_type, codebook_size=[16, 8, 5]).eval()
    model.save_pretrained(tmp_path)
    loaded = QBert4RecQuantizerModel.from_pretrained(tmp_path)
    for expected, found in zip(
        model.encode(embeddings()), loaded.encode(embeddings()), strict=True
    ):
        assert torch.equal(expected, found)
    codes = model.encode(embeddings())[0]
    assert torch.equal(loaded.decode(codes), model.decode(codes))
    assert loaded.initialized


def test_saved_folder_loads_without_the_package(tmp_path):
    model = make_model().eval()
    model.save_pretrained(tmp_path)
    torch.save((embeddings(), model.encode(embeddings())[0]), tmp_path / "batch.pt")
    code = (
        "import sys, torch; from transformers import AutoModel\n"
        "m = AutoModel.from_pretrained('.', trust_remote_code=True)\n"
        "h, codes = torch.load('batch.pt')\n"
        "assert torch.equal(m.encode(h)[0], codes)\n"
        "assert not any(name.startswith('qbert4rec_hf') for name in sys.modules)\n"
    )
    environment = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_residual_kmeans_has_nothing_to_train():
    model = make_model("residual_kmeans")
    assert not any(p.requires_grad for p in model.parameters())
    more = make_model("residual_kmeans", num_levels=6)
    h = embeddings()
    assert more(h).reconstruction_loss < model(h).reconstruction_loss < 0.5


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda m: m(torch.randn(2, 5)), r"takes \[items, 12\]"),
        (lambda m: m.encode(torch.randn(5)), r"takes \[items, 12\]"),
        (lambda m: m.initialize(torch.randn(2, 5)), r"takes \[items, 12\]"),
        (lambda m: m.initialize(torch.randn(0, 12)), "no embeddings"),
        (lambda m: m.decode(torch.tensor([[0, 16, 0]])), "code 16 in row 0, level 1"),
        (lambda m: m.decode(torch.tensor([[0, 0]])), r"expected \[items, 3\]"),
    ],
)
def test_bad_input_is_named(call, reason):
    with pytest.raises(ValueError, match=reason):
        call(make_model())


CHANGES = {
    "input_size": 10,
    "num_levels": 2,
    "codebook_size": 8,
    "codebook_dim": 5,
    "hidden_sizes": [9],
    "commitment_weight": 2.0,
    "quantizer_type": "residual_kmeans",
    "kmeans_iterations": 1,
    "revival_threshold": 0.99,
    "usage_decay": 0.0,
}


def test_every_field_has_an_effect():
    # Which checkpoint a rule keeps is shown in tests/training/test_train_quantizer.py.
    assert set(CHANGES) == set(QBert4RecQuantizerConfig.__annotations__) - {
        "checkpoint_rule",
        "format_version",
        "model_type",
    }

    def step(quantizer_type="rqvae", **changes):
        changes = {"revival_threshold": 0.5} | changes if quantizer_type == "rqvae" else changes
        model = make_model(quantizer_type, initialize=False, **changes)
        h = embeddings()[:, : model.config.input_size]
        model.initialize(h)
        model.train()
        losses = [float(model(h[rows]).loss.detach()) for rows in torch.arange(200).split(50)]
        return losses, [tuple(p.shape) for p in model.parameters()]

    plain = step()
    assert step() == plain
    for name, value in CHANGES.items():
        assert step(**{name: value}) != plain, name
