# SPDX-License-Identifier: Apache-2.0
"""The rules PIP0xx on values: a layout, its links, and the verdict of in-toto."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from provenance.artifacts.documents.strict_json import Position
from provenance.evidence.pipeline import (
    HERE,
    Command,
    Link,
    PipelineEvidence,
    Refusal,
    Standing,
    StepEvidence,
)
from provenance.gate.finding import Finding
from provenance.gate.rules.pipeline import RULES

KEYS: Final = ("a" * 64, "b" * 64)
OWN: Final = {"m.onnx": "1" * 64, "m.json": "2" * 64}


def link(
    standing: Standing = Standing.COUNTS, *, path: str = "links/check.aaaaaaaa.link", **fields: Any
) -> Link:
    return Link(path, "aaaaaaaa", standing, **fields)


def counts(before: dict[str, str], after: dict[str, str], **fields: Any) -> Link:
    return link(materials=before, products=after, **fields)


def step(*links: Link, name: str = "check", threshold: int = 1, **fields: Any) -> StepEvidence:
    return StepEvidence(name, KEYS, threshold, links, **fields)


def pipeline(*steps: StepEvidence, **fields: Any) -> PipelineEvidence:
    return PipelineEvidence("release.layout", ("owner.pub",), "links", steps=steps, **fields)


def found(evidence: PipelineEvidence) -> list[Finding]:
    return [finding for rule in RULES for finding in rule().conclude(evidence)]


def codes(evidence: PipelineEvidence) -> list[str]:
    return [finding.code for finding in found(evidence)]


def only(evidence: PipelineEvidence) -> Finding:
    (finding,) = found(evidence)
    return finding


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"malformed": "it is empty"}, "PIP001"),
        ({"malformed": ""}, "PIP001"),
        ({"unsigned": ("owner.pub",)}, "PIP002"),
        ({"expires": "2026-01-01T00:00:00Z", "expired": True}, "PIP003"),
        ({"commands": (Command("inspect", ("rm", "-rf", "/")),)}, "PIP004"),
        ({"in_toto": "it does"}, "PIP013"),
        ({"in_toto": ""}, "PIP013"),
        ({"steps": (step(),)}, "PIP006"),
        ({"in_toto": None}, None),
        ({"expires": "2999-01-01T00:00:00Z"}, None),
    ],
)
def test_a_layout_has_the_finding_that_explains_a_refusal(
    fields: dict[str, Any], code: str | None
) -> None:
    evidence = replace(pipeline(), **fields)
    assert codes(evidence) == ([] if code is None else [code])
    if "in_toto" not in fields:
        refused = replace(evidence, in_toto="it does")
        assert codes(refused) == [code or "PIP013"]


@pytest.mark.parametrize(
    ("name", "position"), [("model/x.link/", None), ("m.link.json", Position(1, 1))]
)
def test_a_file_that_no_link_can_record_is_reported(name: str, position: Position | None) -> None:
    evidence = pipeline(step(counts(OWN, OWN)), unseen=(name,))
    finding = only(evidence)
    path = name.removesuffix("/")
    assert (finding.code, finding.path, finding.position) == ("PIP014", path, position)
    assert finding.message == (
        f"{name} is part of the release, but no link can record it: in-toto excludes `*.link*`"
    )
    assert "begin again with `check`" in finding.help
    assert codes(replace(evidence, in_toto="it does")) == ["PIP013", "PIP014"]


MALFORMED, ANOTHER, FORGED = (
    link(Standing.MALFORMED, path="links/check.1.link", why="it is a list"),
    link(Standing.UNAUTHORIZED, path="links/check.2.link"),
    link(Standing.UNSIGNED, path="links/check.3.link"),
)
RIGHT, TOO = counts(OWN, OWN), counts(OWN, OWN, path="links/check.bbbbbbbb.link")


@pytest.mark.parametrize(
    ("links", "threshold", "expected"),
    [
        ([], 1, ["PIP006"]),
        ([MALFORMED], 1, ["PIP005"]),
        ([MALFORMED, RIGHT], 1, ["PIP005"]),
        ([ANOTHER], 1, ["PIP007"]),
        ([FORGED], 1, ["PIP007"]),
        ([ANOTHER, FORGED], 1, ["PIP007", "PIP007"]),
        ([ANOTHER, MALFORMED], 1, ["PIP005"]),  # the malformed one may be the one that is missed
        ([ANOTHER, RIGHT], 1, []),
        ([RIGHT], 2, ["PIP008"]),
        ([RIGHT, TOO], 2, []),
        ([RIGHT, ANOTHER], 2, ["PIP008"]),
        ([RIGHT, MALFORMED], 2, ["PIP005"]),
        ([RIGHT, MALFORMED, ANOTHER], 2, ["PIP005"]),
    ],
)
def test_links_of_authorized_keys_are_counted(
    links: list[Link], threshold: int, expected: list[str]
) -> None:
    assert codes(pipeline(step(*links, threshold=threshold))) == expected


def test_every_step_is_judged_beside_a_correct_one() -> None:
    first = step(RIGHT, name="export")
    assert codes(pipeline(first, step(ANOTHER), step(name="sign"))) == ["PIP006", "PIP007"]


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (
            step(ANOTHER),
            "links/check.2.link: the step `check` was done by the key aaaaaaaa, which is not "
            "authorized for it; authorized: the key aaaaaaaa or bbbbbbbb",
        ),
        (step(FORGED), "in the name of the key aaaaaaaa, which did not sign"),
        (replace(step(ANOTHER), authorized=()), "authorized: no key"),
        (
            step(RIGHT, ANOTHER, threshold=3),
            "the step `check` was done with 1 of 3 required keys; authorized: the key aaaaaaaa or "
            "bbbbbbbb; links/check.2.link is by the key aaaaaaaa, which is not authorized for it",
        ),
        (
            step(),
            "no link of the step `check`: expected check.aaaaaaaa.link or check.bbbbbbbb.link in "
            "links",
        ),
        (replace(step(), authorized=()), "expected any link in links"),
    ],
)
def test_a_step_without_enough_links_is_reported_with_the_authorized_keys(
    evidence: StepEvidence, message: str
) -> None:
    assert message in only(pipeline(evidence)).message


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("check", "provenance check --link-dir links --link-key file:NAME.key"),
        ("sign", "provenance release --link-dir links --link-key file:NAME.key"),
        ("verify", "provenance verify --link-dir links --link-key file:NAME.key"),
        ("export", "Do the step `export` with --link-dir links."),
    ],
)
def test_the_help_of_a_missing_step_has_its_command(name: str, does: str) -> None:
    assert only(pipeline(step(name=name))).help.endswith(does)


OTHER: Final = OWN | {"m.onnx": "3" * 64}


@pytest.mark.parametrize(
    ("other", "file", "what"),
    [
        (counts(OWN, OTHER), "m.onnx", "left"),
        (counts(OTHER, OWN), "m.onnx", "read"),
        (counts(OTHER, OTHER), "m.onnx", "read"),
        (counts(OWN, OWN | {"new": "4" * 64}), "new", "left"),
        (counts(OWN, {"m.onnx": OWN["m.onnx"]}), "m.json", "left"),
        (counts({}, OWN), "m.json", "read"),  # the first of several
        (link(), "m.json", "read"),
    ],
)
@pytest.mark.parametrize("between", [0, 1])
def test_links_of_one_step_that_differ_in_a_file_are_reported(
    other: Link, file: str, what: str, between: int
) -> None:
    disputed = step(RIGHT, *[TOO] * between, replace(other, path="links/other"), disputed=True)
    finding = only(pipeline(disputed))
    assert (finding.code, finding.path, finding.about) == ("PIP009", "links/other", file)
    assert finding.message == (
        f"links/check.aaaaaaaa.link and links/other disagree about {file}, which the step "
        f"`check` {what}"
    )


def refused(*files: str) -> dict[str, Any]:
    return {"refusals": (Refusal("check", ("DISALLOW", "*"), files),), "in_toto": "it does"}


def chain(after: dict[str, str], here: dict[str, str], **fields: Any) -> PipelineEvidence:
    """An export, a check that may have changed the files, and the files as they lie here."""
    steps = (step(counts({}, OWN), name="export"), step(counts(OWN, after)))
    return pipeline(*steps, here=here, **fields)


WITHOUT: Final = {"m.json": OWN["m.json"]}
ADDED: Final = OWN | {"n.onnx": "4" * 64, "n.toml": "5" * 64}


@pytest.mark.parametrize(
    ("after", "here", "file", "code", "message"),
    [
        (OTHER, OTHER, "m.onnx", "PIP010", "changed while `check` ran"),
        (OWN, OTHER, "m.onnx", "PIP010", "changed after `check`"),
        (ADDED, ADDED, "n.onnx", "PIP011", "was added while `check` ran"),
        (OWN, ADDED, "n.toml", "PIP011", "was added after `check`"),
        (OWN, WITHOUT, "m.onnx", "PIP012", "was removed after `check`"),
        (WITHOUT, WITHOUT, "m.onnx", "PIP012", "was removed while `check` ran"),
    ],
)
def test_a_file_that_was_changed_added_or_removed_is_reported(
    after: dict[str, str], here: dict[str, str], file: str, code: str, message: str
) -> None:
    finding = only(chain(after, here, **refused(file)))
    assert (finding.code, finding.path) == (code, file)
    assert message in finding.message
    assert (finding.position is not None) is (file == "n.toml")
    within = "while" in message
    assert ("repeat `check` without touching it" in finding.help) is within
    assert ("Otherwise put back what was released." in finding.help) is not within
    assert finding.help.startswith("If it is intended, begin again with `export`")


@pytest.mark.parametrize(
    ("file", "digests", "shown"),
    [
        ("m.json", OWN | {"m.json": "6" * 64}, True),  # it has a first line to point at
        ("m.json", {"m.onnx": OWN["m.onnx"]}, False),  # it has none any more
    ],
)
def test_a_text_file_that_exists_has_a_position(
    file: str, digests: dict[str, str], shown: bool
) -> None:
    assert (only(chain(OWN, digests, **refused(file))).position is not None) is shown


@pytest.mark.parametrize("next_step", ["sign", "a", "z"])
def test_a_change_between_two_steps_is_reported_with_the_next_step(next_step: str) -> None:
    steps = (step(RIGHT), step(counts(OTHER, OTHER), name=next_step))
    unreadable = {"m.onnx": "it is a FIFO"}
    evidence = pipeline(*steps, here=OTHER, unreadable=unreadable, **refused("m.onnx"))
    finding = only(evidence)
    assert finding.message == (
        f"m.onnx changed between `check` and `{next_step}`: what `check` left is 111111111111…, "
        f"what `{next_step}` read is 333333333333…"
    )
    assert finding.help.startswith(
        "Find out who did that. If it is intended, begin again with `check`"
    )


def test_an_unreadable_file_is_not_reported_as_changed() -> None:
    fields = refused("m.onnx") | {"unreadable": {"m.onnx": "it is a FIFO"}}
    finding = only(chain(OWN, OTHER, **fields))
    assert finding.message == "m.onnx cannot be compared with what `check` left: it is a FIFO"
    assert HERE not in finding.message
    other = only(chain(OWN, OTHER, **refused("m.onnx") | {"unreadable": {"m.json": "no"}}))
    assert other.message.startswith("m.onnx changed after `check`")


def test_an_unexplained_refusal_is_reported_once_per_file() -> None:
    refusals = tuple(Refusal(item, ("DISALLOW", "*"), ("nowhere", "m.onnx")) for item in ("a", "b"))
    evidence = chain(OWN, OTHER, refusals=refusals, in_toto="it does")
    shown = [(f.code, f.path) for f in found(evidence)]
    assert shown == [("PIP010", "m.onnx"), ("PIP013", "nowhere")]
    assert found(evidence)[1].message == "`a` of release.layout refuses nowhere: 'DISALLOW *'"
