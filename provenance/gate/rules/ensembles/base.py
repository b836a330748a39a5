# SPDX-License-Identifier: Apache-2.0
"""What the rules about ensembles share: one finding at a member of a document, one comparison.

An ensemble is described in several documents. Where they must agree, the value that most of them
have is taken for right, and the finding is at those that have another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from provenance.artifacts.sidecar import Document
from provenance.evidence.ensembles import Ensemble
from provenance.frozen import dataclass
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, some
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.forms import Place

T = TypeVar("T")


class EnsembleRule(Rule):
    """A rule about an ensemble as a whole, or (`about_rows`) about its members one by one."""

    needs_whole = True
    about_rows = False
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.ENSEMBLE,)

    def at_claim(self, claim: Claim[Any], message: str, help: str, ensemble: Ensemble) -> Finding:
        """A finding at the field that makes a claim."""
        row = claim.row
        return self.at(claim.document, claim.where, message, help, row=row, ensemble=ensemble)


class Claim(NamedTuple, Generic[T]):
    """What one document says; `row` is the label of the row whose sidecar it is, if it is one."""

    document: Document
    row: str | None
    where: Place
    value: T

    @property
    def name(self) -> str:
        """The name of the field, for a message."""
        return ".".join(self.where)


def claims(ensemble: Ensemble, field: str, in_manifest: str | None = None) -> Iterator[Claim[Any]]:
    """Return what the documents of an ensemble say in one field; None where it is missing.

    Sidecars that describe other bytes and a manifest that is older than its members make no claim.
    """
    for seat, sidecar in ensemble.described:
        yield Claim(sidecar, seat.row_label, (field,), sidecar.get(field))
    if in_manifest is not None and ensemble.claims:
        yield Claim(ensemble.manifest, None, (in_manifest,), ensemble.claims.get(in_manifest))


@dataclass(frozen=True)
class Agreement(Generic[T]):
    """The claims that say what most say, and the others."""

    most: Sequence[Claim[T]]
    others: Sequence[Claim[T]]

    @classmethod
    def of(
        cls,
        claims: Iterable[Claim[T]],
        same: Callable[[T, T], bool] | None = None,
        key: Callable[[T], object] = repr,
    ) -> Agreement[T]:
        """Divide `claims`. Of two values that are as frequent, the first counts.

        Args:
            claims: What is compared.
            same: Whether two values agree; by default those with the same key do.
            key: Equal for values that certainly agree: what is compared first.
        """
        keyed = [(key(one.value), one) for one in claims]
        if len({k for k, _ in keyed}) < 2:
            return cls([one for _, one in keyed], [])
        first = {k: one.value for k, one in reversed(keyed)}
        # Values that differ by rounding only are each their own key: several are tried.
        camps = [
            [
                k == of_camp or (same is not None and same(one.value, first[of_camp]))
                for k, one in keyed
            ]
            for of_camp, _ in Counter(k for k, _ in keyed).most_common(_TRIED)
        ]
        most = max(camps, key=sum, default=[])
        divided: tuple[list[Claim[T]], list[Claim[T]]] = ([], [])
        for (_, one), agrees in zip(keyed, most, strict=True):
            divided[not agrees].append(one)
        return cls(*divided)

    @property
    def value(self) -> T:
        """What most of them say."""
        return self.most[0].value

    @property
    def whose(self) -> str:
        """The documents that say what most say, for a message."""
        return some([one.document.path for one in self.most], 1)


_TRIED: Final = 8
