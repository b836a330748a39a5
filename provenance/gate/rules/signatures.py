# SPDX-License-Identifier: Apache-2.0
"""SIG6xx: is there a bundle, is it whole, who signed it, and over which bytes and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.attestations.statement import Statement
from provenance.gate.evidence import BundleEvidence, FileEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Phase, Rule, short
from provenance.gate.rules.registry import outside
from provenance.signing.keyed import Judgement, Verdict


def every_bundle(case: Case) -> Iterator[tuple[RowEvidence | None, BundleEvidence]]:
    """All bundles that are there, with the row that each belongs to."""
    for row in case.evidence.rows:
        for bundle in (row.bundle, row.attestation):
            if bundle is not None and not bundle.missing:
                yield row, bundle
    summary = case.evidence.summary
    if summary is not None and not summary.missing:
        yield None, summary


def changed_files(row: RowEvidence, statement: Statement) -> Iterator[FileEvidence]:
    """The model files whose bytes are not those signed under their names.

    A file whose declared digest is the signed one is left to ART302, which says the same of it.
    """
    for file in row.model_files:
        signed = statement.digest_of(file.name)
        if file.sha256 and signed not in (None, file.sha256, _declared(row, file)):
            yield file


class _SignatureRule(Rule):
    phase = Phase.SIGNATURES
    needs_trust = True
    of_one_file = True

    def at_bundle(
        self, bundle: BundleEvidence, row: RowEvidence | None, message: str, help: str
    ) -> Finding:
        return self.finding(message, help, path=bundle.path, row=row.row.label if row else None)


class BundleMissing(_SignatureRule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            if row.bundle is not None and row.bundle.missing:
                yield self.in_row(
                    case,
                    row,
                    "sigstore_bundle",
                    f"the bundle {row.bundle.path} does not exist: the row is not signed",
                    "Sign the release: provenance release --signer URI",
                    about=row.bundle.path,
                )


class BundleMalformed(_SignatureRule):
    """A bundle cannot be read.

    ## What it does
    Reads each bundle strictly: Sigstore bundle v0.3, JSON without duplicate keys or unknown fields,
    canonical base64, one signature, an in-toto payload whose statement is v1 and whose subjects
    each have one name and one SHA-256.

    ## Why it matters
    What two readers can read in two ways can be verified as one thing and used as another.

    ## Example
    A DSSE envelope with two signatures.

    ## How to fix
    Sign again: `provenance release`.
    """

    code = "SIG602"
    slug = "bundle-malformed"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, bundle in every_bundle(case):
            reason = bundle.malformed
            if bundle.trouble is not None:
                value = row.row.sigstore_bundle if row else None
                if value is not None and outside(case, value) is not None:
                    continue  # REG107 has said it
                reason = bundle.trouble.message
            if reason is not None:
                yield self.at_bundle(
                    bundle,
                    row,
                    f"the bundle {bundle.path} is not one that can be judged: {reason}",
                    "Sign again: provenance release --signer URI",
                )


class _Judged(_SignatureRule):
    def judge(self, case: Case) -> Iterator[Finding]:
        for row, bundle in every_bundle(case):
            if bundle.bundle is None:
                continue
            sha256 = row.onnx.sha256 if row and row.onnx and bundle is row.bundle else None
            found = self.conclude(case, case.signature(bundle, sha256), bundle)
            if found is not None:
                yield self.at_bundle(bundle, row, *found)

    def conclude(
        self, case: Case, judgement: Judgement, bundle: BundleEvidence
    ) -> tuple[str, str] | None:
        raise NotImplementedError


class SignatureInvalid(_Judged):
    """A signature is not that of the key that the bundle names.

    ## What it does
    Verifies the signature of each bundle, over its DSSE envelope or the model's bytes, with the
    trusted key that the bundle names.

    ## Why it matters
    Something was changed after it was signed: the statement, the signature, or the model.

    ## Example
    A bundle in which one digit of a digest was edited.

    ## How to fix
    Take the bundle from the release again. If the change is meant, sign again:
    `provenance release`.
    """

    code = "SIG603"
    slug = "signature-invalid"

    def conclude(
        self, case: Case, judgement: Judgement, bundle: BundleEvidence
    ) -> tuple[str, str] | None:
        if judgement.verdict is not Verdict.INVALID:
            return None
        return (
            f"the signature in {bundle.path} is not valid: it was changed after it was signed",
            "Restore the released bundle and files, or sign again: provenance release",
        )


class SignerUntrusted(_Judged):
    """A bundle was signed by somebody who is not trusted.

    ## What it does
    Looks up the key that the bundle names among the trusted keys. The trust that was used is shown
    in every result.

    ## Why it matters
    Anybody can make a valid signature. It counts only if it is by somebody you chose.

    ## Example
    The bundle's hint is `Z0ezOGI5…`; `[[trust.key]]` names another key.

    ## How to fix
    If you know the signer, add the public key to `[[trust.key]]`, or give it with `--key`. If not,
    do not use the model.
    """

    code = "SIG604"
    slug = "signer-untrusted"

    def conclude(
        self, case: Case, judgement: Judgement, bundle: BundleEvidence
    ) -> tuple[str, str] | None:
        if judgement.verdict is Verdict.UNKNOWN_KEY and bundle.bundle is not None:
            hint = (bundle.bundle.hint or "")[:64]
            return (
                f"{bundle.path} was signed by a key that is not trusted (hint {hint!r})",
                "If you know the signer, add the key to [[trust.key]] or give it with --key.",
            )
        if judgement.verdict is Verdict.NOT_A_KEY:
            return (
                f"{bundle.path} was signed with a certificate; the trust given is in keys",
                "Verify it with a client that knows the identity, such as cosign.",
            )
        return None


class BytesNotSigned(_SignatureRule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, statement in case.bound_rows():
            for file in changed_files(row, statement):
                signed = statement.digest_of(file.name)
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"{file.path} is {short(file.sha256)}; signed is {short(signed)}",
                    "Restore the released file, or sign again: provenance release",
                    about=file.path,
                )


class SignedUnderAnotherName(_SignatureRule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, statement in case.bound_rows():
            for file in row.model_files:
                if file.sha256 is None or statement.digest_of(file.name) is not None:
                    continue
                name = statement.name_of(file.sha256)
                if name is not None:
                    yield self.in_row(
                        case,
                        row,
                        "onnx",
                        f"the bytes of {file.path} are signed under the name {name[:100]!r}",
                        "Put files and bundles back under the names they were released with.",
                        about=file.path,
                    )


class StrayBundle(_SignatureRule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for path in case.evidence.stray_bundles:
            yield self.finding(
                f"{path} belongs to no row, no seed and no release", "Remove it.", path=path
            )


def _declared(row: RowEvidence, file: FileEvidence) -> object:
    """The digest that the row declares for this one of its files."""
    if row.onnx is not None and file.name == row.onnx.name:
        return row.row.fields.get("sha256")
    if row.int8 is not None and file.name == row.int8.name:
        return row.row.fields.get("int8_sha256")
    return row.row.external_data_sha256.get(file.name)


RULES: Iterable[type[Rule]] = (
    BundleMissing,
    BundleMalformed,
    SignatureInvalid,
    SignerUntrusted,
    BytesNotSigned,
    SignedUnderAnotherName,
    StrayBundle,
)
