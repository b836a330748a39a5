# SPDX-License-Identifier: Apache-2.0
"""`[trust]` is read strictly: a misspelt condition would never be checked."""

from __future__ import annotations

import datetime
import tomllib

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


def test_nobody_is_trusted_where_nobody_is_named() -> None:
    assert not read("")
    assert not read('[trust]\ntrusted_root = "root.json"\n')


def test_a_workflow_is_read_whole() -> None:
    plain = TrustedWorkflow("lusoris/vmaf", ".github/workflows/supply-chain.yml", "refs/tags/v*")
    assert read(WORKFLOW).workflows == (plain,)
    assert plain.issuer == GITHUB_ISSUER
    more = """event = "push"
environment = "release"
owner_id = 5678
repository_id = "1234"
runner_environment = "github-hosted"
issuer = "https://github.example.org/_services/token"
server = "https://github.example.org/"
"""
    (found,) = read(WORKFLOW + more).workflows
    assert (found.owner_id, found.repository_id) == ("5678", "1234")
    assert (found.event, found.environment) == ("push", "release")
    assert found.runner_environment == "github-hosted"
    assert found.server == "https://github.example.org"


def test_identities_threshold_and_root_are_read() -> None:
    text = IDENTITY + KEY + '[trust]\nsignatures = 2\ntrusted_root = "root.json"\n'
    found = read(text)
    assert found.identities == (TrustedIdentity("https://i.example.org", "a@example.org"),)
    assert (found.signatures, found.trusted_root) == (2, "root.json")


def test_a_key_counts_for_its_days() -> None:
    found = read(KEY + "not_before = 2026-01-01\nnot_after = 2026-12-31T10:00:00+01:00\n")
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2026, 12, 31, 9, tzinfo=datetime.UTC)
    assert found.keys == (KeyEntry("k.pub", Period(start, end)),)
    (day,) = read(KEY + "not_after = 2026-12-31\n").keys
    assert day.period is not None
    assert day.period.contains(datetime.datetime(2026, 12, 31, 23, 59, 59, tzinfo=datetime.UTC))
    assert not day.period.contains(datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC))


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("[trust]\nsignature = 2\n", "`trust.signature`", "`trust.signatures`"),
        ("[trust]\nsignatures = 0\n", "a whole number from 1 to 9, found 0", "signatures = 2"),
        ("[trust]\nsignatures = true\n", "a whole number from 1 to 9, found True", None),
        (
            IDENTITY + "[trust]\nsignatures = 2\n",
            "but the number of trusted signers is 1",
            "counts once",
        ),
        (
            "[trust]\ntrusted_root = 5\n",
            "`trust.trusted_root`: expected a non-empty string, found 5",
            None,
        ),
        ("[[trust.github]]\n", "`repository` is missing; expected owner/name", None),
        (WORKFLOW + 'reff = "x"\n', "`trust.github.reff`", "`trust.github.ref`"),
        (WORKFLOW.replace("lusoris/vmaf", "vmaf"), "expected owner/name", "lusoris/vmaf"),
        (WORKFLOW.replace("lusoris/vmaf", "https://x/y/z"), "expected owner/name", None),
        (WORKFLOW.replace(".github/workflows/", ""), "its path in the repository", "release.yml"),
        (WORKFLOW.replace("refs/tags/v*", "v*"), "a whole ref", "refs/tags/v*"),
        (
            WORKFLOW + 'owner_id = "lusoris"\n',
            "`owner_id`: expected a number",
            "owner_id = ",
        ),
        (
            WORKFLOW + "repository_id = true\n",
            "`repository_id`: expected a number",
            None,
        ),
        (WORKFLOW + "event = 5\n", "`event`: expected a non-empty string, found 5", None),
        (
            '[[trust.identity]]\nsubject = "x"\n',
            "`issuer` is missing; expected a non-empty string",
            None,
        ),
        (
            '[[trust.identity]]\nissuer = "x"\n',
            "`subject` is missing; expected a non-empty string",
            None,
        ),
        (IDENTITY + 'email = "x"\n', "`trust.identity.email`", None),
        (KEY + 'not_before = "x"\n', "expected a date", "not_before = 2026-12-31"),
        (KEY + "not_after = 2026-12-31T10:00:00\n", "a time with its zone", None),
        (KEY + "not_before = 2026-02-01\nnot_after = 2026-01-01\n", "before not_before", None),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(text: str, message: str, help: str | None) -> None:
    with pytest.raises(InputError) as raised:
        read(text)
    assert message in raised.value.message
    if help is not None:
        assert help in str(raised.value.help)
