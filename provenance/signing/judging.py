# SPDX-License-Identifier: Apache-2.0
"""Judging the signature in a bundle, by a key or a certificate, and counting signers.

`judge` is a pure function of the bundle, the trust and the artifact's digest: no clock, no network,
no file. `with_public_root` is called before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provenance.attestations.bundle import Bundle, MessageSignature
from provenance.signing.judgement import Judgement, Signer, Verdict
from provenance.signing.trust import Entry, Trust
from provenance.signing.trusted_root import Instance


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Judge whether a trusted signer made the signature in `bundle`.

    A DSSE envelope carries what was signed. A message signature is over a file's bytes, whose
    digest, as computed from them, is `artifact_sha256`.

    Raises:
        UnavailableError: If no trusted root is known to judge a certificate or a timestamp by.
    """
    content = bundle.content
    if isinstance(content, MessageSignature) and content.is_of_file is False:
        return Judgement(
            Verdict.INVALID,
            reason=f"it states that it is over the bytes with sha384 {content.sha384}, and it is "
            "not",
        )
    # Each is imported only where it is needed: `keyless` brings all of `sigstore`.
    if bundle.certificate is None:
        from provenance.signing import keyed

        found = keyed.judge(bundle, trust, artifact_sha256)
    elif not trust.identities and not trust.workflows:
        return Judgement(
            Verdict.UNTRUSTED,
            reason="with a certificate; the trust given is in keys",
            help="If you know who signs, trust the identity: [[trust.github]], "
            "[[trust.identity]], or --identity with --issuer.",
        )
    else:
        from provenance.signing.keyless import verifier

        found = verifier.judge(bundle, trust, artifact_sha256)
    if found.verdict is Verdict.VALID and isinstance(content, MessageSignature):
        if content.sha384 is not None and not content.is_of_file:
            return Judgement(
                Verdict.UNSUPPORTED,
                reason="unsupported: it states a SHA-384, which needs the file to compare with",
            )
        stated = content.sha256
        # A reader of the stated digest alone would take it for another file than was signed.
        if stated is not None and stated != artifact_sha256:
            return Judgement(
                Verdict.INVALID,
                reason=f"it states that it is over the bytes with sha256 {stated}, and it is not",
            )
    return found


def with_public_root(
    trust: Trust, *, instance: Instance = Instance.PRODUCTION, offline: bool = False
) -> Trust:
    """Return `trust` with the trusted root of a public instance, if it needs one and names none.

    Raises:
        UnavailableError: If the instance's TUF repository does not answer, or nothing is cached.
    """
    if trust.root is not None or not trust.needs_root:
        return trust
    from provenance.signing.keyless.instance import fetch_root

    return replace(trust, root=fetch_root(instance, offline=offline))


def counted(signers: Sequence[Signer]) -> tuple[tuple[Signer, Entry], ...]:
    """The signers that count beside each other, each under a trust entry of its own.

    One signer counts once, however often it signed, and one entry covers one signer: a workflow
    that two entries match is one signer, and two tags of one workflow are one entry.
    """
    if len(signers) == 1:
        return tuple((signer, entry) for signer in signers for entry in signer.entries[:1])
    by_entry: dict[Entry, Signer] = {}
    for signer in {s.unique: s for s in signers}.values():
        _place(signer, by_entry, set())
    return tuple((signer, entry) for entry, signer in by_entry.items())


def _place(signer: Signer, by_entry: dict[Entry, Signer], tried: set[Entry]) -> bool:
    """Finds an entry for one more signer, moving others where that makes room (Kuhn's matching)."""
    for entry in signer.entries:
        if entry in tried:
            continue
        tried.add(entry)
        other = by_entry.get(entry)
        if other is None or _place(other, by_entry, tried):
            by_entry[entry] = signer
            return True
    return False
