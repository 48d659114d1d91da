from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from encoder_laws import check_laws
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.hf_image import HFImageEncoder

VISION = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TEXT = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SQUARE = {"height": 16, "width": 16}


def make_model(family, folder, **options):
    torch.manual_seed(0)
    if family == "clip":
        config = CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
        model = CLIPModel(config)
        processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=SQUARE)
    elif family == "siglip":
        model = SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION))
        processor = SiglipImageProcessor(size=SQUARE)
    elif family == "convnext":
        config = ConvNextConfig(hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, patch_size=2)
        model, processor = ConvNextModel(config), ViTImageProcessor(size=SQUARE)
    elif family == "dinov2":
        model = Dinov2Model(Dinov2Config(**VISION))
        # As published: it takes pictures of any multiple of its patches.
        processor = ViTImageProcessor(size=SQUARE)
    else:
        model = ViTModel(ViTConfig(**VISION), **options)
        processor = ViTImageProcessor(size=SQUARE)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["clip", "siglip", "vit", "dinov2", "convnext"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    return make_model(family, tmp_path_factory.mktemp(family))


@pytest.fixture
def encoder(folder):
    return HFImageEncoder(model=str(folder), device="cpu", batch_size=4)


def test_laws(encoder, shared_domain, tmp_path):
    check_laws(encoder, shared_domain, tmp_path / "encoder", exact=False)


def test_vectors_are_those_of_the_model(family, encoder, shared_domain):
    encoder.normalize = False
    features = encoder.encode(shared_domain.items, shared_domain.path, progress=False)
    assert features.dim == {"clip": 12, "convnext": 8}.get(family, 16)
    assert not features.mask[1].any() and features.mask[3].all()
    image = Image.open(shared_domain.path / shared_domain.items["images"][3][1])
    inputs = AutoImageProcessor.from_pretrained(encoder.model)(images=image, return_tensors="pt")
    model = AutoModel.from_pretrained(encoder.model).eval()
    with torch.no_grad():
        if family in ("clip", "siglip"):
            expected = model.get_image_features(**inputs).pooler_output
        else:
            expected = model(**inputs).pooler_output
    np.testing.assert_allclose(
        features.vectors[3, 1], expected.flatten().numpy(), atol=1e-5, rtol=1e-5
    )


def test_a_pooler_that_the_checkpoint_lacks_is_not_drawn_at_random(shared_domain, tmp_path):
    make_model("vit", tmp_path, add_pooling_layer=False)
    encoder = HFImageEncoder(model=str(tmp_path), device="cpu", normalize=False)
    features = encoder.encode(shared_domain.items, shared_domain.path, progress=False)
    image = Image.open(shared_domain.path / shared_domain.items["images"][3][0])
    inputs = AutoImageProcessor.from_pretrained(tmp_path)(images=image, return_tensors="pt")
    with torch.no_grad():
        states = ViTModel.from_pretrained(tmp_path, add_pooling_layer=False)(**inputs)
    expected = states.last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(features.vectors[3, 0], expected, atol=1e-5)


def test_pictures_of_several_sizes(tmp_path, domain):
    """A processor that keeps the shape of a picture: neighbours of one shape run together."""
    make_model("convnext", tmp_path)
    about = json.loads((tmp_path / "preprocessor_config.json").read_text())
    about["do_resize"] = False
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(about))
    encoder = HFImageEncoder(model=str(tmp_path), device="cpu", max_images=1)
    Image.new("RGB", (64, 48), "red").save(domain.path / domain.items["images"][2][0])
    features = encoder.encode(domain.items, domain.path, progress=False)
    assert features.mask[2].all() and features.mask.sum() == 11
    alone = encoder.encode(domain.items.iloc[[2]], domain.path, progress=False)
    np.testing.assert_allclose(alone.vectors[0], features.vectors[2], atol=1e-5)


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory):
    return make_model("vit", tmp_path_factory.mktemp("plain"))


def test_corrupt_pictures(vit_folder, domain, caplog):
    encoder = HFImageEncoder(model=str(vit_folder), device="cpu")
    name = domain.items["images"][2][0]
    (domain.path / name).write_text("gone")
    features = encoder.encode(domain.items, domain.path, progress=False)
    assert not features.mask[2].any() and features.mask[3].all() and name in caplog.text
    encoder.on_corrupt = "error"
    with pytest.raises(QBert4RecError, match=name):
        encoder.encode(domain.items, domain.path, progress=False)


def test_memory_that_runs_out(vit_folder, shared_domain, monkeypatch):
    plain = HFImageEncoder(model=str(vit_folder), device="cpu")
    expected = plain.encode(shared_domain.items, shared_domain.path, progress=False)
    encoder = HFImageEncoder(model=str(vit_folder), device="cpu", batch_size=8)
    forward, tried = encoder._forward, []

    def short_of_memory(prepared):
        tried.append(len(prepared))
        if len(prepared) > 3:
            raise MemoryError
        return forward(prepared)

    encoder._network()
    monkeypatch.setattr(encoder, "_forward", short_of_memory)
    features = encoder.encode(shared_domain.items, shared_domain.path, progress=False)
    np.testing.assert_allclose(features.vectors, expected.vectors, atol=1e-5)
    assert tried[:3] == [8, 4, 2] and max(tried[2:]) == 2


def test_the_model_is_told_from_others(vit_folder, shared_domain, tmp_path):
    shutil.copytree(vit_folder, tmp_path / "model")
    encoder = HFImageEncoder(model=str(tmp_path / "model"), device="cpu")
    assert encoder.fingerprint() == HFImageEncoder(model=str(vit_folder)).fingerprint()
    half = HFImageEncoder(model=str(vit_folder), dtype="bfloat16", device="cpu")
    assert half.fingerprint() != encoder.fingerprint()
    assert half._network()[1].dtype == torch.bfloat16
    assert half.encode(shared_domain.items, shared_domain.path, progress=False).mask.any()
    encoder.save(tmp_path / "encoder")
    model = ViTModel.from_pretrained(tmp_path / "model")
    model.embeddings.cls_token.data += 1
    model.save_pretrained(tmp_path / "model")
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    for _ in range(2):
        with pytest.raises(QBert4RecError, match="not the one that the features were made with"):
            loaded.encode(shared_domain.items, shared_domain.path)


def test_errors(tmp_path, bert_folder):
    with pytest.raises(QBert4RecError, match="image model .*cannot be loaded.*pca_image") as caught:
        HFImageEncoder(model=str(tmp_path)).fingerprint()
    assert "\n" not in str(caught.value)
    with pytest.raises(QBert4RecError, match="image model .*cannot be loaded"):
        HFImageEncoder(model=str(bert_folder)).fingerprint()
    for wrong in ({"max_images": 0}, {"batch_size": 0}, {"on_corrupt": "x"}, {"dtype": "int8"}):
        with pytest.raises(QBert4RecError, match=next(iter(wrong))):
            HFImageEncoder(model="m", **wrong)
