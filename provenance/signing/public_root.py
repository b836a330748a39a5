# SPDX-License-Identifier: Apache-2.0
"""The trusted root of a public Sigstore instance, where a trust needs one and names none."""

from __future__ import annotations

from dataclasses import replace

from provenance.signing.roots import Instance
from provenance.signing.trust import Trust


def complete(
    trust: Trust, *, instance: Instance = Instance.PRODUCTION, offline: bool = False
) -> Trust:
    """`trust` with the trusted root of a public instance, where it needs one and names none.

    Raises:
        UnavailableError: The instance's TUF repository does not answer, or nothing is cached.
    """
    if trust.root is not None or not trust.needs_root:
        return trust
    from provenance.signing.keyless.instance import fetch_root

    return replace(trust, root=fetch_root(instance, offline=offline))
