# SPDX-License-Identifier: Apache-2.0
"""Verifying the signature of a bundle, made with a key or a certificate, and counting signers.

`judge` is a pure function of the bundle, the trust and the digest of the artifact. It uses no
clock, network or files; call `with_public_root` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provenance.attestations.bundle import Bundle, MessageSignature
from provenance.signing.judgement import Judgement, Signer, Verdict
from provenance.signing.trust import Entry, Trust
from provenance.signing.trusted_root import Instance


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Verify whether a trusted signer made the signature in `bundle`.

    A DSSE envelope contains the signed statement. A message signature is over a file, whose
    computed digest is `artifact_sha256`.

    Raises:
        UnavailableError: If a certificate or a timestamp needs a trusted root, and it is missing.
    """
    content = bundle.content
    if isinstance(content, MessageSignature) and content.is_of_file is False:
        return Judgement(
            Verdict.INVALID,
            reason=f"it is for the sha384 {content.sha384}, but the file has another one",
        )
    # Each module is imported only if it is needed: `keyless` imports all of `sigstore`.
    if bundle.certificate is None:
        from provenance.signing import keyed

        judgement = keyed.judge(bundle, trust, artifact_sha256)
    elif not trust.identities and not trust.workflows:
        return Judgement(
            Verdict.UNTRUSTED,
            reason="with a certificate, but the trust contains only keys",
            help="If you know the signer, trust the identity: [[trust.github]], "
            "[[trust.identity]], or --identity with --issuer.",
        )
    else:
        from provenance.signing.keyless import verifier

        judgement = verifier.judge(bundle, trust, artifact_sha256)
    if judgement.verdict is Verdict.VALID and isinstance(content, MessageSignature):
        if content.sha384 is not None and not content.is_of_file:
            return Judgement(
                Verdict.UNSUPPORTED,
                reason="it states a SHA-384, which can only be compared if the file is given",
            )
        stated = content.sha256
        # Someone who reads only the stated digest would mistake which file was signed.
        if stated is not None and stated != artifact_sha256:
            return Judgement(
                Verdict.INVALID,
                reason=f"it states the sha256 {stated}, but signs a file with another one",
            )
    return judgement


def with_public_root(
    trust: Trust, *, instance: Instance = Instance.PRODUCTION, offline: bool = False
) -> Trust:
    """Return `trust` with the trusted root of a public instance, if it needs one and names none.

    Raises:
        UnavailableError: If the TUF repository of the instance does not answer, or `offline` is
            set and no root is cached.
    """
    if trust.root is not None or not trust.needs_root:
        return trust
    from provenance.signing.keyless.instance import fetch_root

    return replace(trust, root=fetch_root(instance, offline=offline))


def counted(signers: Sequence[Signer]) -> tuple[tuple[Signer, Entry], ...]:
    """Return the distinct signers, each with a trust entry of its own.

    A signer counts once, however often it signed, and an entry counts for one signer. So a workflow
    that matches two entries is one signer, and two tags of a workflow use one entry.
    """
    if len(signers) == 1:
        return tuple((signer, entry) for signer in signers for entry in signer.entries[:1])
    by_entry: dict[Entry, Signer] = {}
    for signer in {s.unique: s for s in signers}.values():
        _place(signer, by_entry, set())
    return tuple((signer, entry) for entry, signer in by_entry.items())


def _place(signer: Signer, by_entry: dict[Entry, Signer], tried: set[Entry]) -> bool:
    """Find an entry for another signer, and move other signers if necessary (Kuhn's algorithm)."""
    for entry in signer.entries:
        if entry in tried:
            continue
        tried.add(entry)
        other = by_entry.get(entry)
        if other is None or _place(other, by_entry, tried):
            by_entry[entry] = signer
            return True
    return False
