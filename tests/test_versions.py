"""A library that is too old is named, in one line, before its lack of something shows."""

from __future__ import annotations

import configparser
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import qbert4rec_hf
from qbert4rec_hf import _versions
from qbert4rec_hf._versions import OLDEST, OutdatedLibraryError, check_versions
from qbert4rec_hf.errors import QBert4RecError

PACKAGE = Path(qbert4rec_hf.__file__).parent
SETUP = Path(__file__).parents[1] / "setup.cfg"
# Those that the Hub's users load first, whatever of the model they open.
STANDING_ALONE = [
    "fusion/configuration_fusion.py",
    "quantizer/configuration_quantizer.py",
    "sequence/configuration_qbert4rec.py",
    "semantic_ids/tokenization_semantic_id.py",
]


@pytest.mark.skipif(not SETUP.is_file(), reason="setup.cfg is not installed with the package")
def test_the_oldest_versions_are_those_of_the_installation():
    setup = configparser.ConfigParser()
    setup.read(SETUP, encoding="utf-8")
    required = setup["options"]["install_requires"]
    for name, oldest in OLDEST.items():
        assert re.search(rf"^{name}>={re.escape(oldest)}(,|$)", required, re.MULTILINE), name


@pytest.mark.parametrize(
    ("found", "passes"),
    [("5.19.0", False), ("4.57.6", False), ("5.20", True), ("5.20.0", True), ("5.24.dev0", True)],
)
def test_versions_are_compared_as_numbers(monkeypatch, found, passes):
    installed = {"torch": "2.14.1+cpu", "transformers": found}
    monkeypatch.setattr(_versions, "version", installed.__getitem__)
    if passes:
        check_versions()
        return
    with pytest.raises(OutdatedLibraryError, match=f"5.20 or newer, but transformers {found} is"):
        check_versions()


def test_registering_says_it_in_one_line_with_the_way_out(monkeypatch):
    def version(name):
        if name == "torch":
            raise _versions.PackageNotFoundError(name)
        return "5.24.0"

    monkeypatch.setattr(_versions, "version", version)
    # Both what code that imports expects and what the command line shows without a traceback.
    for kind in (ImportError, QBert4RecError):
        with pytest.raises(kind) as caught:
            qbert4rec_hf.register()
        message = str(caught.value)
        assert "\n" not in message and "torch is not installed" in message
        assert f"pip install --upgrade 'torch>={OLDEST['torch']}'" in message


@pytest.mark.parametrize("name", STANDING_ALONE)
def test_code_from_the_hub_says_it_too(monkeypatch, name):
    """Without the package, in a transformers that lacks what the file imports first."""
    monkeypatch.setitem(sys.modules, "transformers", ModuleType("transformers"))
    spec = importlib.util.spec_from_file_location("alone", PACKAGE / name)
    with pytest.raises(ImportError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    oldest = OLDEST["transformers"]
    assert f"needs transformers {oldest} or newer" in str(caught.value)
    assert f"'transformers>={oldest}'" in str(caught.value)
