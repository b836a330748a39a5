# SPDX-License-Identifier: Apache-2.0
"""Workflows are compared with the claims of the certificate, and signers are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provenance.signing import judging
from provenance.signing.judgement import Signer, Verdict
from provenance.signing.trust import Entry, TrustedIdentity, TrustedWorkflow
from tests.signing.workshop import PAYLOAD, accepted, instance, judge, trust
from tests.support.sigstore.ca import Request, github

WORKFLOW = TrustedWorkflow("lusoris/vmaf", ".github/workflows/supply-chain.yml", "refs/tags/v*")
ENTERPRISE = "https://github.example.org/_services/token"
HOME = "https://github.com/lusoris/vmaf"
RELEASE = f"{HOME}/.github/workflows/supply-chain.yml@refs/tags/v3.0.0"


def signed_by(request: Request, entry: TrustedWorkflow) -> Any:
    who = trust(identities=(), workflows=(entry,))
    return judge(instance().attest(PAYLOAD, request), who)


def test_the_workflow_is_matched() -> None:
    found = signed_by(github(), WORKFLOW)
    assert found.verdict is Verdict.VALID
    assert found.signer.name == RELEASE
    assert found.signer.entries[0] == WORKFLOW


def test_everything_that_is_asked_for_is_matched() -> None:
    entry = replace(
        WORKFLOW,
        event="push",
        environment="release",
        owner_id="5678",
        repository_id="1234",
        runner_environment="github-hosted",
    )
    assert signed_by(github(changes={23: "release"}), entry).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("entry", "found", "expected"),
    [
        ({"repository": "lusoris/VMAF"}, f"repository '{HOME}'", "lusoris/VMAF"),
        ({"repository": "lusoris/vma"}, f"repository '{HOME}'", "lusoris/vma"),
        ({"workflow": ".github/workflows/other.yml"}, "workflow ", "other.yml"),
        ({"ref": "refs/tags/v2*"}, "ref 'refs/tags/v3.0.0'", "refs/tags/v2*"),
        ({"ref": "refs/tags/v"}, "ref 'refs/tags/v3.0.0'", "refs/tags/v"),
        ({"ref": "refs/*"}, "ref 'refs/tags/v3.0.0'", "refs/*"),
        ({"ref": "refs/tags/V*"}, "ref 'refs/tags/v3.0.0'", "refs/tags/V*"),
        ({"ref": "refs/tags/v.*"}, "ref 'refs/tags/v3.0.0'", "refs/tags/v.*"),
        ({"event": "schedule"}, "event 'push'", "schedule"),
        ({"environment": "release"}, "environment not stated", "release"),
        ({"owner_id": "56789"}, "owner id '5678'", "56789"),
        ({"repository_id": "123"}, "repository id '1234'", "123"),
        ({"runner_environment": "self-hosted"}, "'github-hosted'", "self-hosted"),
        ({"issuer": ENTERPRISE}, "issuer 'https://token.actions", ENTERPRISE),
        ({"server": "https://github.example.org"}, f"repository '{HOME}'", "github.example.org"),
    ],
)
def test_what_differs_is_named(entry: dict[str, str], found: str, expected: str) -> None:
    judgement = signed_by(github(), replace(WORKFLOW, **entry))
    assert judgement.verdict is Verdict.UNTRUSTED
    assert found in judgement.reason
    assert expected in judgement.reason


def test_a_workflow_that_another_repository_calls_does_not_sign_for_it() -> None:
    called = github("mallory/models", changes={9: RELEASE})
    judgement = signed_by(called, WORKFLOW)
    assert judgement.verdict is Verdict.UNTRUSTED
    assert "repository 'https://github.com/mallory/models'" in judgement.reason


def test_a_workflow_of_another_repository_does_not_sign_when_called_from_this_one() -> None:
    other = "https://github.com/mallory/actions/.github/workflows/sign.yml@refs/tags/v3.0.0"
    judgement = signed_by(github(changes={9: other}), WORKFLOW)
    assert judgement.verdict is Verdict.UNTRUSTED
    assert "workflow 'https://github.com/mallory/actions" in judgement.reason


def test_another_workflow_that_calls_the_trusted_one_is_another() -> None:
    caller = f"{HOME}/.github/workflows/pull-request.yml@refs/tags/v3.0.0"
    assert signed_by(github(changes={18: caller}), WORKFLOW).verdict is Verdict.UNTRUSTED


def test_a_subject_that_is_not_the_workflow_is_another() -> None:
    request = github()
    request.names = github("lusoris/other").names
    judgement = signed_by(request, WORKFLOW)
    assert judgement.verdict is Verdict.UNTRUSTED
    assert "subject " in judgement.reason


def test_a_certificate_without_the_claims_of_a_workflow_is_of_none() -> None:
    request = github()
    request.claims = {8: request.claims[8]}
    assert "repository not stated" in signed_by(request, WORKFLOW).reason


def test_an_enterprise_instance_has_an_issuer_and_a_server_of_its_own() -> None:
    request = github(issuer=ENTERPRISE)
    assert signed_by(request, WORKFLOW).verdict is Verdict.UNTRUSTED
    assert signed_by(request, replace(WORKFLOW, issuer=ENTERPRISE)).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("refs/heads/main", ["refs/heads/main"], ["refs/heads/main2", "refs/heads/mai"]),
        ("refs/tags/v*", ["refs/tags/v1", "refs/tags/v"], ["refs/tags/v1/x", "xrefs/tags/v1"]),
        ("refs/tags/**", ["refs/tags/v1/x", "refs/tags/v1"], ["refs/heads/v1"]),
        ("refs/tags/v?", ["refs/tags/v1"], ["refs/tags/v", "refs/tags/v12", "refs/tags/v/"]),
        ("refs/tags/v[12]", ["refs/tags/v[12]"], ["refs/tags/v1"]),
        ("refs/tags/v.", ["refs/tags/v."], ["refs/tags/v1"]),
        ("refs/tags/v1", ["refs/tags/v1"], ["refs/tags/v1\n", "refs/tags/v1 "]),
    ],
)
def test_a_pattern_is_of_the_whole_ref(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    for ref in (*matching, *others):
        found = signed_by(github(ref=ref), replace(WORKFLOW, ref=pattern))
        assert (found.verdict is Verdict.VALID) is (ref in matching), ref


def test_two_entries_for_one_signer_are_one_signer() -> None:
    whole = replace(WORKFLOW, ref="refs/tags/**")
    who = trust(workflows=(WORKFLOW, whole))
    signers = [
        found.signer
        for ref in ("refs/tags/v1", "refs/tags/v2")
        if (found := accepted(instance().attest(PAYLOAD, github(ref=ref)), who)).signer
    ]
    assert len(signers) == 2
    assert len(judging.counted(signers)) == 1


A, B, C = (TrustedIdentity("https://i.example.org", s) for s in "abc")


def signer(name: str, *entries: Entry) -> Signer:
    return Signer(name, None, name, entries)


@pytest.mark.parametrize(
    ("signers", "count"),
    [
        ([], 0),
        ([signer("x", A)], 1),
        ([signer("x", A), signer("x", B)], 1),
        ([signer("x", A), signer("y", A)], 1),
        ([signer("x", A), signer("y", B)], 2),
        ([signer("x", A, B), signer("y", A)], 2),
        ([signer("x", A, B), signer("y", B), signer("z", A)], 2),
        ([signer("x", A, B), signer("y", A, C), signer("z", A)], 3),
    ],
)
def test_each_signer_counts_once_under_an_entry_of_its_own(
    signers: list[Signer], count: int
) -> None:
    found = judging.counted(signers)
    assert len(found) == count
    assert len({s.unique for s, _ in found}) == len({e for _, e in found}) == count
    assert all(entry in s.entries for s, entry in found)
