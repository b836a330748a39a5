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
TWO_SIGNERS = IDENTITY.replace("[trust]", "[trust]\nsignatures = 2")
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


@pytest.fixture
def released(tmp_path: Path, key: KeyPair) -> Repository:
    """A repository that a key has released, with the trusted root of the instance."""
    repository = full_repository(tmp_path / "repository", key).released()
    instance().write_root(repository.root / "root.json")
    return repository


def trusting(repository: Repository, trust: str) -> Repository:
    """Trust others in the place of the key."""
    repository.key, repository.trust = None, trust
    return repository.save()


def problems(report: Any) -> list[str]:
    """The codes without that of the policy, which changed after the release."""
    return [c for c in codes(report) if c != "ATT710"]


def test_a_release_by_an_identity_is_verified(released: Repository) -> None:
    resign(trusting(released, IDENTITY), instance())
    report = released.verify()
    assert problems(report) == []
    assert {r.signer for r in report.rows} == {SUBJECT}
    (one,) = {r.signatures for r in report.rows}
    assert one[0].issuer == ISSUER
    assert one[0].entry == f"identity {SUBJECT} ({ISSUER})"
    assert [source for _, source in one[0].times] == ["timestamp"]
    resign(released, stranger())
    report = released.verify("plain")
    assert codes(report) == ["SIG603"]
    assert "is not in the trusted root" in report.failing[0].message


def test_a_release_by_a_workflow_is_verified(released: Repository) -> None:
    resign(trusting(released, GITHUB), instance(), github(), log="v1")
    report = released.verify()
    assert problems(report) == []
    assert report.rows[0].signatures[0].entry == (
        "github lusoris/vmaf/.github/workflows/supply-chain.yml@refs/tags/v*"
    )
    resign(released, instance(), github(ref="refs/heads/main"))
    report = released.verify("plain")
    assert codes(report) == ["SIG604"]
    assert "ref 'refs/heads/main', expected 'refs/tags/v*'" in report.failing[0].message
    assert report.rows[0].signatures == ()


def test_a_key_and_an_identity_are_two_signers(released: Repository) -> None:
    released.trust = TWO_SIGNERS
    released.released()
    assert codes(released.verify("plain")) == ["SIG608"]
    bundle = released.root / "bundles" / "plain.onnx.sigstore.json"
    second = bundle.with_name("plain.onnx.2.sigstore.json")
    write(second, instance().attest(payload(bundle)))
    report = released.verify("plain")
    assert codes(report) == []
    assert sorted(s.signer for s in report.rows[0].signatures) == sorted([SUBJECT, "release.pub"])
    changed = payload(bundle).replace(b"plain", b"PLAIN", 1)
    write(second, instance().attest(changed))
    assert codes(released.verify("plain")) == ["SIG603", "SIG608"]


# --- a consumer -----------------------------------------------------------------------------------

BUNDLE = "m.onnx.sigstore.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model of another publisher, and the trusted root."""
    instance().write_root(tmp_path / "root.json")
    path = tmp_path / "m.onnx"
    path.write_bytes(model())
    return path


def verify(
    file: Path, *more: str, root: tuple[str, ...] = ("--trusted-root", "root.json"), **run: Any
) -> Result:
    trust = ("--identity", SUBJECT, "--issuer", ISSUER, *root)
    return run_cli("verify-model", file.name, *trust, *more, cwd=file.parent, **run)


def statement(file: Path, kind: str = "https://slsa.dev/provenance/v1", **changes: Any) -> bytes:
    """What GitHub's attestation action says of a file."""
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"dist/{file.name}", "digest": {"sha256": sha256(file.read_bytes())}}],
        "predicateType": kind,
        "predicate": {"buildDefinition": {}},
    }
    return json.dumps(value | changes).encode()


def attest(file: Path, *given: Any, about: bytes = b"") -> None:
    """Write a bundle about the file, or about another statement."""
    write(file.with_name(BUNDLE), instance().attest(about or statement(file), *given))


@pytest.mark.parametrize(
    ("log", "version"), [("v1", "0.1"), ("v1", "0.2"), ("v1", "0.3"), ("v2", "0.3")]
)
def test_a_plain_signature_by_an_identity_counts_for_the_bytes(
    file: Path, log: Any, version: str
) -> None:
    made = instance().sign_bytes(file.read_bytes(), log=log, version=version)
    write(file.with_name(BUNDLE), made)
    result = verify(file)
    assert result.code == 0, result
    assert "ATT711" in result.out
    shown = " ".join(result.out.split())
    assert f"signed by {SUBJECT} at 2026-06-01 12:00:00 UTC" in shown
    assert f"trusted as identity {SUBJECT}" in shown
    file.write_bytes(file.read_bytes() + b"\0")
    assert verify(file).code == 1


def test_the_provenance_of_a_build_counts_for_the_digest(file: Path) -> None:
    attest(file)
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


def test_a_statement_counts_only_if_its_type_is_requested(file: Path) -> None:
    scan = "https://example.org/malware-scan/v1"
    attest(file, about=statement(file, scan))
    result = verify(file, "--format", "json")
    assert (result.code, result.codes) == (1, [("ATT701", "m.onnx")])
    assert f"--predicate-type {scan}" in result.json["findings"][0]["help"]
    assert verify(file, "--predicate-type", scan).code == 0
    attest(file)
    assert verify(file, "--predicate-type", scan).code == 1


def subject(**digest: str) -> dict[str, Any]:
    return {"subject": [{"name": "a", "digest": digest}]}


V02 = "https://slsa.dev/provenance/v0.2"


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"_type": "https://in-toto.io/Statement/v0.1", "predicateType": V02}, "ATT711", V02),
        ({"_type": "https://in-toto.io/Statement/v2"}, "SIG602", "_type"),
        ({"subject": []}, "SIG602", "no subject"),
        ({"subject": subject(sha256="0" * 64)["subject"] * 2}, "SIG605", "another SHA-256"),
        (subject(sha256="0" * 63), "SIG605", "sha256"),
        (subject(sha256="A" * 64), "SIG605", "another SHA"),
        (subject(sha1="0" * 40), "SIG605", "with no digest but"),
    ],
)
def test_a_statement_must_bind_the_file(
    file: Path, changes: dict[str, Any], code: str, reason: str
) -> None:
    attest(file, about=statement(file, **changes))
    result = verify(file, "--format", "json")
    assert (result.code, result.codes) == (int(code != "ATT711"), [(code, "m.onnx")])
    assert reason in result.json["findings"][0]["message"]


def test_another_identity_is_named_to_the_consumer(file: Path) -> None:
    attest(file, email("mallory@example.org", ISSUER))
    result = verify(file)
    assert result.code == 1
    assert "mallory@example.org" in result.out
    assert f"expected '{SUBJECT}'" in " ".join(result.out.split())


def test_a_countersignature_counts_for_the_consumer(file: Path) -> None:
    write(file.with_name(BUNDLE), stranger().attest(statement(file)))
    write(file.with_name("m.onnx.2.sigstore.json"), instance().attest(statement(file)))
    # The first is reported, because it is invalid by this root.
    found = verify(file, "--format", "json").codes
    assert found == [("SIG603", "m.onnx"), ("ATT711", "m.onnx")]


# --- the trusted root -----------------------------------------------------------------------------


def test_a_client_trust_configuration_is_a_trusted_root_too(file: Path) -> None:
    attest(file)
    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": instance().trusted_root(),
        "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
    }
    (file.parent / "config.json").write_text(json.dumps(config))
    result = verify(file, root=("--trust-config", "config.json"))
    assert result.code == 0, result


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"mediaType": 1}'])
def test_an_invalid_trusted_root_is_an_error(file: Path, content: str) -> None:
    attest(file)
    (file.parent / "root.json").write_text(content)
    result = verify(file)
    assert (result.code, result.out) == (2, "")
    assert "root.json" in result.err


@pytest.mark.parametrize(
    ("options", "source"), [((), "sigstore.dev"), (("--staging",), "sigstage.dev")]
)
def test_offline_the_packaged_root_of_a_public_instance_is_used(
    file: Path, tmp_path: Path, options: tuple[str, ...], source: str
) -> None:
    attest(file)
    home = {n: str(tmp_path / n) for n in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}
    result = verify(file, "--offline", "--format", "json", root=options, env=home)
    assert result.codes == [("SIG603", "m.onnx")]
    assert result.json["trust"]["trusted_root"]["source"] == source


def test_a_root_that_cannot_be_fetched_is_no_verdict(file: Path) -> None:
    attest(file)
    nowhere = dict.fromkeys(("XDG_CACHE_HOME", "XDG_DATA_HOME"), os.devnull)
    result = verify(file, "--offline", root=(), env=nowhere)
    assert (result.code, result.out) == (4, "")
    assert "--trusted-root FILE" in result.err
