# SPDX-License-Identifier: Apache-2.0
"""Base class of the rules about ensembles, and the comparison of an ensemble's documents.

Several documents describe one ensemble. Where they must agree, the most frequent value counts as
right, and each document with another value is reported.
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
    """A rule about an ensemble as a whole or, with `about_rows`, about its members one by one."""

    needs_whole = True
    about_rows = False
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.ENSEMBLE,)

    def at_claim(self, claim: Claim[Any], message: str, help: str, ensemble: Ensemble) -> Finding:
        """Return a finding at the field that makes a claim."""
        row = claim.row
        return self.at(claim.document, claim.where, message, help, row=row, ensemble=ensemble)


class Claim(NamedTuple, Generic[T]):
    """The value of one field of a document.

    Attributes:
        document: The document with the field.
        row: If the document is a sidecar, the label of its row; otherwise None.
        where: The path of the field in the document.
        value: The value, or None if the field is missing.
    """

    document: Document
    row: str | None
    where: Place
    value: T

    @property
    def name(self) -> str:
        """Return the dotted name of the field, for a message."""
        return ".".join(self.where)


def claims(ensemble: Ensemble, field: str, in_manifest: str | None = None) -> Iterator[Claim[Any]]:
    """Yield the value of one field from each document of an ensemble.

    Sidecars that describe other bytes are left out, and so is a manifest that is older than its
    members.
    """
    for seat, sidecar in ensemble.described:
        yield Claim(sidecar, seat.row_label, (field,), sidecar.get(field))
    if in_manifest is not None and ensemble.claims:
        yield Claim(ensemble.manifest, None, (in_manifest,), ensemble.claims.get(in_manifest))


@dataclass(frozen=True)
class Agreement(Generic[T]):
    """The claims that share the most frequent value, and the others."""

    most: Sequence[Claim[T]]
    others: Sequence[Claim[T]]

    @classmethod
    def of(
        cls,
        claims: Iterable[Claim[T]],
        same: Callable[[T, T], bool] | None = None,
        key: Callable[[T], object] = repr,
    ) -> Agreement[T]:
        """Divide `claims` by value. If two values are equally frequent, the first one wins.

        Args:
            claims: The claims to compare.
            same: Return whether two values agree. By default, values with equal keys agree.
            key: Return a key that is equal only for values that agree. It is compared before
                `same` is called.
        """
        keyed = [(key(one.value), one) for one in claims]
        if len({k for k, _ in keyed}) < 2:
            return cls([one for _, one in keyed], [])
        first = {k: one.value for k, one in reversed(keyed)}
        # Values that differ only by rounding have different keys, so try several as the center.
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
        """Return the most frequent value."""
        return self.most[0].value

    @property
    def whose(self) -> str:
        """Name the documents with the most frequent value, for a message."""
        return some([one.document.path for one in self.most], 1)


_TRIED: Final = 8
"""The number of most frequent keys that are tried as the value of the majority."""
