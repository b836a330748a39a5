# SPDX-License-Identifier: Apache-2.0
"""A release that is made step by step, with a layout, and both tools that judge it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest

import provenance
from provenance import Report
from tests.support.cases import functionary_id
from tests.support.command import Result, clean_environment, run_cli
from tests.support.keys import KeyPair, make_pair
from tests.support.repository import Repository, full_repository
from tests.support.repository import copied as copied_repository

STEPS: Final = ("export", "check", "sign", "verify")
IN_TOTO_VERIFY: Final = Path(sys.executable).parent / "in-toto-verify"

Change = Callable[["Pipeline"], object]


@dataclass
class Pipeline:
    """A repository whose release is made step by step. Keys, links and layout lie outside of it."""

    repository: Repository
    outside: Path
    keys: dict[str, KeyPair] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.repository.root

    @property
    def links(self) -> Path:
        return self.outside / "links"

    @property
    def layout(self) -> Path:
        return self.outside / "release.layout"

    @property
    def sidecar(self) -> Path:
        """A file that may say more than it does, and still passes every rule."""
        return self.repository.path("plain.json")

    @property
    def notes(self) -> Path:
        return self.repository.path("notes.txt")

    def key(self, name: str) -> KeyPair:
        """Return the key pair of a functionary, and make it if it is missing."""
        if name not in self.keys:
            self.keys[name] = make_pair(self.outside / "keys", name)
        return self.keys[name]

    def configure(self, layout: str) -> None:
        """Write `[layout]`. Its keys are the files NAME.pub in keys/."""
        folder = self.root / "keys"
        folder.mkdir(exist_ok=True)
        for name in ("builder", "ci", "second"):
            shutil.copy(self.key(name).public, folder)
        self.repository.trust = layout
        self.repository.save()

    def write_layout(self, by: str = "owner") -> None:
        done = self.cli("layout", "--signer", self.key(by).signer, "--output", self.layout)
        assert done.code == 0, done.err

    def cli(self, *args: str | Path) -> Result:
        return run_cli(*args, cwd=self.root)

    def do(self, step: str, by: str | None = None, change: Change | None = None) -> None:
        """Do a step as `by`. `change` is what happens while it runs."""
        key = self.key(by or _BY[step]).signer
        config = provenance.load_config(self.root)
        with provenance.record_step(step, config, self.links, key):
            if step == "sign":
                report = self.repository.release()
                assert report.exit_code == 0, [(f.code, f.message) for f in report.failing]
            if change is not None:
                change(self)

    def release(self, *, before: Mapping[str, Change] | None = None) -> None:
        """Do all steps; `before` says what happens before some of them."""
        for step in STEPS:
            change = (before or {}).get(step)
            if change is not None:
                change(self)
            self.do(step)

    def link(self, step: str, by: str | None = None) -> Path:
        (found,) = self.links.glob(f"{step}.{self.key_id(by or _BY[step])[:8]}.link")
        return found

    def key_id(self, name: str) -> str:
        """Return the id of a key, as in-toto computes it."""
        return functionary_id(self.key(name))

    def forge(self, path: Path, change: Callable[[dict[str, Any]], object], by: str) -> None:
        """Change the payload of a link or layout, and sign it again as `by`."""
        envelope = json.loads(path.read_bytes())
        payload = json.loads(base64.b64decode(envelope["payload"]))
        change(payload)
        path.write_bytes(self.signed(json.dumps(payload).encode(), by))

    def signed(self, payload: bytes, *by: str) -> bytes:
        """An envelope with these bytes, signed here on its own, without the code under test."""
        kind = b"application/vnd.in-toto+json"
        pae = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind.decode(),
            "signatures": [
                {
                    "keyid": self.key_id(name),
                    "sig": base64.b64encode(self.key(name).sign(pae)).decode(),
                }
                for name in by
            ],
        }
        return json.dumps(envelope).encode()

    def in_toto(self, by: str = "owner", *, process: bool = False) -> int:
        """Return the exit code of in-toto's own command, which runs in this process by default."""
        arguments = ["--layout", str(self.layout), "--link-dir", str(self.links)]
        arguments += ["--verification-keys", str(self.key(by).public)]
        run = _in_toto_in_a_process if process else _in_toto_here
        with clean_environment():
            code, self.said = run(arguments, self.root)
        for left in self.root.glob("*.link"):  # what it records of its inspections
            left.unlink()
        return code

    said: str = ""

    def ours(self, by: str = "owner") -> Report:
        """The report of our own command."""
        asked = provenance.layout_request(self.layout, [self.key(by).public], self.links)
        return provenance.verify(provenance.load_config(self.root), layout=asked)

    def refusal(self, by: str = "owner") -> tuple[str, str]:
        """Code and message of the one thing that both tools refuse."""
        assert self.in_toto(by) == 1, "in-toto-verify passes"
        return self.finding(by)

    def finding(self, by: str = "owner") -> tuple[str, str]:
        """Code and message of the one thing that ours refuses."""
        report = self.ours(by)
        assert report.exit_code == 1
        found = [(f.code, f.message) for f in report.failing]
        assert len(found) == 1, found
        return found[0]


def _in_toto_here(arguments: list[str], root: Path) -> tuple[int, str]:
    from in_toto import in_toto_verify, log

    said = io.StringIO()
    former = log.HANDLER.setStream(said)
    try:
        with (
            contextlib.chdir(root),
            mock.patch.object(sys, "argv", [IN_TOTO_VERIFY.name, *arguments]),
            warnings.catch_warnings(action="ignore"),
            pytest.raises(SystemExit) as ended,
        ):
            in_toto_verify.main()
    finally:
        log.HANDLER.setStream(former)
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.getvalue()


def _in_toto_in_a_process(arguments: list[str], root: Path) -> tuple[int, str]:
    done = subprocess.run(
        [IN_TOTO_VERIFY, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


_BY: Final = {"export": "builder", "check": "ci", "sign": "release", "verify": "ci"}

LAYOUT: Final = """
[layout]
expires = 30
keys = ["keys/ci.pub"]

[[layout.step]]
name = "export"
keys = ["keys/builder.pub"]

[[layout.step]]
name = "sign"
keys = ["release.pub"]
"""


def make_pipeline(folder: Path, layout: str = LAYOUT) -> Pipeline:
    """A repository with one of everything, and a layout, and no step done yet."""
    pipeline = Pipeline(full_repository(folder / "repository"), folder / "outside")
    pipeline.repository.key = pipeline.key("release")
    pipeline.repository.write("notes.txt", "as they were")
    pipeline.configure(layout)
    pipeline.write_layout()
    return pipeline


def copied(pipeline: Pipeline, folder: Path) -> Pipeline:
    """The same pipeline elsewhere, with the same keys."""
    shutil.copytree(pipeline.outside, folder / "outside")
    repository = copied_repository(pipeline.repository, folder / "repository")
    return Pipeline(repository, folder / "outside", dict(pipeline.keys))


def say_more(pipeline: Pipeline) -> None:
    """Change a file in a way that no other rule minds."""
    value = json.loads(pipeline.sidecar.read_text("utf-8"))
    value["comment"] = value.get("comment", "") + "!"
    pipeline.sidecar.write_text(json.dumps(value), "utf-8")


def write_notes(pipeline: Pipeline) -> None:
    """Change a file that no row names."""
    pipeline.notes.write_text("others", "utf-8")
