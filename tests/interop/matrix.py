# SPDX-License-Identifier: Apache-2.0
"""Measure which client verifies which document, for each way of signing.

`measure` lets every client verify every file that a document signs, and again after one byte has
changed. `tests.interop.page` writes the results as tables.
"""

from __future__ import annotations

import enum
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.interop import conformance
from tests.interop.clients import Cosign, Draft, SigstoreJs, SigstorePython, each
from tests.interop.credentials import Credential, Identity, Key
from tests.interop.release import (
    REGISTRY_ROW,
    SLSA_PROVENANCE,
    SLSA_SUMMARY,
    Claim,
    Released,
    payload_of,
    provenance,
    sha256_of,
    statement_of,
    with_one_byte_changed,
    with_one_payload_byte_changed,
)

PLAIN: Final = "quality_regressor_q_v1.onnx"
"""A model without external data: a signature over the one file covers all of it."""


class Document(enum.Enum):
    """The kinds of signed documents."""

    ROW = "row bundle"
    SEED = "seed attestation"
    SUMMARY = "release summary"
    MESSAGE = "message signature"


class Answer(enum.Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_OFFERED = "–"


KINDS: Final = {
    REGISTRY_ROW: Document.ROW,
    SLSA_PROVENANCE: Document.SEED,
    SLSA_SUMMARY: Document.SUMMARY,
}
COSIGN_TYPES: Final = {SLSA_PROVENANCE: "slsaprovenance1"}
"""What cosign calls predicate types that it knows; it takes any other as a URI."""

Verify: TypeAlias = Callable[[Sequence[Claim], Credential], list[str | None]]
Sign: TypeAlias = Callable[[Sequence[Draft], Credential], None]


@dataclass(frozen=True)
class Clients:
    cosign: Cosign
    python: SigstorePython
    js: SigstoreJs

    @property
    def verifiers(self) -> dict[str, Verify]:
        """Return the clients that verify, by their command or package."""
        return {
            "`cosign verify-blob`": self._verify_blob,
            "`cosign verify-blob-attestation`": self._verify_attestation,
            "`sigstore verify identity`": self._verify_identity,
            "`@sigstore/verify`": self.js.verify,
        }

    @property
    def signers(self) -> dict[str, Sign]:
        """Return the clients that sign any statement or file."""
        return {
            "`cosign sign-blob`, `attest-blob`": self.cosign.sign,
            "`@sigstore/sign`": self.js.sign,
        }

    def _verify_blob(self, claims: Sequence[Claim], by: Credential) -> list[str | None]:
        return each(lambda c: self.cosign.verify("verify-blob", c, by), claims)

    def _verify_attestation(self, claims: Sequence[Claim], by: Credential) -> list[str | None]:
        def verify(claim: Claim) -> str | None:
            kind = COSIGN_TYPES.get(claim.predicate_type, claim.predicate_type)
            return self.cosign.verify("verify-blob-attestation", claim, by, "--type", kind)

        return each(verify, claims)

    def _verify_identity(self, claims: Sequence[Claim], by: Credential) -> list[str | None]:
        assert isinstance(by, Identity)
        return self.python.verify(claims, by)


@dataclass
class Matrix:
    """The answers: `ours` of clients to what we sign, `theirs` of us to what clients sign."""

    ours: dict[tuple[Document, str, str], Answer] = field(default_factory=dict)
    theirs: dict[tuple[str, str, Document], Answer] = field(default_factory=dict)


def measure(clients: Clients, releases: Mapping[Credential, Released], folder: Path) -> Matrix:
    """Let every client verify the release of every signer. `folder` is for temporary files.

    Raises:
        AssertionError: A client accepts some files of a document and not others, or accepts one
            that has changed.
    """
    found = Matrix()
    for by, release in releases.items():
        place = folder / str(by)
        place.mkdir()
        for name, verify in clients.verifiers.items():
            for document, answer in _ours(verify, by, release, place):
                found.ours[document, str(by), name] = answer
        for name, sign in clients.signers.items():
            for document, answer in _theirs(sign, by, release, place / _plain(name)):
                found.theirs[name, str(by), document] = answer
    for by, release in releases.items():
        name = "`sigstore sign`, `attest`"
        answers = dict.fromkeys(Document, Answer.NOT_OFFERED)
        if isinstance(by, Identity):
            answers |= _of_sigstore_python(clients.python, by, release, folder / "python")
        for document, answer in answers.items():
            found.theirs[name, str(by), document] = answer
    return found


# --- what we sign -------------------------------------------------------------------------------


def _ours(
    verify: Verify, by: Credential, release: Released, folder: Path
) -> Iterator[tuple[Document, Answer]]:
    message = _message(by, release, folder)
    claims: dict[Document, list[Claim]] = {document: [] for document in Document}
    for claim in release.claims if message is None else [*release.claims, message]:
        claims[KINDS.get(claim.predicate_type, Document.MESSAGE)].append(claim)
    for document, about in claims.items():
        offered = bool(about) and not (isinstance(by, Key) and _knows_no_keys(verify))
        yield document, _answer(verify, by, about, folder) if offered else Answer.NOT_OFFERED


def _knows_no_keys(verify: Verify) -> bool:
    return getattr(verify, "__name__", "") == Clients._verify_identity.__name__


def _message(by: Credential, release: Released, folder: Path) -> Claim | None:
    """Sign one file ourselves; None for a key, which signs only statements."""
    if isinstance(by, Key):
        return None
    file, bundle = release.registry.parent / PLAIN, folder / f"{PLAIN}.message.sigstore.json"
    if not bundle.exists():
        conformance.sign(file, bundle, by)
    return Claim(bundle, file, "")


def _answer(verify: Verify, by: Credential, claims: Sequence[Claim], folder: Path) -> Answer:
    """Return the answer of a client for unchanged files. It must refuse all changed ones."""
    reasons = verify(claims, by)
    if None not in reasons:
        return Answer.REFUSED
    refused = [f"{c}: {r}" for c, r in zip(claims, reasons, strict=True) if r is not None]
    assert refused == []
    # One file of each bundle: what a client makes of a digest does not depend on whose it is.
    once = {c.bundle: c for c in claims}.values()
    changed = [replace(c, file=with_one_byte_changed(c.file, folder)) for c in once]
    accepted = [c for c, r in zip(changed, verify(changed, by), strict=True) if r is None]
    assert accepted == []
    return Answer.ACCEPTED


# --- what they sign -----------------------------------------------------------------------------


def _theirs(
    sign: Sign, by: Credential, release: Released, folder: Path
) -> Iterator[tuple[Document, Answer]]:
    copy = Released(folder / "registry")
    shutil.copytree(release.root, copy.root)
    summary = copy.root / "bundles" / "registry.json.vsa.sigstore.json"
    others = [b for b in copy.bundles if b != summary]
    _sign_again(sign, by, {b: payload_of(b) for b in others}, folder)
    statement = statement_of(summary)
    for given in statement["predicate"]["inputAttestations"]:
        given["digest"]["sha256"] = sha256_of(copy.registry.parent / given["uri"])
    _sign_again(sign, by, {summary: json.dumps(statement).encode()}, folder)
    status, report = _verify_registry(copy)
    blamed = _blamed(copy, report)
    assert (status == 0) == (not blamed), report
    for bundle in copy.bundles:
        with_one_payload_byte_changed(bundle, bundle.parent)
    _, report = _verify_registry(copy)
    invalid = {f["path"] for f in report["findings"] if f["code"] == "SIG603"}
    assert invalid == {str(b.relative_to(copy.root)) for b in copy.bundles}, report["findings"]
    for document in KINDS.values():
        yield document, Answer.REFUSED if document in blamed else Answer.ACCEPTED
    file, bundle = folder / PLAIN, folder / f"{PLAIN}.sigstore.json"
    shutil.copy(release.registry.parent / PLAIN, file)
    sign([Draft(file, bundle)], by)
    yield Document.MESSAGE, _verify_file(file, bundle, by)


def _sign_again(sign: Sign, by: Credential, payloads: Mapping[Path, bytes], folder: Path) -> None:
    drafts = []
    for bundle, payload in payloads.items():
        statement = folder / f"{bundle.name}.statement"
        statement.write_bytes(payload)
        bundle.unlink()
        drafts.append(Draft(statement, bundle, statement=True))
    sign(drafts, by)


def _of_sigstore_python(
    python: SigstorePython, by: Identity, release: Released, folder: Path
) -> dict[Document, Answer]:
    """It signs files, and SLSA provenance about one file, such as a seed attestation."""
    copy = Released(folder / "registry")
    shutil.copytree(release.root, copy.root)
    seeds = [c for c in copy.claims if KINDS[c.predicate_type] is Document.SEED]

    def attest(claim: Claim) -> None:
        predicate = folder / f"{claim.file.name}.predicate"
        predicate.write_text(json.dumps(statement_of(claim.bundle)["predicate"]), "utf-8")
        claim.bundle.unlink()
        python.attest(claim.file, claim.bundle, by, predicate, SLSA_PROVENANCE)

    each(attest, seeds)
    _, report = _verify_registry(copy)
    blamed = _blamed(copy, report)
    file, bundle = folder / PLAIN, folder / f"{PLAIN}.sigstore.json"
    shutil.copy(release.registry.parent / PLAIN, file)
    python.sign(file, bundle, by)
    return {
        Document.SEED: Answer.REFUSED if Document.SEED in blamed else Answer.ACCEPTED,
        Document.MESSAGE: _verify_file(file, bundle, by),
    }


def _verify_registry(release: Released) -> tuple[int, dict[str, Any]]:
    done = provenance(release.root, "verify", "--format", "json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _blamed(release: Released, report: Mapping[str, Any]) -> set[Document]:
    """Return the documents that errors are about. A changed file makes the summary stale, too."""
    kinds = {
        str(c.bundle.relative_to(release.root)): KINDS[c.predicate_type] for c in release.claims
    }
    errors = [f for f in report["findings"] if f["severity"] == "error" and not f["deferred"]]
    return {
        Document.SUMMARY if f["code"] == "ATT710" else kinds.get(f["path"], Document.SUMMARY)
        for f in errors
    }


def _verify_file(file: Path, bundle: Path, by: Credential) -> Answer:
    def verify() -> int:
        options = ("--bundle", bundle, *by.verifying)
        return provenance(file.parent, "verify-model", file.name, *options).returncode

    if verify() != 0:
        return Answer.REFUSED
    with_one_byte_changed(file, file.parent)
    assert verify() == 1
    return Answer.ACCEPTED


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isalnum())
