# SPDX-License-Identifier: Apache-2.0
"""`[trust]` is read strictly: a misspelt condition would never be checked."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import replace

import pytest

from provenance.artifacts.documents.toml_tables import Table
from provenance.errors import InputError
from provenance.signing.trust import GITHUB_ISSUER, TrustedIdentity, TrustedWorkflow
from provenance.signing.trust_table import KeyEntry, TrustTable, parse
from provenance.signing.trusted_root import Period

WORKFLOW = """
[[trust.github]]
repository = "lusoris/vmaf"
workflow = ".github/workflows/supply-chain.yml"
ref = "refs/tags/v*"
"""
KEY = '[[trust.key]]\npath = "k.pub"\n'
IDENTITY = '[[trust.identity]]\nissuer = "https://i.example.org"\nsubject = "a@example.org"\n'


def read(text: str) -> TrustTable:
    return parse(Table(tomllib.loads(text), {"trust"}, "provenance.toml"))


def test_empty_table_trusts_no_signer() -> None:
    assert not read("")
    assert not read('[trust]\ntrusted_root = "root.json"\n')


def test_workflow_is_read() -> None:
    plain = TrustedWorkflow("lusoris/vmaf", ".github/workflows/supply-chain.yml", "refs/tags/v*")
    assert read(WORKFLOW).workflows == (plain,)
    assert plain.issuer == GITHUB_ISSUER
    issuer = "https://github.example.org/_services/token"
    more = f"""event = "push"
environment = "release"
owner_id = 5678
repository_id = "1234"
runner_environment = "github-hosted"
issuer = "{issuer}"
server = "https://github.example.org/"
"""
    whole = replace(
        plain,
        event="push",
        environment="release",
        owner_id="5678",
        repository_id="1234",
        runner_environment="github-hosted",
        issuer=issuer,
        server="https://github.example.org",
    )
    assert read(WORKFLOW + more).workflows == (whole,)


def test_identities_threshold_and_root_are_read() -> None:
    found = read(IDENTITY + KEY + '[trust]\nsignatures = 2\ntrusted_root = "root.json"\n')
    assert found.identities == (TrustedIdentity("https://i.example.org", "a@example.org"),)
    assert (found.signatures, found.trusted_root) == (2, "root.json")


def test_period_of_a_key_is_read() -> None:
    found = read(KEY + "not_before = 2026-01-01\nnot_after = 2026-12-31T10:00:00+01:00\n")
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2026, 12, 31, 9, tzinfo=datetime.UTC)
    assert found.keys == (KeyEntry("k.pub", Period(start, end)),)
    (day,) = read(KEY + "not_after = 2026-12-31\n").keys
    assert day.period is not None
    assert day.period.contains(datetime.datetime(2026, 12, 31, 23, 59, 59, tzinfo=datetime.UTC))
    assert not day.period.contains(datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC))


NAME = "expected owner/name"
NUMBER = "expected a number"
STRING = "expected a non-empty string"
BACKWARDS = "not_before = 2026-02-01\nnot_after = 2026-01-01\n"


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("[trust]\nsignature = 2", "`trust.signature`", "`trust.signatures`"),
        ("[trust]\nsignatures = 0", "a whole number from 1 to 9, found 0", "signatures = 2"),
        ("[trust]\nsignatures = true", "a whole number from 1 to 9, found True", ""),
        (IDENTITY + "[trust]\nsignatures = 2", "number of trusted signers is 1", "counts once"),
        ("[trust]\ntrusted_root = 5", f"`trust.trusted_root`: {STRING}, found 5", ""),
        ("[[trust.github]]", f"`repository` is missing; {NAME}", ""),
        (WORKFLOW + 'reff = "x"', "`trust.github.reff`", "`trust.github.ref`"),
        (WORKFLOW.replace("lusoris/vmaf", "vmaf"), NAME, "lusoris/vmaf"),
        (WORKFLOW.replace("lusoris/vmaf", "https://x/y/z"), NAME, ""),
        (WORKFLOW.replace(".github/workflows/", ""), "its path in the repository", "release.yml"),
        (WORKFLOW.replace("refs/tags/v*", "v*"), "a whole ref", "refs/tags/v*"),
        (WORKFLOW + 'owner_id = "lusoris"', f"`owner_id`: {NUMBER}", "owner_id = "),
        (WORKFLOW + "repository_id = true", f"`repository_id`: {NUMBER}", ""),
        (WORKFLOW + "event = 5", f"`event`: {STRING}, found 5", ""),
        ('[[trust.identity]]\nsubject = "x"', f"`issuer` is missing; {STRING}", ""),
        ('[[trust.identity]]\nissuer = "x"', f"`subject` is missing; {STRING}", ""),
        (IDENTITY + 'email = "x"', "`trust.identity.email`", ""),
        (KEY + 'not_before = "x"', "expected a date", "not_before = 2026-12-31"),
        (KEY + "not_after = 2026-12-31T10:00:00", "a time with its zone", ""),
        (KEY + BACKWARDS, "before not_before", ""),
    ],
)
def test_invalid_table_is_refused(text: str, message: str, help: str) -> None:
    with pytest.raises(InputError) as raised:
        read(text)
    assert message in raised.value.message
    assert help in (raised.value.help or "")
