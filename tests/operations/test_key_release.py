# SPDX-License-Identifier: Apache-2.0
"""Releases signed with keys that are not lying about: encrypted, in a KMS, stamped, logged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from tests.signing.workshop import stranger
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair, private_pem
from tests.support.kms import aws
from tests.support.repository import Repository, full_repository
from tests.support.sigstore.services import Answer, Services
from tests.support.terminal import converse

pytestmark = pytest.mark.usefixtures("no_waiting")

PASSPHRASE: Final = "correct horse"
DATED: Final = """
not_before = 2020-01-01
not_after = 2100-01-01

[trust]
trusted_root = "trust.json"
"""
DOCUMENTS: Final = 8
"""Five rows, two seeds, one summary."""


@pytest.fixture
def unsigned(tmp_path: Path, key: KeyPair) -> Repository:
    return full_repository(tmp_path / "repository", key).save()


@pytest.fixture
def dated(unsigned: Repository, services: Services) -> Repository:
    """A repository that trusts the key for some time."""
    services.write_config(unsigned.root / "trust.json")
    unsigned.trust = DATED
    return unsigned.save()


@pytest.fixture
def encrypted(tmp_path: Path, key: KeyPair) -> Path:
    path = tmp_path / "release.key"
    path.write_bytes(private_pem(key.key, PASSPHRASE.encode()))
    return path


def release(repository: Repository, key: KeyPair, *more: str, command: str = "release") -> Result:
    return run_cli(command, "--signer", key.signer, *more, cwd=repository.root)


def bundles(repository: Repository) -> dict[str, Any]:
    found = sorted((repository.root / "bundles").glob("*.sigstore.json"))
    return {p.name: json.loads(p.read_bytes())["verificationMaterial"] for p in found}


# encrypted keys


def test_an_encrypted_key_signs_with_its_passphrase_in_the_environment(
    unsigned: Repository, encrypted: Path
) -> None:
    signer = ("--signer", f"file:{encrypted}")
    environment = {"PROVENANCE_KEY_PASSPHRASE": PASSPHRASE}
    done = run_cli("release", *signer, cwd=unsigned.root, env=environment)
    assert done.code == 0
    assert run_cli("verify", cwd=unsigned.root).code == 0


def test_a_passphrase_is_asked_for_at_a_terminal_and_not_shown(
    unsigned: Repository, encrypted: Path
) -> None:
    done = converse(
        "release", "--signer", f"file:{encrypted}", cwd=unsigned.root, answers=[PASSPHRASE]
    )
    assert done.code == 0
    assert f"passphrase of the key {encrypted}: " in done.out
    assert PASSPHRASE not in done.out
    assert len(bundles(unsigned)) == DOCUMENTS


@pytest.mark.parametrize("given", [None, "wrong"])
def test_without_its_passphrase_an_encrypted_key_writes_nothing(
    unsigned: Repository, encrypted: Path, given: str | None
) -> None:
    environment = {} if given is None else {"PROVENANCE_KEY_PASSPHRASE": given}
    signer = ("--signer", f"file:{encrypted}")
    done = run_cli("release", *signer, cwd=unsigned.root, env=environment)
    assert done.code == 4
    assert "next: " in done.err
    assert bundles(unsigned) == {}


def test_keygen_encrypts_with_the_passphrase_in_the_environment(
    unsigned: Repository, tmp_path: Path
) -> None:
    environment = {"PROVENANCE_KEY_PASSPHRASE": PASSPHRASE}
    assert run_cli("keygen", "mine", "--encrypt", cwd=tmp_path, env=environment).code == 0
    assert "BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "mine.key").read_text("utf-8")
    (unsigned.root / "release.pub").write_bytes((tmp_path / "mine.pub").read_bytes())
    signer = ("--signer", f"file:{tmp_path / 'mine.key'}")
    assert run_cli("release", *signer, cwd=unsigned.root, env=environment).code == 0


def test_keygen_asks_for_a_passphrase_twice(tmp_path: Path) -> None:
    done = converse("keygen", "mine", "--encrypt", cwd=tmp_path, answers=[PASSPHRASE] * 2)
    assert done.code == 0
    assert PASSPHRASE not in done.out
    assert "BEGIN ENCRYPTED PRIVATE KEY" in (tmp_path / "mine.key").read_text("utf-8")


def test_keygen_makes_no_open_key_where_an_encrypted_one_is_wanted(tmp_path: Path) -> None:
    done = run_cli("keygen", "mine", "--encrypt", cwd=tmp_path)
    assert done.code == 4
    assert "PROVENANCE_KEY_PASSPHRASE" in done.err
    assert os.listdir(tmp_path) == []


# tokens and KMS


def test_a_key_in_a_kms_releases(unsigned: Repository, key: KeyPair) -> None:
    with aws(key) as environment:
        given = environment | {"PROVENANCE_PUBLIC_KEY": "release.pub"}
        done = run_cli("release", "--signer", "awskms:k", cwd=unsigned.root, env=given)
    assert done.code == 0, done
    assert run_cli("verify", cwd=unsigned.root).code == 0


def test_a_kms_that_refuses_leaves_everything_as_it_was(unsigned: Repository, key: KeyPair) -> None:
    arguments = ("--signer", "awskms:k", "--public-key", "release.pub")
    with aws(key, 400) as environment:
        done = run_cli("release", *arguments, cwd=unsigned.root, env=environment)
    assert done.code == 4
    assert "AccessDeniedException" in done.err
    assert "kms:Sign" in done.err
    assert bundles(unsigned) == {}


def test_a_key_that_is_not_named_does_not_sign(unsigned: Repository) -> None:
    done = run_cli("sign", "--signer", "awskms:k", cwd=unsigned.root)
    assert done.code == 2
    assert "--public-key PEM" in done.err


# keys that count for some time


def test_a_key_that_counts_for_some_time_needs_a_timestamp(
    dated: Repository, key: KeyPair, services: Services
) -> None:
    for command in ("sign", "attest", "release"):
        done = release(dated, key, command=command)
        assert done.code == 2
        assert "--timestamp-url" in done.err
    assert bundles(dated) == {}
    done = release(dated, key, "--timestamp-url", services.urls["tsa"])
    assert (done.code, done.err) == (0, "")
    verified = run_cli("verify", "-v", "--offline", cwd=dated.root)
    assert verified.code == 0
    assert "(timestamp); trusted as key release.pub" in " ".join(verified.out.split())


def test_a_stripped_timestamp_is_missed(
    dated: Repository, key: KeyPair, services: Services
) -> None:
    assert release(dated, key, "--timestamp-url", services.urls["tsa"]).code == 0
    path = dated.root / "bundles" / "plain.onnx.sigstore.json"
    value = json.loads(path.read_bytes())
    del value["verificationMaterial"]["timestampVerificationData"]
    path.write_text(json.dumps(value), "utf-8")
    verified = run_cli("verify", "plain", "--format", "json", cwd=dated.root)
    assert (verified.code, verified.codes) == (1, [("SIG604", "plain")])
    assert "no timestamp shows when it signed" in verified.json["findings"][0]["message"]


def test_a_key_whose_time_is_over_signs_nothing_that_is_written(
    dated: Repository, key: KeyPair, services: Services
) -> None:
    dated.trust = DATED.replace("2100", "2021")
    dated.save()
    done = release(dated, key, "--timestamp-url", services.urls["tsa"])
    assert done.code == 1
    assert "SIG604" in done.out
    assert bundles(dated) == {}


def test_a_timestamp_is_added_to_what_was_signed_without_one(
    unsigned: Repository, key: KeyPair, services: Services
) -> None:
    assert release(unsigned, key).code == 0
    services.write_config(unsigned.root / "trust.json")
    unsigned.trust = DATED
    unsigned.save()
    stamped = release(unsigned, key, "--timestamp-url", services.urls["tsa"])
    assert f"{DOCUMENTS} bundles written, 0 already signed" in stamped.out
    asked = dict(services.requests)
    again = release(unsigned, key, "--timestamp-url", services.urls["tsa"])
    assert f"0 bundles written, {DOCUMENTS} already signed" in again.out
    assert services.requests == asked


# timestamps and log entries


def test_a_release_is_logged_where_a_configuration_names_a_log(
    unsigned: Repository, key: KeyPair, services: Services
) -> None:
    services.write_config(unsigned.root / "trust.json")
    assert release(unsigned, key, "--trust-config", "trust.json").code == 0
    for material in bundles(unsigned).values():
        assert len(material["tlogEntries"]) == 1
        assert len(material["timestampVerificationData"]["rfc3161Timestamps"]) == 1
    assert run_cli("verify", "--trusted-root", "trust.json", cwd=unsigned.root).code == 0
    # A consumer who has a key and nothing else needs no root, and no network.
    assert run_cli("verify", "--key", "release.pub", "--offline", cwd=unsigned.root).code == 0


def test_an_entry_of_another_log_does_not_verify_by_the_root(
    unsigned: Repository, key: KeyPair, services: Services
) -> None:
    services.write_config(unsigned.root / "trust.json")
    assert release(unsigned, key, "--trust-config", "trust.json").code == 0
    stranger().write_root(unsigned.root / "other.json")
    arguments = ("--trusted-root", "other.json", "--format", "json")
    verified = run_cli("verify", "plain", *arguments, cwd=unsigned.root)
    assert (verified.code, verified.codes) == (1, [("SIG603", "plain")])


@pytest.mark.parametrize("service", ["tsa", "log"])
def test_a_service_that_dies_half_way_leaves_nothing_written(
    unsigned: Repository, key: KeyPair, services: Services, service: Any
) -> None:
    services.write_config(unsigned.root / "trust.json")
    services.faults[service] = lambda request, answer: (
        answer(request) if request.number < 5 else Answer(b"gone", 503)
    )
    done = release(unsigned, key, "--trust-config", "trust.json")
    assert done.code == 4
    assert "refused (HTTP 503): gone" in done.err
    assert bundles(unsigned) == {}


def test_a_timestamp_that_the_root_of_the_configuration_does_not_know_is_not_written(
    dated: Repository, key: KeyPair, services: Services
) -> None:
    stranger().write_root(dated.root / "trust.json")
    for command in ("sign", "release"):
        done = release(dated, key, "--timestamp-url", services.urls["tsa"], command=command)
        assert done.code == 4
        assert "no timestamp authority was trusted at" in done.err
    assert bundles(dated) == {}


@pytest.mark.parametrize(
    "option",
    [("--timestamp-url", "http://127.0.0.1:1"), ("--trust-config", "trust.json"), ("--staging",)],
)
def test_offline_makes_no_network_requests(
    unsigned: Repository, key: KeyPair, option: tuple[str, ...]
) -> None:
    done = release(unsigned, key, "--offline", *option)
    assert done.code == 4
    assert "--offline: timestamp authorities and logs need the network" in done.err
    assert release(unsigned, key, "--offline").code == 0
