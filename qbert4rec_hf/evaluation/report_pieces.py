"""The pieces that a report page is made of; each returns HTML with all text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .metrics import ALL_ITEMS
from .report_data import CodebookLevel, Curves, ReportItem, ReportUser
from .result import PRIMARY_METRIC, SEEN_RULES, EvaluationResult
from .svg_charts import bar_chart, line_chart, share_bars
from .tables import PROTOCOL_TITLES, metric_names
from .thumbnails import thumbnail_uri


def section(heading: str, body: str, lead: str = "") -> str:
    """A section of the page, or nothing where its body is empty."""
    if not body:
        return ""
    lead = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(heading)}</h2>{lead}{body}</section>"


def figure(title: str, chart: str, note: str = "") -> str:
    """A chart with its title and a note, or nothing where there is no chart."""
    if not chart:
        return ""
    note = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return f'<figure class="card"><h3>{escape(title)}</h3>{chart}{note}</figure>'


def facts(values: Mapping[str, object]) -> str:
    """Tiles of a name and a value each."""
    if not values:
        return ""
    tiles = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(_text(value))}</dd></div>"
        for name, value in values.items()
    )
    return f'<dl class="facts">{tiles}</dl>'


def metric_tables(results: Sequence[EvaluationResult]) -> str:
    """One table a seen-item rule, systems as rows, the best figure of each column marked.

    Under each stands how far the order of time behind its figures can be believed.
    """
    if not results:
        return ""
    names = metric_names(results)
    parts = []
    for protocol, title in PROTOCOL_TITLES.items():
        best = {
            name: max(
                round(result.protocols[protocol].metrics.get(name, 0.0), 4) for result in results
            )
            for name in names
        }
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        rows = []
        for result in results:
            found = result.protocols[protocol]
            cells = ""
            for name in names:
                value = found.metrics.get(name)
                if value is None:
                    cells += "<td>–</td>"
                elif round(value, 4) == best[name] > 0:
                    cells += f"<td><strong>{value:.4f}</strong></td>"
                else:
                    cells += f"<td>{value:.4f}</td>"
            rows.append(
                f'<tr><th scope="row">{escape(result.name)}</th>{cells}'
                f"<td>{found.coverage:.1%}</td></tr>"
            )
        parts.append(
            f'<div class="card table"><h3>{escape(title.capitalize())}</h3>'
            f"<table><thead><tr><th></th>{head}"
            f'<th scope="col" title="share of the catalogue among the first ten of any user">'
            f"Coverage@10</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
            f'<p class="note">Items of the history are {escape(SEEN_RULES[protocol])}. '
            f"{escape(results[0].order_note)}</p></div>"
        )
    return "".join(parts)


def protocol_sentence(result: EvaluationResult) -> str:
    """What was measured, in words."""
    return (
        f"{result.split.capitalize()} split"
        + (f" ({result.splitting.rule})" if result.splitting is not None else "")
        + f", {result.num_users:,} users, all {result.num_items:,} "
        "items ranked for each, nothing sampled; ties of scores count against us. "
        f"{result.num_seen_targets:,} targets stand in the user's history already, "
        f"{result.num_cold_targets:,} have no interaction in training. Bold: best of its column."
    )


def bucket_charts(results: Sequence[EvaluationResult], protocol: str = ALL_ITEMS) -> str:
    """The primary metric by target popularity and by history length."""
    if not results:
        return ""
    parts = []
    for attribute, heading, x_label in (
        ("by_popularity", "By popularity of the target", "Interactions of the target in training"),
        ("by_history_length", "By length of the history", "Items in the history"),
    ):
        buckets = getattr(results[0].protocols[protocol], attribute)
        labels = [bucket.label for bucket in buckets]
        series = {}
        for result in results:
            values = {
                bucket.label: bucket.metrics.get(PRIMARY_METRIC)
                for bucket in getattr(result.protocols[protocol], attribute)
            }
            series[result.name] = [values.get(label) for label in labels]
        users = ", ".join(f"{bucket.label}: {bucket.users:,}" for bucket in buckets)
        chart = bar_chart(
            labels,
            series,
            x_label=x_label,
            y_label=PRIMARY_METRIC,
            title=heading,
            show_values=False,
            format_value=lambda value: f"{value:.4f}",
        )
        note = f"{PROTOCOL_TITLES[protocol].capitalize()}. Users in each: {users}."
        parts.append(figure(heading, chart, note))
    return "".join(parts)


def curve_charts(curves: Sequence[Curves]) -> str:
    """One chart for each set of training curves."""
    return "".join(
        figure(
            curve.title,
            line_chart(
                curve.series, x_label=curve.x_label, y_label=curve.y_label, title=curve.title
            ),
            curve.note,
        )
        for curve in curves
    )


def codebook_chart(levels: Sequence[CodebookLevel]) -> str:
    """Use and perplexity of every level."""
    rows = []
    for level in levels:
        marker = None if level.perplexity is None else level.perplexity / max(level.size, 1)
        text = f"{level.used:,} of {level.size:,}"
        if level.perplexity is not None:
            text += f", perplexity {level.perplexity:.0f}"
        rows.append((f"level {level.name}", level.used / max(level.size, 1), marker, text))
    chart = share_bars(
        rows,
        bar_name="Codewords in use",
        marker_name="Perplexity",
        x_label="Share of the codebook",
        title="Codebook usage by level",
    )
    note = (
        "Perplexity is the number of codewords that would be in use if all were used alike; far "
        "below the codewords in use, a few of them carry most items."
    )
    return figure("Codebook usage", chart, note)


def depth_chart(depths: Mapping[int, int], by_group: Mapping[str, Mapping[int, int]]) -> str:
    """How many items stop after each fusion layer."""
    groups = dict(by_group) or ({"Items": depths} if depths else {})
    groups = {name: {int(d): n for d, n in counts.items()} for name, counts in groups.items()}
    found = [depth for counts in groups.values() for depth in counts]
    if not found:
        return ""
    levels = range(min(found), max(found) + 1)
    total = sum(sum(counts.values()) for counts in groups.values())
    weighted = sum(depth * number for c in groups.values() for depth, number in c.items())
    chart = bar_chart(
        [str(depth) for depth in levels],
        {name: [counts.get(depth, 0) for depth in levels] for name, counts in groups.items()},
        x_label="Fusion layers",
        y_label="Items",
        title="Fusion depth of items",
        format_value=lambda value: f"{value:,.0f}",
    )
    note = f"{weighted / total:.2f} layers an item on average." if total else ""
    return figure("Fusion depth", chart, note)


def user_card(user: ReportUser) -> str:
    """A user's history, the recommendations, and what was taken next."""
    history = "".join(_item(item) for item in user.history)
    if not user.history:
        history = '<li class="empty">no items yet</li>'
    hit = False
    recommendations = []
    for place, item in enumerate(user.recommendations, start=1):
        is_target = user.target_id is not None and item.item_id == user.target_id
        hit |= is_target
        recommendations.append(_item(item, place=place, is_target=is_target))
    outcome = ""
    if user.target_id is not None and not hit:
        target = user.target or ReportItem(user.target_id)
        outcome = (
            '<h4>Taken next, not among these</h4><ul class="items">'
            f"{_item(target, is_target=True)}</ul>"
        )
    label = '<span class="badge">cold start</span>' if user.cold_start else ""
    return (
        f'<article class="card user"><h3>{escape(user.name)} {label}</h3>'
        f'<h4>History, oldest first</h4><ul class="items">{history}</ul>'
        f'<h4>Recommended</h4><ol class="items">{"".join(recommendations)}</ol>{outcome}</article>'
    )


def settings_table(values: Mapping[str, object]) -> str:
    """Settings, folded away."""
    if not values:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(_text(value))}</td></tr>'
        for name, value in values.items()
    )
    return (
        '<details class="card"><summary>Settings</summary>'
        f'<table class="settings"><tbody>{rows}</tbody></table></details>'
    )


def notes_list(notes: Sequence[str]) -> str:
    """Sentences, one a bullet."""
    if not notes:
        return ""
    return "<ul class='notes'>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _item(item: ReportItem, *, place: int | None = None, is_target: bool = False) -> str:
    title = item.title or item.item_id
    uri = thumbnail_uri(item.image)
    if uri is None:
        letter = next((c for c in title if c.isalnum()), "?").upper()
        picture = f'<span class="picture none" aria-hidden="true">{escape(letter)}</span>'
    else:
        picture = f'<span class="picture"><img src="{uri}" alt="" loading="lazy"></span>'
    rank = f'<span class="place">{place}</span>' if place is not None else ""
    score = f'<span class="score">{item.score:.4f}</span>' if item.score is not None else ""
    badge = '<span class="badge">taken next</span>' if is_target else ""
    css = ' class="target"' if is_target else ""
    return (
        f'<li{css} title="{escape(f"{title} ({item.item_id})", quote=True)}">{picture}{rank}'
        f'<span class="name">{escape(title)}</span>{score}{badge}</li>'
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
