# SPDX-License-Identifier: Apache-2.0
"""Tokens and private keys stay where they are: in no output, file, log or list of processes."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import clean_environment
from tests.support.keys import KeyPair, private_pem
from tests.support.repository import Repository, full_repository
from tests.support.sigstore.services import SIGNING, Answer, Request, Services

PROC = Path("/proc")


@pytest.fixture
def repository(tmp_path: Path, services: Services) -> Repository:
    made = full_repository(tmp_path / "repository").save()
    services.write_config(made.root / "trust.json")
    return made


def run(repository: Repository, *arguments: str, **environment: str) -> str:
    """A release in a process of its own, with folders of its own; what it said."""
    own = repository.root.parent / "own"
    own.mkdir(exist_ok=True)
    private = {"TMPDIR": str(own), "HOME": str(own), "XDG_CACHE_HOME": str(own)}
    with clean_environment(private | environment):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-m", "provenance", "release", "-v", *arguments],
            cwd=repository.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def command_lines() -> bytes:
    """The arguments of every process that there is now."""
    found = b""
    for path in PROC.glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended in the meantime
    return found


def watch(services: Services) -> list[bytes]:
    """Whenever a service is asked, the list of processes is looked at."""
    seen: list[bytes] = []

    def look(service: str) -> Callable[[Request, Callable[[Request], Answer]], Answer]:
        def fault(request: Request, answer: Callable[[Request], Answer]) -> Answer:
            seen.append(command_lines())
            return answer(request)

        return fault

    for service in SIGNING:
        services.faults[service] = look(service)
    return seen


def written(repository: Repository, *but: Path) -> bytes:
    """Everything below the folder of the test, but what the test itself has put there."""
    folder = repository.root.parent
    return b"".join(
        p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p not in but
    )


def parts(token: str) -> list[bytes]:
    """Its claims and its signature; the header is the same in each."""
    return [p.encode() for p in token.split(".")[1:]]


def test_the_watch_sees_what_it_looks_for(services: Services, repository: Repository) -> None:
    seen = watch(services)
    token = repository.root.parent / "token"
    token.write_text(services.token(), "utf-8")
    run(repository, "--identity-token", str(token), "--trust-config", "trust.json")
    assert all(str(token).encode() in lines for lines in seen)
    assert len(seen) > 10


@pytest.mark.parametrize("place", ["file", "environment"])
@pytest.mark.parametrize("outcome", ["signed", "refused"])
def test_a_token_is_in_nothing_that_is_left_or_seen(
    services: Services, repository: Repository, place: str, outcome: str
) -> None:
    token = services.token()
    source = repository.root.parent / "token"
    seen = watch(services)
    if outcome == "refused":  # and the refusal repeats it
        services.faults["ca"] = lambda request, _answer: Answer(
            f"no: {request.headers['Authorization']}".encode(), 403
        )
    arguments, environment = ["--signer", "keyless", "--trust-config", "trust.json"], {}
    if place == "file":
        source.write_text(token, "utf-8")
        arguments += ["--identity-token", str(source)]
    else:
        environment["SIGSTORE_ID_TOKEN"] = token
    said = run(repository, *arguments, **environment)
    assert said.startswith("exit 0" if outcome == "signed" else "exit 4")
    for part in parts(token):
        assert part not in said.encode()
        assert part not in written(repository, source)
        assert not any(part in lines for lines in seen)


def test_a_private_key_is_in_nothing_that_is_left_or_said(
    repository: Repository, key: KeyPair
) -> None:
    private = repository.root.parent / "release.key"
    private.write_bytes(key.private.read_bytes())
    said = run(repository, "--signer", f"file:{private}")
    assert said.startswith("exit 0")
    body = "".join(private.read_text("utf-8").splitlines()[1:-1])
    # In a P-256 PKCS#8 key, the secret number stands at bytes 36 to 68.
    secret = base64.b64decode(body)[36:68]
    assert int.from_bytes(secret) == key.key.private_numbers().private_value
    everything = said.encode() + written(repository, private)
    for form in (secret, secret.hex().encode(), base64.b64encode(secret), body[:60].encode()):
        assert form not in everything


@pytest.mark.parametrize("outcome", ["signed", "refused"])
def test_a_passphrase_is_in_nothing_that_is_left_or_seen(
    services: Services, repository: Repository, key: KeyPair, outcome: str
) -> None:
    passphrase = "correct-horse-battery-staple"
    private = repository.root.parent / "release.key"
    private.write_bytes(private_pem(key.key, passphrase.encode()))
    given = passphrase if outcome == "signed" else passphrase[::-1]
    seen = watch(services)
    arguments = ("--signer", f"file:{private}", "--trust-config", "trust.json")
    said = run(repository, *arguments, PROVENANCE_KEY_PASSPHRASE=given)
    assert said.startswith("exit 0" if outcome == "signed" else "exit 4")
    assert bool(seen) is (outcome == "signed")
    for secret in (given.encode(), base64.b64encode(given.encode())):
        assert secret not in said.encode() + written(repository)
        assert not any(secret in lines for lines in seen)
