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
from tests.support.sigstore.ca import email
from tests.support.sigstore.instance import ISSUER, SUBJECT
from tests.support.sigstore.release import write
from tests.support.verifying import verify_blob, verify_model

SLSA = "https://slsa.dev/provenance/v1"
SCAN = "https://example.org/malware-scan/v1"


def statement(*subjects: tuple[str, str], kind: str = SLSA) -> bytes:
    """An in-toto statement about the digests of some files."""
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": n, "digest": {"sha256": s}} for n, s in subjects],
            "predicateType": kind,
            "predicate": {},
        }
    ).encode()


@dataclass(frozen=True)
class Download:
    """A file that is no model, and the bundle that came with it."""

    file: Path
    bundle: Path

    def signed(self, bundle: dict[str, Any]) -> Download:
        """The same, with this bundle."""
        write(self.bundle, bundle)
        return self

    def verify(self, who: Trust | None = None, **how: Any) -> Report:
        """The report on the file."""
        return verify_blob(self.file, who or trust(), bundle=self.bundle, **how)


@pytest.fixture
def download(tmp_path: Path) -> Download:
    file = tmp_path / "data.tar.gz"
    file.write_bytes(CONTENT)
    return Download(file, tmp_path / "data.tar.gz.sigstore.json")


def codes(report: Report) -> list[str]:
    return [f.code for f in report.failing]


def test_a_signature_over_the_bytes_is_enough(download: Download) -> None:
    report = download.signed(instance().sign_bytes(CONTENT)).verify()
    assert (report.exit_code, report.findings) == (0, ())
    (row,) = report.rows
    assert (row.signer, row.license, row.classification) == (SUBJECT, None, None)
    assert [f.sha256 for f in row.model_files] == [SHA256]
    assert "binds no name" in report.notes[0]


def test_a_statement_about_the_digest_is_enough(download: Download) -> None:
    about = statement(("other", "0" * 64), ("dist/data.tar.gz", SHA256))
    report = download.signed(instance().attest(about)).verify()
    assert (report.exit_code, report.findings) == (0, ())
    assert report.notes == (
        f"it is signed as 'dist/data.tar.gz', as one of 2 subjects, in a statement of type {SLSA}",
    )


@pytest.mark.parametrize("form", ["message", "statement"])
def test_changed_bytes_are_refused(download: Download, form: str) -> None:
    made = instance().sign_bytes(CONTENT)
    if form == "statement":
        made = instance().attest(statement(("data.tar.gz", SHA256)))
    download.signed(made).file.write_bytes(CONTENT + b"\0")
    report = download.verify()
    assert codes(report) == [{"message": "SIG603", "statement": "SIG605"}[form]]
    assert report.exit_code == 1
    assert report.failing[0].help.startswith("Do not use it.")
    assert report.notes == ()


def test_a_digest_stands_for_the_file(download: Download) -> None:
    download.signed(instance().sign_bytes(CONTENT))
    assert verify_blob(f"sha256:{SHA256}", trust(), bundle=download.bundle).exit_code == 0
    other = hashlib.sha256(b"other").hexdigest()
    assert verify_blob(f"sha256:{other}", trust(), bundle=download.bundle).exit_code == 1


RIGHT = {"digest": {"sha256": SHA256}}
BY_OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"subject": [RIGHT]}, "signed without a name, in"),
    "one name twice": (
        {"subject": [{"name": "_"} | RIGHT, {"name": "_", "digest": {"sha256": "0" * 64}}]},
        "signed as '_', as one of 2 subjects",
    ),
    "a commit beside it": (
        {"subject": [{"name": "src", "digest": {"gitCommit": "0" * 40}}, RIGHT]},
        "signed without a name, as one of 2 subjects",
    ),
    "more fields": ({"subject": [RIGHT], "extension": {"a": 1}}, "signed without a name"),
    "no predicate": ({"subject": [RIGHT], "predicate": None}, "signed without a name"),
}


@pytest.mark.parametrize("what", BY_OTHERS)
def test_a_statement_by_others_counts_by_its_digests(
    what: str, download: Download, key: KeyPair
) -> None:
    changes, said = BY_OTHERS[what]
    payload = json.dumps(json.loads(statement()) | changes).encode()
    report = download.signed(dsse_bundle(payload, key)).verify(trust_from_keys([key.public]))
    assert report.findings == ()
    assert said in report.notes[0]
    changed = f"sha256:{'1' * 64}"
    refused = verify_blob(changed, trust_from_keys([key.public]), bundle=download.bundle)
    assert codes(refused) == ["SIG605"]


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (
            [{"name": "data.tar.gz", "digest": {"sha512": "0" * 128, "sha1": "0" * 40}}],
            "has 1 subject with no digest but sha1, sha512; expected SHA-256",
        ),
        ([{"name": "data.tar.gz"}], "has 1 subject without a digest; expected"),
        (
            [
                {"name": "data.tar.gz", "digest": {"sha512": "0" * 128}},
                {"name": "b", "digest": {"sha256": "0" * 64}},
            ],
            "and 1 subject with no digest but sha512",
        ),
    ],
)
def test_digests_other_than_sha256_are_unsupported_and_not_invalid(
    subjects: list[Any], message: str, download: Download, key: KeyPair
) -> None:
    payload = json.dumps(json.loads(statement()) | {"subject": subjects}).encode()
    report = download.signed(dsse_bundle(payload, key)).verify(trust_from_keys([key.public]))
    assert codes(report) == ["SIG605"]
    assert message in report.failing[0].message
    assert "Ask the publisher for a statement with SHA-256 digests" in report.failing[0].help
    assert "not valid" not in report.failing[0].message


@pytest.mark.parametrize("text", ["", SHA256, "sha256:", f"sha256:{SHA256.upper()}", "sha1:00"])
def test_what_is_no_digest_is_unreadable_input(download: Download, text: str) -> None:
    download.signed(instance().sign_bytes(CONTENT))
    with pytest.raises(InputError, match="is not a digest"):
        verify_blob(text, trust(), bundle=download.bundle)


def test_a_digest_that_the_bundle_states_has_to_be_the_files(
    download: Download, key: KeyPair
) -> None:
    """The signature is valid, but a client that reads only the stated digest sees another file."""
    made = message_bundle(CONTENT, key)
    digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    made["messageSignature"]["messageDigest"]["digest"] = digest
    report = download.signed(made).verify(trust_from_keys([key.public]))
    assert codes(report) == ["SIG603"]
    assert "states the sha256" in report.failing[0].message
    made = instance().sign_bytes(CONTENT)
    made["messageSignature"]["messageDigest"]["digest"] = digest
    assert codes(download.signed(made).verify()) == ["SIG603"]


def test_other_kinds_of_claims_count_only_where_they_are_asked_for(download: Download) -> None:
    download.signed(instance().attest(statement(("data", SHA256), kind=SCAN)))
    report = download.verify()
    assert codes(report) == ["ATT701"]
    assert f"--predicate-type {SCAN}" in report.failing[0].help
    assert download.verify(predicate_types=[SCAN]).exit_code == 0
    assert download.verify(predicate_types=None).exit_code == 0
    assert codes(download.verify(predicate_types=[])) == ["ATT701"]


def test_an_untrusted_signer_is_named(download: Download) -> None:
    made = instance().sign_bytes(CONTENT, email("mallory@example.org", ISSUER))
    report = download.signed(made).verify()
    assert codes(report) == ["SIG604"]
    assert "mallory@example.org" in report.failing[0].message
    assert report.rows[0].signatures == ()


def test_a_stranger_with_an_instance_of_his_own_is_refused(download: Download) -> None:
    assert codes(download.signed(stranger().sign_bytes(CONTENT)).verify()) == ["SIG603"]


def test_a_key_verifies_a_file_and_another_key_does_not(
    download: Download, key: KeyPair, other_key: KeyPair
) -> None:
    download.signed(message_bundle(CONTENT, key))
    report = download.verify(trust_from_keys([key.public]))
    assert (report.exit_code, report.rows[0].signer) == (0, str(key.public))
    assert codes(download.verify(trust_from_keys([other_key.public]))) == ["SIG604"]


def test_two_signers_are_counted_where_two_have_to_sign(download: Download) -> None:
    about = statement(("data", SHA256))
    download.signed(instance().attest(about))
    both = replace(trust(), signatures=2)
    assert codes(download.verify(both)) == ["SIG608"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"mediaType": "a", "mediaType": "b"}'])
def test_a_file_that_is_not_a_bundle_is_refused(download: Download, content: bytes) -> None:
    download.bundle.write_bytes(content)
    assert codes(download.verify()) == ["SIG602"]


def test_a_file_that_is_not_there_is_unreadable_input(download: Download) -> None:
    download.signed(instance().sign_bytes(CONTENT)).file.unlink()
    with pytest.raises(InputError, match=r"data\.tar\.gz"):
        download.verify()


def test_a_folder_is_unreadable_input(download: Download) -> None:
    download.signed(instance().sign_bytes(CONTENT))
    with pytest.raises(InputError, match="not a regular file"):
        verify_blob(download.file.parent, trust(), bundle=download.bundle)


def test_a_file_that_cannot_be_read_is_unreadable_input(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stream: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("provenance.artifacts.digest.of_stream", fail)
    download.signed(instance().sign_bytes(CONTENT))
    with pytest.raises(InputError, match="Input/output error"):
        download.verify()


def test_a_bundle_that_is_not_there_is_unreadable_input(download: Download) -> None:
    with pytest.raises(InputError, match=r"data\.tar\.gz\.sigstore\.json"):
        download.verify()


# --- on the command line ------------------------------------------------------------------------


def on_the_command_line(download: Download, target: str, *more: str) -> Result:
    instance().write_root(download.file.parent / "root.json")
    return run_cli(
        *("verify-blob", target, "--bundle", download.bundle.name, "--trusted-root", "root.json"),
        *("--identity", SUBJECT, "--issuer", ISSUER, *more),
        cwd=download.file.parent,
    )


def test_verify_takes_a_file_of_any_kind_with_its_bundle(download: Download) -> None:
    download.signed(instance().sign_bytes(CONTENT))
    result = on_the_command_line(download, "data.tar.gz", "-v")
    assert result.code == 0, result
    shown = " ".join(result.out.split())
    assert f"signed by {SUBJECT} at 2026-06-01 12:00:00 UTC" in shown
    assert "note: the signature covers only the bytes of" in shown
    assert on_the_command_line(download, f"sha256:{SHA256}").code == 0
    download.file.write_bytes(b"other")
    assert on_the_command_line(download, "data.tar.gz").code == 1


def test_verify_says_which_kind_of_claim_to_ask_for(download: Download) -> None:
    download.signed(instance().attest(statement(("data", SHA256), kind=SCAN)))
    assert on_the_command_line(download, "data.tar.gz").code == 1
    assert on_the_command_line(download, "data.tar.gz", "--predicate-type", SCAN).code == 0


def test_nothing_of_a_release_can_be_required_of_a_blob(download: Download) -> None:
    download.signed(instance().sign_bytes(CONTENT))
    for options in ({"require": Require(row=True)}, {"state": "s"}, {"resource_uri": "u"}):
        with pytest.raises(InputError, match="it has no row and no release"):
            download.verify(**options)


# --- signing ------------------------------------------------------------------------------------


@dataclass
class Scribe:
    """Signs statements and files, and keeps what it was given."""

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


def test_the_bytes_of_a_file_are_signed_by_their_digest(download: Download) -> None:
    scribe = Scribe()
    assert sign_artifact(download.file, scribe) == b"bundle"
    assert scribe.given == [SHA256]


def test_a_statement_is_signed_byte_for_byte(download: Download) -> None:
    scribe, payload = Scribe(), statement(("a", SHA256)).replace(b", ", b" ,\n")
    assert sign_statement(payload, scribe) == b"bundle"
    assert scribe.given == [payload]


@pytest.mark.parametrize("payload", [b"", b"{}", statement(), statement(("a", "0" * 63))])
def test_a_statement_that_cannot_be_verified_is_not_signed(payload: bytes) -> None:
    scribe = Scribe()
    with pytest.raises(InputError, match="cannot be signed"):
        sign_statement(payload, scribe)
    assert scribe.given == []


def test_a_key_cannot_sign_the_bytes_of_a_file(download: Download, key: KeyPair) -> None:
    with pytest.raises(InputError, match="can only sign statements"):
        sign_artifact(download.file, open_signer(f"file:{key.private}"))


# --- several bundles in one file ---------------------------------------------------------------


def in_lines(file: Path, *bundles: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(b) + "\n" for b in bundles), "utf-8")
    return file


def about_it(**how: Any) -> dict[str, Any]:
    return instance().attest(statement(("a.bin", SHA256)), **how)


@pytest.mark.parametrize("place", range(3))
def test_one_line_that_verifies_is_enough(tmp_path: Path, place: int) -> None:
    """`gh attestation download` writes all attestations of a file, by whomever."""
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    bundles = [
        about_it(request=email("mallory@example.org", ISSUER)),
        instance().attest(statement(("other.bin", "0" * 64))),
    ]
    bundles.insert(place, about_it())
    found = verify_blob(file, trust(), bundle=in_lines(tmp_path / "b.jsonl", *bundles))
    assert found.exit_code == 0


def test_one_line_about_a_model_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(model())
    payload = statement(("m.onnx", hashlib.sha256(file.read_bytes()).hexdigest()))
    theirs = instance().attest(payload, email("mallory@example.org", ISSUER))
    path = in_lines(tmp_path / "b.jsonl", theirs, instance().attest(payload))
    report = verify_model(file, trust(), bundle=path)
    assert report.exit_code == 0
    assert {f.code for f in report.findings} == {"ATT711"}  # a warning: it binds no row
    in_lines(path, theirs, theirs)
    assert codes(verify_model(file, trust(), bundle=path)) == ["SIG604"]


@pytest.mark.parametrize(("types", "found"), [(None, ["ATT701"]), ([SCAN], [])])
def test_of_a_model_no_claim_counts_that_was_not_asked_for(
    tmp_path: Path, types: list[str] | None, found: list[str]
) -> None:
    file, bundle = tmp_path / "m.onnx", tmp_path / "b.json"
    file.write_bytes(model())
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    write(bundle, instance().attest(statement(("m.onnx", sha256), kind=SCAN)))
    assert codes(verify_model(file, trust(), bundle=bundle, predicate_types=types)) == found


def test_of_lines_that_fail_that_of_a_trusted_signer_is_reported(tmp_path: Path) -> None:
    """Its signature covers no external data; the other line has the wrong signer."""
    file = tmp_path / "m.onnx"
    file.write_bytes(model(external=External("m.onnx.data")))
    (tmp_path / "m.onnx.data").write_bytes(data())
    payload = statement(("m.onnx", hashlib.sha256(file.read_bytes()).hexdigest()))
    theirs = instance().attest(payload, email("mallory@example.org", ISSUER))
    path = in_lines(tmp_path / "b.jsonl", theirs, instance().attest(payload))
    (found,) = verify_model(file, trust(), bundle=path).failing
    help = "Ask the publisher for a bundle made by onnx-provenance, which signs every file."
    assert (found.code, found.help) == ("ATT702", help)


def test_a_statement_about_all_files_of_a_model_covers_its_external_data(tmp_path: Path) -> None:
    file, weights, bundle = (tmp_path / name for name in ("m.onnx", "m.onnx.data", "b.json"))
    file.write_bytes(model(external=External(weights.name)))
    weights.write_bytes(data())
    about = [(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in (file, weights)]
    write(bundle, instance().attest(statement(*about)))
    assert codes(verify_model(file, trust(), bundle=bundle)) == []


def test_lines_of_which_none_verifies_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    theirs = about_it(request=email("mallory@example.org", ISSUER))
    path = in_lines(tmp_path / "b.jsonl", theirs, theirs)
    found = verify_blob(file, trust(), bundle=path)
    assert [f.code for f in found.findings] == ["SIG604"]
    assert "b.jsonl (line 1)" in found.findings[0].message


def test_lines_about_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"other bytes")
    path = in_lines(tmp_path / "b.jsonl", about_it(), about_it())
    for verified in (verify_blob, verify_model):
        with pytest.raises(InputError, match="none of its 2 bundles is about the file"):
            verified(file, trust(), bundle=path)


def test_no_more_than_a_few_bundles_are_tried(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    path = in_lines(tmp_path / "b.jsonl", *[about_it()] * 33)
    with pytest.raises(InputError, match="33 of its bundles are about this file, but at most 32"):
        verify_blob(file, trust(), bundle=path)


# --- what is not supported ---------------------------------------------------------------------


def test_what_is_not_supported_is_not_called_invalid(download: Download) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    about = statement(("data.tar.gz", SHA256))
    bundle = instance().attest(about, key=key, function=hashes.SHA256(), log="v1")
    found = download.signed(bundle).verify()
    assert codes(found) == ["SIG602"]
    (finding,) = found.failing
    assert "unsupported signature algorithm ECDSA P-384 with SHA-256" in finding.message
    assert "not valid" not in finding.message
    assert "another Sigstore client" in finding.help


def test_a_statement_signed_with_another_key_than_ours_is_verified(download: Download) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    bundle = instance().attest(statement(("data.tar.gz", SHA256)), key=key)
    assert download.signed(bundle).verify().exit_code == 0


# --- signatures over the SHA-384 of a file -----------------------------------------------------


def p384(content: bytes = CONTENT, **how: Any) -> dict[str, Any]:
    """What `cosign sign-blob --signing-algorithm ecdsa-sha2-384-nistp384` writes."""
    key = ec.generate_private_key(ec.SECP384R1())
    return instance().sign_bytes(content, key=key, **how)


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_signature_over_the_sha384_of_a_file_is_verified(download: Download, log: Any) -> None:
    assert download.signed(p384(log=log)).verify().exit_code == 0
    download.file.write_bytes(b"other bytes")
    found = download.verify()
    assert codes(found) == ["SIG603"]
    assert "is for the sha384" in found.failing[0].message


def test_a_stated_sha384_of_other_bytes_does_not_count(download: Download) -> None:
    """The file has the stated digest, and another file was signed."""
    bundle = p384(b"other bytes", log="v1")
    digest = base64.b64encode(hashlib.sha384(CONTENT).digest()).decode()
    bundle["messageSignature"]["messageDigest"]["digest"] = digest
    assert codes(download.signed(bundle).verify()) == ["SIG603"]


def test_a_sha384_needs_the_file(download: Download) -> None:
    download.signed(p384())
    found = verify_blob(f"sha256:{SHA256}", trust(), bundle=download.bundle)
    assert codes(found) == ["SIG602"]
    assert "unsupported" in found.failing[0].message


def test_a_model_is_verified_by_its_sha384_too(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(model())
    write(tmp_path / "m.onnx.sigstore.json", p384(model()))
    assert verify_model(file, trust()).exit_code == 0
    file.write_bytes(model(salt=1))
    assert codes(verify_model(file, trust())) == ["SIG603"]
