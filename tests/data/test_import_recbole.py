from __future__ import annotations

import pytest

from qbert4rec_hf.data.import_recbole import find_recbole, import_recbole
from qbert4rec_hf.errors import QBert4RecError

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
u1\tB\t5.0\t30
u1\tA\t1.0\t10
u2\tC\t3.0\t10
u1\tC\t4.0\t20
u2\tD\t3.0\t40
"""
ITEM = """item_id:token\tmovie_title:token_seq\tcategories:token_seq\tbrand:token\tprice:float
A\tRed  ball\tToys | Games\tHop\t9.5
B\t\t\t\t
C\tA "blue" ball\tToys\t\t3
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "toys.inter").write_text(INTER)
    (folder / "toys.item").write_text(ITEM)
    return folder


def test_a_log_is_sorted_by_time_and_its_items_keep_what_is_known(source, histories, caplog):
    domain = import_recbole(source).domain
    assert histories(domain) == {"u1": ["A", "C", "B"], "u2": ["C", "D"]}
    assert domain.info.time_order == "timestamps" and domain.info.name == "toys"
    items = domain.items.set_index("item_id")
    assert items.loc["A", "title"] == "Red ball"
    assert items.loc["A", "text"] == ["Hop", "Toys", "Games"]
    assert items.loc["A", "price"] == 9.5
    assert items.loc["C", "title"] == 'A "blue" ball' and items.loc["C", "text"] == ["Toys"]
    assert items.loc["B", "title"] is None and items.loc["B", "text"] == []
    # D has interactions and no description.
    assert items.loc["D", "title"] is None
    assert "1 items of the interactions are not described, such as 'D'" in caplog.text


def test_the_order_of_the_files_leaves_no_trace(source):
    orders = {tuple(import_recbole(source, seed=seed).domain.item_ids) for seed in range(12)}
    assert len(orders) > 4
    first = import_recbole(source, seed=3).domain.item_ids
    lines = ITEM.splitlines(keepends=True)
    (source / "toys.item").write_text("".join([lines[0], *reversed(lines[1:])]))
    rows = INTER.splitlines(keepends=True)
    (source / "toys.inter").write_text("".join([rows[0], *reversed(rows[1:])]))
    domain = import_recbole(source, seed=3).domain
    assert domain.item_ids == first and domain.info.item_shuffle_seed == 3


def test_without_time_stamps_the_order_is_taken_on_trust(source, histories):
    (source / "toys.item").unlink()
    text = "".join("\t".join(line.split("\t")[:2]) + "\n" for line in INTER.splitlines())
    (source / "toys.inter").write_text(text)
    domain = import_recbole(source).domain
    assert histories(domain) == {"u1": ["B", "A", "C"], "u2": ["C", "D"]}
    assert domain.info.time_order == "trust" and domain.info.tied_users is None
    # A place in the history orders the rows and is no time stamp.
    (source / "toys.inter").write_text(INTER.replace("timestamp", "position"))
    domain = import_recbole(source).domain
    assert histories(domain)["u1"] == ["A", "C", "B"] and domain.timestamps is None


def test_a_log_in_three_parts(source, histories):
    whole = histories(import_recbole(source).domain)
    header, *rows = INTER.splitlines(keepends=True)
    for part, some in (("train", rows[:2]), ("valid", rows[2:3]), ("test", rows[3:])):
        (source / f"toys.{part}.inter").write_text("".join([header, *some]))
    (source / "toys.inter").unlink()
    assert find_recbole(source) == (source, "toys")
    domain = import_recbole(source).domain
    assert histories(domain) == whole


def test_ready_histories(source, histories):
    (source / "toys.inter").unlink()
    header = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
    (source / "toys.train.inter").write_text(f"{header}u1\tA\tC\nu9\tD\tA\n")
    (source / "toys.valid.inter").write_text(f"{header}u1\tA C\tB\n")
    domain = import_recbole(source / "toys.train.inter").domain
    assert histories(domain) == {"u1": ["A", "C", "B"], "u9": ["D", "A"]}
    assert domain.info.time_order == "trust"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("toys.inter", "user_id:token\tproduct:token\nu\tA\n", "line 1: it lacks item_id:token"),
        ("toys.inter", "user_id:token\titem_id:token\ttimestamp:token\n", "timestamp:float"),
        ("toys.inter", "user_id:token\titem_id:token\n\tA\n", "row 0, column user_id"),
        ("toys.item", "title:token\nx\n", "line 1: it lacks item_id:token"),
        ("toys.item", "item_id:token\nA\nA\n", "'A' stands already"),
    ],
)
def test_a_broken_file_is_named(source, name, text, message):
    (source / name).write_text(text)
    with pytest.raises(QBert4RecError, match=f"{name}.*{message}") as caught:
        import_recbole(source)
    assert "\n" not in str(caught.value)


def test_stamps_with_fractions_are_refused_not_rounded(source):
    (source / "toys.inter").write_text(INTER.replace("\t30", "\t30.25"))
    with pytest.raises(QBert4RecError, match="row 0, column timestamp: 30.25 is no whole number"):
        import_recbole(source)


def test_a_source_that_is_none(source, tmp_path):
    with pytest.raises(QBert4RecError, match="is not a folder"):
        import_recbole(tmp_path / "absent")
    with pytest.raises(QBert4RecError, match="no data set in RecBole's form"):
        import_recbole(tmp_path)
    (source / "games.inter").write_text(INTER)
    with pytest.raises(QBert4RecError, match="several sets .games, toys."):
        import_recbole(source)
    with pytest.raises(QBert4RecError, match="nor does books.train.inter"):
        import_recbole(source, name="books")
    with pytest.raises(QBert4RecError, match="seed must be 0 or more"):
        import_recbole(source, name="games", seed=-1)
