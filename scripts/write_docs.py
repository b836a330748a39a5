#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the generated parts of README.md and docs/; with --check, list those that are out of date.

Four kinds of text are generated, so that they always match the program:

- whole files: one page for each rule and their index, and copies of the JSON Schemas;
- the output of commands, between `<!-- generated: NAME -->` and `<!-- end -->`: their help, and the
  scenes of the ADR-1105 story, which this script runs on a copy of `model/` with a fresh key;
- documents that were signed in that story, shortened;
- tables that are also tables in the code.

The output is the same on every run. Values that depend on the key or the clock (the fingerprint of
the key, digests of bundles, the time of a release) are replaced by a word in angle brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from provenance.cli import COMMANDS  # noqa: E402
from provenance.gate.rules import CATALOGUE, Rule  # noqa: E402
from provenance.output import catalogue  # noqa: E402
from provenance.signing.schemes import SCHEMES  # noqa: E402
from scripts.story import EXTERNAL, SEED, STORY, Stage, StoryError  # noqa: E402

MARKED: Final = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SCHEMAS: Final = {
    "ensemble-seed.schema.json": "docs/predicates",
    "registry-row.schema.json": "docs/predicates",
    "release-summary.schema.json": "docs/predicates",
    "models.schema.json": "docs",
    "report.schema.json": "docs",
}
"""Where each schema of the package is published."""


class DocsError(Exception):
    """The documentation cannot be written. The message says what to correct."""


def shorten(value: Any, items: int = 2) -> Any:
    """Return a JSON value with lists cut after `items` entries, and the number of entries cut."""
    if isinstance(value, dict):
        return {k: shorten(v, items) for k, v in value.items()}
    if isinstance(value, list):
        kept = [shorten(v, items) for v in value[:items]]
        left = len(value) - items
        return kept + ([f"… {left} more"] if left > 0 else [])
    return value


def _json_of(stage: Stage, scene: str, command: str) -> Any:
    text = stage.run(command, stage.end_of(scene))
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        raise DocsError(f"{command}: printed no JSON:\n{text}") from e


def _statement(stage: Stage, scene: str, bundle: str) -> Any:
    command = f"provenance inspect bundles/{bundle} --format json"
    return _json_of(stage, scene, command)["statement"]


def _signed(stage: Stage, scene: str, bundle: str) -> str:
    return _example(_statement(stage, scene, bundle))


def _summary(stage: Stage) -> Any:
    statement = _statement(stage, "release", "registry.json.vsa.sigstore.json")
    predicate = statement["predicate"]
    predicate["timeVerified"] = "<time of the release>"
    for bundle in predicate["inputAttestations"]:
        bundle["digest"]["sha256"] = "<digest of the bundle>"
    return statement


def _report(stage: Stage) -> Any:
    report = _json_of(stage, "license", "provenance check --format json")
    report["rows"] = report["rows"][:1]
    report["findings"] = [f for f in report["findings"] if f["row"] == report["rows"][0]["id"]]
    return report


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def _help(stage: Stage, command: str) -> str:
    shown = f"provenance {command} --help".replace("  ", " ")
    return _fenced("console", f"$ {shown}\n{stage.run(shown, stage.end_of('key'))}")


def _example(value: Any) -> str:
    return _fenced("json", json.dumps(value, indent=2, ensure_ascii=False))


def _signers() -> str:
    """Return the table of places for a private key."""
    lines = ["| URI | the key is in | extra |", "| --- | --- | --- |"]
    lines += [f"| `{s.form}` | {s.where} | {f'`{s.extra}`' if s.extra else ''} |" for s in SCHEMES]
    return "\n".join(lines) + "\n"


def _public_keys() -> str:
    """Return the table of commands that print the public key of a private key not in a file."""
    lines = ["| scheme | command |", "| --- | --- |"]
    for scheme in SCHEMES:
        if scheme.public_key:
            command = scheme.public_key.replace("|", r"\|")  # or it would end the cell
            lines.append(f"| `{scheme.name}:` | `{command}` |")
    return "\n".join(lines) + "\n"


def blocks(stage: Stage) -> dict[str, Callable[[], str]]:
    """Play the story, and return a function for each named block that makes its text."""
    played = {name: stage.play(name) for name in STORY}
    made: dict[str, Callable[[], str]] = {
        f"story/{name}": partial(_fenced, "console", text) for name, text in played.items()
    }
    made |= {f"help/{name}": partial(_help, stage, name) for name in COMMANDS}
    made["help/provenance"] = partial(_help, stage, "")
    made |= {"table/signers": _signers, "table/public-keys": _public_keys}
    signed = {
        "row": ("release", f"{EXTERNAL}.onnx"),
        "row-deferred": ("release", f"{SEED}0.onnx"),
        "seed": ("released-again", f"{SEED}0.onnx.provenance"),
    }
    for name, (scene, stem) in signed.items():
        made[f"example/{name}"] = partial(_signed, stage, scene, f"{stem}.sigstore.json")
    made["example/summary"] = lambda: _example(shorten(_summary(stage)))
    made["example/report"] = lambda: _example(_report(stage))
    made["example/hashes"] = lambda: _example(
        shorten(_json_of(stage, "release", f"provenance hash {EXTERNAL} --format json"))
    )
    return made


def fill(text: str, made: Mapping[str, Callable[[], str]], where: str) -> str:
    """Return `text` with every marked block replaced.

    Raises:
        DocsError: If `text` has a marker for an unknown block.
    """

    def block(match: re.Match[str]) -> str:
        name = match.group(2)
        if name not in made:
            raise DocsError(
                f"{where}: unknown block {name!r}; the known ones are {', '.join(sorted(made))}"
            )
        return f"{match.group(1)}{made[name]()}{match.group(3)}"

    return MARKED.sub(block, text)


def rule_pages() -> dict[str, str]:
    """Return one page for each rule, and their index."""
    pages = {f"docs/rules/{rule.code}.md": catalogue.page(rule) for rule in CATALOGUE}
    return pages | {"docs/rules/README.md": _rules_index()}


def _rules_index() -> str:
    lines = [
        "# Rules",
        "",
        f"{len(CATALOGUE)} rules in {len(dict(_families()))} families. A code is stable and is "
        "never used for another rule.",
        "These pages are the docstrings of the rules: `provenance rules` lists them,",
        "`provenance rules CODE` prints one.",
        "",
        "An error fails the run (exit code 1). A warning is shown and fails nothing. What can be",
        "deferred, and how, is in [rules and deferrals](../rules-and-deferrals.md).",
    ]
    for title, rules in _families():
        lines += ["", f"## {title}", "", "| code | name | what it finds | severity | deferral |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for rule in rules:
            can = "possible" if rule.deferrable else "no"
            lines.append(
                f"| [{rule.code}]({rule.code}.md) | {rule.slug} | {catalogue.summary(rule)} "
                f"| {rule.severity.value} | {can} |"
            )
    return "\n".join(lines) + "\n"


def _families() -> Iterator[tuple[str, list[Rule]]]:
    """Yield the families in the order of the catalogue, with the first line of their docstring.

    A family is a module or package in `provenance.gate.rules`.
    """
    families: dict[str, list[Rule]] = {}
    for rule in CATALOGUE:
        module = ".".join(type(rule).__module__.split(".")[:4])
        families.setdefault(module, []).append(rule)
    for module, rules in families.items():
        yield (sys.modules[module].__doc__ or module).partition("\n")[0].rstrip("."), rules


def schema_copies() -> dict[str, str]:
    """Return the package's JSON Schemas by their path in docs/."""
    source = ROOT / "provenance" / "schemas"
    return {
        f"{folder}/{name}": (source / name).read_text("utf-8") for name, folder in SCHEMAS.items()
    }


def marked_files(root: Path) -> list[Path]:
    """Return README.md and the pages of docs/ that are written by hand."""
    pages = (p for p in (root / "docs").rglob("*.md") if p.parent != root / "docs" / "rules")
    return [root / "README.md", *sorted(pages)]


def generate(root: Path = ROOT) -> dict[str, str]:
    """Return the expected text of every generated file, by path relative to the repository.

    Raises:
        DocsError: If a page has a marker for an unknown block.
        StoryError: If the output of a scene is not as expected.
    """
    files = rule_pages() | schema_copies()
    with _stage() as stage:
        made = blocks(stage)
        for path in marked_files(root):
            text = path.read_text("utf-8")
            files[path.relative_to(root).as_posix()] = fill(text, made, path.name)
    return files


@contextmanager
def _stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="write-docs-") as folder:
        yield Stage(Path(os.path.realpath(folder)))


def stale(files: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Return the files that are out of date, and the pages of rules that no longer exist."""
    wrong = [
        path
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != text
    ]
    return sorted(wrong + [p for p in _rule_files(root) if p not in files])


def _rule_files(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in (root / "docs" / "rules").glob("*.md")]


def write(files: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Write the files that are out of date, remove old pages, and return the paths of both."""
    changed = stale(files, root)
    for path in changed:
        if path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(files[path], "utf-8")
        else:
            (root / path).unlink()
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Run the script. Return 0 if done or up to date, 1 if out of date, 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of date")
    options = parser.parse_args(arguments)
    try:
        files = generate()
        found = stale(files) if options.check else write(files)
    except (DocsError, StoryError, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    for path in found:
        print(f"{'out of date' if options.check else 'written'}: {path}")
    if options.check and found:
        print("run `make docs` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
