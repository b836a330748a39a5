# SPDX-License-Identifier: Apache-2.0
"""SIG6xx: is there a bundle, is it whole, who signed it, and over which bytes and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.attestations.bundle import countersignature_path
from provenance.attestations.statement import Statement
from provenance.evidence.rows import BundleEvidence, FileEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules import foreign_statements
from provenance.gate.rules.base import Rule, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import EVERYWHERE, REGISTRY_AND_MODEL, Phase, Scope, Target
from provenance.gate.rules.registry import outside
from provenance.gate.rules.signed_files import misnamed_files
from provenance.gate.signature_set import SignatureSet
from provenance.signing.judgement import Verdict


def changed_files(row: RowEvidence, statement: Statement) -> Iterator[tuple[FileEvidence, str]]:
    """The model files whose bytes are not those signed under their names, and the signed digests.

    A file whose declared digest is the signed one is left to ART302, which says the same of it.
    """
    for file in row.model_files:
        signed = statement.digest_of(file.name)
        if file.sha256 and signed and signed not in (file.sha256, row.declared(file)):
            yield file, signed


class SignatureRule(Rule):
    """A rule about what was signed."""

    phase = Phase.SIGNATURES
    needs_trust = True


class _DocumentRule(SignatureRule):
    """A rule about the bundles of each row, and about that of the release summary."""

    applies = EVERYWHERE
    scopes = (Scope.ROW, Scope.DOCUMENT)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for document in (row.bundle, row.attestation):
            if document is not None and not document.missing:
                yield from self.judge_document(case, row, document)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if summary is not None and not summary.missing:
            yield from self.judge_document(case, None, summary)

    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        raise NotImplementedError


class BundleMissing(SignatureRule):
    """A row's bundle does not exist.

    ## What it does
    Looks for the file of `sigstore_bundle`.

    ## Why it matters
    The row is not signed. Nothing says that these bytes, this license and this sidecar were meant
    to be released together.

    ## Example
    `"sigstore_bundle": "m.onnx.sigstore.json"`, and no such file beside the registry.

    ## How to fix
    Sign: `provenance release`. A consumer fetches the bundle from where the model came from.
    """

    code = "SIG601"
    slug = "bundle-missing"
    applies = REGISTRY_AND_MODEL
    consumer_help = "Fetch the bundle from the publisher, or do not use the model."

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.bundle is not None and row.bundle.missing:
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                f"the bundle {row.bundle.path} does not exist: the row is not signed",
                "Sign the release: provenance release --signer URI",
                about=row.bundle.path,
            )


class BundleMalformed(_DocumentRule):
    """A bundle cannot be read, or its signature is of a kind that is not supported.

    ## What it does
    Reads each bundle strictly: Sigstore bundle v0.1 to v0.3, JSON without duplicate keys or unknown
    fields, canonical base64, one signature by one key or certificate, at most one log entry whose
    proof and checkpoint are of one tree, an in-toto payload whose statement is v1 and whose
    subjects each have one name and one SHA-256. A consumer's statements of other predicate types
    are read as in-toto tells consumers to. A signature by an algorithm, or with a log entry or
    timestamp of a kind, that this version does not verify is named as unsupported.

    ## Why it matters
    What two readers can read in two ways can be verified as one thing and used as another. A
    signature that cannot be verified says nothing, whether it is valid or not.

    ## Example
    A DSSE envelope with two signatures.

    ## How to fix
    Sign again: `provenance release`.
    """

    code = "SIG602"
    slug = "bundle-malformed"

    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        label = row.label if row else None
        for bundle in document.files:
            reason = bundle.malformed
            if bundle.problem is not None:
                value = row.entry.sigstore_bundle if row else None
                if value is not None and outside(case, value) is not None:
                    continue  # REG107 has said it
                reason = bundle.problem.message
            if reason is not None:
                yield self.finding(
                    f"the bundle {bundle.path} {IS_POINTER}"
                    if bundle.pointer
                    else f"the bundle {bundle.path} is not one that can be judged: {reason}",
                    FETCH if bundle.pointer else "Sign again: provenance release --signer URI",
                    path=bundle.path,
                    row=label,
                )
        signatures = _signatures(case, row, document) if document.bundle else None
        for bundle, judgement in signatures.judgements if signatures else ():
            if judgement.verdict is Verdict.UNSUPPORTED:
                yield self.finding(
                    f"the signature in {bundle.path} cannot be verified: {judgement.reason}",
                    judgement.help or "Sign again: provenance release --signer URI",
                    path=bundle.path,
                    row=label,
                    for_consumer=True,  # fetching it again does not help against its kind
                )


def _signatures(case: Case, row: RowEvidence | None, document: BundleEvidence) -> SignatureSet:
    sha256 = row.onnx.sha256 if row and row.onnx and document is row.bundle else None
    return case.signature_set(document, sha256)


class _Judged(_DocumentRule):
    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        if document.bundle is None:
            return
        signatures = _signatures(case, row, document)
        if signatures.is_flawless:
            return
        label = row.label if row else None
        for bundle, message, help in self.conclude(signatures, document):
            yield self.finding(message, help, path=bundle.path, row=label)

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        raise NotImplementedError


class SignatureInvalid(_Judged):
    """A signature is not that of the signer whom the bundle names.

    ## What it does
    Verifies the signature of each bundle, over its DSSE envelope or the model's bytes: with each
    trusted key, or with its certificate. A signature that no trusted key made is this finding if
    the bundle's hint names one of them, and SIG604 if not. A certificate has to be for signing
    code, by an authority of the trusted root, valid when it was used, and logged; every log entry
    and timestamp in the bundle has to be whole, by a log or authority that was in service then, and
    of this very signature.

    ## Why it matters
    Something was changed after it was signed: the statement, the signature, or the model. Or the
    evidence of when and by whom it was signed is of something else.

    ## Example
    A bundle in which one digit of a digest was edited; a log entry of another artifact; a timestamp
    from after the certificate had expired.

    ## How to fix
    Take the bundle from the release again. If the change is meant, sign again:
    `provenance release`.
    """

    code = "SIG603"
    slug = "signature-invalid"

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        for bundle, judgement in signature_set.judgements:
            if judgement.verdict is Verdict.INVALID:
                yield (
                    bundle,
                    f"the signature in {bundle.path} is not valid: {judgement.reason}",
                    "Restore the released bundle and files, or sign again: provenance release",
                )


class SignerUntrusted(_Judged):
    """A bundle was signed by somebody who is not trusted.

    ## What it does
    Looks up who signed among those who are trusted: each trusted key is tried on the signature, and
    the identity in a certificate is compared character by character. The hint of a bundle, which
    anybody can write, only says which key is tried first. If no trusted key made the signature, the
    content may also have been changed since: the two cannot be distinguished. The trust that was
    used is shown in every result.

    ## Why it matters
    Anybody can make a valid signature. It counts only if it is by somebody you chose.

    ## Example
    The release was signed with a new key, and `[[trust.key]]` names the old one. Or the workflow
    that signed ran for `refs/heads/main`; `[[trust.github]]` has `ref = "refs/tags/v*"`.

    ## How to fix
    If you know the signer, add it to the trust, or give it with `--key` or `--identity`. If not, do
    not use the model.
    """

    code = "SIG604"
    slug = "signer-untrusted"
    for_consumer = True

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        if signature_set.counted:
            return  # that others signed too takes nothing away
        for bundle, judgement in signature_set.judgements:
            if judgement.verdict is Verdict.UNTRUSTED:
                yield bundle, f"{bundle.path} was signed {judgement.reason}", judgement.help


class BytesNotSigned(SignatureRule):
    """A model file's bytes are not those that were signed.

    ## What it does
    Compares the digest of each model file with the one that the row's bundle signs under its name.

    ## Why it matters
    The bytes were replaced after the release was signed; changing the digest in the registry too
    does not help whoever did it.

    ## Example
    The bundle signs `weights.onnx.data` as `447334948e1c…`; the file is `fa89df1b2567…`.

    ## How to fix
    Restore the released file. If the new bytes are meant, sign again: `provenance release`.
    """

    code = "SIG605"
    slug = "bytes-not-signed"
    applies = REGISTRY_AND_MODEL | {Target.BLOB}

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        statement = case.row_statement(row)
        changed = () if statement is None else changed_files(row, statement)
        for file, signed in changed:
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{file.path} is {short(file.sha256)}; signed is {short(signed)}",
                "Restore the released file, or sign again: provenance release",
                about=file.path,
            )
        foreign = foreign_statements.expected(case, row) if case.alone else None
        not_among = foreign_statements.not_among(row, foreign) if foreign else None
        if not_among is not None and row.onnx is not None:
            yield self.finding(*not_among, path=row.onnx.path, row=row.label, for_consumer=True)


class SignedUnderAnotherName(SignatureRule):
    """A file's bytes were signed, but under another name.

    ## What it does
    Compares the name of each model file with the one its digest is signed under.

    ## Why it matters
    Two genuine models swapped, or two bundles: every signature is valid and each model is served
    as the other.

    ## Example
    `seed0.onnx` holds the bytes that were signed as `seed1.onnx`.

    ## How to fix
    Put files and bundles back under the names they were released with.
    """

    code = "SIG606"
    slug = "signed-under-another-name"
    applies = REGISTRY_AND_MODEL
    for_consumer = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for file, name in misnamed_files(case, row):
            if name is not None:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"the bytes of {file.path} are signed under the name {name[:100]!r}",
                    "Put files and bundles back under the names they were released with.",
                    about=file.path,
                )


class StrayBundle(SignatureRule):
    """A bundle lies beside the others that belongs to nothing.

    ## What it does
    Lists the bundles in the folders of the row bundles and takes away those of rows, of seeds and
    of the release.

    ## Why it matters
    A left-over bundle is a valid signature over something that is no longer released: whoever
    copies the old model back has the signature for it at hand.

    ## Example
    `vmaf_tiny_v1.onnx.sigstore.json`, after the row was removed.

    ## How to fix
    Remove the file.
    """

    code = "SIG607"
    slug = "stray-bundle"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for path in case.evidence.stray_bundles:
            yield self.finding(
                f"{path} belongs to no row, no seed and no release", "Remove it.", path=path
            )


class SignersTooFew(_Judged):
    """Fewer signers than the trust demands have signed.

    ## What it does
    Counts the trusted signers of each bundle and of the countersignatures beside it
    (`<bundle>.2.sigstore.json`, …) over the same statement. Each signer counts once, under a trust
    entry of its own. With `signatures = 2` in `[trust]` there have to be two.

    ## Why it matters
    One stolen key, or one workflow that somebody took over, can then release nothing alone.

    ## Example
    `signatures = 2`, and only the release workflow has signed: the reviewer's countersignature is
    missing.

    ## How to fix
    Let another trusted signer sign the same statement.
    """

    code = "SIG608"
    slug = "signers-too-few"
    consumer_help = (
        "Do not use it before the other signers have signed it: their signatures lie beside the "
        "bundle, as NAME.2.sigstore.json and so on."
    )

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        count, wanted = len(signature_set.counted), signature_set.wanted
        if 0 < count < wanted:
            names = ", ".join(f"{s.name} ({entry})" for s, entry in signature_set.counted)
            yield (
                document,
                f"{document.path} was signed by {count} of {wanted} signers: {names}",
                "Let another trusted signer sign the same statement, into "
                f"{countersignature_path(document.path, count + 1)}.",
            )


RULES: Iterable[type[Rule]] = (
    BundleMissing,
    BundleMalformed,
    SignatureInvalid,
    SignerUntrusted,
    BytesNotSigned,
    SignedUnderAnotherName,
    StrayBundle,
    SignersTooFew,
)
