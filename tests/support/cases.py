# SPDX-License-Identifier: Apache-2.0
"""The cases of `tests/cases/`: whole small registries and what the gate must say of them.

A case is a folder with `case.toml` and, where there is any, `tree/`. Nothing else is needed for a
new one. `case.toml`:

    about = "what it shows, and why that matters"
    command = ["check"]           # {key}, {pub}, {tree}, {outside} stand for paths
    release = false               # release the tree with the key of the run before `then`
    baseline = false              # keep the tree as it is before `then` in {outside}/baseline
    exit = 1
    [[make]]                      # files that no commit can hold, made before a release
    [[then]]                      # the same, after it
    [[finding]]                   # exactly these: code and row decide, the rest must be contained
    code = "ART302"
    row = "m"
    path = "model/registry.json"
    message = ["needs", "bytes"]
    help = "hash"
    deferred = false
    severity = "error"
    [error]                       # of exits 2 and 4
    message = ["model/registry.json", "is empty"]
    help = "models"

In every text file of the tree `@sha256:NAME@` becomes the digest of NAME, relative to the file's
folder, once `make` is done. Steps are described at `STEPS`.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import provenance
from tests.support import keys, models, runnable
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.repository import replace_once, sha256

FOLDER: Final = Path(__file__).parent.parent / "cases"
_DIGEST: Final = re.compile(rb"@sha256:([^@\s]+)@")
_KEYS: Final = {
    "about", "command", "release", "baseline", "exit", "make", "then", "finding", "error", "stdout",
    "env",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One folder of `tests/cases/`."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name, which says the behaviour."""
        return self.folder.name

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """What case.toml says. A key that the runner does not know would test nothing."""
        spec = tomllib.loads((self.folder / "case.toml").read_text("utf-8"))
        unknown = spec.keys() - _KEYS
        assert not unknown, f"{self.name}: unknown keys {sorted(unknown)}"
        assert spec.get("about"), f"{self.name}: `about` says what the case shows"
        return spec

    @property
    def command(self) -> list[str]:
        """The arguments of `provenance`."""
        return list(self.spec.get("command", ["check"]))

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """The findings that the case expects."""
        return list(self.spec.get("finding", []))

    @property
    def judges(self) -> bool:
        """Whether the command ends in a report."""
        return self.command[0] in ("check", "verify", "verify-model", "sign", "attest", "release")

    @property
    def is_judged_in_units(self) -> bool:
        """Whether the command judges a registry unit by unit, if that is large."""
        return self.command[0] in ("check", "verify") and "--fix" not in self.command


def all_cases() -> list[Case]:
    """Every case, sorted by name."""
    return [Case(p.parent) for p in sorted(FOLDER.glob("*/case.toml"))]


@dataclass(frozen=True)
class Workshop:
    """A case laid out on disk: `tree` is the repository, `outside` is what it must not reach."""

    tree: Path
    outside: Path
    key: KeyPair
    other: KeyPair

    def fill(self, text: str) -> str:
        """`text` with the names of places replaced by their paths."""
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
        """Make the files of the case, release them where it says so, and do the rest.

        With `before`, a copy of the tree as it is before `then` is kept there.
        """
        if (case.folder / "tree").is_dir():
            shutil.copytree(case.folder / "tree", self.tree)
        self.tree.mkdir(exist_ok=True)
        self.outside.mkdir()
        for step in case.spec.get("make", []):
            self.do(step)
        self._fill_digests()
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

    def do(self, step: Mapping[str, Any]) -> None:
        """Do one step."""
        rest = dict(step)
        kind = rest.pop("kind")
        path = self.tree / self.fill(rest.pop("path"))
        path.parent.mkdir(parents=True, exist_ok=True)
        STEPS[kind](self, path, **rest)

    def _fill_digests(self) -> None:
        for path in sorted(self.tree.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
                continue
            content = path.read_bytes()
            filled = _filled(content, path.parent)
            if filled != content:
                path.write_bytes(filled)


def _filled(content: bytes, folder: Path) -> bytes:
    def digest(match: re.Match[bytes]) -> bytes:
        return sha256((folder / match[1].decode()).read_bytes()).encode()

    return _DIGEST.sub(digest, content)


def _model(w: Workshop, path: Path, **options: Any) -> None:
    """An ONNX model: inputs, opset, salt, and `external` with the fields of `External`."""
    external = options.pop("external", [])
    found = [external] if isinstance(external, dict) else external
    options["external"] = [models.External(**e) for e in found]
    path.write_bytes(models.model(**options))


def _runnable(w: Workshop, path: Path, *, recipe: str) -> None:
    """A model for `--run`, by its name in `runnable.RECIPES`."""
    path.write_bytes(runnable.RECIPES[recipe]())


def _without(w: Workshop, path: Path, field: str) -> None:
    """A model that lacks one field of the message."""
    message = models.proto()
    message.ClearField(field)
    path.write_bytes(message.SerializeToString())


def _text(w: Workshop, path: Path, text: str) -> None:
    """A text file; digests and places are filled in."""
    path.write_bytes(_filled(w.fill(text).encode(), path.parent))


def _bytes(w: Workshop, path: Path, *, hex: str = "", random_bytes: int = 0) -> None:
    """Bytes given in hex, or so many random ones (the same each time)."""
    path.write_bytes(bytes.fromhex(hex) or random.Random(1105).randbytes(random_bytes))


def _size(w: Workshop, path: Path, bytes: int) -> None:
    """A file of so many bytes, without taking the room."""
    with path.open("ab") as stream:
        stream.truncate(bytes)


def _repeat(w: Workshop, path: Path, *, before: str, text: str, times: int, after: str) -> None:
    """Text with a part repeated: nesting, or a long list."""
    path.write_text(before + text * times + after, "utf-8")


def _nest(w: Workshop, path: Path, *, before: str, depth: int, after: str) -> None:
    """Arrays in arrays."""
    path.write_text(before + "[" * depth + "]" * depth + after, "utf-8")


def _truncate(w: Workshop, path: Path, *, to: int) -> None:
    """Only the first bytes of what is there."""
    path.write_bytes(path.read_bytes()[:to])


def _append(w: Workshop, path: Path, *, hex: str) -> None:
    """More bytes at the end of what is there."""
    path.write_bytes(path.read_bytes() + bytes.fromhex(hex))


def _fifo(w: Workshop, path: Path) -> None:
    """A FIFO that nobody writes to."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _dir(w: Workshop, path: Path) -> None:
    """An empty folder."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def _symlink(w: Workshop, path: Path, *, target: str) -> None:
    """A link."""
    path.unlink(missing_ok=True)
    path.symlink_to(w.fill(target))


def _remove(w: Workshop, path: Path) -> None:
    """Nothing where a file was."""
    path.unlink()


def _move(w: Workshop, path: Path, *, to: str) -> None:
    """Another name."""
    path.rename(w.tree / to)


def _copy(w: Workshop, path: Path, *, of: str) -> None:
    """The bytes of another file."""
    path.write_bytes((w.tree / of).read_bytes())


def _swap(w: Workshop, path: Path, *, other: str) -> None:
    """Two files exchanged."""
    mine, theirs = path.read_bytes(), (w.tree / other).read_bytes()
    path.write_bytes(theirs)
    (w.tree / other).write_bytes(mine)


def _replace(w: Workshop, path: Path, *, old: str, new: str) -> None:
    """The one occurrence of a text replaced; digests and places are filled in."""
    replace_once(path, old, _filled(w.fill(new).encode(), path.parent).decode())


def _replace_bytes(w: Workshop, path: Path, *, old: str, new: str) -> None:
    """Bytes replaced by as many others, both in hex."""
    content, before = path.read_bytes(), bytes.fromhex(old)
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, bytes.fromhex(new)))


def _key(w: Workshop, path: Path, *, type: str) -> None:
    """A public key: `release`, `second` (the other one of the run), or one of `keys.PUBLIC`."""
    of_the_run = {"release": w.key, "second": w.other}.get(type)
    path.write_bytes(of_the_run.public.read_bytes() if of_the_run else keys.PUBLIC[type]())


def _private(w: Workshop, path: Path, *, type: str) -> None:
    """A private key of a type of `keys.PRIVATE`."""
    path.write_bytes(keys.PRIVATE[type]())


def _json(w: Workshop, path: Path, *, at: list[str | int], **to: Any) -> None:
    """A value of a JSON file set (`value`), or removed."""
    value = json.loads(path.read_text("utf-8"))
    _set(value, at, to)
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def _redigest(w: Workshop, path: Path, *, at: list[str | int], of: str) -> None:
    """A value of a JSON file set to the digest of a file beside it."""
    _json(w, path, at=at, value=sha256((path.parent / of).read_bytes()))


def _statement(
    w: Workshop, path: Path, *, at: Sequence[str | int] = (), by: str = "release", **to: Any
) -> None:
    """The statement of a bundle changed at one place, and signed again by a key of the run."""
    bundle = json.loads(path.read_text("utf-8"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    if at:
        _set(statement, at, to)
    signer = w.key if by == "release" else w.other
    path.write_text(json.dumps(dsse_bundle(json.dumps(statement).encode(), signer)), "utf-8")


def _countersign(w: Workshop, path: Path, *, of: str, by: str = "second") -> None:
    """The statement of a bundle, signed again as it is by a key of the run."""
    bundle = json.loads((w.tree / of).read_text("utf-8"))
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    signer = w.key if by == "release" else w.other
    path.write_text(json.dumps(dsse_bundle(payload, signer)), "utf-8")


def _blob(w: Workshop, path: Path, *, of: str, digest: bool = True) -> None:
    """A plain signature over the bytes of a file, as `cosign sign-blob` writes it."""
    content = (w.tree / of).read_bytes()
    path.write_text(json.dumps(message_bundle(content, w.key, digest=digest)), "utf-8")


def _layout(w: Workshop, path: Path, *, by: str = "release") -> None:
    """The layout of the tree, signed by a key of the run."""
    signer = w.key if by == "release" else w.other
    done = run_cli("layout", "--signer", signer.signer, "--output", path, cwd=w.tree)
    assert done.code == 0, done.err


def _record(w: Workshop, path: Path, *, step: str, by: str = "release") -> None:
    """The link of a step in which nothing happens, in a folder of links."""
    signer = w.key if by == "release" else w.other
    with provenance.record_step(step, provenance.load_config(w.tree), path, signer.signer):
        pass


def _signed(w: Workshop, path: Path, *, at: list[str | int], **to: Any) -> None:
    """A layout or link changed at one place, and signed again by the key of the run."""
    envelope = json.loads(path.read_text("utf-8"))
    payload = json.loads(base64.b64decode(envelope["payload"]))
    _set(payload, at, to)
    key_id = envelope["signatures"][0]["keyid"]
    by = w.key if key_id == functionary_id(w.key) else w.other
    signed = dsse_bundle(json.dumps(payload).encode(), by)["dsseEnvelope"]
    signed["signatures"][0]["keyid"] = key_id
    path.write_text(json.dumps(signed), "utf-8")


def _relink(w: Workshop, path: Path, *, of: str, to: str) -> None:
    """The link of one step in the place of that of another."""
    (theirs,), (mine,) = path.glob(f"{of}.*.link"), path.glob(f"{to}.*.link")
    mine.write_bytes(theirs.read_bytes())


def _disagree(w: Workshop, path: Path, *, of: str, by: str, file: str) -> None:
    """A link that names one file more than its step left."""
    key_id = functionary_id(w.key if by == "release" else w.other)
    link = path / f"{of}.{key_id[:8]}.link"
    _signed(w, link, at=["products", file], value={"sha256": "0" * 64})


def functionary_id(key: KeyPair) -> str:
    """The id of a key, as in-toto computes it."""
    from in_toto.models.layout import Layout

    added: dict[str, str] = Layout().add_functionary_key_from_path(str(key.public))
    return added["keyid"]


def _set(value: Any, at: Sequence[str | int], to: Mapping[str, Any]) -> None:
    for step in at[:-1]:
        value = value[step]
    if "value" in to:
        if isinstance(value, list) and at[-1] == len(value):
            value.append(to["value"])
        else:
            value[at[-1]] = to["value"]
    else:
        del value[at[-1]]


STEPS: Final[Mapping[str, Callable[..., None]]] = {
    "model": _model,
    "runnable": _runnable,
    "model-without": _without,
    "text": _text,
    "bytes": _bytes,
    "size": _size,
    "repeat": _repeat,
    "nest": _nest,
    "truncate": _truncate,
    "append": _append,
    "fifo": _fifo,
    "dir": _dir,
    "symlink": _symlink,
    "remove": _remove,
    "move": _move,
    "copy": _copy,
    "swap": _swap,
    "replace": _replace,
    "replace-bytes": _replace_bytes,
    "key": _key,
    "private-key": _private,
    "json": _json,
    "redigest": _redigest,
    "statement": _statement,
    "countersign": _countersign,
    "sign-blob": _blob,
    "layout": _layout,
    "record": _record,
    "signed": _signed,
    "relink": _relink,
    "disagree": _disagree,
}
"""What a step can be. Its first arguments are the workshop and the path."""

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"


def dsse_bundle(
    payload: bytes, signer: KeyPair, payload_type: str = PAYLOAD_TYPE
) -> dict[str, Any]:
    """A bundle over any payload, made by the specifications and not by the package."""
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
    """A bundle with a plain signature over `content`."""
    message: dict[str, Any] = {"signature": base64.b64encode(signer.sign(content)).decode()}
    if digest:
        raw = base64.b64encode(bytes.fromhex(sha256(content))).decode()
        message = {"messageDigest": {"algorithm": "SHA2_256", "digest": raw}} | message
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.hint}},
        "messageSignature": message,
    }
