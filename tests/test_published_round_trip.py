"""Real data there and back: QBERT4REC_DATA_DIR names a folder with the published sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.export_published import export_published
from qbert4rec_hf.data.export_recbole import export_recbole
from qbert4rec_hf.data.import_published import import_published
from qbert4rec_hf.data.import_recbole import import_recbole
from qbert4rec_hf.data.imported_domain import ImportedDomain

DATA_DIR = Path(os.environ.get("QBERT4REC_DATA_DIR") or "/nonexistent")


def histories(domain: Domain) -> dict[str, list[str]]:
    users, sequences = domain.sequences()
    ids = domain.item_ids
    return {user: [ids[row] for row in row_] for user, row_ in zip(users, sequences, strict=True)}


@pytest.fixture(scope="module", params=["Instruments", "Arts", "Beauty", "Toys"])
def imported(request) -> ImportedDomain:
    folder = DATA_DIR / request.param
    if not folder.is_dir():
        pytest.skip(f"QBERT4REC_DATA_DIR names no folder that holds {request.param}/")
    return import_published(folder)


def titles(domain: Domain) -> dict[str, str | None]:
    return dict(zip(domain.item_ids, domain.items["title"], strict=True))


def test_published(imported, tmp_path):
    domain = imported.domain
    folder = export_published(domain, tmp_path / domain.name, codes=imported.codes, seed=1)
    again = import_published(folder)
    assert histories(again.domain) == histories(domain)
    assert titles(again.domain) == titles(domain)
    assert again.codes.keys() == imported.codes.keys()
    for key, codes in imported.codes.items():
        rows = [again.domain.item_row[item_id] for item_id in domain.item_ids]
        assert (again.codes[key].codes[rows] == codes.codes).all()
        assert again.codes[key].prefixes == codes.prefixes
        # The real files and ours have the same lines, in the order of other numbers.
        name = f"{domain.name}.index_{key}.json"
        lines = [
            sorted((f / name).read_text().split("\n")) for f in (folder, DATA_DIR / domain.name)
        ]
        assert lines[0] == lines[1]


@pytest.mark.parametrize("benchmark", [False, True])
def test_recbole(imported, tmp_path, benchmark):
    domain = imported.domain
    folder = export_recbole(domain, tmp_path / domain.name, benchmark=benchmark)
    again = import_recbole(folder).domain
    assert histories(again) == histories(domain)
    assert titles(again) == titles(domain)
    assert again.info.time_order == domain.info.time_order == "trust"
