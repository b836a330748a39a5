# SPDX-License-Identifier: Apache-2.0
"""Certificates judged ahead, on several cores: the same answers, in whatever process."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from provenance import VerifyOptions, load_config, verify
from provenance.attestations.bundle import Bundle, Envelope, decode
from provenance.errors import UnavailableError
from provenance.evidence.progress import Progress
from provenance.gate import batch_verification
from provenance.gate.batch_verification import Question
from provenance.signing import judging
from provenance.signing.judgement import Verdict
from tests.operations.test_keyless import IDENTITY
from tests.signing.workshop import PAYLOAD, SHA256, flipped, instance, trust
from tests.support.keys import KeyPair
from tests.support.repository import full_repository
from tests.support.sigstore.release import resign


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_verification, "ENOUGH", 4)
    monkeypatch.setattr(batch_verification, "_CHUNK", 2)


def bundles(count: int) -> list[Bundle]:
    """The last one does not hold."""
    made = [instance().attest(PAYLOAD + b" " * n) for n in range(count)]
    envelope = made[-1]["dsseEnvelope"]
    envelope["payload"] = flipped(envelope["payload"], 3)
    return [decode(json.dumps(b).encode()) for b in made]


class Counting(Progress):
    """Counts the steps."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def begin(self, what: str, total: int) -> None:
        self.total = total

    def advance(self) -> None:
        self.done += 1


@pytest.mark.parametrize("processes", [2, 3])
def test_the_answers_are_those_of_one_process(processes: int) -> None:
    asked: list[Question] = [(b, None) for b in bundles(9)]
    progress = Counting()
    found = batch_verification.judge(asked, trust(), processes, progress)
    assert found == {(b, d): judging.judge(b, trust(), d) for b, d in asked}
    assert [j.verdict for j in found.values()] == [Verdict.VALID] * 8 + [Verdict.INVALID]
    assert (progress.total, progress.done) == (9, 9)


def test_other_processes_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    # Here nothing is judged, so that what is answered was judged elsewhere.
    monkeypatch.setattr(
        batch_verification, "_judge", lambda chunk, _trust: [os.getpid()] * len(chunk)
    )
    asked: list[Question] = [(b, None) for b in bundles(60)]
    found = batch_verification.judge(asked, trust(), 2, Progress())
    elsewhere = [j for j in found.values() if not isinstance(j, int)]
    assert elsewhere
    assert elsewhere[-1].verdict is Verdict.INVALID


@pytest.mark.parametrize(("count", "processes"), [(3, 2), (9, 1), (0, 2)])
def test_few_are_left_to_the_rules(count: int, processes: int) -> None:
    asked: list[Question] = [(b, None) for b in bundles(max(count, 1))[:count]]
    assert batch_verification.judge(asked, trust(), processes, Progress()) == {}


def test_without_a_trusted_root_nothing_is_judged() -> None:
    asked: list[Question] = [(b, None) for b in bundles(9)]
    with pytest.raises(UnavailableError, match="no trusted root"):
        batch_verification.judge(asked, replace(trust(), root=None), 2, Progress())


def test_a_file_matters_only_to_a_signature_over_a_file() -> None:
    envelope = bundles(1)[0]
    assert isinstance(envelope.content, Envelope)
    assert batch_verification.question(envelope, SHA256) == (envelope, None)
    message = decode(json.dumps(instance().sign_bytes(b"x")).encode())
    assert batch_verification.question(message, SHA256) == (message, SHA256)


def test_a_registry_gets_the_report_that_one_process_makes(tmp_path: Path, key: KeyPair) -> None:
    repository = full_repository(tmp_path / "repository", key).released()
    repository.key = None
    repository.trust = IDENTITY
    instance().write_root(repository.root / "root.json")
    resign(repository.save(), instance())
    config = load_config(repository.root)
    one, many = (verify(config, VerifyOptions(offline=True, processes=n)) for n in (1, 2))
    assert one == many
    assert [f.code for f in one.failing] == ["ATT710"]  # whom it trusts is new
