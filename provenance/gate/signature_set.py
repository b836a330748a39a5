# SPDX-License-Identifier: Apache-2.0
"""Who has signed one document: its bundle, and the countersignatures beside it, taken together."""

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
    """What was found out about every signature over one document.

    Attributes:
        judgements: Each bundle that could be read, with the judgement on its signature.
        counted: The signers that count, each under a trust entry of its own.
        wanted: How many have to.
    """

    judgements: tuple[tuple[BundleEvidence, Judgement], ...]
    counted: tuple[tuple[Signer, Entry], ...]
    wanted: int

    @cached_property
    def counts(self) -> bool:
        """Whether what the document says may be believed."""
        return len(self.counted) >= self.wanted

    @cached_property
    def is_flawless(self) -> bool:
        """Whether it counts, and each signature is valid: no rule has anything to say of it."""
        return self.counts and all(j.verdict is Verdict.VALID for _, j in self.judgements)


def judge(
    document: BundleEvidence, trust: Trust, artifact_sha256: str | None = None
) -> SignatureSet:
    """The signatures over a well-formed bundle's content, or else over a file of that digest.

    Raises:
        UnavailableError: There is no trusted root to judge a certificate or a timestamp by.
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
    """A countersignature is over the same bytes, or over something else altogether."""
    one, two = first.content, other.content
    if isinstance(one, Envelope):
        same = isinstance(two, Envelope) and two.payload == one.payload
    else:
        same = not isinstance(two, Envelope)
    if same:
        return None
    return Judgement(Verdict.INVALID, reason="it is over another statement than the bundle")
