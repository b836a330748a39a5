# SPDX-License-Identifier: Apache-2.0
"""Files of one row swapped with each other: every digest is signed, but for another file."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

import pytest

from provenance import trust_from_keys
from provenance.artifacts import digest
from provenance.artifacts.registry import Row
from provenance.attestations.statement import Statement, Subject
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence, ExternalFile, ModelEvidence, RowEvidence
from provenance.gate.rules.case import Case
from provenance.gate.rules.signatures import SignersTooFew, changed_files
from provenance.gate.signature_set import SignatureSet
from provenance.signing.judgement import Signer
from provenance.signing.trust import TrustedIdentity
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import SUFFIX, Repository, codes, sha256
from tests.support.statements import sign_again


@pytest.fixture
def two_data_files(repository: Repository) -> Repository:
    """A released model with its weights in two files."""
    for salt, name in enumerate(("a.data", "b.data")):
        repository.write(name, data(24, salt))
    external = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    covered = {n: sha256(repository.path(n).read_bytes()) for n in ("a.data", "b.data")}
    repository.add("m", model(external=external), external_data_sha256=covered)
    return repository.released()


def swap(repository: Repository, one: str, other: str) -> None:
    first, second = (repository.path(n).read_bytes() for n in (one, other))
    repository.write(one, second)
    repository.write(other, first)


def test_data_files_swapped_with_their_digests_fail_verification(
    two_data_files: Repository,
) -> None:
    swap(two_data_files, "a.data", "b.data")
    covered = two_data_files.rows[0]["external_data_sha256"]
    covered["a.data"], covered["b.data"] = covered["b.data"], covered["a.data"]
    two_data_files.save()
    report = two_data_files.verify("m")
    assert codes(report) == ["SIG605", "SIG605"]
    assert {f.about for f in report.failing} == {"model/a.data", "model/b.data"}


def test_data_files_swapped_without_their_digests_fail_art302(
    two_data_files: Repository,
) -> None:
    swap(two_data_files, "a.data", "b.data")
    assert codes(two_data_files.verify("m")) == ["ART302", "ART302"]


def test_a_renamed_file_is_reported_after_one_with_its_own_name(
    two_data_files: Repository, key: KeyPair
) -> None:
    def rename(statement: Any) -> None:
        for files in (statement["subject"], statement["predicate"]["files"]):
            (file,) = (f for f in files if f["name"] == "b.data")
            file["name"] = "former.data"

    sign_again(two_data_files.root / "bundles" / f"m.onnx{SUFFIX}", key, rename)
    found = [f.about for f in two_data_files.verify("m").failing if f.code == "SIG606"]
    assert found == ["model/b.data"]


def test_a_model_with_an_undeclared_digest_is_reported_by_art302_only(
    two_data_files: Repository,
) -> None:
    two_data_files.write("m.onnx", two_data_files.path("m.onnx").read_bytes() + b"\x3a\x00")
    assert codes(two_data_files.verify("m")) == ["ART302"]


@pytest.mark.parametrize("file", ["b.onnx", "d.int8.onnx", "a.data", "c.data", "e.data"])
def test_changed_files_skips_files_whose_declared_digest_is_the_signed_one(
    file: str,
) -> None:
    """ART302 reports such a file. It does not report a row that changed with its file."""
    names = ["b.onnx", "d.int8.onnx", "a.data", "c.data", "e.data"]
    signed = {name: sha256(name.encode()) for name in names}
    new = digest.of_bytes(b"other bytes")
    digests = {n: new if n == file else digest.of_bytes(n.encode()) for n in names}
    data = tuple(ExternalFile(n, n, digests[n]) for n in names[2:])

    def changed(declared: dict[str, str]) -> list[str]:
        fields = {
            "sha256": declared["b.onnx"],
            "int8_sha256": declared["d.int8.onnx"],
            "external_data_sha256": {n: declared[n] for n in names[2:]},
        }
        row = RowEvidence(
            Row(0, fields, fields),
            onnx=ModelEvidence("b.onnx", "b.onnx", digests["b.onnx"], external=data),
            int8=ModelEvidence("d.int8.onnx", "d.int8.onnx", digests["d.int8.onnx"]),
        )
        subjects = tuple(Subject(name, found) for name, found in signed.items())
        return [f.name for f, _ in changed_files(row, Statement(subjects, "", {}))]

    assert changed(signed) == []
    assert changed(signed | {file: new.sha256}) == [file]
    assert changed(dict.fromkeys(names, "0" * 64)) == [file]


def test_a_model_swapped_with_its_variant_fails_verification(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.released()
    swap(repository, "m.onnx", "m.int8.onnx")
    row["sha256"], row["int8_sha256"] = row["int8_sha256"], row["sha256"]
    repository.save()
    assert codes(repository.verify("m")) == ["SIG605", "SIG605"]


def test_a_changed_digest_is_reported_if_no_file_changed(repository: Repository) -> None:
    repository.add("m", own={"sha256": "x"})
    repository.released()
    repository.edit_registry('"sha256": "x"', '"sha256": "y"')
    assert codes(repository.verify("m")) == ["ATT703"]


def test_an_unreadable_bundle_is_reported_after_one_outside_the_repository(
    repository: Repository,
) -> None:
    """REG107 reports a path out of the repository; the file there is not examined."""
    repository.add("m")
    repository.add("n")
    repository.released()
    repository.rows[0]["sigstore_bundle"] = "../../m.onnx.sigstore.json"
    bundle = repository.root / "bundles" / "n.onnx.sigstore.json"
    bundle.unlink()
    bundle.mkdir()
    found = [(f.code, f.row) for f in repository.save().verify("m", "n").failing]
    assert ("REG107", "m") in found
    assert [row for code, row in found if code == "SIG602"] == ["n"]


@pytest.mark.parametrize(
    ("signed", "wanted", "is_told"), [(1, 2, True), (2, 3, True), (2, 2, False), (3, 2, False)]
)
def test_too_few_signers_are_reported_with_their_number(
    signed: int, wanted: int, is_told: bool
) -> None:
    who = [TrustedIdentity("https://issuer.example", f"{n}@example.org") for n in range(signed)]
    counted = tuple((Signer(e.subject, e.issuer, e.subject, (e,)), e) for e in who)
    found = SignersTooFew().conclude(
        SignatureSet((), counted, wanted), BundleEvidence("m.sigstore.json", "m.sigstore.json")
    )
    says = [message for _, message, _ in found]
    assert len(says) == int(is_told)
    assert all(
        f"was signed by {signed} of {wanted} required signers: 0@example.org (" in m for m in says
    )


def test_signatures_are_judged_by_the_bytes_of_a_bundle_and_not_its_path(
    repository: Repository, key: KeyPair
) -> None:
    repository.add("m")
    repository.released()
    genuine = (repository.root / "bundles" / f"m.onnx{SUFFIX}").read_bytes()
    bundle = json.loads(genuine)
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    other = base64.b64encode(payload.replace(b'"m.onnx"', b'"n.onnx"'))
    bundle["dsseEnvelope"]["payload"] = other.decode("ascii")
    forged = json.dumps(bundle).encode()
    evidence: Any = None  # not used
    trust = trust_from_keys([key.public])
    case = Case(evidence, trust, repository.config, datetime.date(2026, 6, 30))
    verdicts = [
        case.signature_set(read_bundle("m.sigstore.json", data, "m")).counts
        for data in (genuine, forged, genuine)
    ]
    assert verdicts == [True, False, True]
