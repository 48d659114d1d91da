import copy
import itertools
import subprocess
import sys

import pytest
import torch
from laws import checkpoint_activations

from qbert4rec_hf.fusion.configuration_fusion import QBert4RecFusionConfig
from qbert4rec_hf.fusion.modeling_fusion import QBert4RecFusionModel

SIZES = {"text": 7, "image": 5, "structural": 3}
ITEMS = 40
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(SIZES, n)]


def make_model(modalities=tuple(SIZES), sizes=SIZES, **fields):
    torch.manual_seed(0)
    config = QBert4RecFusionConfig(
        **{
            "modalities": {name: sizes[name] for name in modalities},
            "num_items": ITEMS,
            "hidden_size": 16,
            "intermediate_size": 32,
            "query_noise": 0.5,
        }
        | fields
    )
    return QBert4RecFusionModel(config)


def make_batch(modalities=tuple(SIZES), items=ITEMS, vectors=2):
    generator = torch.Generator().manual_seed(1)
    features = {n: torch.randn(items, vectors, SIZES[n], generator=generator) for n in modalities}
    masks = {n: torch.rand(items, vectors, generator=generator) < 0.6 for n in modalities}
    for number, name in enumerate(modalities):
        # The first item has nothing at all, the next ones one modality each, in both vectors.
        masks[name][0] = False
        masks[name][1 : len(modalities) + 1] = False
        masks[name][number + 1] = True
    return features, masks


def train(model, steps, batch=None):
    """A short training; returns the losses."""
    features, masks = batch or make_batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(model(features, masks, torch.arange(ITEMS)).loss)
        losses[-1].backward()
        optimizer.step()
    return [float(loss.detach()) for loss in losses]


@pytest.fixture(scope="module")
def trained_once():
    model = make_model(dropout=0.3, query_noise=0.02)
    train(model.train(), 30)
    return model.eval()


@pytest.fixture
def trained(trained_once):
    return copy.deepcopy(trained_once)


@pytest.mark.parametrize("modalities", SUBSETS)
def test_each_subset_of_modalities_fuses_and_learns(modalities):
    model, (features, masks) = make_model(modalities), make_batch(modalities)
    rows = torch.arange(ITEMS)
    output = model(features, masks, rows)
    assert output.fused.shape == (ITEMS, 16) and torch.isfinite(output.fused).all()
    assert output.gates.shape == (ITEMS, 5)
    names = {"fused", *modalities}
    assert {frozenset(pair.split("-")) for pair in output.pair_losses} == {
        frozenset(pair) for pair in itertools.combinations(names, 2)
    }
    losses = train(model.train(), 30, (features, masks))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("depth", ["dynamic", "fixed"])
def test_items_that_leave_the_batch_get_the_same_embedding(depth, trained):
    model, batch = trained if depth == "dynamic" else make_model(depth="fixed").eval(), make_batch()
    for rows in (torch.arange(ITEMS), None):
        masked, early = model(*batch, rows), model.embed(*batch, rows)
        for name in ("fused", "gates", "aligned"):
            torch.testing.assert_close(early[name], masked[name], atol=1e-5, rtol=1e-5)
        assert torch.equal(early.depth, masked.depth)
    if depth == "fixed":
        assert (early.depth == 5).all()
    else:
        assert len(early.depth.unique()) > 1


def test_early_exit_saves_computation(trained):
    model, batch = trained, make_batch()
    seen = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _, arguments, __: seen.append(len(arguments[0])))
    depth = model.embed(*batch).depth
    assert seen == [int((depth > n).sum()) for n in range(len(seen))]
    assert sum(seen) < 5 * ITEMS


def test_gates_get_a_gradient_from_the_contrastive_loss():
    model, batch = make_model(depth_weight=0.0), make_batch()
    model(*batch, torch.arange(ITEMS)).contrastive_loss.backward()
    assert model.gates[0].mlp[0].weight.grad.abs().sum() > 0
    assert model.gates[0].channel_weight.grad.abs().sum() > 0


@pytest.mark.parametrize("expected", [1.3, 3.5])
def test_depth_follows_what_is_expected(expected):
    model = make_model(expected_depth=expected)
    train(model.train(), 30)
    mean = model.embed(*make_batch(), torch.arange(ITEMS)).depth.float().mean()
    assert (mean < 2.3) == (expected < 2.3)


def test_an_item_does_not_depend_on_its_neighbours_in_the_batch(trained):
    model, (features, masks) = trained, make_batch()
    together = model.embed(features, masks, torch.arange(ITEMS)).fused
    for row in (0, 1, 17):
        alone = model.embed(
            {name: values[row : row + 1] for name, values in features.items()},
            {name: mask[row : row + 1] for name, mask in masks.items()},
            torch.tensor([row]),
        )
        torch.testing.assert_close(alone.fused[0], together[row], atol=1e-5, rtol=1e-5)


def test_padding_the_vector_axis_and_leaving_a_modality_out_change_nothing():
    model, (features, masks) = make_model().eval(), make_batch()
    before = model.embed(features, masks).fused
    padded = {n: torch.cat([v, torch.full_like(v, float("nan"))], 1) for n, v in features.items()}
    longer = {n: torch.cat([m, torch.zeros_like(m)], 1) for n, m in masks.items()}
    torch.testing.assert_close(model.embed(padded, longer).fused, before)
    masks["image"][:] = False
    with_masked = model.embed(features, masks).fused
    del features["image"], masks["image"]
    assert torch.equal(model.embed(features, masks).fused, with_masked)


def test_an_item_without_anything_is_its_query_alone():
    model, (features, masks) = make_model().eval(), make_batch()
    own = model.embed(features, masks, torch.arange(ITEMS)).fused
    features["text"][0] += 100.0
    assert torch.equal(model.embed(features, masks, torch.arange(ITEMS)).fused[0], own[0])
    assert not torch.allclose(model.embed(features, masks).fused[0], own[0])


def test_contrast_counts_only_items_that_have_both():
    model, (features, masks) = make_model().eval(), make_batch()
    pair = model(features, masks).pair_losses["image-text"]
    lacking = ~(masks["text"].any(1) & masks["image"].any(1))
    features["text"][lacking] = torch.randn_like(features["text"][lacking])
    torch.testing.assert_close(model(features, masks).pair_losses["image-text"], pair)
    masks["text"][:] = False
    assert model(features, masks).pair_losses["image-text"] == 0


def test_shared_query_stands_in():
    model, batch = make_model().eval(), make_batch()
    shared = model.embed(*batch).fused
    assert torch.equal(model.embed(*batch, torch.full((ITEMS,), -1)).fused, shared)
    own = model.embed(*batch, torch.arange(ITEMS)).fused
    assert not torch.allclose(own, shared)
    model.drop_item_table()
    assert torch.equal(model.embed(*batch).fused, shared)
    assert model.config.num_items == 0 and model.config.catalog_fingerprint is None


def test_id_dropout_trains_the_shared_query_only_when_on():
    for share, trained in ((1.0, False), (0.0, True)):
        model = make_model(id_dropout=share, consistency_weight=0.0)
        model(*make_batch(), torch.arange(ITEMS)).loss.backward()
        assert bool(model.item_query.weight.grad.abs().sum() > 0) is trained


def test_consistency_moves_the_embedding_and_never_the_query_it_aims_at():
    model = make_model(dropout=0.0).eval()
    output = model(*make_batch(), torch.arange(ITEMS))
    own = (model.shared_query + model.item_query.weight).detach()
    torch.testing.assert_close(output.consistency_loss, (output.fused - own).square().mean())
    without = make_model(dropout=0.0, consistency_weight=0.0).eval()
    gap = output.loss - without(*make_batch(), torch.arange(ITEMS)).loss
    torch.testing.assert_close(gap, 0.02 * output.consistency_loss, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_items", [0, ITEMS])
def test_save_and_load_change_nothing(tmp_path, num_items, trained):
    model, batch = trained, make_batch()
    if not num_items:
        model.drop_item_table()
    model.save_pretrained(tmp_path)
    loaded = QBert4RecFusionModel.from_pretrained(tmp_path)
    rows = torch.arange(ITEMS) if num_items else None
    assert torch.equal(loaded.embed(*batch, rows).fused, model.embed(*batch, rows).fused)


def test_saved_folder_loads_without_the_package(tmp_path, trained):
    model, batch = trained, make_batch()
    model.save_pretrained(tmp_path)
    torch.save((batch, model.embed(*batch).fused), tmp_path / "batch.pt")
    code = (
        "import sys, torch; from transformers import AutoModel\n"
        "m = AutoModel.from_pretrained('.', trust_remote_code=True)\n"
        "batch, fused = torch.load('batch.pt')\n"
        "assert torch.equal(m.embed(*batch).fused, fused)\n"
        "assert not any(name.startswith('qbert4rec_hf') for name in sys.modules)\n"
    )
    environment = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_sdpa_equals_eager():
    model, batch = make_model().eval(), make_batch()
    fast = model(*batch).fused
    model.set_attn_implementation("eager")
    torch.testing.assert_close(model(*batch).fused, fast, atol=1e-6, rtol=1e-5)


def test_gradient_checkpointing_gives_the_same_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = make_model(dropout=0.0, id_dropout=0.0)
        if checkpointing:
            checkpoint_activations(model)
        model(*make_batch(), torch.arange(ITEMS)).loss.backward()
        gradients.append(model.layers[0].attention.query.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f, m, i: (f | {"sound": f["text"]}, m, i), "not a modality"),
        (lambda f, m, i: (f | {"text": f["image"]}, m, i), r"takes \[items, vectors, 7\]"),
        (lambda f, m, i: ({}, m, i), "empty"),
        (lambda f, m, i: (f, m, i + 1), "outside the 40 own queries"),
        (lambda f, m, i: (f, m, i[:1]), "the batch has 40 items"),
        (lambda f, m, i: (f | {"image": f["image"][:7]}, m, i), "'image'.* the 40 items"),
        (lambda f, m, i: (f, m | {"text": m["text"][:, :1]}, i), "'text'.* the 40 items"),
    ],
)
def test_bad_input_is_named(change, reason):
    with pytest.raises(ValueError, match=reason):
        make_model()(*change(*make_batch(), torch.arange(ITEMS)))


CHANGES = {
    "num_items": ITEMS + 1,
    "hidden_size": 8,
    "intermediate_size": 8,
    "max_layers": 3,
    "num_attention_heads": 2,
    "dropout": 0.9,
    "attention_temperature": 0.01,
    "contrastive_temperature": 0.5,
    "consistency_weight": 2.0,
    "id_dropout": 0.0,
    "query_noise": 0.01,
    "depth": "fixed",
    "stop_threshold": 0.3,
    "expected_depth": 3.5,
    "depth_weight": 9.0,
    "content_residual": False,
    "layer_norm_eps": 0.5,
    "initializer_range": 0.2,
    "modalities": {"text": 7, "image": 5, "structural": 3, "sound": 2},
}


def test_every_field_has_an_effect():
    fields = set(QBert4RecFusionConfig.__annotations__)
    # The fingerprint is a name that others compare; all the rest changes a training step.
    assert set(CHANGES) == fields - {"catalog_fingerprint", "format_version", "model_type"}

    def step(modalities=SIZES, **changes):
        model = make_model(modalities, modalities, **changes)
        torch.manual_seed(2)
        output = model(*make_batch(), torch.arange(ITEMS))
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        return float(output.loss.detach()), shapes

    plain = step()
    assert step() == plain
    for name, value in CHANGES.items():
        assert step(**{name: value}) != plain, name
