# SPDX-License-Identifier: Apache-2.0
"""What a consumer requires of a release, beyond valid signatures."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Final

from provenance.artifacts import spdx
from provenance.attestations import predicates
from provenance.errors import InputError
from provenance.frozen import dataclass

EXPECTED_TYPES: Final = (predicates.SLSA_PROVENANCE, "https://slsa.dev/provenance/v0.2")
"""The types of statements by others that count by default: how a file was built. A statement of
another type may have the same digest among its subjects, but report a defect of the file."""

NAMES: Final[Mapping[str, str]] = {
    "row": "row",
    "production": "production",
    "no-deferrals": "no_deferrals",
    "summary": "summary",
    "files": "files",
}
"""The names of requirements on the command line, with the field of `Require` that each sets."""


@dataclass(frozen=True)
class Require:
    """What a consumer requires. By default nothing beyond valid signatures.

    Attributes:
        row: The bundle signs the row: name, license, external data, sidecar. A signature over the
            bytes alone, or a statement by others about them, is not enough.
        production: The row was signed as production, so its evidence existed.
        no_deferrals: The row, or the whole registry or release, was signed without deferrals.
        summary: A release summary by a trusted signer lists exactly these files and this bundle.
        files: Every file that was signed with the row exists, sidecars too.
        licenses: The allowed licenses by SPDX id; if empty, all are allowed. `A OR B` is allowed
            if one of them is, and `A AND B` if both are.
        max_age: The maximum age of the release, in whole days.

    Raises:
        InputError: If a license is unknown, or an age is not a number of whole days.
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
            raise InputError(f"licenses must be a list of strings, not {self.licenses!r}")
        for license in self.licenses:
            if spdx.single_id(license) is None:
                import difflib

                near = difflib.get_close_matches(license, sorted(spdx.known_ids()), 1, 0.6)
                hint = f"Did you mean {near[0]}? " if near else ""
                raise InputError(
                    f"{license[:80]!r} is not the SPDX id of a license",
                    help=f"{hint}Name each allowed license separately, without OR and AND.",
                )
        day = datetime.timedelta(days=1)
        if self.max_age is not None and (self.max_age < day or self.max_age % day):
            raise InputError(
                f"the maximum age of a release must be in whole days, at least 1: {self.max_age}"
            )

    def __str__(self) -> str:
        """Return the requirements in words, or an empty string."""
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
        """Whether every sidecar that was signed with a row must exist."""
        return self.files or self.production

    @property
    def of_release(self) -> bool:
        """Whether anything is required of the release, and not of the row alone."""
        return self.summary or self.max_age is not None

    @cached_property
    def permitted(self) -> frozenset[str]:
        """The allowed licenses as normalized ids."""
        return frozenset(filter(None, map(spdx.single_id, self.licenses)))


NOTHING: Final = Require()
"""No requirements beyond valid signatures."""
