# SPDX-License-Identifier: Apache-2.0
"""Files of any kind, by bundles of any client: `verify_blob`, and `verify-blob`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from provenance import (
    InputError,
    Report,
    Require,
    Trust,
    open_signer,
    sign_artifact,
    sign_statement,
    trust_from_keys,
)
from provenance.attestations.bundle import Bundle
from tests.signing.workshop import CONTENT, SHA256, instance, stranger, trust
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import codes, sha256
from tests.support.sigstore.ca import email
from tests.support.sigstore.instance import ISSUER, SUBJECT
from tests.support.sigstore.release import write
from tests.support.verifying import verify_blob, verify_model

SLSA = "https://slsa.dev/provenance/v1"
SCAN = "https://example.org/malware-scan/v1"
MALLORY = email("mallory@example.org", ISSUER)
ZEROS = "0" * 64


def statement(*subjects: tuple[str, str], kind: str = SLSA, **changes: Any) -> bytes:
    """An in-toto statement about the digests of some files."""
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": n, "digest": {"sha256": s}} for n, s in subjects],
        "predicateType": kind,
        "predicate": {},
    }
    return json.dumps(value | changes).encode()


@dataclass(frozen=True)
class Download:
    """A file that is not a model, and the bundle that came with it."""

    file: Path
    bundle: Path

    def signed(self, bundle: dict[str, Any]) -> Download:
        """Write the bundle."""
        write(self.bundle, bundle)
        return self

    def verify(self, who: Trust | None = None, target: str = "", **how: Any) -> Report:
        return verify_blob(target or self.file, who or trust(), bundle=self.bundle, **how)

    def cli(self, target: str, *more: str) -> Result:
        instance().write_root(self.file.parent / "root.json")
        bundle = ("--bundle", self.bundle.name, "--trusted-root", "root.json")
        who = ("--identity", SUBJECT, "--issuer", ISSUER)
        return run_cli("verify-blob", target, *bundle, *who, *more, cwd=self.file.parent)


@pytest.fixture
def download(tmp_path: Path) -> Download:
    file = tmp_path / "data.tar.gz"
    file.write_bytes(CONTENT)
    return Download(file, tmp_path / "data.tar.gz.sigstore.json")


@pytest.fixture
def signed(download: Download) -> Download:
    """The file with a signature over its bytes."""
    return download.signed(instance().sign_bytes(CONTENT))


def test_a_signature_over_the_bytes_is_enough(signed: Download) -> None:
    report = signed.verify()
    assert (report.exit_code, report.findings) == (0, ())
    (row,) = report.rows
    assert (row.signer, row.license, row.classification) == (SUBJECT, None, None)
    assert [f.sha256 for f in row.model_files] == [SHA256]
    assert "binds no name" in report.notes[0]


def test_a_statement_about_the_digest_is_enough(download: Download) -> None:
    about = statement(("other", ZEROS), ("dist/data.tar.gz", SHA256))
    report = download.signed(instance().attest(about)).verify()
    assert (report.exit_code, report.findings) == (0, ())
    assert report.notes == (
        f"it is signed as 'dist/data.tar.gz', as one of 2 subjects, in a statement of type {SLSA}",
    )


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: instance().sign_bytes(CONTENT), "SIG603"),
        (lambda: instance().attest(statement(("data.tar.gz", SHA256))), "SIG605"),
    ],
)
def test_changed_bytes_are_refused(
    download: Download, make: Callable[[], dict[str, Any]], code: str
) -> None:
    download.signed(make()).file.write_bytes(CONTENT + b"\0")
    report = download.verify()
    assert codes(report) == [code]
    assert report.exit_code == 1
    assert report.failing[0].help.startswith("Do not use it.")
    assert report.notes == ()


def test_a_digest_may_be_given_for_the_file(signed: Download) -> None:
    assert signed.verify(target=f"sha256:{SHA256}").exit_code == 0
    assert signed.verify(target=f"sha256:{sha256(b'other')}").exit_code == 1


@pytest.mark.parametrize("text", ["", SHA256, "sha256:", f"sha256:{SHA256.upper()}", "sha1:00"])
def test_an_invalid_digest_is_an_error(signed: Download, text: str) -> None:
    with pytest.raises(InputError, match="is not a digest"):
        verify_blob(text, trust(), bundle=signed.bundle)


RIGHT = {"digest": {"sha256": SHA256}}
TWICE = [{"name": "_"} | RIGHT, {"name": "_", "digest": {"sha256": ZEROS}}]
COMMIT = {"name": "src", "digest": {"gitCommit": "0" * 40}}


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"subject": [RIGHT]}, "signed without a name, in"),
        ({"subject": TWICE}, "signed as '_', as one of 2 subjects"),
        ({"subject": [COMMIT, RIGHT]}, "signed without a name, as one of 2 subjects"),
        ({"subject": [RIGHT], "extension": {"a": 1}}, "signed without a name"),
        ({"subject": [RIGHT], "predicate": None}, "signed without a name"),
    ],
)
def test_a_statement_by_another_tool_counts_by_its_digests(
    download: Download, key: KeyPair, changes: dict[str, Any], note: str
) -> None:
    who = trust_from_keys([key.public])
    report = download.signed(dsse_bundle(statement(**changes), key)).verify(who)
    assert report.findings == ()
    assert note in report.notes[0]
    assert codes(download.verify(who, target=f"sha256:{'1' * 64}")) == ["SIG605"]


SHA512 = {"sha512": "0" * 128}


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (
            [{"name": "data.tar.gz", "digest": SHA512 | {"sha1": "0" * 40}}],
            "has 1 subject with no digest but sha1, sha512; expected SHA-256",
        ),
        ([{"name": "data.tar.gz"}], "has 1 subject without a digest; expected"),
        (
            [
                {"name": "data.tar.gz", "digest": SHA512},
                {"name": "b", "digest": {"sha256": ZEROS}},
            ],
            "and 1 subject with no digest but sha512",
        ),
    ],
)
def test_digests_other_than_sha256_are_unsupported_and_not_invalid(
    download: Download, key: KeyPair, subjects: list[Any], message: str
) -> None:
    bundle = dsse_bundle(statement(subject=subjects), key)
    report = download.signed(bundle).verify(trust_from_keys([key.public]))
    assert codes(report) == ["SIG605"]
    assert message in report.failing[0].message
    assert "Ask the publisher for a statement with SHA-256 digests" in report.failing[0].help
    assert "not valid" not in report.failing[0].message


def test_the_digest_in_a_bundle_must_be_that_of_the_file(download: Download, key: KeyPair) -> None:
    """The signature is valid, but a client that reads only the stated digest sees another file."""
    by_key, by_identity = message_bundle(CONTENT, key), instance().sign_bytes(CONTENT)
    for bundle in (by_key, by_identity):
        digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        bundle["messageSignature"]["messageDigest"]["digest"] = digest
    report = download.signed(by_key).verify(trust_from_keys([key.public]))
    assert codes(report) == ["SIG603"]
    assert "states the sha256" in report.failing[0].message
    assert codes(download.signed(by_identity).verify()) == ["SIG603"]


def test_other_kinds_of_statements_count_only_on_request(download: Download) -> None:
    download.signed(instance().attest(statement(("data", SHA256), kind=SCAN)))
    report = download.verify()
    assert codes(report) == ["ATT701"]
    assert f"--predicate-type {SCAN}" in report.failing[0].help
    assert download.verify(predicate_types=[SCAN]).exit_code == 0
    assert download.verify(predicate_types=None).exit_code == 0
    assert codes(download.verify(predicate_types=[])) == ["ATT701"]
    assert download.cli("data.tar.gz").code == 1
    assert download.cli("data.tar.gz", "--predicate-type", SCAN).code == 0


# --- the signer ---


def test_an_untrusted_signer_is_named(download: Download) -> None:
    report = download.signed(instance().sign_bytes(CONTENT, MALLORY)).verify()
    assert codes(report) == ["SIG604"]
    assert "mallory@example.org" in report.failing[0].message
    assert report.rows[0].signatures == ()
    assert codes(download.signed(stranger().sign_bytes(CONTENT)).verify()) == ["SIG603"]


def test_a_key_verifies_a_file_and_another_key_does_not(
    download: Download, key: KeyPair, other_key: KeyPair
) -> None:
    download.signed(message_bundle(CONTENT, key))
    report = download.verify(trust_from_keys([key.public]))
    assert (report.exit_code, report.rows[0].signer) == (0, str(key.public))
    assert codes(download.verify(trust_from_keys([other_key.public]))) == ["SIG604"]


def test_one_of_two_required_signers_is_not_enough(signed: Download) -> None:
    assert codes(signed.verify(replace(trust(), signatures=2))) == ["SIG608"]


# --- input that cannot be read ---


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"mediaType": "a", "mediaType": "b"}'])
def test_an_invalid_bundle_is_refused(download: Download, content: bytes) -> None:
    download.bundle.write_bytes(content)
    assert codes(download.verify()) == ["SIG602"]


def test_a_missing_file_or_bundle_and_a_folder_are_errors(signed: Download) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        verify_blob(signed.file.parent, trust(), bundle=signed.bundle)
    for path in (signed.bundle, signed.file):
        path.unlink()
        with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
            signed.verify()


def test_a_file_that_cannot_be_read_is_an_error(
    signed: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stream: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("provenance.artifacts.digest.of_stream", fail)
    with pytest.raises(InputError, match="Input/output error"):
        signed.verify()


@pytest.mark.parametrize(
    "options", [{"require": Require(row=True)}, {"state": "s"}, {"resource_uri": "u"}]
)
def test_a_row_or_release_cannot_be_required_of_a_blob(
    signed: Download, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="it has no row and no release"):
        signed.verify(**options)


def test_the_command_verifies_a_file_or_a_digest(signed: Download) -> None:
    result = signed.cli("data.tar.gz", "-v")
    assert result.code == 0, result
    shown = " ".join(result.out.split())
    assert f"signed by {SUBJECT} at 2026-06-01 12:00:00 UTC" in shown
    assert "note: the signature covers only the bytes of" in shown
    assert signed.cli(f"sha256:{SHA256}").code == 0
    signed.file.write_bytes(b"other")
    assert signed.cli("data.tar.gz").code == 1


# --- signing ---


@dataclass
class Recorder:
    """A signer that keeps what it is given."""

    own: Trust = field(default_factory=lambda: Trust("tests"))
    given: list[bytes | str] = field(default_factory=list)

    def distrusted(self, declared: Trust) -> str | None:
        return None

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        return False

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        self.given += payloads
        signed()
        return [b"bundle"]

    def sign_digest(self, sha256: str) -> bytes:
        self.given.append(sha256)
        return b"bundle"


def test_a_file_is_signed_by_its_digest_and_a_statement_byte_for_byte(download: Download) -> None:
    recorder, payload = Recorder(), statement(("a", SHA256)).replace(b", ", b" ,\n")
    assert sign_artifact(download.file, recorder) == b"bundle"
    assert sign_statement(payload, recorder) == b"bundle"
    assert recorder.given == [SHA256, payload]


@pytest.mark.parametrize("payload", [b"", b"{}", statement(), statement(("a", "0" * 63))])
def test_a_statement_that_cannot_be_verified_is_not_signed(payload: bytes) -> None:
    recorder = Recorder()
    with pytest.raises(InputError, match="cannot be signed"):
        sign_statement(payload, recorder)
    assert recorder.given == []


def test_a_key_cannot_sign_the_bytes_of_a_file(download: Download, key: KeyPair) -> None:
    with pytest.raises(InputError, match="can only sign statements"):
        sign_artifact(download.file, open_signer(f"file:{key.private}"))


# --- several bundles in one file ---


def in_lines(file: Path, *bundles: dict[str, Any]) -> Path:
    """Write bundles as `gh attestation download` does."""
    path = file.with_name("b.jsonl")
    path.write_text("".join(json.dumps(b) + "\n" for b in bundles), "utf-8")
    return path


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    file = tmp_path / "m.onnx"
    file.write_bytes(model())
    return file


def about(*files: Path, kind: str = SLSA) -> bytes:
    return statement(*((f.name, sha256(f.read_bytes())) for f in files), kind=kind)


@pytest.mark.parametrize("verify", [verify_blob, verify_model])
@pytest.mark.parametrize("place", range(3))
def test_one_line_that_verifies_is_enough(
    model_file: Path, verify: Callable[..., Report], place: int
) -> None:
    others = [
        instance().attest(about(model_file), MALLORY),
        instance().attest(statement(("other.bin", ZEROS))),
    ]
    lines = [*others[:place], instance().attest(about(model_file)), *others[place:]]
    assert codes(verify(model_file, trust(), bundle=in_lines(model_file, *lines))) == []
    report = verify(model_file, trust(), bundle=in_lines(model_file, others[0], others[0]))
    assert codes(report) == ["SIG604"]
    assert "b.jsonl (line 1)" in report.failing[0].message


@pytest.mark.parametrize(("types", "found"), [(None, ["ATT701"]), ([SCAN], [])])
def test_a_statement_about_a_model_counts_only_on_request(
    model_file: Path, types: list[str] | None, found: list[str]
) -> None:
    bundle = model_file.with_name("b.json")
    write(bundle, instance().attest(about(model_file, kind=SCAN)))
    report = verify_model(model_file, trust(), bundle=bundle, predicate_types=types)
    assert codes(report) == found


def test_external_data_must_be_covered_by_the_statement(model_file: Path) -> None:
    """Of two lines that fail, that of a trusted signer is reported."""
    weights = model_file.with_name("m.onnx.data")
    model_file.write_bytes(model(external=External(weights.name)))
    weights.write_bytes(data())
    payload = about(model_file)
    lines = in_lines(model_file, instance().attest(payload, MALLORY), instance().attest(payload))
    (found,) = verify_model(model_file, trust(), bundle=lines).failing
    help = "Ask the publisher for a bundle made by onnx-provenance, which signs every file."
    assert (found.code, found.help) == ("ATT702", help)
    lines = in_lines(model_file, instance().attest(about(model_file, weights)))
    assert codes(verify_model(model_file, trust(), bundle=lines)) == []


@pytest.mark.parametrize("verify", [verify_blob, verify_model])
def test_lines_about_other_files_are_refused(
    model_file: Path, verify: Callable[..., Report]
) -> None:
    bundle = instance().attest(statement(("a.bin", ZEROS)))
    with pytest.raises(InputError, match="none of its 2 bundles is about the file"):
        verify(model_file, trust(), bundle=in_lines(model_file, bundle, bundle))


def test_the_number_of_bundles_about_a_file_is_bounded(model_file: Path) -> None:
    path = in_lines(model_file, *[instance().attest(about(model_file))] * 33)
    with pytest.raises(InputError, match="33 of its bundles are about this file, but at most 32"):
        verify_blob(model_file, trust(), bundle=path)


# --- other algorithms ---


def p384(content: bytes = CONTENT, **how: Any) -> dict[str, Any]:
    """What `cosign sign-blob --signing-algorithm ecdsa-sha2-384-nistp384` writes."""
    key = ec.generate_private_key(ec.SECP384R1())
    return instance().sign_bytes(content, key=key, **how)


def test_an_unsupported_algorithm_is_not_called_invalid(download: Download) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    payload = statement(("data.tar.gz", SHA256))
    assert download.signed(instance().attest(payload, key=key)).verify().exit_code == 0
    bundle = instance().attest(payload, key=key, function=hashes.SHA256(), log="v1")
    (finding,) = download.signed(bundle).verify().failing
    assert finding.code == "SIG602"
    assert "unsupported signature algorithm ECDSA P-384 with SHA-256" in finding.message
    assert "not valid" not in finding.message
    assert "another Sigstore client" in finding.help


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_signature_over_the_sha384_of_a_file_is_verified(download: Download, log: Any) -> None:
    assert download.signed(p384(log=log)).verify().exit_code == 0
    download.file.write_bytes(b"other bytes")
    (finding,) = download.verify().failing
    assert finding.code == "SIG603"
    assert "is for the sha384" in finding.message


def test_a_stated_sha384_of_other_bytes_does_not_count(download: Download) -> None:
    """The file has the stated digest, and another file was signed."""
    bundle = p384(b"other bytes", log="v1")
    digest = base64.b64encode(hashlib.sha384(CONTENT).digest()).decode()
    bundle["messageSignature"]["messageDigest"]["digest"] = digest
    assert codes(download.signed(bundle).verify()) == ["SIG603"]


def test_a_sha384_cannot_be_compared_with_a_sha256(download: Download) -> None:
    (finding,) = download.signed(p384()).verify(target=f"sha256:{SHA256}").failing
    assert finding.code == "SIG602"
    assert "unsupported" in finding.message


def test_a_model_is_verified_by_its_sha384_too(model_file: Path) -> None:
    write(model_file.with_name("m.onnx.sigstore.json"), p384(model()))
    assert verify_model(model_file, trust()).exit_code == 0
    model_file.write_bytes(model(salt=1))
    assert codes(verify_model(model_file, trust())) == ["SIG603"]
