from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbert4rec_hf.data.recbole_benchmark import read_benchmark
from qbert4rec_hf.errors import QBert4RecError

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"


def write(folder, histories: dict[str, list[str]], longest: int, *, rising: bool):
    """Files as UniSRec publishes them: every prefix of a training part, the longest first."""
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user, items in histories.items():
        for end in range(len(items) - 1, 0, -1):
            part = {1: "test", 2: "valid"}.get(len(items) - end, "train")
            known = " ".join(items[max(0, end - longest) : end])
            lines[part].append(f"{user}\t{known}\t{items[end]}\n")
    if rising:
        lines["train"].reverse()
    paths = [folder / f"X.{part}.inter" for part in lines]
    for path, rows in zip(paths, lines.values(), strict=True):
        path.write_text(HEADER + "".join(rows))
    return paths


@given(
    st.lists(st.integers(2, 12), min_size=1, max_size=5),
    st.integers(1, 6),
    st.booleans(),
)
def test_histories_come_back_however_they_were_cut(tmp_path_factory, lengths, longest, rising):
    folder = tmp_path_factory.mktemp("benchmark")
    histories = {
        f"u{user}": [f"i{user}.{number}" for number in range(length)]
        for user, length in enumerate(lengths)
    }
    users, found = read_benchmark(write(folder, histories, longest, rising=rising))
    assert dict(zip(users, found, strict=True)) == histories


def test_training_rows_alone(tmp_path):
    histories = {"u": [f"i{number}" for number in range(9)]}
    for rising in (True, False):
        train, *_ = write(tmp_path, histories, 3, rising=rising)
        assert read_benchmark([train]) == (["u"], [histories["u"][:-2]])


def test_what_no_row_has_is_said(tmp_path, caplog):
    *_, test = write(tmp_path, {"u": [f"i{number}" for number in range(9)]}, 3, rising=True)
    assert read_benchmark([test]) == (["u"], [["i5", "i6", "i7", "i8"]])
    assert "histories of 1 users may have been cut to 3 items" in caplog.text


def test_files_that_do_not_follow_each_other(tmp_path):
    paths = write(tmp_path, {"u": ["a", "b", "c", "d"]}, 9, rising=True)
    paths[2].write_text(HEADER + "u\ta b\td\n")
    with pytest.raises(QBert4RecError, match=r"X\.test\.inter, line 2: .*lacks item 'c'"):
        read_benchmark(paths)
    paths[2].write_text("user_id:token\titem_id:token\nu\td\n")
    with pytest.raises(QBert4RecError, match=r"X\.test\.inter, line 1: it lacks item_id_list"):
        read_benchmark(paths)
    paths[2].write_text(HEADER + "u\ta b c\t\n")
    with pytest.raises(QBert4RecError, match=r"X\.test\.inter, row 0: user or item is empty"):
        read_benchmark(paths)
