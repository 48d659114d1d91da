"""The right side of the first tab: the ten best items, and why one of them stands there."""

from __future__ import annotations

from qbert4rec_hf.ranking.explain import Explanation, HistoryInfluence
from qbert4rec_hf.ranking.recommendation import Recommendation

from .markup import bar, button, esc, icon, note, percent, plural, points, semantic_id
from .neighbours import neighbour_list, speakers
from .shop import Shop
from .visitor import OPEN_FIRST, Visitor

TOP_K = 10


def ranking_panel(shop: Shop, visitor: Visitor) -> str:
    """The best items for the history, one of them opened."""
    recommender = shop.recommender
    found = recommender.recommend(list(visitor.history), top_k=TOP_K)
    if not found:
        return note("No item is left to recommend: the history holds the whole catalogue.")
    cold = found[0].cold_start
    opened = visitor.opened
    if opened is OPEN_FIRST:
        opened = None if cold else found[0].item_id
    best = max(item.score for item in found) or 1.0
    rows = []
    for place, item in enumerate(found, start=1):
        why = ""
        if item.item_id == opened:
            why = _why(shop, recommender.explain(list(visitor.history), item.item_id))
        rows.append(_row(shop, place, item, item.score / best, why))
    if cold and recommender.ranker.prior is None:
        head = "To begin with"
        lead = "Nothing is known of you yet: this is what the model expects of anyone."
    elif cold:
        head = "Popular items"
        lead = "Nothing is known of you yet, so this is what is popular. Pick an item to begin."
    else:
        seen = " of those you do not have" if recommender.exclude_seen else ""
        lead = (
            f"The most likely next items{seen}, each with the probability of being the very next "
            "one. Open an item to see why."
        )
        if not recommender.exclude_seen and recommender.ranker.seen_weight != 1:
            lead += f" What you have already counts {recommender.ranker.seen_weight:g} times."
        head = f"Top {len(found)}"
    return (
        f'<h2 class="q-h2" tabindex="-1">{head}</h2><p class="q-lead" role="status">{esc(lead)}'
        f'</p><ol class="q-ranking">{"".join(rows)}</ol>'
    )


def _row(shop: Shop, place: int, item: Recommendation, share: float, why: str) -> str:
    title = shop.plain_title(item.item_id)
    expanded = f'aria-expanded="{"true" if why else "false"}" aria-controls="why-{place}"'
    what = button(
        f"{shop.title(item.item_id)}{icon('chevron')}",
        "close" if why else "why",
        item.item_id,
        css="q-what",
        extra=expanded,
    ).replace('data-key="close:', 'data-key="why:')
    add = button(
        icon("plus"), "add", item.item_id, label=f"{title}: add to the history", css="q-tool"
    )
    return (
        f'<li class="{"q-open" if why else ""}"><div class="q-line">'
        f'<span class="q-place">{place}</span>{shop.picture(item.item_id)}'
        f'<span class="q-name">{what}'
        f"{semantic_id(shop.codes(item.item_id), link='ranking')}</span>"
        f'<span class="q-score"><b>{percent(item.score)}</b>{bar(share)}</span>{add}</div>'
        f'<div class="q-why" id="why-{place}">{why}</div></li>'
    )


def _why(shop: Shop, why: Explanation) -> str:
    """The reasons for one item."""
    parts = [_sources(why)]
    if why.influences:
        parts.append(_influences(shop, why))
    if why.spoken_for_by:
        parts.append(speakers(shop, why.spoken_for_by))
    parts.append(
        neighbour_list(
            shop,
            why.neighbours,
            head="Nearest by semantic ID",
            none="No other item shares the first code of its semantic ID.",
            where="why",
        )
    )
    return "".join(parts)


def _sources(why: Explanation) -> str:
    place = f"Place {why.rank:,} of {why.num_candidates:,}" if why.rank else "Not ranked"
    if why.from_popularity:
        return f'<p class="q-source">{place}, by popularity alone.</p>'
    if not why.from_graph:
        return f'<p class="q-source">{place}, by the sequence model alone.</p>'
    model = why.from_model / why.score if why.score else 0.0
    return (
        f'<p class="q-source">{place}. Of its {percent(why.score)}, '
        f"<b class='q-model'>{100 * why.from_model:.1f} points</b> come from the sequence model "
        f"and <b class='q-graph'>{100 * why.from_graph:.1f}</b> from the item graph "
        f"(what people took together).</p>{bar(model, 'q-split')}"
    )


def _influences(shop: Shop, why: Explanation) -> str:
    largest = max(abs(part.effect) for part in why.influences) or 1.0
    # The latest item first, as the history ends beside the recommendation.
    rows = "".join(_influence(shop, part, largest) for part in reversed(why.influences))
    return (
        '<h3 class="q-h3">What each item of your history did</h3>'
        '<details class="q-how"><summary>How this is measured</summary><p>The number on the right '
        "is the effect: the whole ranking is computed again without this one item, and the score "
        "falls or rises by so many points (hundredths of probability). Effects need not add up: of "
        "two items that say the same, either can be missed.</p><p>&#8220;Read&#8221; is the share "
        "of the query&#8217;s attention that went to the item, the mean of all layers and heads. "
        "It tells where the model looked, not what decided.</p></details>"
        f'<ul class="q-effects">{rows}</ul>'
    )


def _influence(shop: Shop, part: HistoryInfluence, largest: float) -> str:
    share = abs(part.effect) / largest
    css = "q-up" if part.effect >= 0 else "q-down"
    if part.rank_without is None:
        without = "Without it not ranked"
    else:
        without = f"Without it {percent(part.score_without)}, place {part.rank_without:,}"
    if part.attention is None:
        read = "too long ago to be read"
    else:
        read = f"read {100 * part.attention:.0f}&#8239;%"
    shared = f" &middot; shares {plural(part.shared_levels, 'code')}" if part.shared_levels else ""
    return (
        f'<li>{shop.picture(part.item_id)}<span class="q-name">{shop.title(part.item_id)}'
        f"<small>{without} &middot; {read}{shared}</small></span>"
        f'<span class="q-effect {css}"><b>{points(part.effect)}</b>{bar(share)}</span></li>'
    )
