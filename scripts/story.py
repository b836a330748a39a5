# SPDX-License-Identifier: Apache-2.0
"""The story of ADR-1105 as scenes: commands that run in order, and their output.

`scripts/write_docs.py` puts the transcripts into the documentation. A shell runs the commands as a
reader would type them, on a copy of `model/` with its own configuration and a fresh key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]

_FINGERPRINT = re.compile(r"((?<=\bkey )(?:\S+ )?\(|; key hint: )sha256 [0-9a-f]{64}\b")
_TIME = re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\b")
_COMMIT = re.compile(r"(?<=git:main )\([0-9a-f]{12}\)")
_KEY_ID = re.compile(r"\b[0-9a-f]{8}(?=\.link\b)|(?<= by )[0-9a-f]{8}\b")
_DAY = re.compile(r'((?<=withdrawn on )|(?<="date": "))\d{4}-\d{2}-\d{2}')
_RUNTIME = re.compile(r"(?<=\bonnxruntime )\d[\w.]*")
_TOOLS: Final = (
    ("provenance", "-m provenance "),
    ("python", ""),
    ("in-toto-verify", "-c 'from in_toto.in_toto_verify import main; main()' "),
    ("in-toto-run", "-c 'from in_toto.in_toto_run import main; main()' "),
)
"""Commands of this Python's environment, which may not be on PATH."""
_WIDTH: Final = 100
_NOT_PASSED_ON: Final = ("PROVENANCE_", "PYTHON", "COV")
"""Prefixes of environment variables that would change the output."""


class StoryError(Exception):
    """The output of a scene is not as expected. The message has the scene and the output."""


@dataclass(frozen=True)
class Scene:
    """A part of the story: commands that are run and shown.

    Attributes:
        after: The scene that this one continues, or None to start from a new tree.
        commands: The commands.
        shows: Strings that the output must contain, ignoring white space. Otherwise the script
            fails, instead of writing a wrong page.
        inside: The folder in which the commands run.
        tree: The tree to start from if `after` is None: a key of `TREES`.
    """

    after: str | None
    commands: tuple[str, ...]
    shows: tuple[str, ...]
    inside: str = "."
    tree: str = "reference"


SEED: Final = "fr_regressor_v2_ensemble_v1_seed"
_BUNDLE_0, _BUNDLE_1 = (f"bundles/{SEED}{n}.onnx.sigstore.json" for n in (0, 1))
EXTERNAL: Final = "quality_regressor_ext_v1"
_SUMMARY: Final = "registry.json.vsa.sigstore.json"

STORY: Final[Mapping[str, Scene]] = {
    "key": Scene(
        None,
        ("provenance keygen release -q", "cp release.pub bundles/"),
        ("release.key", "release.pub"),
    ),
    "init": Scene(
        None,
        (
            "rm pyproject.toml",
            "provenance init --defer",
            "cat provenance.toml",
            'provenance check; echo "exit $?"',
        ),
        ("deferral SID402", "2 TODOs to replace", 'reason = "TODO', "DEF906", "exit 1"),
    ),
    "check": Scene(
        "key", ('provenance check; echo "exit $?"',), ("SID402", "5 deferred", "exit 0")
    ),
    "run": Scene(
        "key",
        ('provenance check --run; echo "exit $?"',),
        ("8 of 8 models were loaded and run", "exit 0"),
    ),
    "release": Scene(
        "key",
        ('provenance release --signer file:release.key; echo "exit $?"',),
        ("8 bundles written", "7 rows verified", "exit 0"),
    ),
    "verify": Scene(
        "release", ('provenance verify; echo "exit $?"',), ("7 rows verified", "exit 0")
    ),
    "verify-rows": Scene(
        "release", (f'provenance verify {EXTERNAL} -v; echo "exit $?"',), ("signed by", "exit 0")
    ),
    "license": Scene(
        "release",
        ("sed -i 7d model/registry.json", 'provenance check; echo "exit $?"'),
        (f"{SEED}0", "LIC201 no `license`", "exit 1"),
    ),
    "replace": Scene(
        "release",
        (
            f"cp model/{SEED}1.onnx model/{SEED}0.onnx",
            'provenance check; echo "exit $?"',
        ),
        ("ART302", "Restore the file", "exit 1"),
    ),
    "swap": Scene(
        "release",
        (
            f"mv {_BUNDLE_0} kept",
            f"mv {_BUNDLE_1} {_BUNDLE_0}",
            f"mv kept {_BUNDLE_1}",
            'provenance verify; echo "exit $?"',
        ),
        ("ATT701", f"it is the bundle of row '{SEED}1'", "in 2 of 7 rows", "exit 1"),
    ),
    "flip": Scene(
        "release",
        (
            'sed -i \'0,/"smoke": true/s//"smoke": false/\' model/registry.json',
            'provenance check; echo "exit $?"',
        ),
        ("SID404", "[14], not [6]", "exit 1"),
    ),
    "production": Scene(
        "release",
        (
            "python model/export_ensemble_v2_seeds.py --out model",
            'provenance check; echo "exit $?"',
        ),
        ("PROMOTE", "DEF901", "exit 1"),
    ),
    "undeferred": Scene(
        "production",
        (
            "sed -i '/^\\[\\[tool.provenance.deferral/,$d' pyproject.toml",
            'provenance check; echo "exit $?"',
        ),
        ("SID418", "7 rows passed", "5 of them smoke", "5 warnings", "exit 0"),
    ),
    "promote-refused": Scene(
        "release",
        ('provenance promote --ensemble fr_regressor_v2_ensemble_v1; echo "exit $?"',),
        ("SID404", "REFUSED: fr_regressor_v2_ensemble_v1, 5 rows", "exit 1"),
    ),
    "promoted": Scene(
        "production",
        ('provenance promote --ensemble fr_regressor_v2_ensemble_v1; echo "exit $?"',),
        ('+ "smoke": false', "pyproject.toml:9: SID402", "PROMOTED", "exit 0"),
    ),
    "promoted-undeferred": Scene(
        "promoted",
        (
            "sed -i '/^\\[\\[tool.provenance.deferral/,$d' pyproject.toml",
            'provenance check; echo "exit $?"',
        ),
        ("OK: 7 rows passed exit 0", "exit 0"),
    ),
    "released-again": Scene(
        "undeferred",
        ('provenance release --signer file:release.key; echo "exit $?"', "ls bundles"),
        ("bundles written", f"{SEED}0.onnx.provenance.sigstore.json", "exit 0"),
    ),
    "download": Scene(
        "release",
        (
            "mkdir downloads",
            f"cp model/{EXTERNAL}.* bundles/{EXTERNAL}.* release.pub downloads/",
            "ls downloads",
        ),
        (f"{EXTERNAL}.onnx.data",),
    ),
    "consumer": Scene(
        "download",
        (f'provenance verify-model {EXTERNAL}.onnx --key release.pub; echo "exit $?"',),
        ("exit 0",),
        "downloads",
    ),
    "consumer-tampered": Scene(
        "download",
        (
            f"printf x >> {EXTERNAL}.onnx.data",
            f'provenance verify-model {EXTERNAL}.onnx --key release.pub; echo "exit $?"',
        ),
        ("SIG605", "exit 1"),
        "downloads",
    ),
    "fix": Scene(
        "release",
        (
            'sed -i \'/q_v1.onnx.sigstore.json/d; s/"opset": 17/"opset": 18/\' model/registry.json',
            'provenance check quality_regressor_q_v1; echo "exit $?"',
            'provenance check quality_regressor_q_v1 --fix; echo "exit $?"',
        ),
        ("provenance check --fix", "FIXED: 2 findings (ART310, LIC203)", "exit 0"),
    ),
    "hash": Scene(
        "release", (f'provenance hash {EXTERNAL}; echo "exit $?"',), ("matches the row", "exit 0")
    ),
    "hash-changed": Scene(
        "release",
        (
            f"cp model/{SEED}1.onnx model/{SEED}0.onnx",
            f'provenance hash {SEED}0 --write; echo "exit $?"',
            f'provenance hash {SEED}0 --write --accept {SEED}0; echo "exit $?"',
        ),
        ("differs from the row", "is kept: it declares other bytes", '+ "sha256"', "WRITTEN"),
    ),
    "hash-external": Scene(
        "release",
        (
            "sed -i '/\"external_data_sha256\"/,/}/d' model/registry.json",
            f'provenance hash {EXTERNAL} --write --add-external-data; echo "exit $?"',
        ),
        ("no digest in the row", "WRITTEN", '+ "external_data_sha256"'),
    ),
    "baseline": Scene(
        None,
        (
            "git init -q -b main && git add . && git -c user.name=author -c user.email=author@"
            "example.org commit -q -m models",
            "sed -i '7,8d;13d;/quant_accuracy_budget_plcc/d' model/registry.json",
            'provenance check --baseline git:main; echo "exit $?"',
        ),
        ("compared with git:main", "LIC201", "LIC203", "BAS802", "restore", "exit 1"),
    ),
    "restore": Scene(
        "baseline",
        (
            'provenance restore --baseline git:main; echo "exit $?"',
            'git diff --exit-code && echo "as it was"',
        ),
        ('+ "license"', "as it was"),
    ),
    "inspect": Scene(
        "release",
        (f"provenance inspect {_BUNDLE_0}",),
        ("statement: a registry row", "deferred SID402"),
    ),
    "release-page": Scene(
        "released-again",
        (
            "provenance release --signer file:release.key --release-version v1.1.0 \\\n"
            "    --output sha256sums=SHA256SUMS --format markdown --output release.md",
            "sha256sum --check --quiet SHA256SUMS && wc -l < SHA256SUMS",
            "grep '^| <code>quality' release.md",
        ),
        ("production | Apache-2.0 | bundles/release.pub",),
    ),
    "consumer-fetch": Scene(
        "release",
        (
            "mkdir fetched",
            f"cp model/{EXTERNAL}.* bundles/{EXTERNAL}.* bundles/{_SUMMARY} fetched/",
            "ls fetched",
        ),
        (f"{EXTERNAL}.onnx.data", _SUMMARY),
    ),
    "consumer-require": Scene(
        "consumer-fetch",
        (
            f"provenance verify-model fetched/{EXTERNAL}.onnx --key release.pub \\\n"
            "    --require production,no-deferrals,summary --license-allow Apache-2.0,MIT \\\n"
            '    --max-age 90d --state seen.json; echo "exit $?"',
        ),
        ("1 row verified", "exit 0"),
    ),
    "consumer-smoke": Scene(
        "consumer-require",
        (
            f"cp model/{SEED}0.* bundles/{SEED}0.* fetched/",
            f"provenance verify-model fetched/{SEED}0.onnx --key release.pub \\\n"
            '    --require production,no-deferrals --license-allow MIT; echo "exit $?"',
        ),
        ("USE002", "USE003", "USE004", "exit 1"),
    ),
    "consumer-rollback": Scene(
        "consumer-require",
        (
            "cp -r fetched old",
            "sed -i 's|LICENSE-2.0|&.txt|' model/registry.json",
            "provenance release --signer file:release.key -q > /dev/null",
            f"cp bundles/{EXTERNAL}.* bundles/{_SUMMARY} fetched/",
            f"provenance verify-model fetched/{EXTERNAL}.onnx --key release.pub --state seen.json "
            "> /dev/null && echo new",
            f"provenance verify-model old/{EXTERNAL}.onnx --key release.pub --state seen.json; "
            'echo "exit $?"',
        ),
        ("new", "USE008", "exit 1"),
    ),
    "consumer-mixed": Scene(
        "consumer-rollback",
        (
            f"cp old/{EXTERNAL}.onnx.sigstore.json fetched/",
            f"provenance verify-model fetched/{EXTERNAL}.onnx --key release.pub --require summary; "
            'echo "exit $?"',
        ),
        ("USE006", "exit 1"),
    ),
    "pipeline-keys": Scene(
        None,
        (
            "mkdir -p ../secret keys",
            "for who in owner builder ci release; do provenance keygen -q ../secret/$who; done",
            "cp ../secret/builder.pub ../secret/ci.pub keys/ && cp ../secret/release.pub bundles/",
            "cat >> pyproject.toml <<'END'\n\n[tool.provenance.layout]\nexpires = 90\n"
            'keys = ["keys/ci.pub"]\n\n[[tool.provenance.layout.step]]\nname = "export"\n'
            'keys = ["keys/builder.pub"]\n\n[[tool.provenance.layout.step]]\nname = "sign"\n'
            'keys = ["bundles/release.pub"]\nEND',
        ),
        ("keys/ci.pub",),
    ),
    "pipeline-layout": Scene(
        "pipeline-keys",
        ("provenance layout --signer file:../secret/owner.key --output ../release.layout",),
        ("export: 1 of keys/builder.pub", "sign: 1 of bundles/release.pub", "expires"),
    ),
    "pipeline-checked": Scene(
        "pipeline-layout",
        (
            "python model/export_ensemble_v2_seeds.py --smoke \\\n"
            "    --link-dir ../links --link-key file:../secret/builder.key",
            "provenance check --link-dir ../links --link-key file:../secret/ci.key | tail -1",
        ),
        ("wrote 7 files", "OK: 7 rows passed"),
    ),
    "pipeline-released": Scene(
        "pipeline-checked",
        (
            "provenance release --signer file:../secret/release.key \\\n"
            "    --link-dir ../links --link-key file:../secret/release.key | tail -2",
            "provenance verify --link-dir ../links --link-key file:../secret/ci.key | tail -1",
            "ls ../links",
        ),
        ("8 bundles written", "OK: 7 rows verified", "verify.<key>.link"),
    ),
    "pipeline-verified": Scene(
        "pipeline-released",
        (
            "in-toto-verify --layout ../release.layout --verification-keys ../secret/owner.pub \\\n"
            '    --link-dir ../links; echo "exit $?"',
            "provenance verify --layout ../release.layout --layout-key ../secret/owner.pub \\\n"
            '    --link-dir ../links; echo "exit $?"',
        ),
        ("exit 0", "export by <key>", "7 rows verified", "exit 0"),
    ),
    "pipeline-changed": Scene(
        "pipeline-checked",
        (
            "sed -i '0,/Apache-2.0/s//MIT/' model/registry.json",
            "provenance release --signer file:../secret/release.key \\\n"
            "    --link-dir ../links --link-key file:../secret/release.key | tail -1",
            "provenance verify --link-dir ../links --link-key file:../secret/ci.key | tail -1",
            "provenance verify --layout ../release.layout --layout-key ../secret/owner.pub \\\n"
            '    --link-dir ../links; echo "exit $?"',
            "in-toto-verify -q --layout ../release.layout \\\n"
            "    --verification-keys ../secret/owner.pub --link-dir ../links; "
            'echo "exit $?"',
        ),
        ("PIP010", "model/registry.json changed between `check` and `sign`", "exit 1", "exit 1"),
    ),
    "consumer-release": Scene(
        "consumer-mixed",
        (
            f"provenance verify-release model/registry.json --key release.pub \\\n"
            f"    --summary bundles/{_SUMMARY} \\\n"
            '    --license-allow Apache-2.0,MIT --max-age 90d --state seen.json; echo "exit $?"',
        ),
        ("7 rows verified", "exit 0"),
    ),
    "consumer-release-changed": Scene(
        "consumer-release",
        (
            "echo >> model/quality_regressor_q_v1.json",
            "provenance verify-release model/registry.json --key release.pub \\\n"
            f'    --summary bundles/{_SUMMARY}; echo "exit $?"',
        ),
        ("ATT710", "quality_regressor_q_v1.json has the digest", "exit 1"),
    ),
    "no-trust": Scene(
        "download",
        (f'provenance verify-model {EXTERNAL}.onnx; echo "exit $?"',),
        ("no trusted signer", "exit 2"),
        "downloads",
    ),
    "tutorial-first": Scene(
        None,
        (
            "ls models",
            "provenance init",
            "provenance keygen -q ../keys/release",
            "cp ../keys/release.pub .",
            "cat >> provenance.toml <<'END'\n\n[[trust.key]]\npath = \"release.pub\"\n\n[[gate]]\n"
            'metric = "RMSE"\nthreshold = 1.4\ndirection = "lower"\nmembers = "$.rmse.*"\n'
            'rows = ["score"]\nEND',
            "provenance check",
            "provenance promote --ensemble score | tail -1",
            'provenance release --signer file:../keys/release.key; echo "exit $?"',
            'provenance verify; echo "exit $?"',
        ),
        ("6 rows", "PROMOTED: score, 3 rows", "exit 0", "OK: 6 rows verified", "exit 0"),
        tree="models",
    ),
    "tutorial-retire": Scene(
        "tutorial-first",
        (
            "mkdir ../user && cp models/preview.onnx models/bundles/preview.* release.pub ../user/",
            'provenance remove -q preview --reason "wrong order of inputs" \\\n'
            "    --replaced-by quality_regressor_q_v1 | tail -5",
            "rm models/preview.onnx models/bundles/preview.sigstore.json",
            "provenance release -q --signer file:../keys/release.key | tail -1",
            "cp models/bundles/models.json.vsa.sigstore.json ../user/",
            'provenance verify-model ../user/preview.onnx --key release.pub; echo "exit $?"',
        ),
        ("WITHDRAWN: 1 digest", "OK: 5 rows verified", "USE012", "exit 1"),
    ),
    "tutorial-rotate": Scene(
        "tutorial-first",
        (
            "provenance keygen -q ../keys/second",
            "cp ../keys/second.pub .",
            "cat >> provenance.toml <<'END'\n\n[[trust.key]]\npath = \"second.pub\"\nEND",
            "provenance release --signer file:../keys/second.key | tail -2",
            "sed -i '/^\\[\\[trust.key/{N;/release.pub/{N;d}}' provenance.toml && rm release.pub",
            "provenance release --signer file:../keys/second.key | tail -2",
            'provenance verify -q | tail -1; provenance list preview; echo "exit $?"',
        ),
        ("10 bundles written", "1 bundle written", "OK: 6 rows verified", "exit 0"),
    ),
    "tutorial-replace": Scene(
        "tutorial-first",
        (
            "git init -q -b main && git add . && git -c user.name=author -c user.email=author@"
            "example.org commit -q -m models",
            "cp ../export/preview.onnx models/",
            "provenance hash preview --write --accept preview",
            'provenance check --baseline git:main; echo "exit $?"',
            "provenance release --signer file:../keys/release.key | tail -2",
            'provenance check --baseline git:main | tail -1; echo "exit $?"',
        ),
        ("WRITTEN", "BAS815", "OK: 6 rows", "exit 0"),
    ),
    "tutorial-import": Scene(
        "tutorial-first",
        (
            "cp ../export/upstream.onnx ../export/upstream.json models/",
            "provenance add -q models/upstream.onnx --license MIT | tail -3",
            "cat models/upstream.json",
            "provenance promote upstream | tail -1",
            'provenance release --signer file:../keys/release.key | tail -2; echo "exit $?"',
        ),
        ("license MIT", "PROMOTED", "OK: 7 rows verified", "exit 0"),
    ),
    "no-signer": Scene("release", ('provenance release; echo "exit $?"',), ("no signer", "exit 4")),
}
"""The scenes. A scene comes before those that continue it."""


class Stage:
    """Plays the story in temporary folders, and keeps the state at the end of every scene."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tools = folder / "tools"
        self._tools.mkdir()
        for name, arguments in _TOOLS:
            wrapper = self._tools / name
            wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n', "utf-8")
            wrapper.chmod(0o755)

    def play(self, name: str) -> str:
        """Run a scene, and return its transcript."""
        scene = STORY[name]
        here = self.end_of(name)
        if scene.after is None:
            TREES[scene.tree](here)
        else:
            shutil.copytree(self.end_of(scene.after), here)
        transcript = "".join(f"$ {c}\n{self.run(c, here / scene.inside)}" for c in scene.commands)
        words = " ".join(transcript.split())
        missing = [text for text in scene.shows if " ".join(text.split()) not in words]
        if missing:
            raise StoryError(
                f"the output of scene {name!r} does not contain {missing}: correct STORY in "
                f"scripts/story.py, or the command\n{transcript}"
            )
        return transcript

    def end_of(self, name: str) -> Path:
        """Return the folder of a scene that was played."""
        return self._folder / name

    def environment(self) -> dict[str, str]:
        """Return the environment of commands. `provenance` and `python` are those of this tree."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_PASSED_ON)}
        return kept | {
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self._tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, command: str, here: Path) -> str:
        """Run a command and return its output, with values that vary replaced by a word."""
        environment = self.environment() | {"COLUMNS": str(_WIDTH), "NO_COLOR": "1"}
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = done.stdout.decode("utf-8").replace(f"{here}{os.sep}", "")
        text = _DAY.sub("<day>", text)
        text = _TIME.sub("<time>", _KEY_ID.sub("<key>", _COMMIT.sub("(<commit>)", text)))
        return _RUNTIME.sub("<version>", _FINGERPRINT.sub(r"\1sha256 <fingerprint>", text))


def _set_up(here: Path) -> None:
    """Make a tree with the reference registry and its configuration, without bundles."""
    here.mkdir()
    shutil.copytree(ROOT / "model", here / "model", ignore=shutil.ignore_patterns("__pycache__"))
    (here / "bundles").mkdir()
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines(keepends=True)
    kept: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("["):
            inside = line.strip("[] \n").startswith("tool.provenance")
        if inside:
            kept.append(line)
    (here / "pyproject.toml").write_text("".join(kept).strip() + "\n", "utf-8")


_CALLED: Final = {
    "id": "name",
    "kind": "task",
    "onnx": "file",
    "opset": "opset_version",
    "sha256": "digest",
    "int8_sha256": "int8_digest",
    "external_data_sha256": "weights",
    "quant_mode": "quantised",
    "license": "licence",
    "license_url": "licence_url",
    "sigstore_bundle": "signature",
    "smoke": "placeholder",
}


def _catalogue(here: Path) -> None:
    """Make a tree with two models of the reference registry under other field names."""
    rows = json.loads((ROOT / "model" / "registry.json").read_text("utf-8"))["models"]
    rows = [row for row in rows if row["id"].startswith("quality_regressor_")]
    (here / "model").mkdir(parents=True)
    for row in rows:
        for path in (ROOT / "model").glob(f"{row['id']}.*"):
            shutil.copy(path, here / "model")
    listed = [{name: row[field] for field, name in _CALLED.items() if field in row} for row in rows]
    text = json.dumps(listed, indent=2) + "\n"
    (here / "model" / "catalogue.json").write_text(text, "utf-8")


def _models(here: Path) -> None:
    """Make a folder of six models without an index, and what was exported later beside it."""
    models, exported = here / "models", here.parent / "export"
    models.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", here)
    for path in (ROOT / "model").glob("quality_regressor_*.onnx*"):
        shutil.copy(path, models)
    members = []
    corpus = {"path": "corpus/clips.jsonl", "sha256": hashlib.sha256(b"clips").hexdigest()}
    for seed in range(3):
        member: dict[str, Any] = {"id": f"score_seed{seed}", "seed": seed}
        name = f"{member['id']}.onnx"
        shutil.copy(ROOT / "model" / f"{SEED}{seed}.onnx", models / name)
        member["sha256"] = hashlib.sha256((models / name).read_bytes()).hexdigest()
        members.append(member | {"onnx": name})
        record = {"kind": "fr", "training_recipe": {"epochs": 300}, "corpus": corpus}
        _write(models / f"{member['id']}.json", member | record)
    _write(models / "score.json", {"id": "score", "kind": "fr_ensemble", "members": members})
    rmse = {"0": 1.30, "1": 1.32, "2": 1.31}
    _write(models / "score_evaluation.json", {"corpus": corpus, "rmse": rmse})
    shutil.copy(ROOT / "model" / f"{SEED}3.onnx", models / "preview.onnx")
    exported.mkdir()
    shutil.copy(ROOT / "model" / f"{SEED}4.onnx", exported / "preview.onnx")
    shutil.copy(ROOT / "model" / f"{SEED}4.onnx", exported / "upstream.onnx")
    origin = {"source": "https://example.org/upstream/v1", "license": "MIT"}
    sha256 = hashlib.sha256((exported / "upstream.onnx").read_bytes()).hexdigest()
    _write(
        exported / "upstream.json",
        {"id": "upstream", "kind": "fr", "sha256": sha256, "origin": origin},
    )


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


TREES: Final[Mapping[str, Callable[[Path], None]]] = {
    "reference": _set_up,
    "catalogue": _catalogue,
    "models": _models,
}
"""The trees that a scene can start from."""
