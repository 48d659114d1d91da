"""The script and the files that Hugging Face reads."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "examples" / "space"


@pytest.fixture
def app(monkeypatch):
    """The script as a module, with no variable of its own set."""
    for name in [name for name in os.environ if name.startswith(("QBERT4REC_", "SPACE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    spec = importlib.util.spec_from_file_location("space_app", SPACE / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(monkeypatch):
    """Pretends that packages are there, or are not."""

    def pretend(**there: bool) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest: there[name] or None if name in there else find(name, *rest),
        )

    return pretend


def test_a_missing_model_is_one_line(app, installed, capsys, tmp_path):
    installed(gradio=True)
    for arguments, words in (
        ([str(tmp_path / "nowhere")], "neither a folder nor a repository"),
        ([], "QBERT4REC_MODEL"),
    ):
        assert app.main(arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and words in said and said.count("\n") == 1


def test_on_the_hub_the_page_says_what_is_missing(app, monkeypatch, capsys):
    pytest.importorskip("gradio", reason="the Space needs gradio: pip install gradio")
    import storefront.serve as serve

    monkeypatch.setenv("SPACE_ID", "owner/name")
    shown = []
    monkeypatch.setattr(serve, "_launch", lambda page, host, port: shown.append(page))
    assert app.main([]) == 0
    (panel,) = [block for block in shown[0].blocks.values() if hasattr(block, "js_on_load")]
    assert "QBERT4REC_MODEL" in panel.value


def test_without_gradio_the_way_out_is_named(app, installed, capsys):
    installed(gradio=False)
    assert app.main(["anything"]) == 2
    assert "gradio is missing: pip install -r" in capsys.readouterr().err


def test_help_names_the_variables_and_loads_nothing():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(SPACE / "app.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "app.py demo/run/model" in done.stdout
    for name in ("QBERT4REC_MODEL", "QBERT4REC_DOMAIN", "QBERT4REC_CATALOGUE"):
        assert name in done.stdout
    assert not re.search(r"\| +(torch|gradio)$", done.stderr, re.MULTILINE)


def test_the_card_is_one_that_a_space_can_have():
    from huggingface_hub import SpaceCard

    card = SpaceCard.load(SPACE / "README.md")
    facts = card.data.to_dict()
    assert facts["sdk"] == "gradio" and (SPACE / facts["app_file"]).is_file()
    assert re.fullmatch(r"\d+\.\d+\.\d+", facts["sdk_version"])
    assert len(facts["short_description"]) <= 60
    header = (SPACE / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert yaml.safe_load(header)["license"] == "apache-2.0"


def test_the_space_installs_what_the_package_needs():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = {line for line in setup["options"]["install_requires"].splitlines() if line}
    lines = (SPACE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    assert {line for line in listed if not line.startswith("gradio")} == needed
    (gradio,) = listed - needed
    version = re.search(r"sdk_version: (\d+\.\d+)", (SPACE / "README.md").read_text())[1]
    assert gradio.startswith(f"gradio>={version},")
