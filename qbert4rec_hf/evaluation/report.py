"""The report page: one HTML file to look at, without anything from outside it."""

from __future__ import annotations

import os
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from ..files import make_folder, write_text
from . import report_pieces as pieces
from .metrics import ALL_ITEMS
from .report_data import (
    CodebookLevel,
    Curves,
    ReportData,
    ReportItem,
    ReportUser,
    curves_from_history,
)

__all__ = [
    "REPORT_FILE",
    "CodebookLevel",
    "Curves",
    "ReportData",
    "ReportItem",
    "ReportUser",
    "curves_from_history",
    "render_report",
    "write_report",
]

REPORT_FILE = "report.html"
_TEMPLATE = "report_template.html"


def render_report(data: ReportData, *, protocol: str = ALL_ITEMS) -> str:
    """The page as text.

    Args:
        data: what to show; parts that are empty are left out.
        protocol: the seen-item rule whose buckets are charted; tables show both.
    """
    results = list(data.evaluations)
    training = pieces.curve_charts(data.curves)
    ids = pieces.codebook_chart(data.codebooks)
    ids += pieces.depth_chart(data.depths, data.depths_by_group)
    buckets = pieces.bucket_charts(results, protocol)
    body = [
        pieces.facts(data.facts),
        pieces.section(
            "Ranking",
            pieces.metric_tables(results),
            pieces.protocol_sentence(results[0]) if results else "",
        ),
        pieces.section("Where it wins and loses", _grid(buckets)),
        pieces.section("Training", _grid(training)),
        pieces.section("Semantic IDs and fusion", _grid(ids)),
        pieces.section("Some users", "".join(map(pieces.user_card, data.users))),
        pieces.section("Notes", pieces.notes_list(data.notes)),
        pieces.settings_table(data.settings),
    ]
    template = resources.files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    subtitle = f'<p class="subtitle">{escape(data.subtitle)}</p>' if data.subtitle else ""
    return Template(template).substitute(
        title=escape(data.title), subtitle=subtitle, body="\n".join(filter(None, body))
    )


def write_report(folder: str | os.PathLike, data: ReportData, *, protocol: str = ALL_ITEMS) -> Path:
    """Writes `report.html` into a folder, in place of an older one.

    Args:
        folder: made where it does not exist.
        data: what to show.
        protocol: as for `render_report`.

    Returns:
        The file's path.

    Raises:
        QBert4RecError: the folder cannot be written to.
    """
    path = make_folder(folder) / REPORT_FILE
    write_text(path, render_report(data, protocol=protocol))
    return path


def _grid(body: str) -> str:
    return f'<div class="grid">{body}</div>' if body else ""
