# SPDX-License-Identifier: Apache-2.0
"""A release step by step: we refuse what in-toto-verify refuses, and name the step and the file.

`tests/cases/pipeline.toml` has a case of each rule; here in-toto's own command judges too.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import provenance
from provenance.artifacts import limits
from tests.support.models import External, data, model
from tests.support.pipeline import (
    LAYOUT,
    STEPS,
    Change,
    Pipeline,
    copied,
    make_pipeline,
    say_more,
    write_notes,
)

TWO = """
[layout]
keys = ["keys/ci.pub"]
[[layout.step]]
name = "export"
keys = ["keys/builder.pub"]
[[layout.step]]
name = "check"
keys = ["keys/ci.pub", "keys/second.pub"]
threshold = 2
[[layout.step]]
name = "sign"
keys = ["release.pub"]
"""
"""A layout in which two keys must perform the step `check`."""
PAST = "2020-01-01T00:00:00Z"
PEOPLE = ("builder", "ci", "owner", "release", "second", "stranger")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A finished release. Not to be changed: copy it."""
    pipeline = make_pipeline(tmp_path_factory.mktemp("finished"))
    pipeline.release()
    return pipeline


@pytest.fixture
def done(finished: Pipeline, tmp_path: Path) -> Pipeline:
    """A finished release that a test may spoil."""
    return copied(finished, tmp_path)


def with_key_ids(words: str, pipeline: Pipeline) -> str:
    """Replace the name of each person in braces by the short id of their key."""
    return words.format(**{name: pipeline.key_id(name)[:8] for name in PEOPLE})


def test_a_finished_release_passes_both_tools(done: Pipeline) -> None:
    assert done.in_toto(process=True) == 0, done.said
    assert done.in_toto() == 0, done.said
    report = done.ours()
    assert report.exit_code == 0, report.failing
    expires, steps = report.notes[-2:]
    assert "signed by" in expires
    for by in ("export by {builder}", "check by {ci}", "sign by {release}", "verify by {ci}"):
        assert with_key_ids(by, done) in steps
    done.link("check").unlink()
    assert done.in_toto(process=True) == 1


@pytest.mark.parametrize(
    "paths",
    [
        ("README.md",),
        ("model/__pycache__/x.pyc", "model/notes.txt~", "model/untouched.link", "model/.git/HEAD"),
        *(
            (f"../outside/links/{name}",)
            for name in ("train.00000000.link", "README", "check.0.link")
        ),
    ],
)
def test_files_that_are_not_part_of_the_release_may_change(
    done: Pipeline, paths: tuple[str, ...]
) -> None:
    for path in paths:
        done.repository.write(f"../{path}", "x")
    assert done.in_toto() == 0, done.said
    assert done.ours().exit_code == 0


# --- steps that went wrong ------------------------------------------------------------------------


def run_steps(
    pipeline: Pipeline,
    *,
    before: Mapping[str, Change] | None = None,
    during: Mapping[str, Change] | None = None,
    by: Mapping[str, Sequence[str]] | None = None,
) -> None:
    for step in STEPS:
        if before and step in before:
            before[step](pipeline)
        for name in (by or {}).get(step, [""]):
            pipeline.do(step, by=name or None, change=(during or {}).get(step))


def extra(pipeline: Pipeline) -> Path:
    return pipeline.repository.path("extra.txt")


def add_extra(pipeline: Pipeline) -> None:
    extra(pipeline).write_text("x")


NEXT = {"check": "export", "sign": "check", "verify": "sign"}
"""Each step with the one before it."""
STEPS_GONE_WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "another key": (
        LAYOUT,
        {"by": {"check": ["second"]}},
        "PIP007",
        "the step `check` was done by the key {second}",
    ),
    "one key of two": (TWO, {}, "PIP008", "the step `check` was done with 1 of 2 required keys"),
    "one key of two and a stranger": (
        TWO,
        {"by": {"check": ["ci", "stranger"]}},
        "PIP008",
        "is by the key {stranger}, which is not authorized for it",
    ),
    **{
        f"a file is changed before {step}": (
            LAYOUT,
            {"before": {step: write_notes}},
            "PIP010",
            f"model/notes.txt changed between `{after}` and `{step}`: what `{after}` left is",
        )
        for step, after in NEXT.items()
    },
    "a sidecar is changed before sign": (
        LAYOUT,
        {"before": {"sign": say_more}},
        "PIP010",
        "model/plain.json changed between `check` and `sign`",
    ),
    **{
        f"a file is added before {step}": (
            LAYOUT,
            {"before": {step: add_extra}},
            "PIP011",
            f"model/extra.txt was added between `{after}` and `{step}`",
        )
        for step, after in NEXT.items()
    },
    **{
        f"a file is removed before {step}": (
            LAYOUT,
            {"before": {"export": add_extra, step: lambda p: extra(p).unlink()}},
            "PIP012",
            "model/extra.txt was removed",
        )
        for step in NEXT
    },
    **{
        f"{step} changes a file": (
            LAYOUT,
            {"during": {step: write_notes}},
            "PIP010",
            f"model/notes.txt changed while `{step}` ran",
        )
        for step in NEXT
    },
    "a file is changed for verify and restored": (
        LAYOUT,
        {
            "before": {"verify": write_notes},
            "during": {"verify": lambda p: p.notes.write_text("as they were")},
        },
        "PIP010",
        "model/notes.txt changed",
    ),
}


@pytest.mark.parametrize(
    ("layout", "steps", "code", "words"), STEPS_GONE_WRONG.values(), ids=STEPS_GONE_WRONG
)
def test_a_release_whose_steps_went_wrong_is_refused_by_both_tools(
    tmp_path: Path, layout: str, steps: dict[str, Any], code: str, words: str
) -> None:
    pipeline = make_pipeline(tmp_path, layout)
    run_steps(pipeline, **steps)
    found, message = pipeline.refusal()
    assert found == code
    assert with_key_ids(words, pipeline) in message


def test_a_step_of_two_keys_passes_if_both_performed_it_on_the_same_files(tmp_path: Path) -> None:
    same, other = make_pipeline(tmp_path / "same", TWO), make_pipeline(tmp_path / "other", TWO)
    run_steps(same, by={"check": ["ci", "second"]})
    assert same.in_toto() == 0, same.said
    assert same.ours().exit_code == 0
    other.do("export")
    other.do("check", by="second")
    say_more(other)
    for step in ("check", "sign", "verify"):
        other.do(step)
    code, message = other.refusal()
    assert code == "PIP009"
    assert "disagree about model/plain.json, which the step `check` read" in message


def add_stray_bundle(pipeline: Pipeline) -> None:
    (pipeline.root / "bundles" / "stray.onnx.sigstore.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (
            add_stray_bundle,
            "PIP011",
            "bundles/stray.onnx.sigstore.json was added after `verify`",
        ),
        (lambda p: p.sidecar.unlink(), "PIP012", "model/plain.json was removed"),
        (say_more, "PIP010", "model/plain.json changed after `verify`"),
    ],
)
def test_a_change_after_the_last_step_is_reported_beside_what_other_rules_find(
    done: Pipeline, change: Change, code: str, words: str
) -> None:
    change(done)
    assert done.in_toto() == 1
    assert words in {f.code: f.message for f in done.ours().failing}[code]


def test_a_bundle_that_was_added_between_two_steps_is_reported(tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path)
    run_steps(pipeline, before={"verify": add_stray_bundle})
    assert pipeline.in_toto() == 1
    found = {f.code: f.message for f in pipeline.ours().failing}
    assert "stray.onnx.sigstore.json was added between `sign` and `verify`" in found["PIP011"]


# --- layouts, links and files that were changed ---------------------------------------------------


def layout_with(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda p: p.forge(p.layout, change, by="owner")


def link_with(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda p: p.forge(p.link("check"), change, by="ci")


def layout_of(content: bytes) -> Change:
    return lambda p: p.layout.write_bytes(content)


def payload_of(envelope: Path) -> bytes:
    return base64.b64decode(json.loads(envelope.read_bytes())["payload"])


def edit(envelope: Path, old: bytes, new: bytes) -> None:
    """Change what is signed, and leave the signature."""
    payload = base64.b64encode(payload_of(envelope).replace(old, new)).decode()
    value = json.loads(envelope.read_bytes()) | {"payload": payload}
    envelope.write_text(json.dumps(value))


def sign_layout(pipeline: Pipeline, payload: bytes, *by: str) -> None:
    pipeline.layout.write_bytes(pipeline.signed(payload, *by))


def repeat_a_key_of_the_layout(pipeline: Pipeline) -> None:
    twice = f'"expires": "{PAST}", "expires"'.encode()
    sign_layout(pipeline, payload_of(pipeline.layout).replace(b'"expires"', twice), "owner")


def two_ids(rewritten: Callable[[str], str] = str) -> Change:
    """Give one key a second id, with which it could perform a step of two alone."""

    def change(layout: dict[str, Any]) -> None:
        key = next(iter(layout["keys"].values()))
        keyval = {"public": rewritten(key["keyval"]["public"])}
        layout["keys"]["ab" * 32] = key | {"keyid": "ab" * 32, "keyval": keyval}

    return layout_with(change)


def two_ids_of_an_ed25519_key(layout: dict[str, Any]) -> None:
    """Layouts hold an Ed25519 key in hex: here in both cases."""
    for key_id, public in (("cd" * 32, "ab" * 32), ("ef" * 32, "AB" * 32)):
        key = {"keyid": key_id, "keytype": "ed25519", "scheme": "ed25519"}
        layout["keys"][key_id] = key | {"keyval": {"public": public}}


def rules_of_its_own(layout: dict[str, Any]) -> None:
    layout["steps"][1]["expected_products"] = [["REQUIRE", "model/proof.txt"]]
    layout["steps"][2]["expected_materials"] = [
        ["match", "*", "IN", "model", "WITH", "PRODUCTS", "IN", "model", "FROM", "check"],
        ["DISALLOW", "model/*"],
    ]


def repeat_a_key_of_the_link(pipeline: Pipeline) -> None:
    link = pipeline.link("check")
    link.write_bytes(link.read_bytes().replace(b'{"payload"', b'{"payload": "", "payload"'))


def edit_the_link(pipeline: Pipeline) -> None:
    edit(pipeline.link("check"), b"plain.onnx", b"plane.onnx")


def sign_the_link_with_another_key(pipeline: Pipeline) -> None:
    pipeline.forge(pipeline.link("check"), lambda _: None, by="second")


def without_link(step: str) -> tuple[Change, str]:
    by = {"export": "builder", "sign": "release"}.get(step, "ci")
    words = f"no link of the step `{step}`: expected {step}.{{{by}}}.link in"
    return lambda p: p.link(step).unlink(), words


def move_behind_a_link(path: Path, pipeline: Pipeline) -> None:
    elsewhere = path.rename(pipeline.root.parent / "elsewhere")
    path.symlink_to(elsewhere)


def link_to(name: str) -> Change:
    """Add a symbolic link `name` to a file or folder outside of the repository."""

    def change(pipeline: Pipeline) -> None:
        elsewhere = pipeline.root.parent / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "notes.txt").write_text("x")
        target = elsewhere / "notes.txt" if name.endswith(".txt") else elsewhere
        (pipeline.root / name).symlink_to(target)

    return change


def add_notes_to_the_bundles(pipeline: Pipeline) -> None:
    (pipeline.root / "bundles" / "notes.txt").write_text("x")


def append_comment(pipeline: Pipeline) -> None:
    with (pipeline.root / "provenance.toml").open("a") as config:
        config.write("# harmless\n")


SAME_KEY, NOT_ACCEPTED = "it has the same key under two ids", "in-toto does not accept it"
OLD_FORMAT = b'{"signed": {"_type": "layout"}, "signatures": []}'
TEXT_PAYLOAD = b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}'
NOT_BASE64 = b'{"payload": "?", "payloadType": "application/vnd.in-toto+json"}'
INVALID_LAYOUTS = [
    (layout_of(b"?"), "is not JSON"),
    (layout_of(b"[]"), "not an object"),
    (layout_of(OLD_FORMAT), "the older format of in-toto"),
    (layout_of(TEXT_PAYLOAD), "payloadType"),
    (layout_of(NOT_BASE64), "is not base64"),
    (layout_of(b" " * (limits.LAYOUT + 1)), "is larger than"),
    (layout_with(lambda v: v.update(_type="link")), "its _type is 'link', not 'layout'"),
    (layout_with(lambda v: v.update(_type="policy")), "its _type is 'policy', not 'layout'"),
    (layout_with(lambda v: v.update(_type=["layout"])), "its _type is an array"),
    (layout_with(lambda v: v.update(steps="none")), NOT_ACCEPTED),
    (layout_with(lambda v: v.update(inspect=None)), NOT_ACCEPTED),
    (layout_with(lambda v: v.update(expires="tomorrow")), NOT_ACCEPTED),
    (layout_with(lambda v: v.update(keys={"zz": {}})), NOT_ACCEPTED),
    (lambda p: sign_layout(p, payload_of(p.layout), "owner", "owner"), "name a different key"),
    # in-toto looks at the signature first; to us a threshold of zero means nothing
    (lambda p: edit(p.layout, b'"threshold": 1', b'"threshold": 0'), "has a threshold of 0"),
]
LAYOUTS_THAT_ASK_FOR_LESS = [
    (repeat_a_key_of_the_layout, "has the key 'expires' twice"),
    (layout_with(lambda v: v.update(steps=[], inspect=[])), "it has no steps"),
    (layout_with(lambda v: v["steps"][0].update(threshold=0)), "has a threshold of 0"),
    (two_ids(), SAME_KEY),
    (two_ids(lambda pem: pem.replace("\n", "\r\n")), SAME_KEY),
    (two_ids(lambda pem: f"# mine\n{pem}\n"), SAME_KEY),
    (layout_with(two_ids_of_an_ed25519_key), SAME_KEY),
    (layout_with(lambda v: v["steps"][0]["pubkeys"].append("cd" * 32)), "layout does not have"),
    (layout_with(lambda v: v["steps"][0].update(name="a/b")), "is not a valid name for a step"),
    (layout_with(lambda v: v.update(inspect=v["inspect"] * 1001)), NOT_ACCEPTED),
]
INVALID_LINKS = [
    (lambda p: p.link("check").write_text("?"), "is not JSON"),
    (lambda p: p.link("check").write_text("[]"), "not an object"),
    (lambda p: os.truncate(p.link("check"), limits.LINK + 1), "is larger than"),
    (link_with(lambda v: v.update(materials=[])), NOT_ACCEPTED),
    (link_with(lambda v: v["products"].update(a={"sha256": "xyz"})), "in-toto"),
    (link_with(lambda v: v["products"].update(a={"md5": "00"})), "expected exactly one digest"),
    (link_with(lambda v: v.update(_type="layout")), "its _type is 'layout'"),
]
LINKS_THAT_IN_TOTO_ACCEPTS = [
    (repeat_a_key_of_the_link, "has the key 'payload' twice"),
    (lambda p: move_behind_a_link(p.link("check"), p), "leaves the repository"),
]


@pytest.mark.parametrize(
    ("code", "in_toto", "change", "words"),
    [
        *(("PIP001", 1, *row) for row in INVALID_LAYOUTS),
        *(("PIP001", None, *row) for row in LAYOUTS_THAT_ASK_FOR_LESS),
        *(("PIP005", 1, *row) for row in INVALID_LINKS),
        *(("PIP005", 0, *row) for row in LINKS_THAT_IN_TOTO_ACCEPTS),
        *(("PIP006", 1, *row) for row in map(without_link, STEPS)),
        ("PIP002", 1, lambda p: p.write_layout(by="stranger"), "keys/owner.pub"),
        ("PIP003", 1, layout_with(lambda v: v.update(expires=PAST)), f"expired at {PAST}"),
        ("PIP007", 1, edit_the_link, "which did not sign these bytes"),
        ("PIP007", 1, sign_the_link_with_another_key, "the step `check`"),
        ("PIP010", 1, append_comment, "provenance.toml changed after"),
        ("PIP011", 1, add_notes_to_the_bundles, "bundles/notes.txt was added after `verify`"),
        ("PIP011", 1, link_to("bundles/notes.txt"), "bundles/notes.txt was added after `verify`"),
        ("PIP011", None, link_to("model/more"), "model/more was added"),
        ("PIP013", 1, layout_with(rules_of_its_own), "proof.txt: 'REQUIRE model/proof.txt'"),
    ],
)
def test_a_finished_release_that_was_changed_is_refused(
    done: Pipeline, code: str, in_toto: int | None, change: Change, words: str
) -> None:
    """`in_toto` is the exit code of in-toto-verify, where it is compared."""
    change(done)
    if in_toto is not None:
        assert done.in_toto() == in_toto
    found, message = done.finding()
    assert found == code
    assert with_key_ids(words, done) in message


def test_a_released_file_behind_a_link_out_of_the_repository_is_refused(done: Pipeline) -> None:
    """in-toto follows the link: the same bytes pass there as long as they do not change."""
    move_behind_a_link(done.notes, done)
    assert done.in_toto() == 0, done.said
    code, message = done.finding()
    assert code == "PIP010"
    assert "model/notes.txt cannot be compared with what `verify` left" in message
    assert "is a link that leaves the repository" in message


def test_a_layout_of_two_owners_needs_both_signatures(done: Pipeline) -> None:
    keys = [done.key(name).public for name in ("owner", "second")]
    asked = provenance.layout_request(done.layout, keys, done.links)
    report = provenance.verify(done.repository.config, layout=asked)
    assert [(f.code, str(keys[1]) in f.message) for f in report.failing] == [("PIP002", True)]


def test_a_command_of_a_layout_is_never_run(done: Pipeline) -> None:
    ran = done.outside / "ran"
    layout_with(lambda v: v["inspect"][0].update(run=["touch", str(ran)]))(done)
    code, message = done.finding()
    assert code == "PIP004"
    assert "'untouched'" in message
    assert "it was not run" in message
    assert not ran.exists()
    assert done.in_toto() == 0, done.said
    assert ran.exists(), "in-toto-verify did not run it: this test shows nothing"


def test_links_that_were_swapped_between_steps_are_refused(done: Pipeline) -> None:
    check, verify = done.link("check"), done.link("verify")
    kept = check.read_bytes()
    check.write_bytes(verify.read_bytes())
    verify.write_bytes(kept)
    assert done.in_toto() == 1
    found = [(f.code, f.message) for f in done.ours().failing]
    assert [code for code, _ in found] == ["PIP005", "PIP005"]
    words = "is not a valid link of the step `check`: it is a link of the step 'verify'"
    assert words in found[0][1]


def test_a_link_cannot_replace_that_of_a_step_which_was_not_performed(done: Pipeline) -> None:
    """in-toto does not compare names: it passes a second release that changed nothing."""
    for step in STEPS[:3]:
        done.do(step)
    done.link("verify").write_bytes(done.link("check").read_bytes())
    code, message = done.finding()
    assert (code, "it is a link of the step 'check'" in message) == ("PIP005", True)


def test_a_hostile_name_in_a_link_is_escaped(done: Pipeline) -> None:
    files = {"model/\x1b[2J::error::x\n.onnx": {"sha256": "0" * 64}}
    link_with(lambda v: (v["products"].update(files), v["materials"].update(files)))(done)
    assert done.in_toto() == 1
    owner = done.key("owner").public
    layout = ("--layout", done.layout, "--layout-key", owner, "--link-dir", done.links)
    shown = done.cli("verify", *layout)
    assert shown.code == 1
    assert "PIP01" in shown.out
    assert "\x1b" not in shown.out


def test_in_toto_records_how_far_it_came_in_a_list_of_rules() -> None:
    """in-toto does not document the name `RULE_TRACE` (docs/adr/0002)."""
    from in_toto import verifylib
    from in_toto.exceptions import RuleVerificationError
    from in_toto.models.link import Link

    files = {"a": {"sha256": "1" * 64}, "b": {"sha256": "2" * 64}, "c": {"sha256": "3" * 64}}
    links = {"check": Link(name="check", materials=files)}
    rules = [["ALLOW", "a"], ["ALLOW", "b"], ["DISALLOW", "*"], ["ALLOW", "*"]]
    with pytest.raises(RuleVerificationError):
        verifylib.verify_item_rules("check", "materials", rules, links)
    passed = verifylib.RULE_TRACE["trace"]
    assert [(p["rule"], sorted(p["queue"])) for p in passed] == [
        (["ALLOW", "a"], ["b", "c"]),
        (["ALLOW", "b"], ["c"]),
    ]
    with pytest.raises(RuleVerificationError):  # each list of rules begins with an empty trace
        verifylib.verify_item_rules("check", "materials", [["DISALLOW", "*"]], links)
    assert verifylib.RULE_TRACE["trace"] == []


# --- files that no link can record ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("model/seeds.link.json", "model/seeds.link.json"),
        ("model/x.link/deep.json", "model/x.link/"),
        ("bundles/plain.link.sigstore.json", "bundles/plain.link.sigstore.json"),
    ],
)
def test_a_file_that_in_toto_excludes_is_refused(done: Pipeline, path: str, named: str) -> None:
    done.repository.write(f"../{path}", "x")
    assert done.in_toto() == 0, done.said
    found = {f.code: f for f in done.ours().failing}
    assert "PIP014" in found, found
    assert found["PIP014"].message.startswith(f"{named} is part of the release, but no link")
    assert found["PIP014"].path == named.removesuffix("/")


def test_excluded_weights_that_only_their_model_names_are_refused(done: Pipeline) -> None:
    done.repository.write("w~", data(24))
    done.repository.write("plain.onnx", model(salt=99, external=External("w~")))
    assert [f.path for f in done.ours().failing if f.code == "PIP014"] == ["model/w~"]
