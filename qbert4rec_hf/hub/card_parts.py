"""The sections of a model card, each from the facts alone."""

from __future__ import annotations

from ..evaluation.metrics import ALL_ITEMS, UNSEEN_ITEMS
from ..evaluation.result import PRIMARY_METRIC
from ..evaluation.tables import PROTOCOL_TITLES, metric_names
from ..markdown import escape, table
from .card_energy import energy
from .card_facts import ModelCardFacts


def summary(facts: ModelCardFacts) -> str:
    """What the model does, and its first figures."""
    levels = len(facts.codebook_sizes)
    parts = [
        f"Recommends the next item to users of **{escape(facts.domain)}** from what they took "
        f"before. Each of the {facts.num_items:,} items is a semantic ID of {levels} tokens; a "
        "masked encoder (Q-BERT4Rec) reads a history of such IDs and ranks the whole catalogue "
        "in one pass."
    ]
    if facts.results:
        result = facts.results[0]
        figures = ", ".join(
            f"{result.metric(protocol=protocol):.4f} {PROTOCOL_TITLES[protocol]}"
            for protocol in (ALL_ITEMS, UNSEEN_ITEMS)
        )
        parts.append(f"{PRIMARY_METRIC} on the {result.split} split: {figures}.")
    return " ".join(parts)


def answer(facts: ModelCardFacts) -> str:
    """What the first snippet prints; empty where it was not asked."""
    if not facts.answer:
        return ""
    rows = [
        (item.item_id, item.title or "", "" if item.score is None else f"{item.score:.3f}")
        for item in facts.answer
    ]
    asked = "; ".join(f"{escape(i.item_id)} ({escape(i.title)})" for i in facts.history if i.title)
    heading = f"History: {asked}.\n\n" if asked else ""
    return heading + table(["item", "title", "score"], rows, numbers=1)


def further_use(facts: ModelCardFacts) -> str:
    """What else the front door does."""
    seen = "left out" if facts.exclude_seen else "recommended again"
    sentences = [
        f"Items of the history are {seen} unless `exclude_seen` says otherwise. An empty history "
        "gets popular items, marked `cold_start`. `similar_items` finds neighbours, `update` "
        "refits the item graph to a shop's present log without training."
    ]
    if facts.codes_new_items:
        sentences.append(
            "`add_items` gives new items semantic IDs from their texts and images alone; they can "
            "be recommended at once."
        )
    return " ".join(sentences)


def domain(facts: ModelCardFacts) -> str:
    """The domain in a table."""
    rows: list[tuple[str, object]] = [
        ("domain", facts.domain),
        ("items", f"{facts.num_items:,}"),
        *facts.domain_facts.items(),
    ]
    if facts.pretrain_domains:
        rows.append(("pre-trained on", ", ".join(map(str, facts.pretrain_domains))))
    return table(["", ""], rows)


def method(facts: ModelCardFacts) -> str:
    """How items became semantic IDs and histories a ranking."""
    sizes = " x ".join(str(size) for size in facts.codebook_sizes)
    if facts.imported_ids:
        first = f"Semantic IDs ({sizes} codes) were published with the domain and taken as they are"
        shared = (
            f"; {facts.num_shared_ids:,} items share theirs with another item, and only a term of "
            "their own tells them apart."
            if facts.num_shared_ids
            else "; each item has one of its own."
        )
        paragraphs = [first + shared]
    else:
        what = "; ".join(
            f"{escape(modality)}: {escape(how)}" for modality, how in facts.encoders.items()
        )
        paragraphs = [
            f"1. Fusion joins an item's features ({what or 'structure alone'}) into one vector.\n"
            f"2. A quantizer turns it into a semantic ID ({sizes} codes), unique in the domain.\n"
            "3. The sequence model learns from histories of such IDs: "
            + ("pre-trained, then fine-tuned." if facts.pretrain_domains else "fine-tuned.")
        ]
    if facts.taken_over:
        paragraphs.append(escape(facts.taken_over))
    if facts.graph_share is not None:
        shares = ", ".join(
            f"{facts.graph_share[protocol]:.2f} {PROTOCOL_TITLES[protocol]}"
            for protocol in (ALL_ITEMS, UNSEEN_ITEMS)
        )
        mixed = (
            "The ranking mixes in an item graph (a linear item-to-item model of the training "
            f"histories). Its share was chosen on validation users: {shares}."
        )
        if facts.temperature != 1:
            mixed += f" So was the temperature of the model's probabilities: {facts.temperature:g}."
        paragraphs.append(mixed)
    if facts.reranked_items:
        paragraphs.append(
            f"The first {facts.reranked_items} items are then put in order by a small network, "
            "fitted to validation users. It reads what model and graph say of each, what the graph "
            "says of the last item alone, and how popular each is."
        )
    if facts.seen_weight != 1:
        paragraphs.append(
            "Where everything is ranked, the scores of the items of a user's own history are "
            f"multiplied by {facts.seen_weight:g}, chosen on validation users too."
        )
    return "\n\n".join(paragraphs)


def circumstances(facts: ModelCardFacts) -> str:
    """Seed, hardware, time, energy and versions."""
    rows: list[tuple[str, object]] = [
        ("seed", "not recorded" if facts.seed is None else facts.seed),
        ("hardware", facts.machine or "not recorded"),
    ]
    total = sum(facts.seconds.values())
    if facts.seconds:
        stages = ", ".join(f"{stage} {value:.0f}" for stage, value in facts.seconds.items())
        rows.append(("seconds", f"{total:.0f} ({stages})"))
    rows.append(("energy", energy(facts.machine, total)))
    if facts.parameters is not None:
        rows.append(("parameters of the sequence model", f"{facts.parameters:,}"))
    if facts.versions:
        rows.append(("versions", ", ".join(f"{k} {v}" for k, v in facts.versions.items())))
    return table(["", ""], rows)


def figures(facts: ModelCardFacts) -> str:
    """All systems of the run under both seen-item rules."""
    if not facts.results:
        return "None were measured."
    first = facts.results[0]
    paragraphs = [
        f"{escape(first.split.capitalize())} split"
        + (f" ({escape(first.splitting.rule)})" if first.splitting is not None else "")
        + f", {first.num_users:,} users, {first.num_items:,} "
        "candidates each: the full catalogue, nothing sampled. Ties count against the model. The "
        "first row is this repository as `Recommender` uses it; the others were measured in the "
        "same run, by the command above."
    ]
    names = metric_names(facts.results)
    for protocol in (ALL_ITEMS, UNSEEN_ITEMS):
        rows = []
        for result in facts.results:
            found = result.protocols[protocol]
            cells = [f"{found.metrics[n]:.4f}" if n in found.metrics else "-" for n in names]
            rows.append([result.name, *cells, f"{found.coverage:.3f}"])
        heading = [PROTOCOL_TITLES[protocol].capitalize(), *names, "coverage@10"]
        paragraphs.append(table(heading, rows, numbers=len(names) + 1))
        if first.order_note:
            paragraphs.append(escape(first.order_note))
    paragraphs.append("coverage@10 is the share of the catalogue among the first ten of any user.")
    return "\n\n".join(paragraphs)
