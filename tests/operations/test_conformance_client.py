# SPDX-License-Identifier: Apache-2.0
"""The client for sigstore-conformance, on cases of the kinds that the suite has.

They are made here, by an instance that is simulated: each is a bundle that verifies, or differs
from one in the one thing that its name says.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing.workshop import CONTENT, SHA256, entry, flipped, instance, stamps, stranger
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair
from tests.support.sigstore.ca import email
from tests.support.sigstore.instance import ISSUER, NOW, SUBJECT, Bundle
from tests.support.sigstore.release import write

CLIENT: Final = Path(__file__).parents[1] / "interop" / "conformance-client"
MINUTES: Final = datetime.timedelta(minutes=1)


@pytest.fixture(scope="module")
def client() -> ModuleType:
    loader = SourceFileLoader("conformance_client", str(CLIENT))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    file = tmp_path / "a.txt"
    file.write_bytes(CONTENT)
    return file


def statement(**changes: Any) -> bytes:
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "a.txt", "digest": {"sha256": SHA256}}],
            "predicateType": "https://example.org/any",
            "predicate": {},
        }
        | changes
    ).encode()


def message(**how: Any) -> Bundle:
    return instance().sign_bytes(CONTENT, **how)


def dsse(payload: bytes | None = None, **how: Any) -> Bundle:
    return instance().attest(payload or statement(), **how)


def changed(bundle: Bundle, change: Callable[[Bundle], object]) -> Bundle:
    change(bundle)
    return bundle


def signature_of(bundle: Bundle) -> str:
    found: str = bundle["messageSignature"]["signature"]
    return found


def swapped(bundle: Bundle, other: Bundle, name: str) -> Bundle:
    """The bundle with a part of another's verification material."""
    bundle["verificationMaterial"][name] = other["verificationMaterial"][name]
    return bundle


def with_root(bundle: Bundle) -> Bundle:
    """The bundle with everything above its certificate, up to the root."""
    above = instance().trusted_root()["certificateAuthorities"][0]["certChain"]["certificates"]
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] += above
    return bundle


HAPPY: dict[str, Callable[[], Bundle]] = {
    "happy-path": message,
    "happy-path-v0.1": lambda: message(log="v1", version="0.1"),
    "happy-path-v0.2": lambda: message(log="v1", version="0.2"),
    "happy-path-v0.3": lambda: message(log="v1"),
    "dsse": lambda: dsse(log="v1"),
    "dsse-with-hashedrekord": dsse,
    "intoto-v0.0.1": lambda: dsse(log="intoto 0.0.1"),
    "intoto-v0.0.2": lambda: dsse(log="intoto 0.0.2", version="0.2", timestamps=1),
    "ecdsa-p384": lambda: dsse(key=ec.generate_private_key(ec.SECP384R1())),
    "rekor2": message,
    "rekor2-dsse": lambda: dsse(log="v2 dsse"),
    "rekor2-two-timestamps": lambda: message(timestamps=2),
    "signed-by-timestamp-and-log": lambda: message(log="v1", timestamps=1),
    "statement-v0.1": lambda: dsse(statement(_type="https://in-toto.io/Statement/v0.1")),
}
UNHAPPY: dict[str, Callable[[], Bundle]] = {
    "other-artifact": lambda: instance().sign_bytes(b"other"),
    "message-digest-mismatch": lambda: changed(
        message(),
        lambda b: b["messageSignature"]["messageDigest"].update(
            digest=instance().sign_bytes(b"x")["messageSignature"]["messageDigest"]["digest"]
        ),
    ),
    "invalid-signature": lambda: changed(
        message(),
        lambda b: b["messageSignature"].update(signature=flipped(signature_of(b))),
    ),
    "dsse-invalid-sig": lambda: changed(
        dsse(),
        lambda b: b["dsseEnvelope"]["signatures"][0].update(
            sig=flipped(b["dsseEnvelope"]["signatures"][0]["sig"])
        ),
    ),
    "dsse-two-signatures": lambda: changed(
        dsse(), lambda b: b["dsseEnvelope"]["signatures"].extend(b["dsseEnvelope"]["signatures"])
    ),
    "dsse-payload-type": lambda: changed(
        dsse(), lambda b: b["dsseEnvelope"].update(payloadType="text/plain")
    ),
    "dsse-statement-missing-type": lambda: dsse(statement(_type=None)),
    "dsse-statement-unknown-type": lambda: dsse(statement(_type="https://in-toto.io/Statement/v9")),
    "dsse-no-such-subject": lambda: dsse(
        statement(subject=[{"name": "a.txt", "digest": {"sha256": "0" * 64}}])
    ),
    "swapped-tlog-entry": lambda: swapped(message(), message(), "tlogEntries"),
    "dsse-swapped-tlog-entry": lambda: swapped(dsse(), dsse(), "tlogEntries"),
    "rekor2-dsse-swapped-tlog-entry": lambda: swapped(
        dsse(log="v2 dsse"), dsse(log="v2 dsse"), "tlogEntries"
    ),
    "intoto-swapped-tlog-entry": lambda: swapped(
        dsse(log="intoto 0.0.2"), dsse(log="intoto 0.0.2"), "tlogEntries"
    ),
    "intoto-missing-inclusion-proof": lambda: changed(
        dsse(log="intoto 0.0.2", version="0.2"), lambda b: entry(b).pop("inclusionProof")
    ),
    "intoto-set-outside-cert-validity": lambda: dsse(
        log="intoto 0.0.2", signed_at=NOW + 11 * MINUTES
    ),
    "chain-with-root": lambda: with_root(message(log="v1", version="0.1")),
    "swapped-certificate": lambda: swapped(message(), message(), "certificate"),
    "swapped-timestamp": lambda: swapped(message(), message(), "timestampVerificationData"),
    "invalid-set": lambda: changed(
        message(log="v1", version="0.1"),
        lambda b: entry(b)["inclusionPromise"].update(
            signedEntryTimestamp=flipped(entry(b)["inclusionPromise"]["signedEntryTimestamp"])
        ),
    ),
    "invalid-inclusion-proof": lambda: changed(
        message(),
        lambda b: entry(b)["inclusionProof"]["hashes"].__setitem__(
            0, flipped(entry(b)["inclusionProof"]["hashes"][0])
        ),
    ),
    "no-inclusion-proof": lambda: changed(message(), lambda b: entry(b).pop("inclusionProof")),
    "no-checkpoint": lambda: changed(
        message(), lambda b: entry(b)["inclusionProof"].pop("checkpoint")
    ),
    "invalid-checkpoint-signature": lambda: changed(
        message(),
        lambda b: entry(b)["inclusionProof"]["checkpoint"].update(
            envelope=stranger().v2.checkpoint(1, b"0" * 32)
        ),
    ),
    "no-log-entry": lambda: changed(
        message(), lambda b: b["verificationMaterial"].update(tlogEntries=[])
    ),
    "no-timestamp": lambda: message(timestamps=0),
    "same-timestamp-twice": lambda: changed(message(), lambda b: stamps(b).extend(stamps(b))),
    "timestamp-outside-cert-validity": lambda: dsse(signed_at=NOW + 11 * MINUTES),
    "one-timestamp-outside-cert-validity": lambda: changed(
        dsse(timestamps=1), lambda b: stamps(b).extend(stamps(dsse(signed_at=NOW + 11 * MINUTES)))
    ),
    "other-instance": lambda: stranger().sign_bytes(CONTENT),
    "other-identity": lambda: message(request=email("mallory@example.org", ISSUER)),
    "unknown-version": lambda: message() | {"mediaType": "application/vnd.dev.sigstore.bundle.v9"},
    "empty": dict,
}


def verify(client: ModuleType, artifact: Path, bundle: Bundle, target: str | None = None) -> int:
    made, root = artifact.with_name("bundle.json"), artifact.with_name("root.json")
    write(made, bundle)
    instance().write_root(root)
    expected = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER]
    options = ["--bundle", str(made), *expected, "--trusted-root", str(root)]
    code: int = client.main(["verify-bundle", *options, target or str(artifact)])
    return code


@pytest.mark.parametrize("name", HAPPY)
def test_verified(client: ModuleType, artifact: Path, name: str) -> None:
    assert verify(client, artifact, HAPPY[name]()) == 0
    assert verify(client, artifact, HAPPY[name](), f"sha256:{SHA256}") == 0


@pytest.mark.parametrize("name", UNHAPPY)
def test_refused(client: ModuleType, artifact: Path, name: str) -> None:
    assert verify(client, artifact, UNHAPPY[name]()) != 0


def test_a_decoy_authority_of_the_same_name_changes_nothing(
    client: ModuleType, artifact: Path
) -> None:
    """Who issued the certificate is found by its signature, not by its name."""
    root = instance().trusted_root()
    decoy = stranger().trusted_root()["certificateAuthorities"]
    root["certificateAuthorities"] = [*decoy, *root["certificateAuthorities"]]
    artifact.with_name("decoy.json").write_text(json.dumps(root), "utf-8")
    made = artifact.with_name("bundle.json")
    write(made, message())
    expected = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER]
    trusted = ["--trusted-root", str(artifact.with_name("decoy.json"))]
    options = ["verify-bundle", "--bundle", str(made), *expected, *trusted]
    assert client.main([*options, str(artifact)]) == 0
    write(made, stranger().sign_bytes(CONTENT))
    assert client.main([*options, str(artifact)]) == 1


@pytest.mark.parametrize("target", ["sha256:", "sha256:" + "0" * 63, "sha512:" + SHA256, "b.txt"])
def test_what_is_no_digest_is_a_file_which_is_not_there(
    client: ModuleType, artifact: Path, target: str
) -> None:
    assert verify(client, artifact, message(), target) == 2


def test_a_file_that_is_named_like_a_digest_is_that_file(
    client: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(artifact.parent)
    Path(f"sha256:{SHA256}").write_bytes(b"other")
    assert verify(client, artifact, message(), f"sha256:{SHA256}") == 1


@pytest.mark.parametrize("statements", [False, True])
def test_a_managed_key(
    client: ModuleType, artifact: Path, key: KeyPair, other_key: KeyPair, statements: bool
) -> None:
    made = artifact.with_name("bundle.json")
    write(made, dsse_bundle(statement(), key) if statements else message_bundle(CONTENT, key))
    root = ["--trusted-root", str(instance().write_root(artifact.with_name("root.json")))]
    options = ["verify-bundle", "--bundle", str(made)]
    assert client.main([*options, "--key", str(key.public), str(artifact)]) == 0
    assert client.main([*options, "--key", str(key.public), *root, str(artifact)]) == 0
    assert client.main([*options, "--key", str(other_key.public), str(artifact)]) == 1


@pytest.mark.parametrize(
    "who",
    [
        [],
        ["--certificate-identity", SUBJECT],
        ["--certificate-oidc-issuer", ISSUER],
        ["--key", "k.pub", "--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER],
    ],
)
def test_whose_signature_counts_is_said_in_one_way(
    client: ModuleType, artifact: Path, who: list[str]
) -> None:
    made = artifact.with_name("bundle.json")
    write(made, message())
    assert client.main(["verify-bundle", "--bundle", str(made), *who, str(artifact)]) == 2


def test_signing_needs_both_halves_of_an_instance(
    client: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "restored afterwards")
    options = ["sign-bundle", "--identity-token", "t", "--bundle", "b.json"]
    root = str(instance().write_root(artifact.with_name("root.json")))
    assert client.main([*options, "--trusted-root", root, str(artifact)]) == 2
    assert not Path("b.json").exists()


def test_the_executable_runs_by_itself(artifact: Path) -> None:
    """Without this project's folder on its path: it needs the installed package, and no more."""
    made = artifact.with_name("bundle.json")
    write(made, message())
    root = instance().write_root(artifact.with_name("root.json"))
    expected = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER)
    done = subprocess.run(
        [CLIENT, "verify-bundle", "--bundle", made, *expected, "--trusted-root", root, artifact],
        cwd=artifact.parent,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
