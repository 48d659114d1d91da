from __future__ import annotations

import pandas as pd
from html_laws import HOSTILE, read_html

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.notebook import plain


def of_items(titles: list[str | None], name: str = "shop") -> Domain:
    ids = [f"i{row}" for row in range(len(titles))]
    items = pd.DataFrame({"item_id": ids, "title": titles})
    items["text"] = [[title or ""] for title in titles]
    items["images"] = [["a.jpg", "b.jpg"] for _ in titles]
    return Domain.from_sequences(items, [], Sequences.from_lists([]), name=name, source=name)


def test_counts_origin_and_first_items(domain):
    rows, text = read_html(domain._repr_html_())
    facts = dict(row for row in rows if len(row) == 2)
    assert facts["items"] == str(len(domain)) and facts["source"] == "test"
    assert facts["users"] == str(domain.info.num_users)
    assert facts["order of a user's interactions"] == "by time stamp"
    assert "folder" not in facts
    assert "Domain camp" in text
    ids = [row[1] for row in rows if len(row) == 4][1:]
    assert ids == domain.item_ids[:5]


def test_a_saved_domain_names_its_folder(domain, tmp_path):
    domain.save(tmp_path / "camp")
    rows, _ = read_html(domain._repr_html_())
    # Long paths are cut.
    assert dict(row for row in rows if len(row) == 2)["folder"].startswith(str(tmp_path)[:20])


def test_only_the_first_items_are_shown():
    rows, text = read_html(of_items([f"thing {n}" for n in range(8)])._repr_html_())
    assert [row[0] for row in rows if len(row) == 4] == ["title", *(f"thing {n}" for n in range(5))]
    assert text.endswith("… and 3 more items")
    assert rows[-1] == ["thing 4", "i4", "thing 4", "2"]


def test_an_item_and_no_users():
    # A domain without items cannot be made.
    rows, text = read_html(of_items(["rope"])._repr_html_())
    facts = dict(row for row in rows if len(row) == 2)
    assert facts["users"] == facts["interactions"] == "0" and "more items" not in text


def test_names_and_titles_of_others_are_text():
    rows, text = read_html(of_items([HOSTILE, None], name=HOSTILE)._repr_html_())
    assert rows[-2][0] == plain(HOSTILE) and rows[-1][0] == "–"
    assert plain(f"Domain {HOSTILE}") in text
