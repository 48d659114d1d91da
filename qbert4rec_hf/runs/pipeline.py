"""A run: its configuration, its domains, and its stages in their order."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np

from ..data.domain import Domain
from ..data.split import LeaveOneOut, leave_one_out
from ..errors import QBert4RecError
from ..evaluation.result import EvaluationResult
from ..files import fingerprint
from .config import CONFIG_FILE, RunConfig, change, read_yaml, reseed
from .lock import run_lock
from .manifest import StageManifest, folder_fingerprint, require_finished
from .report_stage import load_results
from .run_stages import run_stages
from .staged import StagedFolder
from .threads import cpu_threads


class Run(StagedFolder):
    """A run folder: one sub-folder a stage, the resolved `config.yaml`, a model and a report.

    Args:
        folder: of the run.
        config: all settings; `domain` must be set.

    Raises:
        QBert4RecError: no domain, or two domains of one name.
    """

    def __init__(self, folder: str | os.PathLike, config: RunConfig):
        if config.domain is None:
            raise QBert4RecError(
                f"{folder} knows no domain yet; name one with --domain, or set domain in its "
                f"{CONFIG_FILE}"
            )
        self.config = config
        super().__init__(folder, run_stages(self))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike,
        *,
        domain: str | None = None,
        pretrain_domains: list[str] | None = None,
        config: str | os.PathLike | None = None,
        assignments: list[str] | None = None,
        seed: int | None = None,
    ) -> Run:
        """Opens a run folder; what is given here changes its configuration, and stays in it.

        Args:
            folder: of the run; it need not exist.
            domain: folder of the domain to recommend in.
            pretrain_domains: folders of the domains to pre-train on.
            config: YAML file that takes the place of the run's own.
            assignments: `section.key=value` texts.
            seed: of everything random.

        Raises:
            QBert4RecError: an unknown key, a value of the wrong type, or no domain.
        """
        folder = Path(folder)
        own = folder / CONFIG_FILE
        source = Path(config) if config is not None else own
        values = read_yaml(source) if config is not None or own.exists() else {}
        # The file is checked by itself first, so that an error names it and not the command line.
        RunConfig.from_dict(values, source=str(source))
        if domain is not None:
            values["domain"] = os.path.abspath(domain)
        if pretrain_domains is not None:
            values["pretrain_domains"] = [os.path.abspath(path) for path in pretrain_domains]
        if seed is not None:
            values = reseed(values, seed)
        if assignments:
            values = change(values, assignments)
        run = cls(folder, RunConfig.from_dict(values, source="--set" if assignments else str(own)))
        _ = run.domains
        run.folder.mkdir(parents=True, exist_ok=True)
        run.config.save(own)
        return run

    # -- domains ---------------------------------------------------------------------------------

    @cached_property
    def target(self) -> Domain:
        """The domain to recommend in."""
        return Domain.load(self.config.domain)

    @cached_property
    def pretrain_domains(self) -> list[Domain]:
        """The domains to pre-train on; the target alone where none are named."""
        target = Path(self.config.domain).resolve()
        return [
            self.target if Path(path).resolve() == target else Domain.load(path)
            for path in self.config.pretrain_domains
        ] or [self.target]

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """All domains by name: those of pre-training, then the target if it is not among them."""
        domains: dict[str, Domain] = {}
        for domain in [*self.pretrain_domains, self.target]:
            if domains.setdefault(domain.name, domain) is not domain:
                raise QBert4RecError(
                    f"two domains are called {domain.name!r} ({domains[domain.name].path} and "
                    f"{domain.path}); change name in one's domain.json"
                )
        return domains

    def split(self, domain: Domain) -> LeaveOneOut:
        """A domain's leave-one-out split."""
        if domain.name not in self._splits:
            user_ids, sequences = domain.sequences()
            self._splits[domain.name] = leave_one_out(sequences, user_ids)
        return self._splits[domain.name]

    @cached_property
    def _splits(self) -> dict[str, LeaveOneOut]:
        return {}

    @cached_property
    def outside_inputs(self) -> dict[str, str]:
        """Fingerprints of the domain folders and of their roles, which every stage depends on."""
        found = {
            f"domain {name}": folder_fingerprint(domain.path)
            for name, domain in self.domains.items()
        }
        if len(self.domains) > 1:
            # The same folders in another order, or with another target, are another run.
            found["roles of the domains"] = fingerprint(self.pretrain_names, self.target.name)
        return found

    @property
    def pretrain_names(self) -> list[str]:
        """Names of the domains to pre-train on."""
        return [domain.name for domain in self.pretrain_domains]

    @cached_property
    def pretrained_rows(self) -> np.ndarray | None:
        """Row of each item of the target in the pre-training catalogue `[items]`, if there."""
        if self.target.name not in self.pretrain_names:
            return None
        sizes = [len(domain) for domain in self.pretrain_domains]
        start = sum(sizes[: self.pretrain_names.index(self.target.name)])
        return np.arange(start, start + len(self.target))

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

    def all(self) -> list[EvaluationResult]:
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

    def results(self) -> list[EvaluationResult]:
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
    assignments: list[str] | None = None,
    seed: int | None = None,
) -> list[EvaluationResult]:
    """All stages for a domain, as `qbert4rec run` does them.

    Args:
        domain: folder of the domain to recommend in.
        output_dir: the run folder.
        pretrain_domains: folders of the domains to pre-train on.
        assignments: settings as `section.key=value` texts.
        seed: of everything random.

    Returns:
        The results of the report, the model first.
    """
    with run_lock(output_dir):
        run = Run.open(
            output_dir,
            domain=str(domain),
            pretrain_domains=None if pretrain_domains is None else list(map(str, pretrain_domains)),
            assignments=assignments,
            seed=seed,
        )
        return run.all()
