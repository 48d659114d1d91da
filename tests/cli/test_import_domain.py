from __future__ import annotations

from pathlib import Path

import pytest

from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain

SAMPLE = Path(__file__).parents[2] / "examples" / "published_sample"


def test_the_published_sample_becomes_a_domain_folder(tmp_path, capsys):
    assert main(["import", str(SAMPLE), "--output-dir", str(tmp_path / "sample")]) == 0
    printed = capsys.readouterr().out
    assert "5 items, 5 users" in printed
    assert "4 of 5 items distinct, 2 share theirs" in printed
    domain = Domain.load(tmp_path / "sample")
    assert sorted(domain.item_ids) == [f"SKU-0{i}" for i in range(1, 6)]


@pytest.mark.parametrize("broken", ["Sample.inter.json", "Sample.item2id"])
def test_a_broken_file_is_named(tmp_path, capsys, broken):
    for path in SAMPLE.iterdir():
        (tmp_path / path.name).write_bytes(b"{[" if path.name == broken else path.read_bytes())
    assert main(["import", str(tmp_path), "--output-dir", str(tmp_path / "sample")]) == 2
    assert broken in capsys.readouterr().err
    assert not (tmp_path / "sample").exists()


def test_the_form_is_known_by_the_names_of_the_files(tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    (source / "x.inter").write_text("user_id:token\titem_id:token\nu\ta\nu\tb\n")
    assert main(["import", str(source), "--output-dir", str(tmp_path / "one")]) == 0
    assert "2 items, 1 users" in capsys.readouterr().out
    (source / "x.inter.json").write_text('{"0": [0, 1]}')
    assert main(["import", str(source), "--output-dir", str(tmp_path / "two")]) == 2
    assert "say which with --format" in capsys.readouterr().err
    arguments = ["import", str(source), "--output-dir", str(tmp_path / "two"), "--format"]
    assert main([*arguments, "published"]) == 0
    assert Domain.load(tmp_path / "two").item_ids != Domain.load(tmp_path / "one").item_ids


def test_an_option_without_effect_is_refused(tmp_path, capsys):
    arguments = ["import", str(SAMPLE), "--output-dir", str(tmp_path / "sample")]
    assert main([*arguments, "--tie-seed", "3"]) == 2
    assert "--tie-seed orders equal time stamps" in capsys.readouterr().err
    assert not (tmp_path / "sample").exists()
