# SPDX-License-Identifier: Apache-2.0
"""A release signed with an identity, from the command to the verdict, and what may go wrong."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.command import Result, run_cli
from tests.support.repository import Repository, full_repository
from tests.support.sigstore.services import (
    ISSUER,
    SIGNING,
    SUBJECT,
    Answer,
    Fault,
    NoAnswerError,
    Request,
    Service,
    Services,
    serving,
)

pytestmark = pytest.mark.usefixtures("no_waiting")

TRUST = f"""
[trust]
trusted_root = "trust.json"

[[trust.identity]]
issuer = "{ISSUER}"
subject = "{SUBJECT}"
"""
DOCUMENTS = 8
"""Five rows, two seeds, one summary."""


@pytest.fixture
def unsigned(tmp_path: Path, services: Services) -> Repository:
    """A repository that trusts the identity, and has signed nothing yet."""
    repository = full_repository(tmp_path / "repository")
    repository.trust = TRUST
    services.write_config(repository.root / "trust.json")
    (tmp_path / "token").write_text(services.token(), "utf-8")
    return repository.save()


def release(repository: Repository, *more: str, command: str = "release") -> Result:
    arguments = ("--signer", "keyless", "--identity-token", "../token", "--trust-config")
    return run_cli(command, *arguments, "trust.json", *more, cwd=repository.root)


def files(repository: Repository) -> dict[str, bytes]:
    return {
        str(p.relative_to(repository.root)): p.read_bytes()
        for p in sorted(repository.root.rglob("*"))
        if p.is_file()
    }


def test_a_release_verifies_offline_and_says_who_signed(unsigned: Repository) -> None:
    done = release(unsigned)
    assert (done.code, done.err) == (0, "")
    assert f"{DOCUMENTS} bundles written" in done.out
    verified = run_cli("verify", "--offline", "-v", cwd=unsigned.root)
    assert verified.code == 0
    assert SUBJECT in verified.out


def test_a_second_run_signs_nothing_and_makes_no_requests(
    unsigned: Repository, services: Services
) -> None:
    assert release(unsigned).code == 0
    before, asked = files(unsigned), dict(services.requests)
    again = release(unsigned)
    assert again.code == 0
    assert f"0 bundles written, {DOCUMENTS} already signed over the same statement" in again.out
    assert (files(unsigned), services.requests) == (before, asked)


def test_only_what_changed_is_signed_again(unsigned: Repository, services: Services) -> None:
    assert release(unsigned).code == 0
    unsigned.rows[0]["license"] = "Apache-2.0"
    unsigned.save()
    again = release(unsigned)
    # The row, and the summary over its new bundle.
    assert f"2 bundles written, {DOCUMENTS - 2} already signed" in again.out
    assert services.certificates == 2


def test_without_any_trust_the_second_run_knows_itself_by_its_token(
    unsigned: Repository, services: Services
) -> None:
    unsigned.trust = ""
    unsigned.save()
    first = release(unsigned)
    assert "no trusted signers yet: add this one, as [[trust.github]] or [[trust.identity]]" in (
        " ".join(first.out.split())
    )
    assert f"{DOCUMENTS} already signed" in release(unsigned).out


def test_an_untrusted_identity_is_refused_after_one_signature(
    unsigned: Repository, services: Services
) -> None:
    unsigned.trust = TRUST.replace(SUBJECT, "https://ci.example.org/other")
    unsigned.save()
    before = files(unsigned)
    done = release(unsigned)
    assert done.code == 2
    assert "provenance.toml does not trust" in done.err
    assert SUBJECT in done.err
    assert "https://ci.example.org/other" in done.err
    assert services.requests["log"] == 1
    assert files(unsigned) == before


def test_an_instance_that_the_trust_does_not_know_is_found_before_writing(
    unsigned: Repository, tmp_path: Path
) -> None:
    with serving() as other:
        other.write_config(unsigned.root / "other.json")
        before = files(unsigned)
        done = run_cli(
            *("release", "--signer", "keyless", "--identity-token", "../token"),
            *("--trust-config", "other.json"),
            cwd=unsigned.root,
        )
    assert done.code == 1
    assert "SIG603" in done.out
    assert files(unsigned) == before


def test_findings_are_reported_before_any_request(unsigned: Repository, services: Services) -> None:
    del unsigned.rows[0]["license"]
    unsigned.save()
    assert release(unsigned).code == 1
    assert not services.requests


@pytest.mark.parametrize(("command", "count"), [("sign", 5), ("attest", 2)])
def test_rows_and_seeds_are_signed_alone_too(
    unsigned: Repository, command: str, count: int
) -> None:
    done = release(unsigned, command=command)
    assert (done.code, done.err) == (0, "")
    assert f"{count} bundles written" in done.out


def test_a_token_on_the_command_line_is_refused_and_not_repeated(
    unsigned: Repository, services: Services
) -> None:
    token = services.token()
    done = run_cli("release", "--identity-token", token, cwd=unsigned.root)
    assert done.code == 2
    assert "do not use it any more" in done.err.replace("\n", " ")
    assert token[:20] not in done.err


def test_offline_and_keyless_do_not_go_together(unsigned: Repository, services: Services) -> None:
    done = release(unsigned, "--offline")
    assert done.code == 4
    assert not services.requests


def test_one_instance_is_named(unsigned: Repository) -> None:
    assert release(unsigned, "--staging").code == 2


# --- faults --------------------------------------------------------------------------------------


def refuses(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    raise NoAnswerError


def fails_for_ever(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    return Answer(b"down for maintenance", 503)


def forbids(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    return Answer(b'{"code": 3, "message": "There was an error processing the token"}', 400)


def answers_garbage(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    return Answer(b"\x00\xff<html>", 201)


def answers_an_empty_object(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    return Answer(b"{}", 201)


def dies_after_three(request: Request, answer: Callable[[Request], Answer]) -> Answer:
    if request.number > 3:
        raise NoAnswerError
    return answer(request)


FATAL: tuple[Fault, ...] = (
    refuses,
    fails_for_ever,
    forbids,
    answers_garbage,
    answers_an_empty_object,
    dies_after_three,
)


def exits_4_and_writes_nothing(repository: Repository, *more: str) -> str:
    before = files(repository)
    done = release(repository, *more)
    assert done.code == 4, done
    assert done.out == ""
    assert files(repository) == before
    assert "next: " in done.err
    return done.err


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        pytest.param(service, fault, id=f"{service} {fault.__name__}")
        for service in SIGNING
        for fault in FATAL
        if (service, fault) != ("ca", dies_after_three)  # it is asked once
    ],
)
def test_a_service_that_does_not_do_its_part_ends_the_release(
    unsigned: Repository, services: Services, service: Service, fault: Fault
) -> None:
    services.faults[service] = fault
    error = exits_4_and_writes_nothing(unsigned)
    assert "nothing was written" in error.lower()


def test_an_unreachable_service_is_named(unsigned: Repository, services: Services) -> None:
    for service in SIGNING:
        used = dict(services.urls)
        services.urls[service] = "http://127.0.0.1:1"
        services.write_config(unsigned.root / "trust.json")
        error = exits_4_and_writes_nothing(unsigned)
        name = {"ca": "certificate authority", "log": "transparency log"}.get(service, "timestamp")
        assert name in error
        services.urls = used


@pytest.mark.parametrize("service", SIGNING)
def test_a_service_that_fails_twice_is_asked_again(
    unsigned: Repository, services: Services, service: Service
) -> None:
    def twice(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        return Answer(b"busy", 500) if request.number <= 2 else answer(request)

    services.faults[service] = twice
    done = release(unsigned)
    assert (done.code, done.err) == (0, "")
    assert run_cli("verify", "--offline", cwd=unsigned.root).code == 0


@pytest.mark.parametrize("service", SIGNING)
def test_a_service_that_hangs_is_waited_for_so_long(
    unsigned: Repository, services: Services, service: Service
) -> None:
    def hang(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        services.over.wait(60)
        raise NoAnswerError

    services.faults[service] = hang
    error = exits_4_and_writes_nothing(unsigned, "--timeout", "1")
    assert "did not answer within 1 seconds" in error


def the_first_answer_again() -> Fault:
    """A fault: whatever is asked, the answer is that to the first question."""
    first: list[Answer] = []

    def repeat(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        first.append(answer(request))
        return first[0]

    return repeat


def test_a_log_that_answers_with_the_entry_of_something_else_is_not_believed(
    unsigned: Repository, services: Services
) -> None:
    services.faults["log"] = the_first_answer_again()
    assert "returned an invalid answer" in exits_4_and_writes_nothing(unsigned)


def test_a_timestamp_of_something_else_is_not_believed(
    unsigned: Repository, services: Services
) -> None:
    services.faults["tsa"] = the_first_answer_again()
    assert "returned an invalid answer" in exits_4_and_writes_nothing(unsigned)


def test_a_certificate_for_another_key_is_not_believed(
    unsigned: Repository, services: Services
) -> None:
    def other(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        return Answer(json.dumps(services.certify(key, SUBJECT, ISSUER)).encode())

    services.faults["ca"] = other
    assert "returned an invalid answer" in exits_4_and_writes_nothing(unsigned)


def test_an_authority_that_repeats_the_token_does_not_get_it_shown(
    unsigned: Repository, services: Services
) -> None:
    def echo(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        return Answer(f"bad token {request.headers['Authorization']}".encode(), 401)

    services.faults["ca"] = echo
    error = exits_4_and_writes_nothing(unsigned)
    assert "HTTP 401" in error
    assert "bad token Bearer [token]" in error


def test_an_attempt_that_is_repeated_does_not_ask_for_another_certificate(
    unsigned: Repository, services: Services
) -> None:
    asked: Counter[str] = Counter()

    def twice(request: Request, answer: Callable[[Request], Answer]) -> Answer:
        document = json.loads(request.body)["hashedRekordRequestV002"]["digest"]
        asked[document] += 1
        return Answer(b"busy", 503) if asked[document] < 3 else answer(request)

    services.faults["log"] = twice
    assert release(unsigned).code == 0
    assert services.certificates == 1
    assert services.requests["log"] == 3 * DOCUMENTS


def test_keyless_bundles_have_the_standard_format(unsigned: Repository) -> None:
    assert release(unsigned).code == 0
    for path in (unsigned.root / "bundles").glob("*.sigstore.json"):
        bundle = json.loads(path.read_bytes())
        material = bundle["verificationMaterial"]
        assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
        assert list(material["certificate"]) == ["rawBytes"]
        assert len(material["tlogEntries"]) == 1
        assert base64.b64decode(bundle["dsseEnvelope"]["payload"]).startswith(b"{")
