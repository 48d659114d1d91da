from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from qbert4rec_hf.evaluation.svg_charts import (
    HEIGHT,
    MAX_POINTS,
    WIDTH,
    bar_chart,
    format_number,
    line_chart,
    nice_ticks,
    share_bars,
    standalone,
)

SVG = "{http://www.w3.org/2000/svg}"


def parse(chart: str) -> ET.Element:
    root = ET.fromstring(chart)
    assert root.tag == f"{SVG}svg"
    return root


def texts(root: ET.Element) -> list[str]:
    return [element.text for element in root.iter(f"{SVG}text")]


def test_lines_have_titled_axes_a_legend_and_stay_inside():
    chart = line_chart(
        {"training": [(1, 5.0), (2, 3.0), (3, 2.5)], "validation": [(1, 5.5), (3, 3.5)]},
        x_label="Epoch",
        y_label="Loss",
    )
    root = parse(chart)
    assert {"Epoch", "Loss", "training", "validation"} <= set(texts(root))
    lines = list(root.iter(f"{SVG}polyline"))
    assert [len(line.get("points").split()) for line in lines] == [3, 2]
    assert len({line.get("stroke") for line in lines}) == 2
    for line in lines:
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    # A falling loss goes down the page, where y grows.
    heights = [float(point.split(",")[1]) for point in lines[0].get("points").split()]
    assert heights == sorted(heights)


def test_points_that_are_not_finite_are_left_out():
    root = parse(
        line_chart(
            {"a": [(0, math.nan), (1, 1.0), (2, math.inf), (3, 2.0)]}, x_label="", y_label=""
        )
    )
    assert len(next(root.iter(f"{SVG}polyline")).get("points").split()) == 2
    assert "nan" not in ET.tostring(root, encoding="unicode")


def test_long_series_are_thinned_and_keep_their_ends():
    root = parse(
        line_chart({"a": [(x, float(x)) for x in range(5000)]}, x_label="Step", y_label="Loss")
    )
    assert len(next(root.iter(f"{SVG}polyline")).get("points").split()) == MAX_POINTS
    tooltips = [element.text for element in root.iter(f"{SVG}title")]
    assert tooltips[0] == "a: 0 at step 0"
    assert tooltips[-1] == "a: 4,999 at step 4,999"


def test_one_point_is_a_dot():
    root = parse(line_chart({"a": [(3, 0.5)]}, x_label="Epoch", y_label="NDCG@10"))
    assert not list(root.iter(f"{SVG}polyline"))
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def bars(root: ET.Element) -> list[ET.Element]:
    return [r for r in root.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]


def test_bars_are_as_high_as_their_values():
    root = parse(bar_chart(["1", "2", "3"], {"Items": [10, 20, 0]}, x_label="Layers", y_label="N"))
    first, second, third = (float(bar.get("height")) for bar in bars(root))
    assert second == pytest.approx(2 * first, abs=0.2)
    assert third == 0
    assert {"10", "20", "Layers", "N"} <= set(texts(root))


def test_bars_of_a_group_stand_beside_each_other():
    root = parse(bar_chart(["x", "y"], {"a": [1, None], "b": [2, 3]}, x_label="", y_label=""))
    places = sorted(
        (float(bar.get("x")), float(bar.get("x")) + float(bar.get("width"))) for bar in bars(root)
    )
    assert len(places) == 3
    assert all(left[1] <= right[0] for left, right in zip(places, places[1:], strict=False))


def test_shares_fill_their_track():
    root = parse(
        share_bars(
            [("level a", 0.5, 0.25, "128 of 256"), ("level b", 1.0, None, "all")],
            bar_name="In use",
            marker_name="Perplexity",
            x_label="Share",
        )
    )
    tracks = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "track"]
    filled = [r for r in bars(root) if r.get("class") is None]
    widths = [
        float(f.get("width")) / float(t.get("width")) for f, t in zip(filled, tracks, strict=True)
    ]
    assert widths == pytest.approx([0.5, 1.0], abs=0.01)
    assert len([r for r in root.iter(f"{SVG}rect") if r.get("class") == "marker"]) == 1


def test_nothing_to_draw_is_no_chart():
    assert line_chart({"a": []}, x_label="", y_label="") == ""
    assert bar_chart([], {"a": []}, x_label="", y_label="") == ""
    assert share_bars([], bar_name="", marker_name="", x_label="") == ""


def test_text_is_escaped():
    evil = '<script>alert("1")</script>'
    for chart in (
        line_chart({evil: [(0, 1.0)], "b": [(0, 2.0)]}, x_label=evil, y_label=evil, title=evil),
        bar_chart([evil], {evil: [1.0], "b": [2.0]}, x_label=evil, y_label=evil, title=evil),
        share_bars([(evil, 0.5, 0.5, evil)], bar_name=evil, marker_name=evil, x_label=evil),
    ):
        assert "<script" not in chart
        parse(chart)


def test_many_series_wrap_the_legend_and_make_the_chart_taller():
    names = {f"a rather long name of a system {index}": [(0, 1.0)] for index in range(12)}
    root = parse(line_chart(names, x_label="", y_label=""))
    height = float(root.get("viewBox").split()[3])
    assert height > HEIGHT
    assert set(names) <= set(texts(root))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.021, 0.113), (-3, 7), (5, 5), (0, 0), (1e-6, 3e-6), (0, 123456)]
)
def test_ticks_enclose_the_range_in_even_steps(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 9
    steps = {
        round((b - a) / (ticks[1] - ticks[0]), 6)
        for b, a in zip(ticks[1:], ticks[:-1], strict=True)
    }
    assert steps == {1.0}


def test_numbers_are_short():
    assert format_number(0.05) == "0.05"
    assert format_number(1234567.0) == "1,234,567"
    assert format_number(-0.25) == "-0.25"


def test_a_chart_of_its_own_brings_its_colours():
    chart = bar_chart(["a", "b"], {"one": [1, 2]}, x_label="x", y_label="y")
    alone = standalone(chart)
    root = ET.fromstring(alone)
    assert root[0].tag.endswith("style")
    used = set(re.findall(r"var\((--[\w-]+)\)", alone))
    assert used and all(f"{name}:" in root[0].text for name in used)
    assert standalone("") == ""
