# SPDX-License-Identifier: Apache-2.0
"""Releases that an identity has signed, and bundles that others have made, as a user meets them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.signing.workshop import instance, stranger
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import Repository, codes, full_repository, sha256
from tests.support.sigstore.ca import email, github
from tests.support.sigstore.instance import ISSUER, SUBJECT
from tests.support.sigstore.release import payload, resign, write

IDENTITY = f"""
[trust]
trusted_root = "root.json"

[[trust.identity]]
issuer = "{ISSUER}"
subject = "{SUBJECT}"
"""
GITHUB = """
[trust]
trusted_root = "root.json"

[[trust.github]]
repository = "lusoris/vmaf"
workflow = ".github/workflows/supply-chain.yml"
ref = "refs/tags/v*"
owner_id = 5678
event = "push"
"""


def with_trust(tmp_path: Path, key: KeyPair, trust: str) -> Repository:
    """A repository released by `key`, which then trusts others in its place."""
    repository = full_repository(tmp_path / "repository", key).released()
    repository.key = None
    repository.trust = trust
    instance().write_root(repository.root / "root.json")
    return repository.save()


@pytest.fixture
def signed(tmp_path: Path, key: KeyPair) -> Repository:
    """A repository that the release identity has signed."""
    repository = with_trust(tmp_path, key, IDENTITY)
    resign(repository, instance())
    return repository


def problems(report: Any) -> list[str]:
    """The codes without that of the policy, which changed after the release."""
    return [c for c in codes(report) if c != "ATT710"]


def test_a_release_by_an_identity_is_verified(signed: Repository) -> None:
    report = signed.verify()
    assert problems(report) == []
    assert {r.signer for r in report.rows} == {SUBJECT}
    (one,) = {r.signatures for r in report.rows}
    assert one[0].issuer == ISSUER
    assert one[0].entry == f"identity {SUBJECT} ({ISSUER})"
    assert [source for _, source in one[0].times] == ["timestamp"]


def test_a_release_by_a_workflow_is_verified(tmp_path: Path, key: KeyPair) -> None:
    repository = with_trust(tmp_path, key, GITHUB)
    resign(repository, instance(), github(), log="v1")
    report = repository.verify()
    assert problems(report) == []
    assert report.rows[0].signatures[0].entry == (
        "github lusoris/vmaf/.github/workflows/supply-chain.yml@refs/tags/v*"
    )


def test_a_workflow_on_a_branch_is_named_with_what_was_expected(
    tmp_path: Path, key: KeyPair
) -> None:
    repository = with_trust(tmp_path, key, GITHUB)
    resign(repository, instance(), github(ref="refs/heads/main"))
    report = repository.verify("plain")
    assert codes(report) == ["SIG604"]
    assert "ref 'refs/heads/main', expected 'refs/tags/v*'" in report.failing[0].message
    assert report.rows[0].signatures == ()


def test_a_stranger_with_an_instance_of_his_own_signs_nothing(signed: Repository) -> None:
    resign(signed, stranger())
    report = signed.verify("plain")
    assert codes(report) == ["SIG603"]
    assert "is not in the trusted root" in report.failing[0].message


def test_a_key_and_an_identity_are_two_signers(tmp_path: Path, key: KeyPair) -> None:
    repository = full_repository(tmp_path / "repository", key)
    repository.trust = IDENTITY.replace("[trust]", "[trust]\nsignatures = 2")
    instance().write_root(repository.root / "root.json")
    repository.released()
    assert codes(repository.verify("plain")) == ["SIG608"]
    bundle = repository.root / "bundles" / "plain.onnx.sigstore.json"
    second = bundle.with_name("plain.onnx.2.sigstore.json")
    write(second, instance().attest(payload(bundle)))
    report = repository.verify("plain")
    assert codes(report) == []
    assert sorted(s.signer for s in report.rows[0].signatures) == sorted([SUBJECT, "release.pub"])


def test_one_byte_of_a_countersignature_counts(tmp_path: Path, key: KeyPair) -> None:
    repository = full_repository(tmp_path / "repository", key).released()
    bundle = repository.root / "bundles" / "plain.onnx.sigstore.json"
    repository.trust = IDENTITY.replace("[trust]", "[trust]\nsignatures = 2")
    instance().write_root(repository.root / "root.json")
    repository.save()
    changed = instance().attest(payload(bundle).replace(b"plain", b"PLAIN", 1))
    write(bundle.with_name("plain.onnx.2.sigstore.json"), changed)
    assert codes(repository.verify("plain")) == ["SIG603", "SIG608"]


# --- a consumer --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model of another publisher, and the trusted root."""
    instance().write_root(tmp_path / "root.json")
    path = tmp_path / "m.onnx"
    path.write_bytes(model())
    return path


def verify(file: Path, *more: str, bundle: str = "m.onnx.sigstore.json") -> Result:
    return run_cli(
        "verify-model",
        file.name,
        "--bundle",
        bundle,
        *("--identity", SUBJECT, "--issuer", ISSUER, "--trusted-root", "root.json"),
        *more,
        cwd=file.parent,
    )


def statement(file: Path, kind: str = "https://slsa.dev/provenance/v1", **changes: Any) -> bytes:
    """What GitHub's attestation action says of a file."""
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"dist/{file.name}", "digest": {"sha256": sha256(file.read_bytes())}}],
        "predicateType": kind,
        "predicate": {"buildDefinition": {}},
    }
    return json.dumps(value | changes).encode()


@pytest.mark.parametrize(
    ("log", "version"), [("v1", "0.1"), ("v1", "0.2"), ("v1", "0.3"), ("v2", "0.3")]
)
def test_a_plain_signature_by_an_identity_counts_for_the_bytes(
    file: Path, log: Any, version: str
) -> None:
    made = instance().sign_bytes(file.read_bytes(), log=log, version=version)
    write(file.with_name("m.onnx.sigstore.json"), made)
    result = verify(file)
    assert result.code == 0, result
    assert "ATT711" in result.out
    shown = " ".join(result.out.split())
    assert f"signed by {SUBJECT} at 2026-06-01 12:00:00 UTC" in shown
    assert f"trusted as identity {SUBJECT}" in shown
    file.write_bytes(file.read_bytes() + b"\0")
    assert verify(file).code == 1


def test_the_provenance_of_a_build_counts_for_the_digest(file: Path) -> None:
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file)))
    result = verify(file, "--format", "json")
    assert (result.code, result.codes) == (0, [("ATT711", "m.onnx")])
    (finding,) = result.json["findings"]
    assert "dist/m.onnx" in finding["message"]
    assert "https://slsa.dev/provenance/v1" in finding["message"]
    (row,) = result.json["rows"]
    assert (row["signer"], row["license"], row["classification"]) == (SUBJECT, None, None)
    assert row["signatures"] == [
        {
            "signer": SUBJECT,
            "issuer": ISSUER,
            "entry": f"identity {SUBJECT} ({ISSUER})",
            "times": [{"time": "2026-06-01T12:00:00Z", "source": "timestamp"}],
        }
    ]
    trust = result.json["trust"]
    assert trust["identities"] == [{"issuer": ISSUER, "subject": SUBJECT}]
    assert trust["trusted_root"]["source"].endswith("root.json")


def test_a_statement_about_other_bytes_does_not_count(file: Path) -> None:
    about = statement(file)
    file.write_bytes(model(salt=1))
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(about))
    assert verify(file, "--format", "json").codes == [("SIG605", "m.onnx")]


def test_a_statement_of_an_unexpected_type_does_not_count(file: Path) -> None:
    scan = "https://example.org/malware-scan/v1"
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file, scan)))
    result = verify(file, "--format", "json")
    assert (result.code, result.codes) == (1, [("ATT701", "m.onnx")])
    assert f"--predicate-type {scan}" in result.json["findings"][0]["help"]
    assert verify(file, "--predicate-type", scan).code == 0
    provenance = instance().attest(statement(file))
    write(file.with_name("m.onnx.sigstore.json"), provenance)
    assert verify(file, "--predicate-type", scan).code == 1


def test_an_older_statement_is_read(file: Path) -> None:
    older = statement(
        file, "https://slsa.dev/provenance/v0.2", _type="https://in-toto.io/Statement/v0.1"
    )
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(older))
    assert verify(file).code == 0


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"_type": "https://in-toto.io/Statement/v2"}, "SIG602", "_type"),
        ({"subject": []}, "SIG602", "no subject"),
        (
            {"subject": [{"name": "a", "digest": {"sha256": "0" * 64}}] * 2},
            "SIG605",
            "another SHA-256",
        ),
        ({"subject": [{"name": "a", "digest": {"sha256": "0" * 63}}]}, "SIG605", "sha256"),
        ({"subject": [{"name": "a", "digest": {"sha256": "A" * 64}}]}, "SIG605", "another SHA"),
        (
            {"subject": [{"name": "a", "digest": {"sha1": "0" * 40}}]},
            "SIG605",
            "with no digest but",
        ),
    ],
)
def test_a_statement_that_does_not_bind_the_file_is_refused(
    file: Path, changes: dict[str, Any], code: str, reason: str
) -> None:
    made = instance().attest(statement(file, **changes))
    write(file.with_name("m.onnx.sigstore.json"), made)
    result = verify(file, "--format", "json")
    assert result.codes == [(code, "m.onnx")]
    assert reason in result.json["findings"][0]["message"]


def test_another_identity_is_named_to_the_consumer(file: Path) -> None:
    made = instance().attest(statement(file), email("mallory@example.org", ISSUER))
    write(file.with_name("m.onnx.sigstore.json"), made)
    result = verify(file)
    assert result.code == 1
    assert "mallory@example.org" in result.out
    assert f"expected '{SUBJECT}'" in " ".join(result.out.split())


def test_a_client_trust_configuration_is_a_trusted_root_too(file: Path) -> None:
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file)))
    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": instance().trusted_root(),
        "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
    }
    (file.parent / "config.json").write_text(json.dumps(config))
    result = run_cli(
        "verify-model",
        file.name,
        *("--identity", SUBJECT, "--issuer", ISSUER, "--trust-config", "config.json"),
        cwd=file.parent,
    )
    assert result.code == 0, result


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"mediaType": 1}'])
def test_a_trusted_root_that_is_none_is_unreadable_input(file: Path, content: str) -> None:
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file)))
    (file.parent / "root.json").write_text(content)
    result = verify(file)
    assert (result.code, result.out) == (2, "")
    assert "root.json" in result.err


def test_a_countersignature_counts_for_the_consumer(file: Path) -> None:
    about = statement(file)
    write(file.with_name("m.onnx.sigstore.json"), stranger().attest(about))
    write(file.with_name("m.onnx.2.sigstore.json"), instance().attest(about))
    # The first is invalid by this root, so it is said; trusted or not, it is not whole.
    assert verify(file, "--format", "json").codes == [
        ("SIG603", "m.onnx"),
        ("ATT711", "m.onnx"),
    ]


# --- the trusted root of the public instance ----------------------------------------------------


def test_the_cached_root_of_the_public_instance_is_used_offline(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file)))
    home = {n: str(tmp_path / n) for n in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}
    for instance_options in ((), ("--staging",)):
        result = run_cli(
            "verify-model",
            file.name,
            *("--identity", SUBJECT, "--issuer", ISSUER, "--offline", *instance_options),
            *("--format", "json"),
            cwd=file.parent,
            env=home,
        )
        assert result.codes == [("SIG603", "m.onnx")]
        expected = "sigstage.dev" if instance_options else "sigstore.dev"
        assert result.json["trust"]["trusted_root"]["source"] == expected


def test_a_root_that_cannot_be_fetched_is_no_verdict(file: Path, tmp_path: Path) -> None:
    write(file.with_name("m.onnx.sigstore.json"), instance().attest(statement(file)))
    nowhere = dict.fromkeys(("XDG_CACHE_HOME", "XDG_DATA_HOME"), os.devnull)
    result = run_cli(
        "verify-model",
        file.name,
        *("--identity", SUBJECT, "--issuer", ISSUER, "--offline"),
        cwd=file.parent,
        env=nowhere,
    )
    assert (result.code, result.out) == (4, "")
    assert "--trusted-root FILE" in result.err
