"""The last two stages: the model folder and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..columns import FEATURES_FOLDER
from ..data.domain import Domain
from ..data.split import TEST, Split
from ..evaluation.evaluator import ScoreFunction, evaluate_systems
from ..evaluation.report import write_report
from ..evaluation.result import PRIMARY_METRIC, EvaluationResult, EvaluationResults
from ..evaluation.tables import markdown_table
from ..features.encoder_set import EncoderSet
from ..files import inside, read_json, write_json, write_text
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..ranking.fit_ranker import RankingSettings, fit_ranker
from ..ranking.item_coder import ItemCoder
from ..ranking.ranker import Ranker
from ..ranking.recommender import Recommender
from ..semantic_ids.catalogue import ItemCatalog
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .content_stages import load_catalog
from .evaluation import systems_of
from .report_pages import run_report
from .run_folder import RunFolder
from .sequence_stages import open_pretrained

RESULTS_FILE = "results.json"
TABLE_FILE = "results.md"
SELECTION_FILE = "ranking.json"
FROM_SCRATCH = "Q-BERT4Rec without pre-training"
PRETRAINED_ONLY = "Q-BERT4Rec, pre-trained only"


def assemble_model(
    folder: Path,
    finetuned: Path,
    catalog: ItemCatalog,
    domain: Domain,
    split: Split,
    settings: RankingSettings,
    *,
    coder: ItemCoder | None,
    info: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Fits item graph and re-ranker, chooses the mixture on validation, writes the model folder.

    Args:
        folder: becomes the model folder.
        finetuned: folder of the fine-tuned sequence model.
        catalog: of the domain.
        domain: to recommend in.
        split: of the domain; the test split is not looked at.
        settings: the grids.
        coder: stages 1 and 2, for items that come later; None where semantic IDs were imported.
        info: further facts for `recommender.json`.

    Returns:
        Figures for the stage's manifest.
    """
    model = QBert4RecForMaskedLM.from_pretrained(finetuned)
    fitted = fit_ranker(model, split, settings)
    recommender = Recommender(
        model,
        catalog,
        prior=fitted.ranker.prior,
        weights=fitted.ranker.weights,
        seen_weight=fitted.ranker.seen_weight,
        reranker=fitted.ranker.reranker,
        domain=domain.name,
        exclude_seen=domain.info.exclude_seen,
        coder=coder,
        info=info,
    )
    # Into the stage's folder as it stands: its manifest is there already.
    recommender.write_into(folder)
    write_json(
        folder / SELECTION_FILE,
        {
            "item_graph": [trial.to_dict() for trial in fitted.graph_trials],
            "mixture": []
            if fitted.mixture is None
            else [trial.to_dict() for trial in fitted.mixture.trials],
            "reranker": None if fitted.reranking is None else fitted.reranking.to_dict(),
        },
    )
    return {
        "share of the item graph": fitted.ranker.weights,
        "weight of seen items": fitted.ranker.seen_weight,
        "temperature": model.config.ranking_temperature,
        "recency": fitted.ranker.prior.recency if fitted.ranker.prior is not None else None,
        "re-ranked": fitted.ranker.reranker is not None,
    }


def load_coder(features: Path, fusion: Path, quantizer: Path, *, keep_queries: bool) -> ItemCoder:
    """Stages 1 and 2 of a run, as a model folder keeps them.

    Args:
        features: folder of the features stage.
        fusion: folder of stage 1.
        quantizer: folder of stage 2.
        keep_queries: whether the fusion model was trained on the model's own catalogue; it
            forgets its table of own queries otherwise.
    """
    model = QBert4RecFusionModel.from_pretrained(fusion)
    if not keep_queries:
        model.drop_item_table()
    return ItemCoder(
        encoders=EncoderSet.load(features / FEATURES_FOLDER),
        fusion=model.eval(),
        quantizer=QBert4RecQuantizerModel.from_pretrained(quantizer).eval(),
    )


def make_report(folder: Path, run: RunFolder) -> dict[str, Any]:
    """Evaluates on the test split and writes tables, JSON and the report page.

    Args:
        folder: gets `results.json`, `results.md`, one file a system, and the page.
        run: with all other stages finished.

    Returns:
        Figures for the stage's manifest.

    Raises:
        QBert4RecError: no user can be evaluated on the test split; says why.
    """
    recommender = Recommender.from_pretrained(run.path("model"))
    split = run.split(run.target)
    split.require_evaluated(TEST, run.target.path)
    results = evaluate_systems(
        systems_of(recommender.ranker, split, _further(run)),
        split.histories(TEST),
        split.targets(TEST),
        train=split.train,
        num_items=len(run.target),
        splitting=split.splitting(TEST),
        batch_size=run.config.evaluation.batch_size,
    )
    files = []
    for number, result in enumerate(results):
        files.append(f"system_{number}.json")
        result.save(folder / files[-1], ranks=True)
    write_json(folder / RESULTS_FILE, {"systems": files})
    write_text(folder / TABLE_FILE, markdown_table(results))
    write_report(folder, run_report(run, recommender, results))
    return {result.name: result.metric(PRIMARY_METRIC) for result in results}


def load_results(folder: Path) -> EvaluationResults:
    """The results of a report folder, the model first."""
    names = read_json(folder / RESULTS_FILE)["systems"]
    return EvaluationResults(
        EvaluationResult.load(inside(folder, name, folder / RESULTS_FILE)) for name in names
    )


def _further(run: RunFolder) -> dict[str, ScoreFunction]:
    """The same model with less training, where the configuration asks for it."""
    asked, systems = run.stages["report"].needs, {}
    if "from_scratch" in asked:
        model = QBert4RecForMaskedLM.from_pretrained(run.path("from_scratch"))
        systems[FROM_SCRATCH] = Ranker(model).scores_by_protocol
    if "pretrain" in asked:
        catalog = load_catalog(run.path("semantic_ids"))
        model = open_pretrained(run.path("pretrain"), catalog, run.pretrained_rows)
        systems[PRETRAINED_ONLY] = Ranker(model).scores_by_protocol
    return systems
