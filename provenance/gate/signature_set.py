# SPDX-License-Identifier: Apache-2.0
"""The signatures over one document: those of its bundle and of its countersignatures."""

from __future__ import annotations

from functools import cached_property

from provenance.attestations.bundle import Bundle, Envelope
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.signing import judging
from provenance.signing.judgement import Judgement, Signer, Verdict
from provenance.signing.trust import Entry, Trust


@dataclass(frozen=True)
class SignatureSet:
    """All signatures over one document, as judged.

    Attributes:
        judgements: Each readable bundle, with the judgement on its signature.
        counted: The signers that count, each under a different trust entry.
        wanted: The number of signers that must count.
    """

    judgements: tuple[tuple[BundleEvidence, Judgement], ...]
    counted: tuple[tuple[Signer, Entry], ...]
    wanted: int

    @cached_property
    def counts(self) -> bool:
        """Whether enough signers count, so that the document can be trusted."""
        return len(self.counted) >= self.wanted

    @cached_property
    def is_flawless(self) -> bool:
        """Whether it counts and every signature is valid, so no rule has a finding about it."""
        return self.counts and all(j.verdict is Verdict.VALID for _, j in self.judgements)


def judge(
    document: BundleEvidence, trust: Trust, artifact_sha256: str | None = None
) -> SignatureSet:
    """Judge the signatures over the content of a well-formed bundle, or over a file of that digest.

    Raises:
        UnavailableError: If there is no trusted root to verify a certificate or a timestamp with.
    """
    first = document.bundle
    assert first is not None

    judgements = [(document, judging.judge(first, trust, artifact_sha256))]
    for other in document.countersigned:
        if other.bundle is not None:
            differs = _differs(first, other.bundle)
            judged = differs or judging.judge(other.bundle, trust, artifact_sha256)
            judgements.append((other, judged))
    signers = [j.signer for _, j in judgements if j.signer is not None]
    return SignatureSet(tuple(judgements), judging.counted(signers), trust.signatures)


def _differs(first: Bundle, other: Bundle) -> Judgement | None:
    """Return INVALID if a countersignature is over other bytes than the bundle, or None."""
    one, two = first.content, other.content
    if isinstance(one, Envelope):
        same = isinstance(two, Envelope) and two.payload == one.payload
    else:
        same = not isinstance(two, Envelope)
    if same:
        return None
    return Judgement(Verdict.INVALID, reason="it signs another statement than the bundle")
