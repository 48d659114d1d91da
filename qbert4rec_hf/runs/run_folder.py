"""What the stages of a run see of it: its configuration, its domains, the model it starts from."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import numpy as np

from ..data.domain import Domain
from ..data.split import Split
from ..errors import QBert4RecError
from ..files import fingerprint
from .base_model import BaseModel
from .config import RunConfig
from .feature_settings import outside_files
from .manifest import folder_fingerprint
from .staged import StagedFolder

BASE_MODEL = "base model"


class RunFolder(StagedFolder):
    """A run folder without its stages; `Run` adds them.

    Args:
        folder: of the run.
        config: all settings; `domain` must be set.
        trust_remote_code: whether encoders whose model brings code of its own may run it.
    """

    def __init__(
        self, folder: str | os.PathLike, config: RunConfig, *, trust_remote_code: bool = False
    ):
        super().__init__(folder)
        self.config = config
        self.trust_remote_code = trust_remote_code
        self._splits: dict[str, Split] = {}

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

    @property
    def pretrain_names(self) -> list[str]:
        """Names of the domains to pre-train on."""
        return [domain.name for domain in self.pretrain_domains]

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

    def split(self, domain: Domain) -> Split:
        """A domain's split, as its `domain.json` asks for it."""
        if domain.name not in self._splits:
            self._splits[domain.name] = domain.split()
        return self._splits[domain.name]

    @cached_property
    def base_model(self) -> BaseModel | None:
        """The model that the run starts from; None where it trains all stages itself."""
        if self.config.from_model is None:
            return None
        return BaseModel.open(self.config.from_model, revision=self.config.from_revision)

    @cached_property
    def outside_inputs(self) -> dict[str, str]:
        """Fingerprints of the domain folders, of their roles, and of the model to start from.

        Every stage depends on them.
        """
        found = {
            f"domain {name}": folder_fingerprint(domain.path)
            for name, domain in self.domains.items()
        }
        if len(self.domains) > 1:
            # The same folders in another order, or with another target, are another run.
            found["roles of the domains"] = fingerprint(self.pretrain_names, self.target.name)
        if self.base_model is not None:
            found[BASE_MODEL] = self.base_model.fingerprint
        return found

    @cached_property
    def encoder_files(self) -> dict[str, str]:
        """Fingerprints of what encoder options name outside the domain folders.

        Kept, since every later stage asks for the name of the features stage again and again.
        """
        return outside_files(self.config.features)

    @cached_property
    def pretrained_rows(self) -> np.ndarray | None:
        """Row of each item of the target in the pre-trained model's catalogue `[items]`.

        -1 for an item that it does not know; None where it knows nothing of this domain.
        """
        if self.base_model is not None and self.config.keeps_semantic_ids:
            return self.base_model.rows_of(self.target)
        if self.target.name not in self.pretrain_names:
            return None
        sizes = [len(domain) for domain in self.pretrain_domains]
        start = sum(sizes[: self.pretrain_names.index(self.target.name)])
        return np.arange(start, start + len(self.target))
