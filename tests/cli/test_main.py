from __future__ import annotations

import subprocess
import sys

import pytest

from qbert4rec_hf.cli import main as cli
from qbert4rec_hf.errors import QBert4RecError

# The entry point as an installed script runs it: the program's name is what tells the package that
# registration can wait.
SCRIPT = "import sys; sys.argv[0] = 'qbert4rec'; from qbert4rec_hf.cli.main import main; "


def run_cli(*arguments: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + "sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        **kwargs,
    )


def test_help_lists_every_verb_without_loading_torch():
    code = SCRIPT + (
        "import contextlib\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for verb in cli.VERBS:
        assert verb in result.stdout


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_shows_an_example_that_its_parser_takes(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    assert caught.value.code == 0
    assert "example:" in capsys.readouterr().out
    for line in cli.VERBS[verb].EXAMPLE.strip().splitlines():
        program, *arguments = line.split()
        assert program == "qbert4rec" and arguments[0] == verb
        parsed = cli.build_parser().parse_args(arguments)
        assert parsed.run is cli.VERBS[verb].run


@pytest.mark.parametrize("arguments", [[], ["demo"], ["nonsense"], ["run", "--seed", "x"]])
def test_a_wrong_command_line_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def failing(error):
    def run(arguments):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (QBert4RecError("items.parquet lacks\ncolumn item_id"), 2, "lacks column item_id"),
        (KeyboardInterrupt(), 130, "the same command goes on where it stopped"),
        (PermissionError(13, "Permission denied", "/out/x"), 2, "cannot write /out/x"),
    ],
)
def test_errors_become_one_line(monkeypatch, capsys, error, status, message):
    monkeypatch.setattr(cli.VERBS["import"], "run", failing(error))
    assert cli.main(["import", "source", "--output-dir", "target"]) == status
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err
    assert captured.err.strip().count("\n") == 0 and captured.out == ""


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli.VERBS["import"], "run", failing(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["import", "source", "--output-dir", "target"])


def test_a_missing_source_in_a_process_of_its_own(tmp_path):
    result = run_cli("import", str(tmp_path / "absent"), "--output-dir", str(tmp_path / "out"))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "absent" in result.stderr
    assert not (tmp_path / "out").exists()
