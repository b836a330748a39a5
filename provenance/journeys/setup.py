# SPDX-License-Identifier: Apache-2.0
"""`init` and `keygen`: what an author needs before the first check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.artifacts import limits, writing
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.strict_json import JsonError, decode, parse
from provenance.config import FILE, PYPROJECT, parse_toml, read_text
from provenance.errors import InputError
from provenance.signing import pem

_SKIP: Final = {"node_modules", "__pycache__", "site-packages", "build", "dist", "venv"}
_MAX_FILES: Final = 100_000


@dataclass(frozen=True)
class Initialised:
    """Where the configuration was written, and for which registry with how many rows."""

    path: str
    registry: str
    rows: int
    keys: tuple[str, ...]


def init(folder: Path, registry: str | None = None) -> Initialised:
    """Write the configuration for the registry in `folder`, or for the one that is named.

    Into pyproject.toml where there is one, else into provenance.toml.

    Raises:
        InputError: There is a configuration already, no registry, or more than one.
    """
    tree = Tree.at(folder)
    target = folder / (PYPROJECT if (folder / PYPROJECT).is_file() else FILE)
    existing = read_text(target) if target.is_file() else ""
    if os.path.lexists(folder / FILE) or _has_table(existing, target):
        raise InputError(f"{folder}: there is a configuration already", help="Edit it instead.")
    found = dict(_registries(tree))
    if registry is not None:
        normal = os.path.normpath(registry).replace(os.sep, "/")
        if normal not in found:
            raise InputError(
                f"{registry}: not a registry: a JSON object whose `models` is a list of rows"
            )
        found = {normal: found[normal]}
    if not found:
        raise InputError(
            f"{folder}: no registry found: no JSON object whose `models` lists rows with `onnx`",
            help="Name it: provenance init --registry PATH",
        )
    if len(found) > 1:
        raise InputError(
            f"{folder}: several registries: {', '.join(sorted(found))}",
            help="Name one: provenance init --registry PATH",
        )
    path, rows = next(iter(found.items()))
    if not _is_text(path):
        raise InputError(f"{path!r}: not UTF-8, so that no configuration can name it")
    keys = [key for key in _public_keys(tree) if _is_text(key)]
    text = _template(path, keys, table="tool.provenance" if target.name == PYPROJECT else "")
    gap = "\n" if existing and not existing.endswith("\n\n") else ""
    writing.replace_file(tree, target.name, (existing + gap + text).encode("utf-8"))
    return Initialised(target.name, path, rows, tuple(keys))


def keygen(stem: Path) -> tuple[Path, Path]:
    """Write a fresh ECDSA P-256 key pair: `<stem>.key` (only its owner can read it), `<stem>.pub`.

    Raises:
        InputError: A file is in the way, or cannot be written.
    """
    if stem.name in ("", ".", ".."):
        raise InputError(
            f"{str(stem)!r}: not a name for a key pair", help="provenance keygen release"
        )
    private_path, public_path = (
        stem.with_name(stem.name + ".key"),
        stem.with_name(stem.name + ".pub"),
    )
    for path in (private_path, public_path):
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: exists", help="Choose another name, or remove it yourself.")
    private, public = pem.generate()
    try:
        _write_new(private_path, private, 0o600)
        try:
            _write_new(public_path, public, 0o644)
        except OSError:
            private_path.unlink()
            raise
    except (OSError, ValueError) as e:
        raise InputError(f"cannot write {stem}: {getattr(e, 'strerror', None) or e}") from e
    return private_path, public_path


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def _has_table(text: str, target: Path) -> bool:
    tool = parse_toml(text, str(target)).get("tool", {})
    return isinstance(tool, dict) and "provenance" in tool


def _is_text(path: str) -> bool:
    """Whether a path that the file system gave can be written as UTF-8."""
    return path.isascii() or not any("\ud800" <= c <= "\udfff" for c in path)


def _registries(tree: Tree) -> Iterator[tuple[str, int]]:
    for path in _files(tree, (".json",)):
        try:
            value = parse(decode(tree.read(path, limits.REGISTRY)), duplicate_keys=[])
        except (FileError, JsonError):
            continue  # whatever it is, it is not a registry
        rows = value.get("models") if isinstance(value, dict) else None
        if isinstance(rows, list) and any(isinstance(r, dict) and "onnx" in r for r in rows):
            yield path, len(rows)


def _public_keys(tree: Tree) -> Iterator[str]:
    for path in _files(tree, (".pub",)):
        try:
            pem.load_public_key(tree.read(path, limits.KEY), path)
        except InputError:
            continue  # an SSH key, or another algorithm: not one that could be trusted here
        yield path


def _files(tree: Tree, suffixes: tuple[str, ...]) -> Iterator[str]:
    seen = 0
    for folder, folders, names in os.walk(tree.root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIP)
        for name in sorted(names):
            seen += 1
            if seen > _MAX_FILES:
                return
            if name.endswith(suffixes):
                path = os.path.relpath(os.path.join(folder, name), tree.root)
                yield path.replace(os.sep, "/")


def _quoted(text: str) -> str:
    """A TOML string: JSON's, written without surrogate pairs."""
    return json.dumps(text, ensure_ascii=False)


def _template(registry: str, keys: list[str], *, table: str) -> str:
    prefix = f"{table}." if table else ""
    lines = [f"[{table}]"] if table else []
    lines += [
        f"registry = {_quoted(registry)}",
        "",
        "# Whose signatures count. Make a key pair: provenance keygen release",
    ]
    for key in keys:
        lines += [f"[[{prefix}trust.key]]", f"path = {_quoted(key)}", ""]
    if not keys:
        lines += [f"# [[{prefix}trust.key]]", '# path = "release.pub"', ""]
    lines += [
        "# A known exception, with its reason. It fails the gate as soon as its cause is gone.",
        f"# [[{prefix}deferral]]",
        '# rule = "SID402"',
        '# rows = ["my_ensemble_seed*"]',
        '# reason = "why this is shipped all the same"',
        '# reference = "the decision: an ADR, an issue"',
        "# expires = 2026-12-31",
    ]
    return "\n".join(lines) + "\n"
