from __future__ import annotations

import shutil

import numpy as np
import open_clip
import pytest
import torch
from encoder_laws import check_laws
from PIL import Image

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.base import FeatureEncoder
from qbert4rec_hf.features.open_clip_image import OpenClipImageEncoder


@pytest.fixture
def encoder(clip_folder):
    return OpenClipImageEncoder(model=f"local-dir:{clip_folder}", device="cpu", batch_size=4)


def test_laws(encoder, shared_domain, tmp_path):
    check_laws(encoder, shared_domain, tmp_path / "encoder", exact=False)


def test_vectors_are_those_of_open_clip(encoder, shared_domain):
    features = encoder.encode(shared_domain.items, shared_domain.path, progress=False)
    model, _, preprocess = open_clip.create_model_and_transforms(encoder.model)
    image = Image.open(shared_domain.path / shared_domain.items["images"][3][1])
    with torch.no_grad():
        expected = model.eval().encode_image(preprocess(image)[None], normalize=True)[0]
    np.testing.assert_allclose(features.vectors[3, 1], expected.numpy(), atol=1e-5)
    assert features.dim == 16 and not features.mask[1].any()


def test_a_checkpoint_of_a_named_model(clip_folder, shared_domain, encoder):
    checkpoint = OpenClipImageEncoder(
        model="tiny-clip",
        pretrained=str(clip_folder / "open_clip_model.safetensors"),
        device="cpu",
    )
    vectors = checkpoint.encode(shared_domain.items, shared_domain.path, progress=False)
    assert vectors.mask.any() and checkpoint.source
    assert checkpoint.fingerprint() != encoder.fingerprint()


def test_corrupt_pictures(encoder, domain, caplog):
    name = domain.items["images"][2][0]
    (domain.path / name).write_text("gone")
    features = encoder.encode(domain.items, domain.path, progress=False)
    assert not features.mask[2].any() and features.mask[3].all() and name in caplog.text
    encoder.on_corrupt = "error"
    with pytest.raises(QBert4RecError, match=name):
        encoder.encode(domain.items, domain.path, progress=False)


def test_other_weights_in_the_folder_are_noticed(clip_folder, shared_domain, tmp_path):
    shutil.copytree(clip_folder, tmp_path / "model")
    OpenClipImageEncoder(model=f"local-dir:{tmp_path / 'model'}").save(tmp_path / "encoder")
    weights = tmp_path / "model" / "open_clip_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    weights.write_bytes(content)
    loaded = FeatureEncoder.load(tmp_path / "encoder")
    with pytest.raises(QBert4RecError, match="were made with"):
        loaded.encode(shared_domain.items, shared_domain.path)


def test_errors(tmp_path):
    with pytest.raises(QBert4RecError, match="needs weights"):
        OpenClipImageEncoder(model="ViT-B-32")
    with pytest.raises(QBert4RecError, match="leave pretrained out"):
        OpenClipImageEncoder(model="local-dir:x", pretrained="openai")
    with pytest.raises(QBert4RecError, match="gone do not exist"):
        OpenClipImageEncoder(model=f"local-dir:{tmp_path / 'gone'}").fingerprint()
    with pytest.raises(QBert4RecError, match="'no-such-model'.*cannot be loaded"):
        OpenClipImageEncoder(model="no-such-model", pretrained="openai").fingerprint()
    with pytest.raises(QBert4RecError, match="precision"):
        OpenClipImageEncoder(model="local-dir:x", precision="int8")
