# SPDX-License-Identifier: Apache-2.0
"""What the rules about ensembles share: one finding at a member of a document, one comparison.

An ensemble is described in several documents. Where they must agree, the value that most of them
have is taken for right, and the finding is at those that have another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from provenance.artifacts.sidecar import Document
from provenance.gate.rules.base import Rule, Scope, some
from provenance.gate.rules.forms import Place

T = TypeVar("T")


class EnsembleRule(Rule):
    """A rule about an ensemble as a whole, or (`about_rows`) about its members one by one."""

    needs_whole = True
    about_rows = False
    scopes = (Scope.ENSEMBLE,)


@dataclass(frozen=True)
class Claim(Generic[T]):
    """What one document says; `row` is the label of the row whose sidecar it is, if it is one."""

    document: Document
    row: str | None
    where: Place
    value: T


def split_by_majority(
    said: Sequence[Claim[T]], same: Callable[[T, T], bool], key: Callable[[T], object] = repr
) -> tuple[list[Claim[T]], list[Claim[T]]]:
    """Those who say what most say, and the others. Of two that are as frequent, the first counts.

    Args:
        said: What is compared.
        same: Whether two values are one.
        key: Equal for values that are certainly one: what is compared first.
    """
    if not said:
        return [], []
    first: dict[object, T] = {}
    for one in said:
        first.setdefault(key(one.value), one.value)
    # Values that differ by rounding only are each their own key: several are tried.
    frequent = Counter(key(one.value) for one in said).most_common(_TRIED)
    camps = [[one for one in said if same(one.value, first[k])] for k, _ in frequent]
    most = max(camps, key=len)
    place = {id(one) for one in most}
    return most, [one for one in said if id(one) not in place]


_TRIED = 8


def whose(most: Sequence[Claim[Any]]) -> str:
    """Who says what most say, for a message."""
    return some([one.document.path for one in most], 1)
