# SPDX-License-Identifier: Apache-2.0
"""Scenes and steps for tables that follow the advice of findings.

A scene is a registry with one defect. A step does what the help of a finding says, and nothing
else.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

from tests.support.cases import Workshop, case_named
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.mutations import Change, drop, put

Finding = Mapping[str, Any]
Step = Callable[["Scene", Finding], None]

_COMMAND: Final = re.compile(r"provenance [a-z].*?(?=\. [A-Z]|\.?$)")
_MEMBER: Final = re.compile(r'"(\w+)": ("(?:[^"\\]|\\.)*"|true|false|-?\d+)')
_BEFORE: Final = "before"


@dataclass(frozen=True)
class Mutation:
    """A change of a file beside the registry of `tests/support/production.py`."""

    name: str
    change: Change
    with_baseline: bool = False


@dataclass(frozen=True)
class Advice:
    """One line of the table: a scene, words of a help, and the step that does what it says.

    `row` selects one of several findings. `since` lists the findings of a comparison with the
    registry before the defect, or with the damaged one.
    """

    code: str
    scene: Mutation | str
    help: str
    step: Step
    row: str | None = None
    since: tuple[str, ...] = ()


@dataclass
class Scene:
    """A tree with a defect, and the command that reports it."""

    tree: Path
    outside: Path
    key: KeyPair
    other: KeyPair
    arguments: list[str]
    env: dict[str, str]

    @property
    def before(self) -> Path:
        """The tree before the defect."""
        return self.outside / _BEFORE

    @property
    def registry(self) -> Path:
        return self.tree / "model" / "registry.json"

    def run(self, *arguments: str) -> Result:
        """A command in the tree, with the signer of the run in the environment."""
        signer = {"PROVENANCE_SIGNER": self.key.signer}
        return run_cli(*arguments, cwd=self.tree, env=signer | self.env)

    def findings(self, *more: str) -> list[Finding]:
        """What the command reports, without what is deferred."""
        result = self.run(*self.arguments, *more, "--format", "json")
        assert result.code in (0, 1), f"{result.out}\n{result.err}"
        found: list[Finding] = result.json["findings"]
        return [f for f in found if f["deferred"] is None]


def set_scene(advice: Advice, folder: Path, clean: Path, key: KeyPair, other: KeyPair) -> Scene:
    """The scene of a line below `folder`; `clean` is the registry that a mutation is made in."""
    tree, outside = folder / "tree", folder / "outside"
    if isinstance(advice.scene, Mutation):
        shutil.copytree(clean, tree)
        shutil.copytree(clean, outside / _BEFORE)
        advice.scene.change(tree / "model" / advice.scene.name)
        baseline = ["--baseline", str(outside / _BEFORE)] if advice.scene.with_baseline else []
        return Scene(tree, outside, key, other, ["check", *baseline], {})
    case = case_named(advice.scene)
    shop = Workshop(tree, outside, key, other)
    shop.lay_out(case, outside / _BEFORE)
    env = {k: shop.fill(v) for k, v in case.spec.get("env", {}).items()}
    return Scene(tree, outside, key, other, [shop.fill(a) for a in case.command], env)


def follow(advice: Advice, scene: Scene) -> None:
    """Take the step of a line, and require that it cures its finding and brings no other."""
    found = scene.findings()
    cured = [
        f
        for f in found
        if f["code"] == advice.code and advice.help in f["help"] and advice.row in (None, f["row"])
    ]
    assert cured, f"no help of {advice.code} says {advice.help!r}: {_shown(found)}"
    first = cured[0]
    advice.step(scene, first)
    left = scene.findings()
    marks = [(f["code"], f["row"], f["about"], f["message"]) for f in left]
    assert (first["code"], first["row"], first["about"], first["message"]) not in marks
    new = {code for code, _ in _counted(left) - _counted(found)}
    compared = "--baseline" in scene.arguments
    assert new == set(advice.since if compared else ()), _shown(left)
    if scene.arguments == ["check"] and scene.before.is_dir():
        since = _counted(scene.findings("--baseline", str(scene.before))) - _counted(left)
        codes = {code for code, _ in since}
        assert codes == set(advice.since), f"since the baseline: {sorted(codes)}"
    if isinstance(advice.scene, Mutation) and not left:
        assert_valid(scene.registry)


def _counted(findings: list[Finding]) -> Counter[tuple[str, str | None]]:
    return Counter((f["code"], f["row"]) for f in findings)


def _shown(findings: list[Finding]) -> str:
    return "\n".join(f"{f['code']} {f['row']}: {f['message']} -> {f['help']}" for f in findings)


# Steps


def commands_in(help: str) -> list[list[str]]:
    """The commands that a help names, as they would be pasted into a shell."""
    return [shlex.split(found) for found in _COMMAND.findall(help)]


def command(scene: Scene, finding: Finding) -> None:
    """Run the command of the help. `URI` and `file:NAME.key` stand for the user's signer."""
    words, *_ = commands_in(finding["help"])
    mine = {"URI": scene.key.signer, "file:NAME.key": scene.key.signer}
    result = scene.run(*(mine.get(word, word) for word in words[1:]))
    assert result.code in (0, 1), f"{shlex.join(words)}\n{result.out}\n{result.err}"


def value(scene: Scene, finding: Finding) -> None:
    """Write the member that the help gives, `"name": value`, into the row."""
    (name, written), *_ = _MEMBER.findall(finding["help"])
    _in_row(finding, name, lambda *where: put(*where, to=json.loads(written)))(scene.registry)


def member(name: str, to: Any) -> Step:
    """Give a member of the row a value."""
    return lambda scene, finding: _in_row(finding, name, lambda *where: put(*where, to=to))(
        scene.registry
    )


def without(*names: str) -> Step:
    """Remove members of the row."""

    def step(scene: Scene, finding: Finding) -> None:
        for name in names:
            _in_row(finding, name, drop)(scene.registry)

    return step


def put_back(*names: str) -> Step:
    """Put files beside the registry back as they were; without names, the one of the finding."""

    def step(scene: Scene, finding: Finding) -> None:
        for path in [f"model/{name}" for name in names] or [finding["path"]]:
            (scene.tree / path).unlink(missing_ok=True)
            shutil.copyfile(scene.before / path, scene.tree / path)

    return step


def about_back(scene: Scene, finding: Finding) -> None:
    target = scene.tree / finding["about"]
    target.unlink(missing_ok=True)
    shutil.copyfile(scene.before / finding["about"], target)


def removed(scene: Scene, finding: Finding) -> None:
    (scene.tree / finding["path"]).unlink()


def edited(name: str, change: Change) -> Step:
    """Change a file of the tree."""
    return lambda scene, _finding: change(scene.tree / name)


def deferred(scene: Scene, finding: Finding) -> None:
    """Declare a deferral of the rule for what the help names, or for the row."""
    named = re.search(r"\[\[deferral\]\] of (\w+) for '([^']+)'", finding["help"])
    rule, about = named.groups() if named else (finding["code"], finding["row"])
    defer(rule, about)(scene, finding)


def defer(rule: str, about: str) -> Step:
    text = f"""
[[deferral]]
rule = "{rule}"
rows = ["{about}"]
reason = "a test"
reference = "ADR-1105"
"""

    def step(scene: Scene, _finding: Finding) -> None:
        with (scene.tree / "provenance.toml").open("a", encoding="utf-8") as stream:
            stream.write(text)

    return step


def then(*steps: Step) -> Step:
    """One step after the other."""

    def step(scene: Scene, finding: Finding) -> None:
        for one in steps:
            one(scene, finding)

    return step


def option(*words: str) -> Step:
    """Run the command that reports with more options. `{other}` is the other public key."""

    def step(scene: Scene, _finding: Finding) -> None:
        scene.arguments += [w.replace("{other}", str(scene.other.public)) for w in words]

    return step


def _in_row(finding: Finding, name: str, make: Callable[..., Change]) -> Change:
    def change(path: Path) -> None:
        rows = json.loads(path.read_text("utf-8"))["models"]
        index = next(i for i, row in enumerate(rows) if finding["row"] in (row.get("id"), f"#{i}"))
        make("models", index, name)(path)

    return change


# The schema of a registry

_SHA256: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_TEXT: Final = {"type": "string", "minLength": 1}
_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "models"],
    "properties": {
        "schema_version": {"const": 1},
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "onnx", "sha256", "license", "license_url", "sigstore_bundle"],
                "properties": {
                    "id": _TEXT,
                    "kind": {"enum": ["fr", "nr"]},
                    "onnx": {"type": "string", "pattern": r"^[^/\\]+\.onnx$"},
                    "opset": {"type": "integer", "minimum": 1},
                    "sha256": _SHA256,
                    "int8_sha256": _SHA256,
                    "external_data_sha256": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": _SHA256,
                    },
                    "license": _TEXT,
                    "license_url": {"type": "string", "format": "uri"},
                    "sigstore_bundle": {"type": "string", "pattern": r"\.sigstore\.json$"},
                    "smoke": {"type": "boolean"},
                    "quant_mode": {"enum": ["dynamic", "static", "qat", "fp32"]},
                    "description": _TEXT,
                },
            },
        },
    },
}
"""A strict schema, as a project may have one for such a registry."""


def assert_valid(registry: Path) -> None:
    errors = Draft202012Validator(_SCHEMA).iter_errors(json.loads(registry.read_text("utf-8")))
    assert [e.message for e in errors] == []
