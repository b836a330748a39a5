# SPDX-License-Identifier: Apache-2.0
"""The options of a verification, as one value."""

from __future__ import annotations

import datetime
import os
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.evidence.evidence import Evidence
from provenance.frozen import dataclass
from provenance.gate.judge import Terms
from provenance.gate.pool import Workers
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.units import needs_root
from provenance.operations.load_evidence import today_utc
from provenance.signing import judging
from provenance.signing.trust import Trust
from provenance.signing.trusted_root import Instance, TrustedRoot

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """The options of a verification, apart from whose signatures count.

    Attributes:
        require: What is required beyond a valid signature.
        root: The trusted root for certificates, logs and timestamps, in place of the trust's own.
        instance: The public Sigstore instance whose trusted root is used in place of the trust's
            own. By default, production is used, and only if neither the options nor the trust
            name a root.
        offline: Use the cached trusted root of that instance, and never refresh it.
        state: A state file, which remembers the releases that were used: an older release is
            refused, a newer one is recorded.
        resource_uri: The project that the release summary must be about. Naming it for a model
            requires a summary. For a registry, the default is the project of its configuration or
            git remote.
        predicate_types: The types of statements by others that count for a model or a blob. None
            accepts any type for a blob: the caller must then check what the statement claims.
        today: The date on which deferrals expire and a release is too old; by default today, UTC.
        processes: The number of processes that judge a large registry. They are spawned, so the
            program's main module must be importable.
        executor: Judges a registry instead, unit by unit. It must be as trusted as this process,
            because the results of its workers are believed.
    """

    require: Require = NOTHING
    root: TrustedRoot | None = None
    instance: Instance | None = None
    offline: bool = False
    state: str | os.PathLike[str] | None = None
    resource_uri: str | None = None
    predicate_types: Collection[str] | None = EXPECTED_TYPES
    today: datetime.date | None = None
    processes: int = 1
    executor: Executor | None = None

    def rooted(self, trust: Trust, evidence: Evidence) -> Trust:
        """Return the trust with a trusted root, if anything signed in the evidence needs one.

        Raises:
            UnavailableError: If the trusted root cannot be fetched, or is not cached.
        """
        if self.root is not None or self.instance is not None:
            trust = replace(trust, root=self.root)
        documents = [*evidence.bundles, *evidence.advisories]
        documents += [evidence.summary] if evidence.summary else []
        return self.completed(trust) if needs_root(trust, documents) else trust

    @property
    def workers(self) -> Workers:
        """The workers that read and judge the rows of a registry."""
        return Workers(self.processes, self.executor)

    def terms(self, trust: Trust, *, for_consumer: bool = False) -> Terms:
        """Return the terms of the verification, with `trust`."""
        return Terms(
            trust=trust,
            today=self.today or today_utc(),
            require=self.require,
            resource_uri=self.resource_uri,
            predicate_types=self.predicate_types,
            for_consumer=for_consumer,
            rooted=self.completed,
        )

    def completed(self, trust: Trust) -> Trust:
        """Return the trust with a trusted root.

        Raises:
            UnavailableError: As `rooted`.
        """
        instance = self.instance or Instance.PRODUCTION
        return judging.with_public_root(trust, instance=instance, offline=self.offline)
