"""Charts as inline SVG, without a plotting library.

Colours are CSS variables of the page (`--series-1` to `--series-8`, `--ink`, `--muted`, `--grid`),
so that a chart follows the light or dark theme of what it stands in. Every mark carries a tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 560, 300
NUM_COLOURS = 8
MAX_POINTS = 300

_LEFT, _RIGHT, _BOTTOM, _TOP = 62, 14, 50, 12
_LEGEND_LINE = 20
_CHARACTER = 6.6  # width of an average character at 12 px

Point = tuple[float, float]


# The light colours of the report page.
_STYLE = (
    "<style>svg{--series-1:#2563c9;--series-2:#d9730d;--series-3:#16857a;--series-4:#b0357c;"
    "--series-5:#7a5bd0;--series-6:#8a6d1d;--series-7:#c23b3b;--series-8:#4f6273;"
    'background:#fff;font:12px system-ui,"DejaVu Sans",sans-serif}'
    ".rule{stroke:#e4e7ec}.axis{stroke:#98a2b3}.tick,.value,.title{fill:#5d6b7e}.value{font-size:11px}"
    ".label{fill:#1d2633}.line{fill:none;stroke-width:2}.track{fill:#eef1f5}"
    ".marker{stroke:#fff;stroke-width:1.5}</style>"
)


def line_chart(
    series: Mapping[str, Sequence[Point]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
) -> str:
    """Lines over a numeric axis.

    Args:
        series: name -> points `(x, y)`; points that are not finite are left out, long series are
            thinned, and a series of one point is drawn as a dot.
        x_label: title of the horizontal axis.
        y_label: title of the vertical axis.
        title: what the chart shows, for screen readers.

    Returns:
        An `<svg>` element, or an empty string when there is nothing to draw.
    """
    cleaned = {name: _thin(_finite(points)) for name, points in series.items()}
    cleaned = {name: points for name, points in cleaned.items() if points}
    if not cleaned:
        return ""
    xs = [x for points in cleaned.values() for x, _ in points]
    ys = [y for points in cleaned.values() for _, y in points]
    frame = _Frame(list(cleaned), x_label, y_label)
    x_ticks, y_ticks = nice_ticks(min(xs), max(xs)), nice_ticks(min(ys), max(ys))
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    place_x = _scale(x_low, x_high, frame.left, frame.right)
    place_y = _scale(y_ticks[0], y_ticks[-1], frame.bottom, frame.top)

    parts = frame.axes(
        [(place_x(tick), format_number(tick)) for tick in x_ticks if x_low <= tick <= x_high],
        [(place_y(tick), format_number(tick)) for tick in y_ticks],
    )
    for index, (name, points) in enumerate(cleaned.items()):
        colour = _colour(index)
        path = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in points)
        if len(points) > 1:
            dash = ' stroke-dasharray="6 3"' if index >= NUM_COLOURS else ""
            parts.append(f'<polyline class="line" stroke="{colour}"{dash} points="{path}"/>')
        few = len(points) <= 40
        for x, y in points:
            # Without a dot the circle still answers to the pointer.
            text = f"{name}: {format_number(y)} at {x_label.lower()} {format_number(x)}"
            parts.append(
                f'<circle cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="{2.6 if few else 5}" '
                f'fill="{colour if few else "transparent"}">{_tooltip(text)}</circle>'
            )
    return frame.svg(parts, title or f"{y_label} by {x_label}")


def bar_chart(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    show_values: bool | None = None,
    format_value: Callable[[float], str] | None = None,
) -> str:
    """Vertical bars from zero, grouped by label.

    Args:
        labels: one a group.
        series: name -> one value (not negative) a group; `None` leaves a gap.
        x_label: title of the horizontal axis.
        y_label: title of the vertical axis.
        title: what the chart shows, for screen readers.
        show_values: write values over the bars; by default where they have room.
        format_value: number to text; by default `format_number`.

    Returns:
        An `<svg>` element, or an empty string when there is nothing to draw.
    """
    values = [v for row in series.values() for v in row if v is not None and math.isfinite(v)]
    if not labels or not values:
        return ""
    format_value = format_value or format_number
    frame = _Frame(list(series), x_label, y_label)
    ticks = nice_ticks(0.0, max(*values, 0.0) or 1.0)
    place_y = _scale(0.0, ticks[-1], frame.bottom, frame.top)
    slot = (frame.right - frame.left) / len(labels)
    group = min(slot * 0.78, 60.0 * len(series))
    width = group / len(series)
    if show_values is None:
        longest = max(len(format_value(value)) for value in values)
        show_values = width >= longest * _CHARACTER * 0.95

    parts = frame.axes(
        [
            (frame.left + slot * (index + 0.5), _fit(label, slot))
            for index, label in enumerate(labels)
        ],
        [(place_y(tick), format_number(tick)) for tick in ticks],
    )
    for row, (name, bars) in enumerate(series.items()):
        for column, value in enumerate(bars):
            if value is None or not math.isfinite(value):
                continue
            x = frame.left + slot * (column + 0.5) - group / 2 + width * row
            y = place_y(value)
            text = f"{name}, {labels[column]}: {format_value(value)}"
            gap = min(2.0, width * 0.15)
            parts.append(
                f'<rect x="{x + gap / 2:.1f}" y="{y:.1f}" width="{width - gap:.1f}" '
                f'height="{max(frame.bottom - y, 0):.1f}" rx="2" fill="{_colour(row)}">'
                f"{_tooltip(text)}</rect>"
            )
            if show_values:
                parts.append(
                    f'<text class="value" x="{x + width / 2:.1f}" y="{y - 4:.1f}" '
                    f'text-anchor="middle">{escape(format_value(value))}</text>'
                )
    return frame.svg(parts, title or f"{y_label} by {x_label}")


def share_bars(
    rows: Sequence[tuple[str, float, float | None, str]],
    *,
    bar_name: str,
    marker_name: str,
    x_label: str,
    title: str = "",
) -> str:
    """Horizontal bars on a scale from 0 to 100%, each with a marker.

    Args:
        rows: `(label, share, marker's share or None, text at the end)`, from the top.
        bar_name: what the bar shows, for the legend.
        marker_name: what the marker shows, for the legend.
        x_label: title of the axis.
        title: what the chart shows, for screen readers.

    Returns:
        An `<svg>` element, or an empty string when there are no rows.
    """
    if not rows:
        return ""
    names = [bar_name] + ([marker_name] if any(row[2] is not None for row in rows) else [])
    left = min(20 + max(len(row[0]) for row in rows) * _CHARACTER, 190)
    end = max(len(row[3]) for row in rows) * _CHARACTER + 14
    height = _TOP + _LEGEND_LINE + 26 * len(rows) + _BOTTOM
    frame = _Frame(names, x_label, "", height=height, left=left, right=WIDTH - max(end, _RIGHT))
    place_x = _scale(0.0, 1.0, frame.left, frame.right)
    parts = frame.axes([(place_x(s / 4), f"{25 * s}%") for s in range(5)], [])
    step = (frame.bottom - frame.top) / len(rows)
    for index, (label, share, marker, text) in enumerate(rows):
        y = frame.top + step * (index + 0.5)
        share = min(max(share, 0.0), 1.0)
        tooltip = f"{label}: {bar_name.lower()} {share:.1%}"
        if marker is not None:
            tooltip += f", {marker_name.lower()} {marker:.1%}"
        parts.append(
            f'<rect class="track" x="{frame.left:.1f}" y="{y - 7:.1f}" '
            f'width="{frame.right - frame.left:.1f}" height="14" rx="3"/>'
            f'<rect x="{frame.left:.1f}" y="{y - 7:.1f}" '
            f'width="{place_x(share) - frame.left:.1f}" height="14" rx="3" fill="{_colour(0)}">'
            f"{_tooltip(tooltip)}</rect>"
            f'<text class="label" x="{frame.left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(_fit(label, left - 10))}</text>"
            f'<text class="tick" x="{frame.right + 10:.1f}" y="{y + 4:.1f}">{escape(text)}</text>'
        )
        if marker is not None:
            x = place_x(min(max(marker, 0.0), 1.0))
            parts.append(
                f'<rect class="marker" x="{x - 2.5:.1f}" y="{y - 10:.1f}" width="5" height="20" '
                f'rx="2" fill="{_colour(1)}">{_tooltip(tooltip)}</rect>'
            )
    return frame.svg(parts, title or x_label)


def standalone(svg: str) -> str:
    """A chart as a file of its own: with its colours, which a page gives otherwise, on white.

    Args:
        svg: what `line_chart`, `bar_chart` or `share_bars` gave; an empty string stays empty.
    """
    head, closing, rest = svg.partition(">")
    return f"{head}{closing}{_STYLE}{rest}" if svg else ""


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (steps of 1, 2, 2.5 or 5 times a power of ten) that enclose a range.

    Example:
        >>> nice_ticks(0.0, 0.93)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if low == high:
        margin = abs(low) * 0.1 or 0.5
        low, high = low - margin, high + margin
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def format_number(value: float) -> str:
    """A number as an axis shows it: no more digits than say something.

    Example:
        >>> [format_number(value) for value in (0.0, 12500.0, 0.12340001, 3.0, 2.5e-5)]
        ['0', '12,500', '0.1234', '3', '2.5e-05']
    """
    if value == 0:
        return "0"
    if abs(value) < 1e-3 or abs(value) >= 1e7:
        return f"{value:.3g}"
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.4g}"


class _Frame:
    """The box of a chart: legend on top, axes with titles, a grid."""

    def __init__(
        self,
        names: list[str],
        x_label: str,
        y_label: str,
        *,
        height: int = HEIGHT,
        left: float = _LEFT,
        right: float = WIDTH - _RIGHT,
    ):
        self.x_label, self.y_label = x_label, y_label
        self.left, self.right = left, right
        self.legend, lines = self._legend(names) if len(names) > 1 else ([], 0)
        # More lines of legend make a taller chart, not a flatter one.
        self.height = height + _LEGEND_LINE * max(lines - 1, 0)
        self.top = _TOP + _LEGEND_LINE * lines + (6 if lines else 0)
        self.bottom = self.height - _BOTTOM

    def _legend(self, names: list[str]) -> tuple[list[str], int]:
        parts, x, line = [], 12.0, 0
        for index, name in enumerate(names):
            name = _fit(name, WIDTH - 60)
            width = 24 + len(name) * _CHARACTER + 14
            if x > 12 and x + width > WIDTH:
                x, line = 12.0, line + 1
            y = _TOP + _LEGEND_LINE * line + 4
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 6}" width="12" height="12" rx="3" '
                f'fill="{_colour(index)}"/>'
                f'<text class="label" x="{x + 18:.1f}" y="{y + 4}">{escape(name)}</text>'
            )
            x += width
        return parts, line + 1

    def axes(self, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]) -> list[str]:
        parts = list(self.legend)
        for y, text in y_ticks:
            parts.append(
                f'<line class="rule" x1="{self.left:.1f}" x2="{self.right:.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{self.left - 8:.1f}" y="{y + 4:.1f}" '
                f'text-anchor="end">{escape(text)}</text>'
            )
        parts.append(
            f'<line class="axis" x1="{self.left:.1f}" x2="{self.right:.1f}" '
            f'y1="{self.bottom}" y2="{self.bottom}"/>'
        )
        for x, text in x_ticks:
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{self.bottom + 18}" '
                f'text-anchor="middle">{escape(text)}</text>'
            )
        middle = (self.left + self.right) / 2
        parts.append(
            f'<text class="title" x="{middle:.1f}" y="{self.bottom + 40}" '
            f'text-anchor="middle">{escape(self.x_label)}</text>'
        )
        if self.y_label:
            middle = (self.top + self.bottom) / 2
            parts.append(
                f'<text class="title" transform="translate(14 {middle:.1f}) rotate(-90)" '
                f'text-anchor="middle">{escape(self.y_label)}</text>'
            )
        return parts

    def svg(self, parts: list[str], title: str) -> str:
        return (
            f'<svg class="chart" role="img" aria-label="{escape(title, quote=True)}" '
            f'viewBox="0 0 {WIDTH} {self.height}" xmlns="http://www.w3.org/2000/svg">'
            f"{''.join(parts)}</svg>"
        )


def _finite(points: Sequence[Point]) -> list[Point]:
    kept = [(float(x), float(y)) for x, y in points if x is not None and y is not None]
    return [(x, y) for x, y in kept if math.isfinite(x) and math.isfinite(y)]


def _thin(points: list[Point]) -> list[Point]:
    if len(points) <= MAX_POINTS:
        return points
    step = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(index * step)] for index in range(MAX_POINTS)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _fit(text: str, width: float) -> str:
    room = max(int(width / _CHARACTER), 3)
    return text if len(text) <= room else text[: room - 1] + "…"


def _colour(index: int) -> str:
    return f"var(--series-{index % NUM_COLOURS + 1})"


def _tooltip(text: str) -> str:
    return f"<title>{escape(text)}</title>"
