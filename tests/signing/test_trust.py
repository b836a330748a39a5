# SPDX-License-Identifier: Apache-2.0
"""Workflows are compared with the claims of the certificate, and signers are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.signing import judging
from provenance.signing.judgement import Judgement, Signer, Verdict
from provenance.signing.trust import GITHUB_ISSUER, Entry, TrustedIdentity, TrustedWorkflow
from tests.signing.workshop import PAYLOAD, accepted, instance, judge, trust
from tests.support.sigstore.ca import Request, github

WORKFLOW = TrustedWorkflow("lusoris/vmaf", ".github/workflows/supply-chain.yml", "refs/tags/v*")
ENTERPRISE = "https://github.example.org/_services/token"
HOME = "https://github.com/lusoris/vmaf"
RELEASE = f"{HOME}/.github/workflows/supply-chain.yml@refs/tags/v3.0.0"


def signed_by(request: Request, **changes: str) -> Judgement:
    who = trust(identities=(), workflows=(replace(WORKFLOW, **changes),))
    return judge(instance().attest(PAYLOAD, request), who)


def test_workflow_is_matched() -> None:
    found = signed_by(github())
    assert found.verdict is Verdict.VALID
    assert found.signer is not None
    assert found.signer.name == RELEASE
    assert found.signer.entries[0] == WORKFLOW
    found = signed_by(
        github(changes={23: "release"}),
        event="push",
        environment="release",
        owner_id="5678",
        repository_id="1234",
        runner_environment="github-hosted",
    )
    assert found.verdict is Verdict.VALID
    enterprise = github(issuer=ENTERPRISE)
    assert signed_by(enterprise).verdict is Verdict.UNTRUSTED
    assert signed_by(enterprise, issuer=ENTERPRISE).verdict is Verdict.VALID


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
def test_difference_from_the_claims_is_named(
    entry: dict[str, str], found: str, expected: str
) -> None:
    judgement = signed_by(github(), **entry)
    assert judgement.verdict is Verdict.UNTRUSTED
    assert found in judgement.reason
    assert expected in judgement.reason


OTHER = "https://github.com/mallory/actions/.github/workflows/sign.yml@refs/tags/v3.0.0"
CALLER = f"{HOME}/.github/workflows/pull-request.yml@refs/tags/v3.0.0"
CALLED: dict[str, tuple[Request, str]] = {
    "called by another repository": (
        github("mallory/models", changes={9: RELEASE}),
        "repository 'https://github.com/mallory/models'",
    ),
    "of another repository": (
        github(changes={9: OTHER}),
        "workflow 'https://github.com/mallory/actions",
    ),
    "called by another workflow": (github(changes={18: CALLER}), "workflow "),
    "with another subject": (replace(github(), names=github("lusoris/other").names), "subject "),
    "without claims": (replace(github(), claims={8: GITHUB_ISSUER}), "repository not stated"),
}


@pytest.mark.parametrize(("request_", "reason"), CALLED.values(), ids=CALLED)
def test_workflow_that_is_not_the_trusted_one_is_untrusted(request_: Request, reason: str) -> None:
    judgement = signed_by(request_)
    assert judgement.verdict is Verdict.UNTRUSTED
    assert reason in judgement.reason


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
def test_pattern_matches_a_whole_ref(pattern: str, matching: list[str], others: list[str]) -> None:
    for ref in (*matching, *others):
        found = signed_by(github(ref=ref), ref=pattern)
        assert (found.verdict is Verdict.VALID) is (ref in matching), ref


def test_workflow_with_two_refs_is_one_signer() -> None:
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
def test_each_signer_counts_once_under_its_own_entry(signers: list[Signer], count: int) -> None:
    found = judging.counted(signers)
    assert len(found) == count
    assert len({s.unique for s, _ in found}) == len({e for _, e in found}) == count
    assert all(entry in s.entries for s, entry in found)
