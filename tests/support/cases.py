# SPDX-License-Identifier: Apache-2.0
"""The cases of `tests/cases/`: small registries, each with what the gate must report about it.

A case is a table of one of the TOML files there. It names a base and the difference from it:

    [license-misspelt]
    about = "The message names the nearest identifier of the SPDX list."
    make = [{row = "m", set = {license = "Apache-2"}}]
    finding = [{LIC204 = "m", message = "most similar id is 'Apache-2.0'"}]

The keys, in the order in which they take effect:

    about = "What the case shows, and why that matters."
    base = "trusted"        # a table of bases.toml; by default "model"
    trust = true            # trust the key of the run
    config = "..."          # TOML at the end of provenance.toml, after an empty line
    defer = {SID402 = ["m"]}    # a deferral of the rule for these rows
    make = [...]            # edits of the tree, one after the other
    release = true          # release the tree, signed with the key of the run
    baseline = true         # copy the tree to {outside}/baseline
    then = [...]            # more edits
    command = "verify"      # split as a shell does; by default "check"
    options = "--run"       # more arguments of the command
    env = {...}             # environment variables
    exit = 3                # by default 2 with an `error`, 1 with a finding that fails, or else 0
    finding = [{...}]       # exactly these findings, in any order
    error = {...}           # for exit codes 2 and 4: parts of `message`, and one of `help`
    stdout = ["..."]        # parts of the output

The table `defaults` of a file holds the keys of every case that does not have them. With
`each = [{...}]`, a table is one case for each element: `{NAME}` stands for the member NAME of the
element, in the name of the table too. `PATHS` has such names for paths that occur often, as
`{bundle}`. A base is a
table of `bases.toml` with `about`, `base`, `trust`, `config` and `make`. Its files are in
`bases/NAME/`, if it has any of its own.

An edit is a table whose first key is its kind, with a path in the tree as value. `STEPS` lists the
kinds; the most common ones are:

    {row = "m", set = {license = "MIT"}, unset = ["smoke"]}      # members of a registry row
    {add-row = "n", set = {smoke = false}}                       # a row like the first one
    {remove-row = "n"}
    {sidecar = "m", set = {opset = 17}}     # id, kind, digest, and a line for each member
    {json = "model/m.json#/gate", set = {passed = true}}    # a JSON pointer leads to the object
    {write = "LICENSE", text = "..."}
    {replace = "provenance.toml", old = "...", new = "..."}
    {remove = "model/m.onnx"}

An edit that changes nothing is an error. In an edit, `@digest:0@` stands for a digest of 64 zeros,
or of another digit. In every text file of the tree, `@sha256:NAME@` becomes the digest of the file
NAME in the same folder (in a statement: of its bundle), and `@md5:NAME@` its MD5: after all of
`make`, and after each edit of `then`. `{tree}`, `{outside}`,
`{key}` and `{pub}` stand for the paths of the tree, of a folder beside it, and of the private and
the public key of the run; they are replaced in commands, environment variables, paths and texts.

A finding is a table whose first key is its code. The value is the row, a list of rows with a
finding each, or "" for a finding without a row. Code and row must be equal, and each code must
occur as often as it is listed. `message` (one string or several), `help`, `about` and the path of
`at = "PATH:LINE"` are compared in part; the line, `severity` ("error" by default) and `deferred`
(false by default) must be equal.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import provenance
from tests.support import keys, models, runnable
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.repository import replace_once, sha256

FOLDER: Final = Path(__file__).parent.parent / "cases"
REGISTRY: Final = "model/registry.json"
_BASES: Final = "bases"
_DIGEST: Final = re.compile(rb"@(sha256|md5):([^@\s]+)@")
_REPEATED: Final = re.compile(r"@digest:([0-9a-f])@")
PATHS: Final = {
    "bundle": "bundles/m.onnx.sigstore.json",
    "summary": "bundles/registry.json.vsa.sigstore.json",
    "registry": REGISTRY,
    "sidecar": "model/m.json",
    "verdict": "model/ens_seed_flip_PROMOTE.json",
}
"""Names of paths in bases and cases."""

_NAME: Final = re.compile(r"\{(\w+)\}")
_BASE_KEYS: Final = {"about", "base", "config", "make", "trust"}
_KEYS: Final = _BASE_KEYS | {
    *("baseline", "command", "defer", "env", "error", "exit", "finding", "options", "release"),
    *("stdout", "then"),
}
_FINDING_KEYS: Final = {"about", "at", "deferred", "help", "line", "message", "severity"}
_CODE: Final = re.compile("[A-Z]{3}[0-9]{3}")
_DEFERRAL: Final = """
[[deferral]]
rule = "{rule}"
rows = {rows}
reason = "until the retrain"
reference = "ADR-1105"
"""


@dataclass(frozen=True)
class Base:
    """A tree that cases start from, and the base that it starts from itself, if any."""

    name: str
    spec: Mapping[str, Any]
    base: Base | None

    def lay_out(self, shop: Workshop) -> None:
        """Make the files of the base."""
        if self.base is not None:
            self.base.lay_out(shop)
        folder = FOLDER / _BASES / self.name
        if folder.is_dir():
            shutil.copytree(folder, shop.tree, dirs_exist_ok=True)
        shop.make(self.spec)


@dataclass(frozen=True)
class Case:
    """A table of a file of `tests/cases/`.

    Attributes:
        name: The name of the table, which describes the behaviour.
        family: The name of the file, without its suffix.
        spec: The table.
        base: The tree that the case starts from.
    """

    name: str
    family: str
    spec: Mapping[str, Any]
    base: Base

    @property
    def command(self) -> list[str]:
        """The arguments of `provenance`."""
        return shlex.split(f"{self.spec.get('command', 'check')} {self.spec.get('options', '')}")

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        return list(self.spec.get("finding", []))

    @property
    def judges(self) -> bool:
        """Whether the command writes a report."""
        return self.command[0] in ("check", "verify", "verify-model", "sign", "attest", "release")

    @property
    def verifies(self) -> bool:
        """Whether the command can write its report in other formats as well."""
        return self.command[0] in ("check", "verify", "verify-model")

    @property
    def is_judged_in_units(self) -> bool:
        """Whether the command judges a large registry unit by unit."""
        return self.command[0] in ("check", "verify") and "--fix" not in self.command


def load_bases(text: str) -> dict[str, Base]:
    """Parse `bases.toml`. A base has to precede the bases that start from it.

    Raises:
        ValueError: If a table has an unknown key or starts from an unknown base.
    """
    bases: dict[str, Base] = {}
    for name, spec in tomllib.loads(text).items():
        _refuse_unknown(name, spec, _BASE_KEYS)
        bases[name] = Base(
            name, _replaced(spec, PATHS), _named(spec["base"], bases) if "base" in spec else None
        )
    return bases


def load_cases(text: str, family: str, bases: Mapping[str, Base]) -> list[Case]:
    """Parse a file of cases.

    Raises:
        ValueError: If a table has an unknown key, lacks `about`, or starts from an unknown base.
    """
    cases = []
    tables = tomllib.loads(text)
    defaults = tables.pop("defaults", {})
    for name, spec in _expanded(tables, defaults):
        _refuse_unknown(name, spec, _KEYS)
        if not spec.get("about"):
            raise ValueError(f"{name}: `about` is missing")
        _refuse_unknown(f"{name}: error", spec.get("error", {}), {"message", "help"})
        spec["finding"] = [f for found in spec.get("finding", []) for f in _findings(name, found)]
        failing = [f for f in spec["finding"] if _fails(f)]
        spec.setdefault("exit", 2 if "error" in spec else 1 if failing else 0)
        cases.append(Case(name, family, spec, _named(spec.get("base", "model"), bases)))
    return cases


def _expanded(
    tables: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the keys of each case of a file."""
    for name, table in tables.items():
        shared = defaults | table
        for element in shared.pop("each", [{}]):
            names = PATHS | _replaced(element, PATHS)
            yield _replaced(name, names), _replaced(shared, names)


def _replaced(value: Any, names: Mapping[str, Any]) -> Any:
    """Return a value with `{NAME}` replaced.

    A string that is only a name becomes its value; in a list, the elements of a list.
    """
    if isinstance(value, str):
        whole = _NAME.fullmatch(value)
        if whole and whole[1] in names:
            return names[whole[1]]
        return _NAME.sub(lambda match: str(names.get(match[1], match[0])), value)
    if isinstance(value, list):
        replaced: list[Any] = []
        for element in value:
            new = _replaced(element, names)
            is_spread = isinstance(element, str) and isinstance(new, list)
            replaced += new if is_spread else [new]
        return replaced
    if isinstance(value, dict):
        return {key: _replaced(element, names) for key, element in value.items()}
    return value


def _fails(finding: Mapping[str, Any]) -> bool:
    return finding.get("severity", "error") == "error" and not finding.get("deferred", False)


def _findings(name: str, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the findings of a table, with code, row, path and line under keys of their own."""
    (code, rows), *rest = table.items()
    finding = dict(rest)
    _refuse_unknown(f"{name}: finding", finding, _FINDING_KEYS)
    if not _CODE.fullmatch(code):
        raise ValueError(f"{name}: finding: the first key is {code!r}, not the code of a rule")
    path, _, line = finding.pop("at", "").partition(":")
    if line:
        finding["line"] = int(line)
    for row in [rows] if isinstance(rows, str) else rows:
        yield finding | {"code": code, "row": row or None, "path": path}


def _refuse_unknown(name: str, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := table.keys() - known:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")


def _named(name: str, bases: Mapping[str, Base]) -> Base:
    if name not in bases:
        raise ValueError(f"unknown base {name!r}")
    return bases[name]


@cache
def all_cases() -> Sequence[Case]:
    """Return every case, sorted by name."""
    bases_file = FOLDER / f"{_BASES}.toml"
    bases = load_bases(bases_file.read_text("utf-8"))
    files = [path for path in FOLDER.glob("*.toml") if path != bases_file]
    cases = [
        case for path in files for case in load_cases(path.read_text("utf-8"), path.stem, bases)
    ]
    return sorted(cases, key=lambda case: case.name)


def case_named(name: str) -> Case:
    (case,) = (case for case in all_cases() if case.name == name)
    return case


@dataclass(frozen=True)
class Workshop:
    """A case laid out on disk: `tree` is the repository, `outside` is what it must not reach."""

    tree: Path
    outside: Path
    key: KeyPair
    other: KeyPair

    def signer(self, name: str) -> KeyPair:
        """Return the key pair `release`, whose key is trusted, or `second`."""
        return {"release": self.key, "second": self.other}[name]

    def fill(self, text: str) -> str:
        """Return `text` with the names of places replaced by their paths."""
        places = {
            "{tree}": self.tree,
            "{outside}": self.outside,
            "{key}": self.key.private,
            "{pub}": self.key.public,
        }
        for name, path in places.items():
            text = text.replace(name, str(path))
        return text

    def lay_out(self, case: Case, before: Path | None = None) -> None:
        """Make the files of the case, release them if it says `release`, and make its last edits.

        With `before`, a copy of the tree as it is before `then` is kept there.
        """
        self.tree.mkdir()
        self.outside.mkdir()
        case.base.lay_out(self)
        self.make(case.spec)
        self.fill_digests()
        if case.spec.get("release", False):
            done = run_cli("release", "--signer", self.key.signer, cwd=self.tree)
            assert done.code == 0, (
                f"{case.name}: the tree cannot be released:\n{done.out}{done.err}"
            )
        if case.spec.get("baseline", False):
            shutil.copytree(self.tree, self.outside / "baseline")
        if before is not None:
            shutil.copytree(self.tree, before)
        for step in case.spec.get("then", []):
            self.do(step)
            self.fill_digests()

    def make(self, spec: Mapping[str, Any]) -> None:
        """Make the edits of `trust`, `config`, `defer` and `make`."""
        texts = ['\n[[trust.key]]\npath = "release.pub"\n'] if spec.get("trust", False) else []
        if texts:
            self.do({"key": "release.pub", "type": "release"})
        if "config" in spec:
            texts.append(f"\n{spec['config']}")
        for rule, rows in spec.get("defer", {}).items():
            texts.append(_DEFERRAL.format(rule=rule, rows=json.dumps(rows)))
        for text in texts:
            self.do({"append": "provenance.toml", "text": text})
        for step in spec.get("make", []):
            self.do(step)

    def do(self, step: Mapping[str, Any]) -> None:
        """Make one edit.

        Raises:
            ValueError: If the kind is unknown, or nothing changes.
        """
        (kind, target), *rest = _with_digests(step).items()
        if kind not in STEPS:
            raise ValueError(f"unknown kind of edit {kind!r}")
        if kind in _OF_ROWS:
            rest.insert(0, ("id", target))
            target = f"model/{target}.json" if kind == "sidecar" else REGISTRY
        if kind in _OF_JSON and "#/" in target:
            target, _, pointer = target.partition("#/")
            rest.insert(0, ("at", pointer.split("/")))
        path = self.tree / self.fill(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = _state(path)
        STEPS[kind](self, path, **dict(rest))
        if _state(path) == before:
            raise ValueError(f"the edit changes nothing: {dict(step)}")

    def fill_digests(self) -> None:
        """Replace `@sha256:NAME@` in every small file of the tree."""
        for path in sorted(self.tree.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
                continue
            content = path.read_bytes()
            filled = _filled(content, path.parent)
            if filled != content:
                path.write_bytes(filled)


def _filled(content: bytes, folder: Path) -> bytes:
    def digest(match: re.Match[bytes]) -> bytes:
        data = (folder / match[2].decode()).read_bytes()
        return hashlib.new(match[1].decode(), data, usedforsecurity=False).hexdigest().encode()

    return _DIGEST.sub(digest, content)


def _with_digests(value: Any) -> Any:
    """Return a value of an edit with its `@digest:0@` replaced."""
    if isinstance(value, str):
        return _REPEATED.sub(lambda match: match[1] * 64, value)
    if isinstance(value, list):
        return [_with_digests(element) for element in value]
    if isinstance(value, dict):
        return {key: _with_digests(element) for key, element in value.items()}
    return value


def _state(path: Path) -> object:
    """Return what an edit could change at a path."""
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return [_state(child) for child in sorted(path.rglob("*")) if not child.is_dir()]
    if path.is_file():
        size = path.stat().st_size
        return size if size > 1 << 24 else path.read_bytes()
    return path.exists()


def _model(w: Workshop, path: Path, **options: Any) -> None:
    """An ONNX model: inputs, opset, salt, and `external` with the fields of `External`."""
    external = options.pop("external", [])
    found = [external] if isinstance(external, dict) else external
    options["external"] = [models.External(**e) for e in found]
    path.write_bytes(models.model(**options))


def _runnable(w: Workshop, path: Path, *, recipe: str) -> None:
    """A model for `--run`: one of `runnable.RECIPES`."""
    path.write_bytes(runnable.RECIPES[recipe]())


def _model_without(w: Workshop, path: Path, field: str) -> None:
    message = models.proto()
    message.ClearField(field)
    path.write_bytes(message.SerializeToString())


def _write(w: Workshop, path: Path, text: str) -> None:
    path.write_text(w.fill(text), "utf-8")


def _bytes(w: Workshop, path: Path, *, hex: str = "", random_bytes: int = 0) -> None:
    """Bytes in hex, or a number of random bytes that are the same in every run."""
    path.write_bytes(bytes.fromhex(hex) or random.Random(1105).randbytes(random_bytes))


def _size(w: Workshop, path: Path, bytes: int) -> None:
    """A sparse file of a size."""
    with path.open("ab") as stream:
        stream.truncate(bytes)


def _repeat(w: Workshop, path: Path, *, before: str, text: str, times: int, after: str) -> None:
    """Text with a part repeated: nesting, or a long list."""
    path.write_text(before + text * times + after, "utf-8")


def _nest(w: Workshop, path: Path, *, before: str, depth: int, after: str) -> None:
    path.write_text(before + "[" * depth + "]" * depth + after, "utf-8")


def _truncate(w: Workshop, path: Path, *, to: int) -> None:
    """The first bytes of a file."""
    path.write_bytes(path.read_bytes()[:to])


def _append(w: Workshop, path: Path, *, hex: str = "", text: str = "") -> None:
    """Bytes in hex, or text, at the end of a file."""
    path.write_bytes(path.read_bytes() + bytes.fromhex(hex) + text.encode())


def _fifo(w: Workshop, path: Path) -> None:
    """A FIFO without a writer."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _dir(w: Workshop, path: Path) -> None:
    """An empty folder."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def _symlink(w: Workshop, path: Path, *, target: str) -> None:
    """A symbolic link."""
    path.unlink(missing_ok=True)
    path.symlink_to(w.fill(target))


def _remove(w: Workshop, path: Path) -> None:
    path.unlink()


def _move(w: Workshop, path: Path, *, to: str) -> None:
    """A file renamed."""
    path.rename(w.tree / to)


def _copy(w: Workshop, path: Path, *, of: str) -> None:
    """A copy of another file."""
    path.write_bytes((w.tree / of).read_bytes())


def _download(w: Workshop, path: Path) -> None:
    """A model with its external data and its bundle, as a consumer downloads them."""
    for folder, suffix in (("model", ""), ("model", ".data"), ("bundles", ".sigstore.json")):
        file = w.tree / folder / f"{path.name}{suffix}"
        if file.exists():
            shutil.copy(file, path.parent)


def _swap(w: Workshop, path: Path, *, other: str) -> None:
    """Two files swapped."""
    mine, theirs = path.read_bytes(), (w.tree / other).read_bytes()
    path.write_bytes(theirs)
    (w.tree / other).write_bytes(mine)


def _replace(w: Workshop, path: Path, *, old: str, new: str) -> None:
    """The one occurrence of a string replaced."""
    replace_once(path, old, w.fill(new))


def _replace_bytes(w: Workshop, path: Path, *, old: str, new: str) -> None:
    content, before = path.read_bytes(), bytes.fromhex(old)
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, bytes.fromhex(new)))


def _key(w: Workshop, path: Path, *, type: str) -> None:
    """A public key: `release` or `second` of the run, or one of `keys.PUBLIC`."""
    of_the_run = {"release": w.key, "second": w.other}.get(type)
    path.write_bytes(of_the_run.public.read_bytes() if of_the_run else keys.PUBLIC[type]())


def _private_key(w: Workshop, path: Path, *, type: str) -> None:
    path.write_bytes(keys.PRIVATE[type]())


def _json(w: Workshop, path: Path, **to: Any) -> None:
    """A JSON file, written anew or changed as `_edited` describes."""
    document = json.loads(path.read_text("utf-8")) if path.exists() else None
    path.write_text(json.dumps(_edited(document, **to), indent=2) + "\n", "utf-8")


def _sidecar(
    w: Workshop, path: Path, *, id: str, set: Mapping[str, Any] | None = None, text: str = ""
) -> None:
    """A sidecar that is up to date, with a line for each member, or more members as JSON."""
    sidecar = {"id": id, "kind": "fr", "sha256": f"@sha256:{id}.onnx@"} | dict(set or {})
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sidecar.items()]
    lines += [text.removesuffix("\n")] if text else []
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _row(w: Workshop, path: Path, *, id: str, at: Sequence[str | int] = (), **to: Any) -> None:
    """A row of the registry, changed as `_edited` describes."""
    rows = json.loads(path.read_text("utf-8"))["models"]
    _json(w, path, at=["models", _index(rows, id), *at], **to)


def _add_row(w: Workshop, path: Path, *, id: str, **to: Any) -> None:
    """A row at the end of the registry: the first one for a model of another name, and changed."""
    first = json.loads(path.read_text("utf-8"))["models"][0]
    row = {
        "id": id,
        "onnx": f"{id}.onnx",
        "sha256": f"@sha256:{id}.onnx@",
        "sigstore_bundle": f"../bundles/{id}.onnx.sigstore.json",
    }
    _json(w, path, at=["models"], add=_edited(first | row, **to))


def _remove_row(w: Workshop, path: Path, *, id: str) -> None:
    """The registry without a row."""
    rows = json.loads(path.read_text("utf-8"))["models"]
    _json(w, path, at=["models"], unset=[_index(rows, id)])


def _index(rows: Sequence[Any], id: str) -> int:
    (index,) = (i for i, row in enumerate(rows) if isinstance(row, dict) and row.get("id") == id)
    return index


def _edited(
    document: Any,
    at: Sequence[str | int] = (),
    *,
    value: Any = None,
    set: Mapping[str, Any] | None = None,
    unset: Sequence[str | int] = (),
    add: Any = None,
) -> Any:
    """Return a JSON document changed at one place.

    Args:
        document: The document, which may be modified.
        at: The names and indices that lead to the place.
        value: The new value of the place.
        set: Members to set in the object at the place.
        unset: Names or indices to remove from the object or array at the place.
        add: An element to add to the array at the place.
    """
    root = [document]
    place: Any = root
    last: Any = 0
    for step in at:
        place = place[last]
        last = int(step) if isinstance(place, list) else step
    if value is not None:
        place[last] = value
    if set is not None:
        place[last].update(set)
    for name in unset:
        del place[last][name]
    if add is not None:
        place[last].append(add)
    return root[0]


def _statement(w: Workshop, path: Path, *, by: str = "release", **to: Any) -> None:
    """The statement of a bundle, changed as `_edited` describes and signed by a key of the run."""
    bundle = json.loads(path.read_text("utf-8"))
    statement = _edited(json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"])), **to)
    payload = _filled(json.dumps(statement).encode(), path.parent)
    path.write_text(json.dumps(dsse_bundle(payload, w.signer(by))), "utf-8")


def _countersign(w: Workshop, path: Path, *, of: str, by: str = "second") -> None:
    """The unchanged statement of a bundle, signed by a key of the run."""
    bundle = json.loads((w.tree / of).read_text("utf-8"))
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    signer = w.signer(by)
    path.write_text(json.dumps(dsse_bundle(payload, signer)), "utf-8")


def _sign_blob(w: Workshop, path: Path, *, of: str, digest: bool = True) -> None:
    """A plain signature over the bytes of a file, as `cosign sign-blob` writes it."""
    content = (w.tree / of).read_bytes()
    path.write_text(json.dumps(message_bundle(content, w.key, digest=digest)), "utf-8")


def _layout(w: Workshop, path: Path, *, by: str = "release") -> None:
    """The layout of the tree, signed by a key of the run."""
    signer = w.signer(by)
    done = run_cli("layout", "--signer", signer.signer, "--output", path, cwd=w.tree)
    assert done.code == 0, done.err


def _record(w: Workshop, path: Path, *, steps: Sequence[str], by: str = "release") -> None:
    """The links of steps without changes, in a folder of links."""
    signer = w.signer(by)
    for step in steps:
        with provenance.record_step(step, provenance.load_config(w.tree), path, signer.signer):
            pass


def _signed(w: Workshop, path: Path, **to: Any) -> None:
    """A layout or link, changed as `_edited` describes and signed again by its key."""
    envelope = json.loads(path.read_text("utf-8"))
    payload = _edited(json.loads(base64.b64decode(envelope["payload"])), **to)
    key_id = envelope["signatures"][0]["keyid"]
    by = w.key if key_id == functionary_id(w.key) else w.other
    signed = dsse_bundle(json.dumps(payload).encode(), by)["dsseEnvelope"]
    signed["signatures"][0]["keyid"] = key_id
    path.write_text(json.dumps(signed), "utf-8")


def _relink(w: Workshop, path: Path, *, of: str, to: str) -> None:
    """The link of one step in place of the link of another."""
    (theirs,), (mine,) = path.glob(f"{of}.*.link"), path.glob(f"{to}.*.link")
    mine.write_bytes(theirs.read_bytes())


def _disagree(w: Workshop, path: Path, *, of: str, by: str, file: str) -> None:
    """A link with a file that its step did not leave."""
    key_id = functionary_id(w.signer(by))
    link = path / f"{of}.{key_id[:8]}.link"
    _signed(w, link, at=["products"], set={file: {"sha256": "0" * 64}})


def functionary_id(key: KeyPair) -> str:
    """Return the id of a key, as in-toto computes it."""
    from in_toto.models.layout import Layout

    added: dict[str, str] = Layout().add_functionary_key_from_path(str(key.public))
    return added["keyid"]


_FUNCTIONS: Final[tuple[Callable[..., None], ...]] = (
    *(_model, _runnable, _model_without, _write, _bytes, _size, _repeat, _nest, _truncate),
    *(_append, _fifo, _dir, _symlink, _remove, _move, _copy, _download, _swap, _replace),
    *(_replace_bytes, _key, _private_key, _json, _sidecar, _row, _add_row, _remove_row),
    *(_statement, _countersign, _sign_blob, _layout, _record, _signed, _relink, _disagree),
)
STEPS: Final = {f.__name__[1:].replace("_", "-"): f for f in _FUNCTIONS}
"""The kinds of edits. Their first arguments are the workshop and the path."""

_OF_JSON: Final = {"json", "statement", "signed"}
"""Edits of a JSON document: a pointer may follow the path."""

_OF_ROWS: Final = {"row", "add-row", "remove-row", "sidecar"}
"""Edits that name a row and no path."""

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"


def dsse_bundle(
    payload: bytes, signer: KeyPair, payload_type: str = PAYLOAD_TYPE
) -> dict[str, Any]:
    """A bundle over any payload, written after the specifications, without the package."""
    kind = payload_type.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"sig": base64.b64encode(signer.sign(signed)).decode()}],
        },
    }


def message_bundle(content: bytes, signer: KeyPair, *, digest: bool = True) -> dict[str, Any]:
    message: dict[str, Any] = {"signature": base64.b64encode(signer.sign(content)).decode()}
    if digest:
        raw = base64.b64encode(bytes.fromhex(sha256(content))).decode()
        message = {"messageDigest": {"algorithm": "SHA2_256", "digest": raw}} | message
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.hint}},
        "messageSignature": message,
    }
