"""A model's own code runs when that is asked for, this time, and never because a file says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features import base
from qbert4rec_hf.features.store import ModalityFeatures
from qbert4rec_hf.ranking.recommender import Recommender


@pytest.fixture
def kind(monkeypatch):
    """An encoder whose network brings code of its own."""
    monkeypatch.setattr(base, "_REGISTERED", dict(base._REGISTERED))

    @base.register_encoder
    class OwnCode(base.FeatureEncoder):
        kind = "own_code"
        dim = 4

        def __init__(self, *, modality="text"):
            self.modality = modality

        def config(self):
            return {"modality": self.modality}

        def encode(self, items, root, *, progress=True):
            if not self.trust_remote_code:
                raise QBert4RecError("own_code brings code of its own; set trust_remote_code")
            rng = np.random.default_rng(len(items))
            vectors = rng.standard_normal((len(items), 1, 4)).astype(np.float32)
            return ModalityFeatures(vectors, np.ones((len(items), 1), dtype=bool))

    return OwnCode.kind


def test_the_flag_is_asked_for_each_time(kind, shops, short, tmp_path, capsys):
    settings = [f"features.text.kind={kind}", "features.image.kind=none", *short]
    options = ["--output-dir", str(tmp_path / "run"), "--quiet"]
    start = [*options, "--domain", str(shops / "home")]
    for setting in settings:
        start += ["--set", setting]
    assert main(["run", *start]) == 2
    assert "trust_remote_code" in capsys.readouterr().err
    assert main(["features", *options]) == 2
    assert main(["run", *options, "--trust-remote-code"]) == 0
    model = tmp_path / "run" / "model"
    for path in [tmp_path / "run" / "config.yaml", *model.rglob("*.json")]:
        assert "trust" not in path.read_text(), path

    new = [{"item_id": "new", "title": "A lamp"}]
    with pytest.raises(QBert4RecError, match="trust_remote_code"):
        Recommender.from_pretrained(model).add_items(new)
    assert Recommender.from_pretrained(model, trust_remote_code=True).add_items(new)

    # The same when another domain starts from this model.
    other = ["--from", str(model), "--domain", str(shops / "weekend")]
    other += ["--output-dir", str(tmp_path / "other"), "--quiet", "--set", "finetune.epochs=1"]
    assert main(["features", *other]) == 2
    assert main(["features", *other, "--trust-remote-code"]) == 0
    about = json.loads((tmp_path / "other" / "features" / "stage.json").read_text())
    assert about["status"] == "finished" and "trust" not in json.dumps(about)
