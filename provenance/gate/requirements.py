# SPDX-License-Identifier: Apache-2.0
"""What a consumer requires of a release, beyond that it verifies."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from provenance.artifacts import spdx
from provenance.attestations import predicates
from provenance.errors import InputError

EXPECTED_TYPES: Final = (predicates.SLSA_PROVENANCE, "https://slsa.dev/provenance/v0.2")
"""The statements by others that count where nothing else is asked for: how a file was built. Other
claims may be bad news about it, and the digest among their subjects all the same."""

NAMES: Final[Mapping[str, str]] = {
    "row": "row",
    "production": "production",
    "no-deferrals": "no_deferrals",
    "summary": "summary",
    "files": "files",
}
"""What can be required by name, and the field of `Require` that it sets."""


@dataclass(frozen=True)
class Require:
    """What a consumer requires. Nothing by default: then it is enough that a file verifies.

    Attributes:
        row: The bundle binds the row: name, license, external data, sidecar. A signature over the
            bytes alone, or a statement of others about them, is not enough.
        production: The row was signed as production: it claims so, and the evidence was there.
        no_deferrals: What is verified was signed without any exception to the rules: the row, or
            for a whole registry or release, all of it.
        summary: A release summary of a trusted signer holds these very files and this bundle.
        files: Every file that was signed with the row is here, sidecars too.
        licenses: The licenses that are allowed, by SPDX id; empty allows all. `A OR B` is allowed
            where one of them is, `A AND B` where both are.
        max_age: How long ago the release may have been verified, in whole days.

    Raises:
        InputError: If a license is unknown, or an age is not a number of days.
    """

    row: bool = False
    production: bool = False
    no_deferrals: bool = False
    summary: bool = False
    files: bool = False
    licenses: Collection[str] = ()
    max_age: datetime.timedelta | None = None

    def __post_init__(self) -> None:
        if isinstance(self.licenses, str):  # its letters would be taken for licenses
            raise InputError(f"licenses must be several texts, not {self.licenses!r}")
        for license in self.licenses:
            if spdx.single_id(license) is None:
                import difflib

                near = difflib.get_close_matches(license, sorted(spdx.known_ids()), 1, 0.6)
                hint = f"Did you mean {near[0]}? " if near else ""
                raise InputError(
                    f"{license[:80]!r} is not the SPDX id of a license",
                    help=f"{hint}Name each one that is allowed by itself, without OR and AND.",
                )
        day = datetime.timedelta(days=1)
        if self.max_age is not None and (self.max_age < day or self.max_age % day):
            raise InputError(f"the age of a release is in whole days, at least 1: {self.max_age}")

    def __str__(self) -> str:
        """What is required, in words; empty where nothing is."""
        found = [name for name, field in NAMES.items() if getattr(self, field)]
        if self.licenses:
            found.append(f"a license of {', '.join(self.licenses)}")
        if self.max_age is not None:
            found.append(f"a release of at most {self.max_age.days:,} days")
        return ", ".join(found)

    @property
    def of_row(self) -> bool:
        """Whether anything is required of the signed row."""
        named = self.row or self.production or self.no_deferrals or self.files
        return named or bool(self.licenses)

    @property
    def sidecars(self) -> bool:
        """Whether every sidecar that was signed with a row has to be here."""
        return self.files or self.production

    @property
    def of_release(self) -> bool:
        """Whether anything is required of the release, and not of the row alone."""
        return self.summary or self.max_age is not None

    @cached_property
    def permitted(self) -> frozenset[str]:
        """The allowed licenses, as ids are compared."""
        return frozenset(filter(None, map(spdx.single_id, self.licenses)))


NOTHING: Final = Require()
"""It is enough that it verifies."""
