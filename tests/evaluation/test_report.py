from __future__ import annotations

import io
from html.parser import HTMLParser

import pytest
from PIL import Image

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.evaluation.baselines import baseline_scorers
from qbert4rec_hf.evaluation.evaluator import evaluate_systems
from qbert4rec_hf.evaluation.metrics import UNSEEN_ITEMS
from qbert4rec_hf.evaluation.report import (
    CodebookLevel,
    Curves,
    ReportData,
    ReportItem,
    ReportUser,
    curves_from_history,
    render_report,
    write_report,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and collects tags, attributes and text."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), (20, 120, 60)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def data(shop) -> ReportData:
    results = evaluate_systems(
        baseline_scorers(shop.train, shop.num_items),
        shop.histories,
        shop.targets,
        **shop.arguments(),
    )
    items = [
        ReportItem("A1", "Rake of ash", picture(), 0.25),
        ReportItem("A2", None, "missing.png", 0.125),
        ReportItem("A3", "Spade"),
    ]
    return ReportData(
        "Garden",
        "a small shop",
        facts={"Items": 1234, "Repeats": False},
        evaluations=results,
        curves=[Curves("Loss", "Epoch", "Nats", {"training": [(1, 3.0), (2, 2.0)]}, "It falls.")],
        codebooks=[CodebookLevel("a", 256, 250, 201.5), CodebookLevel("b", 256, 80)],
        depths={1: 30, 3: 10},
        users=[
            ReportUser("U1", items[:1], items, target_id="A2"),
            ReportUser("U2", items[1:], items[:1], target_id="A9", target=ReportItem("A9", "Hoe")),
            ReportUser("New", [], items, cold_start=True),
        ],
        settings={"learning_rate": 0.001, "levels": [256, 256]},
        notes=["Seed 0."],
    )


def test_every_part_is_on_the_page(data):
    page = Page(render_report(data))
    for text in (
        "Garden",
        "1,234",
        "Ranking everything",
        "Seen items excluded",
        "Popularity",
        "EASE",
        "By popularity of the target",
        "By length of the history",
        "It falls.",
        "250 of 256, perplexity 202",
        "1.50 layers an item on average.",
        "Rake of ash",
        "cold start",
        "no items yet",
        "Taken next, not among these",
        "Hoe",
        "learning_rate",
        "Seed 0.",
    ):
        assert text in page.text
    assert page.tags.count("svg") == 5
    assert f"{data.evaluations[1].metric('NDCG@10', UNSEEN_ITEMS):.4f}" in page.text
    assert ("li", "class", "target") in page.attributes


def test_the_page_needs_nothing_from_outside(data):
    page = Page(render_report(data))
    assert "script" not in page.tags
    assert "link" not in page.tags
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_a_hit_is_marked_once_and_not_repeated(data):
    hit = ReportData("x", users=[data.users[0]])
    text = render_report(hit)
    assert text.count("taken next") == 1
    assert "not among these" not in text


def test_no_text_reaches_the_page_as_markup():
    evil = '<script>alert("x")</script><img src=x onerror=y>${title}'
    item = ReportItem(evil, evil, evil)
    text = render_report(
        ReportData(
            evil,
            evil,
            facts={evil: evil},
            curves=[Curves(evil, evil, evil, {evil: [(1, 2.0)], "b": [(1, 3.0)]}, evil)],
            codebooks=[CodebookLevel(evil, 4, 2)],
            depths_by_group={evil: {1: 2}, "b": {2: 1}},
            users=[ReportUser(evil, [item], [item], target_id=evil), ReportUser("", [], [item])],
            settings={evil: evil},
            notes=[evil],
        )
    )
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert evil in page.text


def test_system_names_are_escaped(data):
    from dataclasses import replace

    results = [replace(result, name="<i>x</i>") for result in data.evaluations]
    assert "<i>" not in render_report(ReportData("x", evaluations=results))


def test_an_empty_report_is_a_page_without_sections():
    page = Page(render_report(ReportData("Nothing yet")))
    assert "Nothing yet" in page.text
    assert "section" not in page.tags
    assert "svg" not in page.tags


def test_writing_replaces_an_older_page(data, tmp_path):
    path = write_report(tmp_path / "deep" / "folder", ReportData("old"))
    assert write_report(tmp_path / "deep" / "folder", data) == path
    assert "Garden" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(QBert4RecError, match="cannot write"):
        write_report(tmp_path / "file", data)


def test_curves_come_from_the_log_of_a_trainer():
    log = [
        {"epoch": 1.0, "step": 10, "loss": 3.0},
        {"epoch": 1.0, "step": 10, "eval_loss": 2.5},
        {"epoch": 2, "step": 20, "loss": 2},
        {"step": 30, "train_runtime": 5.0},
    ]
    assert curves_from_history(log, ["loss", "eval_loss", "other"]) == {
        "loss": [(1.0, 3.0), (2.0, 2.0)],
        "eval_loss": [(1.0, 2.5)],
    }
    assert curves_from_history(log, ["loss"], x="step") == {"loss": [(10.0, 3.0), (20.0, 2.0)]}
