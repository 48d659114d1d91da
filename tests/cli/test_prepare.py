from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qbert4rec_hf.cli import prepare
from qbert4rec_hf.cli.main import main
from qbert4rec_hf.data.domain import Domain

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "shop_sample"
LOG = "customer;sku;when;stars\n" + "".join(
    f"c{c};p{p};2024-01-{1 + (c + p) % 28:02d};{1 + (c + p) % 5}\n"
    for c in range(6)
    for p in range(6)
)


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "in" / "log.csv"
    path.parent.mkdir()
    path.write_text(LOG)
    return path


def test_the_example_works_as_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    assert main(prepare.EXAMPLE.split()[1:]) == 0
    printed = capsys.readouterr().out
    assert "sparsity" in printed and "items.csv (csv): 5 rows" in printed
    domain = Domain.load(tmp_path / "domains" / "shop")
    assert domain.info.num_items == 5 and domain.info.num_users == 3
    assert domain.items["price"].max() == 49.0


def test_options_reach_the_preparation(tmp_path, log, capsys):
    arguments = "--column user_id=customer item_id=sku --column timestamp=when rating=stars"
    arguments += " --user-core 2 --item-core 1 --min-rating 2 --since 2024-01-02 --max-history 4"
    arguments += " --ties drop-users --seed 5 --name camp --threads 1 --memory-limit 500MB"
    folder = tmp_path / "out"
    command = ["prepare", "--reviews", str(log), "--output-dir", str(folder), *arguments.split()]
    assert main(command) == 0
    info = Domain.load(folder).info
    assert (info.name, info.tie_seed, info.ties, info.num_users) == ("camp", 5, "drop-users", 6)
    assert info.num_interactions == 24
    assert "rating below 2" in capsys.readouterr().out


def test_a_temporal_split_is_recorded(tmp_path, log):
    arguments = "--column user_id=customer item_id=sku timestamp=when --split temporal"
    arguments += " --test-from 2024-01-09 --k-core 2"
    folder = tmp_path / "out"
    command = ["prepare", "--reviews", str(log), "--output-dir", str(folder), *arguments.split()]
    assert main(command) == 0
    info = Domain.load(folder).info
    assert info.split == "temporal" and info.test_from == 1_704_758_400_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--column user_id", "--column user_id: write FIELD=NAME"),
        ("--column nonsense=x", "nonsense"),
        ("--column user_id=nobody", "nobody"),
        ("--format word", "'word' is not known"),
        ("--column item_id=sku --k-core 40", "a 6-core would leave 6 users, 6 items"),
        ("--column item_id=sku --since soon", "since must be a day"),
        ("--column item_id=sku --images absent", "absent is not a folder"),
        ("--column item_id=sku --items-without-metadata drop", "needs metadata"),
        ("--column item_id=sku --memory-limit lots", "memory_limit must be a size"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, log, capsys, arguments, message):
    arguments = arguments.split()
    if "--column" in arguments and "item_id=sku" in arguments:
        arguments += ["--column", "user_id=customer", "timestamp=when"]
    folder = tmp_path / "out"
    command = ["prepare", "--reviews", str(log), "--output-dir", str(folder), "--quiet"]
    assert main([*command, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert captured.out == "" and os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("items", "interactions", "message"),
    [
        ("title\nTent\n", None, "item_id"),
        (None, "user_id,timestamp\nu,1\n", "item_id"),
        (None, "user_id,item_id,timestamp\nu,mug-01,soon\n", "soon"),
        (None, "user_id,item_id,timestamp\n", "no row"),
        (None, "", "empty"),
    ],
    ids=["items without ids", "log without items", "text as time", "no rows", "empty file"],
)
def test_broken_variants_of_the_sample(tmp_path, capsys, items, interactions, message):
    (tmp_path / "in").mkdir()
    for name, broken in (("items.csv", items), ("interactions.csv", interactions)):
        text = (SAMPLE / name).read_text() if broken is None else broken
        (tmp_path / "in" / name).write_text(text)
    command = ["prepare", "--k-core", "0", "--output-dir", str(tmp_path / "out")]
    command += ["--reviews", str(tmp_path / "in" / "interactions.csv")]
    assert main([*command, "--metadata", str(tmp_path / "in" / "items.csv"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == ["in"]


def test_an_orphan_is_an_item_without_metadata(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    log = tmp_path / "in" / "interactions.csv"
    log.write_text((SAMPLE / "interactions.csv").read_text() + "ben,kettle,2024-05-01\n")
    command = ["prepare", "--k-core", "0", "--output-dir", str(tmp_path / "out")]
    command += ["--reviews", str(log), "--metadata", str(SAMPLE / "items.csv")]
    assert main(command) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["items", "without", "metadata", "1"] in printed
    assert "kettle" in Domain.load(tmp_path / "out").item_ids


def test_ctrl_c_leaves_nothing(tmp_path):
    log = tmp_path / "in" / "log.csv"
    log.parent.mkdir()
    rows = (f"u{n % 50_000},i{n % 7_001},{n}\n" for n in range(1_500_000))
    log.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv[0] = 'qbert4rec'; from qbert4rec_hf.cli.main import main; sys.exit(main())"
    )
    command = ["prepare", "--reviews", str(log), "--output-dir", str(tmp_path / "out"), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(os.listdir(tmp_path)) == 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "interrupted; nothing was written" in error
    assert os.listdir(tmp_path) == ["in"]
