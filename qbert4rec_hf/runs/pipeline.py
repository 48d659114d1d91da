"""A run: its configuration, its domains, and its stages in their order."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import QBert4RecError
from ..evaluation.result import EvaluationResults
from ..hub_files.download import is_repo_id
from .base_encoders import check_features
from .config import CONFIG_FILE, RunConfig, change, read_yaml, reseed
from .lock import run_lock
from .manifest import StageManifest, require_finished
from .presets import preset_assignments
from .report_stage import load_results
from .run_folder import RunFolder
from .run_stages import run_stages
from .threads import cpu_threads


class Run(RunFolder):
    """A run folder: one sub-folder a stage, the resolved `config.yaml`, a model and a report.

    Args:
        folder: of the run.
        config: all settings; `domain` must be set.
        trust_remote_code: whether encoders whose model brings code of its own may run it.

    Raises:
        QBert4RecError: no domain, or two domains of one name.
    """

    def __init__(
        self, folder: str | os.PathLike, config: RunConfig, *, trust_remote_code: bool = False
    ):
        if config.domain is None:
            raise QBert4RecError(
                f"{folder} knows no domain yet; name one with --domain, or set domain in its "
                f"{CONFIG_FILE}"
            )
        super().__init__(folder, config, trust_remote_code=trust_remote_code)
        self.set_stages(run_stages(self))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike,
        *,
        domain: str | None = None,
        pretrain_domains: list[str] | None = None,
        from_model: str | None = None,
        config: str | os.PathLike | None = None,
        preset: str | None = None,
        assignments: list[str] | None = None,
        seed: int | None = None,
        trust_remote_code: bool = False,
    ) -> Run:
        """Opens a run folder; what is given here changes its configuration, and stays in it.

        Args:
            folder: of the run; it need not exist.
            domain: folder of the domain to recommend in, or id of a dataset repository of the Hub.
            pretrain_domains: those to pre-train on.
            from_model: model folder, or id of a repository of the Hub, to start from instead of
                pre-training; the commit of a repository is kept in the configuration.
            config: YAML file that takes the place of the run's own.
            preset: name of a ready-made set of settings, in `presets.PRESETS`.
            assignments: `section.key=value` texts, laid over those of the preset.
            seed: of everything random.
            trust_remote_code: whether encoders whose model brings code of its own may run it;
                granted for this time only.

        Raises:
            QBert4RecError: an unknown key, a value of the wrong type, no domain, or a model that
                cannot be started from.
        """
        folder = Path(folder)
        own = folder / CONFIG_FILE
        source = Path(config) if config is not None else own
        values = read_yaml(source) if config is not None or own.exists() else {}
        before = values.get("from_model"), values.get("from_revision")
        # The file is checked by itself first, so that an error names it and not the command line.
        RunConfig.from_dict(values, source=str(source))
        if domain is not None:
            values["domain"] = _place(domain)
        if pretrain_domains is not None:
            values["pretrain_domains"] = [_place(path) for path in pretrain_domains]
        if from_model is not None:
            values["from_model"] = _place(from_model)
        if seed is not None:
            values = reseed(values, seed)
        if preset is not None:
            starts = values.get("from_model") is not None
            assignments = [*preset_assignments(preset, from_model=starts), *(assignments or [])]
        if assignments:
            values = change(values, assignments)
        if values.get("from_model") != before[0] and values.get("from_revision") == before[1]:
            # The commit was that of another model.
            values["from_revision"] = None
        resolved = RunConfig.from_dict(values, source="--set" if assignments else str(own))
        run = cls(folder, resolved, trust_remote_code=trust_remote_code)
        _ = run.domains
        if run.base_model is not None:
            check_features(run.base_model, resolved.features)
            # The run goes on from the same weights, wherever the branch moves.
            resolved.from_revision = run.base_model.commit
        run.folder.mkdir(parents=True, exist_ok=True)
        run.config.save(own)
        return run

    # -- verbs -----------------------------------------------------------------------------------

    def do(self, name: str) -> StageManifest:
        """Does one stage unless it is finished, with the run's number of CPU threads."""
        with cpu_threads(self.config.num_threads):
            return super().do(name)

    def features(self) -> None:
        """Encodes the items of all domains."""
        if not self.config.semantic_ids.needs_features:
            self._content_only("features")
        self.do("features")

    def fuse(self) -> None:
        """Stage 1."""
        self._content_only("fuse")
        self.do("fusion")

    def quantize(self) -> None:
        """Stage 2, and the semantic IDs of all domains."""
        if self._from_content:
            self.do("quantizer")
        self.do("semantic_ids")

    def pretrain(self) -> None:
        """Stage 3, first half."""
        if not self.config.pretrain.enabled:
            raise QBert4RecError(
                "pretrain.enabled is false in this run; --set pretrain.enabled=true"
            )
        self.do("pretrain")

    def finetune(self) -> None:
        """Stage 3, second half, and the model folder."""
        self.do("finetune")
        if self.config.evaluation.from_scratch and self.config.pretrain.enabled:
            self.do("from_scratch")
        self.do("model")

    def evaluate(self) -> None:
        """The report."""
        self.do("report")

    def all(self) -> EvaluationResults:
        """Every stage that the configuration asks for.

        Returns:
            The results of the report, the model first.
        """
        if self.config.semantic_ids.needs_features:
            self.features()
        if self._from_content:
            self.fuse()
        self.quantize()
        if self.config.pretrain.enabled:
            self.pretrain()
        self.finetune()
        self.evaluate()
        return self.results()

    def results(self) -> EvaluationResults:
        """What the report stage measured, the model first."""
        require_finished(self.path("report"), "report", "run")
        return load_results(self.path("report"))

    @property
    def _from_content(self) -> bool:
        return self.config.semantic_ids.source == "quantizer"

    def _content_only(self, verb: str) -> None:
        if not self._from_content:
            raise QBert4RecError(
                f"semantic_ids.source is {self.config.semantic_ids.source!r} in this run, which "
                f"has no {verb} stage; --set semantic_ids.source=quantizer"
            )


def run_domain(
    domain: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    pretrain_domains: list[str | os.PathLike] | None = None,
    from_model: str | os.PathLike | None = None,
    preset: str | None = None,
    assignments: list[str] | None = None,
    seed: int | None = None,
    trust_remote_code: bool = False,
) -> EvaluationResults:
    """All stages for a domain, as `qbert4rec run` does them.

    Args:
        domain: folder of the domain to recommend in, or id of a dataset repository of the Hub.
        output_dir: the run folder.
        pretrain_domains: those to pre-train on.
        from_model: model folder, or id of a repository, to start from instead of pre-training.
        preset: name of a ready-made set of settings: "recipe", "quick" or "large".
        assignments: settings as `section.key=value` texts, laid over those of the preset.
        seed: of everything random.
        trust_remote_code: whether encoders whose model brings code of its own may run it.

    Returns:
        The results of the report, the model first; a notebook shows them as tables.

    Raises:
        QBert4RecError: an unknown setting, or a domain that cannot be used; the stages that were
            finished before are kept.

    Example:
        >>> from qbert4rec_hf import Recommender, make_demo_domains, run_domain
        >>> shops = make_demo_domains("shops", scale=0.05)
        >>> short = ["pretrain.enabled=false", "fusion.epochs=1", "quantizer.epochs=1"]
        >>> results = run_domain(shops[-1], "run", assignments=[*short, "finetune.epochs=1"])
        >>> [result.name for result in results]
        ['Q-BERT4Rec + item graph', 'Q-BERT4Rec', 'Popularity', 'EASE']
        >>> 0 <= results[0].metric("NDCG@10") <= 1
        True
        >>> Recommender.from_pretrained("run/model")
        Recommender(domain='weekend', items=24, levels=4, exclude_seen=True)
    """
    with run_lock(output_dir):
        run = Run.open(
            output_dir,
            domain=str(domain),
            pretrain_domains=None if pretrain_domains is None else list(map(str, pretrain_domains)),
            from_model=None if from_model is None else str(from_model),
            preset=preset,
            assignments=assignments,
            seed=seed,
            trust_remote_code=trust_remote_code,
        )
        return run.all()


def _place(name: str | os.PathLike) -> str:
    """A folder is found again from wherever the run goes on; the id of a repository is no path."""
    id_only = is_repo_id(str(name)) and not Path(name).exists()
    return str(name) if id_only else os.path.abspath(name)
