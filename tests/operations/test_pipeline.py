# SPDX-License-Identifier: Apache-2.0
"""A release step by step: what in-toto-verify refuses, ours refuses, and says which step and file.

`refusal` runs both tools, in-toto's by the entry point of its command.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import limits
from tests.support.models import External, data, model
from tests.support.pipeline import STEPS, Pipeline, copied, make_pipeline, say_more, write_notes

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


@pytest.fixture
def begun(tmp_path: Path) -> Pipeline:
    """A pipeline with a layout, before its first step."""
    return make_pipeline(tmp_path)


@pytest.fixture
def double(tmp_path: Path) -> Pipeline:
    """The same, with two who have to check."""
    return make_pipeline(tmp_path, TWO)


def test_a_finished_release_passes_both_tools(done: Pipeline) -> None:
    assert done.in_toto(process=True) == 0, done.said
    assert done.in_toto() == 0, done.said
    report = done.ours()
    assert report.exit_code == 0, report.failing
    expires, steps = report.notes[-2:]
    assert "signed by" in expires
    for step, by in zip(STEPS, ("builder", "ci", "release", "ci"), strict=True):
        assert f"{step} by {done.key_id(by)[:8]}" in steps


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_missing(done: Pipeline, step: str) -> None:
    name = done.link(step).name
    done.link(step).unlink()
    assert done.in_toto(process=True) == 1
    code, message = done.refusal()
    assert code == "PIP006"
    assert f"no link of the step `{step}`: expected {name} in" in message


def test_a_step_that_was_done_by_another_key(begun: Pipeline) -> None:
    for step in STEPS:
        begun.do(step, by="second" if step == "check" else None)
    code, message = begun.refusal()
    assert code == "PIP007"
    assert "the step `check` was done by the key " + begun.key_id("second")[:8] in message
    assert f"authorized: the key {begun.key_id('ci')[:8]}" in message


def test_a_link_that_was_changed_after_it_was_signed(done: Pipeline) -> None:
    link = done.link("check")
    envelope = json.loads(link.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b"plain.onnx", b"plane.onnx")
    link.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    code, message = done.refusal()
    assert code == "PIP007"
    assert "which did not sign these bytes" in message


def test_a_link_that_another_key_signed_under_the_name_of_the_right_one(done: Pipeline) -> None:
    done.forge(done.link("check"), lambda _payload: None, by="second")
    assert done.refusal()[0] == "PIP007"


def test_a_step_that_two_have_to_do_and_both_did(double: Pipeline) -> None:
    for step in STEPS:
        double.do(step)
        if step == "check":
            double.do(step, by="second")
    assert double.in_toto() == 0, double.said
    assert double.ours().exit_code == 0


def test_a_step_that_was_done_once_where_two_are_required(double: Pipeline) -> None:
    double.release()
    code, message = double.refusal()
    assert code == "PIP008"
    assert "the step `check` was done with 1 of 2 required keys" in message


def test_a_step_that_was_done_by_one_who_may_and_one_who_may_not(double: Pipeline) -> None:
    for step in STEPS:
        double.do(step)
        if step == "check":
            double.do(step, by="stranger")
    code, message = double.refusal()
    assert code == "PIP008"
    assert (
        f"is by the key {double.key_id('stranger')[:8]}, which is not authorized for it" in message
    )


def test_two_who_did_a_step_on_different_files(double: Pipeline) -> None:
    double.do("export")
    double.do("check", by="second")
    say_more(double)
    for step in ("check", "sign", "verify"):
        double.do(step)
    code, message = double.refusal()
    assert code == "PIP009"
    assert "disagree about model/plain.json, which the step `check` read" in message


@pytest.mark.parametrize(
    ("step", "after"), [("check", "export"), ("sign", "check"), ("verify", "sign")]
)
def test_products_that_changed_before_the_next_step(begun: Pipeline, step: str, after: str) -> None:
    change = say_more
    if step == "verify":  # the sidecar is signed by then
        change = write_notes
    begun.release(before={step: change})
    code, message = begun.refusal()
    assert code == "PIP010"
    name = "notes.txt" if step == "verify" else "plain.json"
    assert f"model/{name} changed between `{after}` and `{step}`: what `{after}` left is" in message


@pytest.mark.parametrize(
    ("step", "after"), [("check", "export"), ("sign", "check"), ("verify", "sign")]
)
def test_a_file_that_was_added_in_between(begun: Pipeline, step: str, after: str) -> None:
    begun.release(before={step: lambda p: (p.root / "model" / "extra.txt").write_text("x")})
    code, message = begun.refusal()
    assert code == "PIP011"
    assert f"model/extra.txt was added between `{after}` and `{step}`" in message


def test_a_bundle_that_was_added_in_between(begun: Pipeline) -> None:
    stray = "bundles/stray.onnx.sigstore.json"
    begun.release(before={"verify": lambda p: (p.root / stray).write_text("{}")})
    assert begun.in_toto() == 1
    found = {f.code: f.message for f in begun.ours().failing}
    assert f"{stray} was added between `sign` and `verify`" in found["PIP011"]


@pytest.mark.parametrize(
    ("step", "after"), [("check", "export"), ("sign", "check"), ("verify", "sign")]
)
def test_a_file_that_got_lost_in_between(begun: Pipeline, step: str, after: str) -> None:
    extra = begun.root / "model" / "extra.txt"
    extra.write_text("x")
    begun.release(before={step: lambda _pipeline: extra.unlink()})
    code, message = begun.refusal()
    assert code == "PIP012"
    assert "model/extra.txt was removed" in message


@pytest.mark.parametrize("step", ["check", "sign", "verify"])
def test_a_step_that_changed_what_it_may_not(begun: Pipeline, step: str) -> None:
    for each in STEPS:
        begun.do(each, change=write_notes if each == step else None)
    code, message = begun.refusal()
    assert code == "PIP010"
    assert f"model/notes.txt changed while `{step}` ran" in message


def test_a_file_that_was_changed_while_it_was_verified_and_put_back_after(begun: Pipeline) -> None:
    for step in STEPS[:3]:
        begun.do(step)
    before = begun.notes.read_bytes()
    write_notes(begun)
    begun.do("verify", change=lambda p: p.notes.write_bytes(before))
    assert begun.refusal()[0] == "PIP010"


def test_a_file_that_changed_after_the_last_step(done: Pipeline) -> None:
    (done.root / "bundles" / "notes.txt").write_text("x")
    code, message = done.refusal()
    assert (code, "was added after `verify`" in message) == ("PIP011", True)


def test_a_file_that_is_gone_after_the_last_step(done: Pipeline) -> None:
    done.sidecar.unlink()
    assert done.in_toto() == 1
    found = {f.code: f.message for f in done.ours().failing}
    assert "model/plain.json was removed" in found["PIP012"]


def test_a_sidecar_that_changed_after_the_last_step(done: Pipeline) -> None:
    say_more(done)
    assert done.in_toto() == 1
    found = {f.code: f.message for f in done.ours().failing}
    assert "model/plain.json changed after `verify`" in found["PIP010"]


def test_the_configuration_is_part_of_the_release(done: Pipeline) -> None:
    config = done.root / "provenance.toml"
    config.write_text(config.read_text("utf-8") + "# harmless\n", "utf-8")
    code, message = done.refusal()
    assert (code, message.startswith("provenance.toml changed after")) == ("PIP010", True)


def test_what_is_not_part_of_the_release_may_change(done: Pipeline) -> None:
    (done.root / "README.md").write_text("x")
    assert done.in_toto() == 0, done.said
    assert done.ours().exit_code == 0


# --- the layout ----------------------------------------------------------------------------------


def test_a_layout_that_has_expired(done: Pipeline) -> None:
    done.forge(done.layout, lambda p: p.update(expires="2020-01-01T00:00:00Z"), by="owner")
    code, message = done.refusal()
    assert code == "PIP003"
    assert "expired at 2020-01-01T00:00:00Z" in message


def test_a_layout_that_another_key_signed(done: Pipeline) -> None:
    done.write_layout(by="stranger")
    code, message = done.refusal()
    assert code == "PIP002"
    assert f"is not signed by {done.key('owner').public}" in message


def test_a_layout_that_was_changed_after_it_was_signed(done: Pipeline) -> None:
    envelope = json.loads(done.layout.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b'"threshold": 1', b'"threshold": 0')
    done.layout.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    # in-toto looks at the signature first; a threshold of zero means nothing to ours.
    assert done.refusal()[0] == "PIP001"


def test_a_layout_that_has_to_be_signed_by_two_and_is_by_one(done: Pipeline) -> None:
    import provenance

    keys = [done.key(name).public for name in ("owner", "second")]
    asked = provenance.layout_request(done.layout, keys, done.links)
    report = provenance.verify(done.repository.config, layout=asked)
    assert [(f.code, str(keys[1]) in f.message) for f in report.failing] == [("PIP002", True)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"_type": "link"}, "its _type is 'link', not 'layout'"),
        ({"_type": "policy"}, "its _type is 'policy', not 'layout'"),
        ({"_type": ["layout"]}, "its _type is an array"),
        ({"steps": "none"}, "in-toto does not accept it"),
        ({"inspect": None}, "in-toto does not accept it"),
        ({"expires": "tomorrow"}, "in-toto does not accept it"),
        ({"keys": {"zz": {}}}, "in-toto does not accept it"),
    ],
)
def test_an_invalid_layout(done: Pipeline, change: dict[str, Any], why: str) -> None:
    done.forge(done.layout, lambda p: p.update(change), by="owner")
    code, message = done.refusal()
    assert (code, why in message) == ("PIP001", True), message


def _twice(layout: dict[str, Any], rewritten: Callable[[str], str] = str) -> None:
    """One key under a second id, which could then do a step of two alone."""
    key = next(iter(layout["keys"].values()))
    other = "ab" * 32
    keyval = {"public": rewritten(key["keyval"]["public"])}
    layout["keys"][other] = key | {"keyid": other, "keyval": keyval}


def _twice_in_hex(layout: dict[str, Any]) -> None:
    """An Ed25519 key, which layouts hold in hex, in both cases."""
    for key_id, public in (("cd" * 32, "ab" * 32), ("ef" * 32, "AB" * 32)):
        key = {"keyid": key_id, "keytype": "ed25519", "scheme": "ed25519"}
        layout["keys"][key_id] = key | {"keyval": {"public": public}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p.update(steps=[], inspect=[]), "it has no steps"),
        (_twice_in_hex, "it has the same key under two ids"),
        (lambda p: p["steps"][0].update(threshold=0), "has a threshold of 0"),
        (_twice, "it has the same key under two ids"),
        (
            lambda p: _twice(p, lambda pem: pem.replace("\n", "\r\n")),
            "it has the same key under two ids",
        ),
        (lambda p: _twice(p, lambda pem: f"# mine\n{pem}\n"), "it has the same key under two ids"),
        (lambda p: p["steps"][0]["pubkeys"].append("cd" * 32), "which the layout does not have"),
        (lambda p: p["steps"][0].update(name="a/b"), "is not a valid name for a step"),
        (lambda p: p.update(inspect=p["inspect"] * 1001), "in-toto does not accept it"),
    ],
)
def test_a_layout_that_asks_for_less_than_it_seems_to(
    done: Pipeline, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    done.forge(done.layout, change, by="owner")
    code, message = done.finding()
    assert (code, why in message) == ("PIP001", True), message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not JSON", "is not JSON"),
        (b"[]", "not an object"),
        (b'{"signed": {"_type": "layout"}, "signatures": []}', "the older format of in-toto"),
        (b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}', "payloadType"),
        (b'{"payload": "?", "payloadType": "application/vnd.in-toto+json"}', "is not base64"),
        (b" " * (limits.LAYOUT + 1), "is larger than"),
    ],
)
def test_a_file_that_is_not_a_layout(done: Pipeline, content: bytes, why: str) -> None:
    done.layout.write_bytes(content)
    code, message = done.refusal()
    assert (code, why in message) == ("PIP001", True), message


def test_a_layout_with_a_key_twice(done: Pipeline) -> None:
    envelope = json.loads(done.layout.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    twice = payload.replace(b'"expires"', b'"expires": "2020-01-01T00:00:00Z", "expires"')
    done.layout.write_bytes(done.signed(twice, "owner"))
    assert "has the key 'expires' twice" in done.finding()[1]


def test_two_signatures_of_one_key(done: Pipeline) -> None:
    payload = base64.b64decode(json.loads(done.layout.read_bytes())["payload"])
    done.layout.write_bytes(done.signed(payload, "owner", "owner"))
    assert "must name a different key" in done.refusal()[1]


def test_a_command_of_a_layout_is_never_run(done: Pipeline) -> None:
    ran = done.outside / "ran"

    def with_command(layout: dict[str, Any]) -> None:
        layout["inspect"][0]["run"] = ["touch", str(ran)]

    done.forge(done.layout, with_command, by="owner")
    code, message = done.finding()
    assert code == "PIP004"
    assert "'untouched'" in message
    assert "it was not run" in message
    assert not ran.exists()
    assert done.in_toto() == 0, done.said
    assert ran.exists(), "in-toto-verify did not run it: this test shows nothing"


def test_a_layout_with_rules_of_its_own_is_judged_by_them(done: Pipeline) -> None:
    def with_rule(layout: dict[str, Any]) -> None:
        layout["steps"][1]["expected_products"] = [["REQUIRE", "model/proof.txt"]]
        layout["steps"][2]["expected_materials"] = [
            ["match", "*", "IN", "model", "WITH", "PRODUCTS", "IN", "model", "FROM", "check"],
            ["DISALLOW", "model/*"],
        ]

    done.forge(done.layout, with_rule, by="owner")
    code, message = done.refusal()
    assert code == "PIP013"
    assert "`check` of" in message
    assert "refuses model/proof.txt: 'REQUIRE model/proof.txt'" in message


# --- links ---------------------------------------------------------------------------------------


def test_links_that_were_swapped_between_steps(done: Pipeline) -> None:
    check, verify = done.link("check"), done.link("verify")
    kept = check.read_bytes()
    check.write_bytes(verify.read_bytes())
    verify.write_bytes(kept)
    assert done.in_toto() == 1
    found = [(f.code, f.message) for f in done.ours().failing]
    assert [code for code, _ in found] == ["PIP005", "PIP005"]
    assert (
        "is not a valid link of the step `check`: it is a link of the step 'verify'" in found[0][1]
    )


def test_a_link_that_stands_in_for_a_step_which_was_not_done(begun: Pipeline) -> None:
    """in-toto does not compare names: after a release that changed nothing it would pass."""
    for step in STEPS:
        begun.do(step)
    for step in STEPS[:3]:  # once more, without changes and without `verify`
        begun.do(step)
    begun.link("verify").write_bytes(begun.link("check").read_bytes())
    code, message = begun.finding()
    assert (code, "it is a link of the step 'check'" in message) == ("PIP005", True)


def _link_with(change: Callable[[dict[str, Any]], object]) -> Callable[[Pipeline, Path], object]:
    return lambda pipeline, link: pipeline.forge(link, change, by="ci")


def _with_a_key_twice(pipeline: Pipeline, link: Path) -> None:
    link.write_bytes(link.read_bytes().replace(b'{"payload"', b'{"payload": "", "payload"'))


def _as_a_link_to_itself(pipeline: Pipeline, link: Path) -> None:
    link.rename(pipeline.outside / "elsewhere")
    link.symlink_to(pipeline.outside / "elsewhere")


def _huge(pipeline: Pipeline, link: Path) -> None:
    os.truncate(link, limits.LINK + 1)


@pytest.mark.parametrize(
    ("change", "why", "by_in_toto"),
    [
        (lambda _p, link: link.write_text("not JSON"), "is not JSON", 1),
        (lambda _p, link: link.write_text("[]"), "not an object", 1),
        (_huge, "is larger than", 1),
        (_link_with(lambda p: p.update(materials=[])), "in-toto does not accept it", 1),
        (_link_with(lambda p: p["products"].update(a={"sha256": "xyz"})), "in-toto", 1),
        (
            _link_with(lambda p: p["products"].update(a={"md5": "00"})),
            "expected exactly one digest",
            1,
        ),
        (_link_with(lambda p: p.update(_type="layout")), "its _type is 'layout'", 1),
        # in-toto believes these; they are no links of ours.
        (_with_a_key_twice, "has the key 'payload' twice", 0),
        (_as_a_link_to_itself, "leaves the repository", 0),
    ],
)
def test_an_invalid_link(
    done: Pipeline, change: Callable[[Pipeline, Path], object], why: str, by_in_toto: int
) -> None:
    change(done, done.link("check"))
    assert done.in_toto() == by_in_toto
    code, message = done.finding()
    assert (code, why in message) == ("PIP005", True), message


def test_links_of_other_steps_and_other_files_do_not_matter(done: Pipeline) -> None:
    (done.links / "train.00000000.link").write_text("?")
    (done.links / "README").write_text("?")
    (done.links / "check.0.link").write_text("?")
    assert done.in_toto() == 0, done.said
    assert done.ours().exit_code == 0


def test_a_hostile_name_in_a_link_is_shown_and_does_nothing(done: Pipeline) -> None:
    name = "model/\x1b[2J::error::x\n.onnx"

    def with_name(payload: dict[str, Any]) -> None:
        payload["products"][name] = payload["materials"][name] = {"sha256": "0" * 64}

    done.forge(done.link("check"), with_name, by="ci")
    assert done.in_toto() == 1
    shown = done.cli(
        *("verify", "--layout", done.layout, "--layout-key", done.key("owner").public),
        *("--link-dir", done.links),
    )
    assert shown.code == 1
    assert "PIP01" in shown.out
    assert "\x1b" not in shown.out


def test_in_toto_leaves_how_far_it_came_in_a_list_of_rules() -> None:
    """`RULE_TRACE` is a name that `in-toto` does not document (docs/adr/0002)."""
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
    with pytest.raises(RuleVerificationError):  # what is left is of this list, and of no other
        verifylib.verify_item_rules("check", "materials", [["DISALLOW", "*"]], links)
    assert verifylib.RULE_TRACE["trace"] == []


# --- files here ----------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The same bytes outside of the repository."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_file_that_became_a_link_out_of_the_repository(done: Pipeline, elsewhere: Path) -> None:
    target = done.root / "bundles" / "notes.txt"
    target.symlink_to(elsewhere / "notes.txt")
    (elsewhere / "notes.txt").write_text("x")
    code, message = done.refusal()
    assert (code, "bundles/notes.txt was added after `verify`" in message) == ("PIP011", True)


def test_a_released_file_behind_a_link_out_of_the_repository(
    done: Pipeline, elsewhere: Path
) -> None:
    """in-toto follows the link, so the same bytes pass there as long as they do not change."""
    notes = done.notes
    (elsewhere / "notes.txt").write_bytes(notes.read_bytes())
    notes.unlink()
    notes.symlink_to(elsewhere / "notes.txt")
    assert done.in_toto() == 0, done.said
    code, message = done.finding()
    assert code == "PIP010"
    assert "model/notes.txt cannot be compared with what `verify` left" in message
    assert "is a link that leaves the repository" in message


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("model/seeds.link.json", "model/seeds.link.json"),
        ("model/x.link/deep.json", "model/x.link/"),
        ("bundles/plain.link.sigstore.json", "bundles/plain.link.sigstore.json"),
    ],
)
def test_a_file_that_no_link_can_name(done: Pipeline, path: str, what: str) -> None:
    """in-toto does not see it, whatever becomes of it."""
    target = done.root / path
    target.parent.mkdir(exist_ok=True)
    target.write_text("x")
    assert done.in_toto() == 0, done.said
    found = {f.code: f for f in done.ours().failing}
    assert "PIP014" in found, found
    assert found["PIP014"].message.startswith(f"{what} is part of the release, but no link")
    assert found["PIP014"].path == what.removesuffix("/")


def test_weights_that_only_their_model_names_and_no_link_can(done: Pipeline) -> None:
    done.repository.write("w~", data(24))
    done.repository.write("plain.onnx", model(salt=99, external=External("w~")))
    unseen = [f.path for f in done.ours().failing if f.code == "PIP014"]
    assert unseen == ["model/w~"]


def test_what_tools_leave_behind_is_no_part_of_a_release(done: Pipeline) -> None:
    for path in ("__pycache__/x.pyc", "notes.txt~", "untouched.link", ".git/HEAD"):
        target = done.repository.path(path)
        target.parent.mkdir(exist_ok=True)
        target.write_text("x")
    assert done.in_toto() == 0, done.said
    assert done.ours().exit_code == 0


def test_a_folder_behind_a_link_hides_nothing(done: Pipeline, elsewhere: Path) -> None:
    (done.root / "model" / "more").symlink_to(elsewhere)
    code, message = done.finding()
    assert (code, "model/more was added" in message) == ("PIP011", True)
