# SPDX-License-Identifier: Apache-2.0
"""Whole small repositories with a registry, for tests that need more than a fixed case."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.keys import KeyPair
from tests.support.models import CODECS, External, data, model

SUFFIX = ".sigstore.json"
PROJECT = "https://example.org/models/registry.json"
"""The URI that the configuration of a repository names it by."""


PASSED: dict[str, Any] = {"mean_plcc": 0.99, "mean_plcc_threshold": 0.95, "passed": True}
"""The gate of a model that is no member of an ensemble, as its sidecar records it."""


def sha256(content: bytes) -> str:
    """The SHA-256 of `content`, lower-case hex."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Repository:
    """A repository with a configuration and a registry in `model/`.

    Build it up, then `save()`. Rows are plain dicts that a test may change before saving. `trust`
    is TOML for those whom it trusts beside its key.
    """

    root: Path
    key: KeyPair | None = None
    folder: str = "model"
    rows: list[dict[str, Any]] = field(default_factory=list)
    deferrals: list[dict[str, Any]] = field(default_factory=list)
    trust: str = ""

    @property
    def models(self) -> Path:
        """The registry's folder."""
        return self.root / self.folder

    @property
    def registry(self) -> Path:
        return self.models / "registry.json"

    def path(self, name: str) -> Path:
        return self.models / name

    def write(self, name: str, content: bytes | str | dict[str, Any]) -> Path:
        """Write a file beside the registry; a dict as JSON."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content, indent=2) + "\n"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def add(
        self, id: str = "m", content: bytes | None = None, *, onnx: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Add a model and its row: smoke and complete, unless `fields` say otherwise."""
        name = onnx or f"{id}.onnx"
        content = model(salt=len(self.rows)) if content is None else content
        self.write(name, content)
        row = {
            "id": id,
            "kind": "fr",
            "onnx": name,
            "opset": 17,
            "sha256": sha256(content),
            "license": "MIT",
            "license_url": "https://example.org/LICENSE",
            "sigstore_bundle": f"../bundles/{name}{SUFFIX}",
            "smoke": True,
        } | fields
        self.rows.append(row)
        return row

    def add_unclaimed(self, id: str = "m") -> dict[str, Any]:
        """Add a model whose row says neither smoke nor production."""
        row = self.add(id)
        del row["smoke"]
        return row

    def add_external(self, id: str = "ext", **fields: Any) -> dict[str, Any]:
        """Add a model whose weights are in `<id>.onnx.data`, covered by a digest."""
        weights = data(24, salt=len(self.rows))
        self.write(f"{id}.onnx.data", weights)
        content = model(salt=len(self.rows), external=External(f"{id}.onnx.data"))
        covered = {f"{id}.onnx.data": sha256(weights)}
        return self.add(id, content, **({"external_data_sha256": covered} | fields))

    def add_int8(self, id: str = "q", **fields: Any) -> dict[str, Any]:
        content = model(salt=200 + len(self.rows))
        self.write(f"{id}.int8.onnx", content)
        return self.add(id, **({"quant_mode": "dynamic", "int8_sha256": sha256(content)} | fields))

    def add_sidecar(self, row: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Write the sidecar of a row: fresh, and of the width of its model.

        The evidence of a row that says production is complete, unless `fields` say otherwise.
        """
        stem = str(row["onnx"]).removesuffix(".onnx")
        sidecar = {
            "id": row["id"],
            "kind": row["kind"],
            "feature_order": [f"f{i}" for i in range(6)],
            "input_names": ["features"],
            "sha256": row["sha256"],
        }
        if row.get("smoke") is False and not {"ensemble_id", "gate_passed"} & fields.keys():
            sidecar["gate"] = PASSED
        sidecar |= fields
        self.write(f"{stem}.json", sidecar)
        return sidecar

    def add_ensemble(
        self,
        id: str = "ens",
        seeds: int = 2,
        *,
        smoke: bool = True,
        salt: int = 50,
        **sidecar_fields: Any,
    ) -> list[dict[str, Any]]:
        """Add an ensemble: seeds with fresh sidecars, the manifest, and the gate verdict."""
        rows = []
        for seed in range(seeds):
            inputs = [("features", 6), ("codec_onehot", len(CODECS))]
            row = self.add(f"{id}_seed{seed}", model(inputs=inputs, salt=salt + seed), smoke=smoke)
            self.add_sidecar(
                row,
                **{
                    "input_names": ["features", "codec_onehot"],
                    "ensemble_id": id,
                    "seed": seed,
                    "encoder_vocab": list(CODECS),
                    "codec_block_layout": [f"encoder_onehot[{c}]" for c in CODECS],
                    "training_recipe": {"num_codecs": len(CODECS), "epochs": 1},
                    "corpus": {"path": "corpus/clips.jsonl", "sha256": sha256(b"corpus")},
                    "gate": seed_gate(0.99),
                }
                | sidecar_fields,
            )
            rows.append(row)
        members = [
            {"id": r["id"], "onnx": r["onnx"], "seed": i, "sha256": r["sha256"]}
            for i, r in enumerate(rows)
        ]
        self.write(f"{id}.json", {"id": id, "codec_vocab": list(CODECS), "members": members})
        self.write(
            f"{id}_seed_flip_PROMOTE.json",
            {
                "ensemble_id": id,
                "corpus": {"path": "corpus/clips.jsonl", "sha256": sha256(b"corpus")},
                "gate": verdict_gate({str(seed): 0.99 for seed in range(seeds)}),
                "seeds": list(range(seeds)),
                "verdict": "PROMOTE",
            },
        )
        return rows

    def defer(self, rule: str, rows: list[str], **fields: Any) -> None:
        explained = {"reason": "a test", "reference": "ADR-1105"}
        self.deferrals.append({"rule": rule, "rows": rows} | explained | fields)

    def save(self) -> Repository:
        """Write the registry and the configuration."""
        self.models.mkdir(parents=True, exist_ok=True)
        (self.root / "bundles").mkdir(exist_ok=True)
        text = json.dumps({"schema_version": 1, "models": self.rows}, indent=2) + "\n"
        self.registry.write_text(text, "utf-8")
        lines = [f'registry = "{self.folder}/registry.json"', f'resource_uri = "{PROJECT}"']
        lines.append('consumers = ["libvmaf"]')
        if self.key is not None:
            (self.root / "release.pub").write_bytes(self.key.public.read_bytes())
            lines += ["[[trust.key]]", 'path = "release.pub"']
        lines += [self.trust] if self.trust else []
        for deferral in self.deferrals:
            lines.append("[[deferral]]")
            # JSON's strings and lists of strings are TOML's; dates are written as they print.
            lines += [
                f"{k} = {json.dumps(v) if isinstance(v, str | list) else v}"
                for k, v in deferral.items()
            ]
        (self.root / "provenance.toml").write_text("\n".join(lines) + "\n", "utf-8")
        return self

    def edit_registry(self, old: str, new: str) -> None:
        """Replace the one occurrence of `old` in the registry's text."""
        replace_once(self.registry, old, new)

    @property
    def config(self) -> Any:
        """The configuration as the package reads it."""
        from provenance import load_config

        return load_config(self.root)

    def check(self, *rows: str) -> Any:
        from provenance import check

        return check(self.config, rows=rows)

    def verify(self, *rows: str) -> Any:
        from provenance import verify

        return verify(self.config, rows=rows)

    def release(self, **options: Any) -> Any:
        from provenance import open_signer, release

        assert self.key is not None, "a repository without a key cannot be released"
        return release(self.config, open_signer(self.key.signer), **options)

    def released(self, **options: Any) -> Repository:
        self.save()
        report = self.release(**options)
        assert report.exit_code == 0, [(f.code, f.message) for f in report.failing]
        return self


def copied(repository: Repository, root: Path) -> Repository:
    """The same repository elsewhere, with the same key."""
    shutil.copytree(repository.root, root)
    rows, deferrals = deepcopy(repository.rows), deepcopy(repository.deferrals)
    return replace(repository, root=root, rows=rows, deferrals=deferrals)


def verdict_gate(per_seed_plccs: dict[str, float]) -> dict[str, Any]:
    """The gate of a verdict file that passed, with these numbers."""
    values = list(per_seed_plccs.values())
    return {
        "failing_seeds": [],
        "mean_plcc": math.fsum(values) / len(values),
        "mean_plcc_pass": True,
        "mean_plcc_threshold": 0.95,
        "passed": True,
        "per_seed_min": 0.95,
        "per_seed_pass": True,
        "per_seed_plccs": per_seed_plccs,
        "plcc_spread": max(values) - min(values),
        "plcc_spread_max": 0.005,
        "plcc_spread_pass": True,
    }


def seed_gate(plcc: float) -> dict[str, Any]:
    """The gate of a sidecar that passed, where every seed has the same number."""
    return {
        "mean_plcc": plcc,
        "mean_plcc_threshold": 0.95,
        "passed": True,
        "per_seed_min_threshold": 0.95,
        "plcc_spread": 0.0,
        "plcc_spread_max": 0.005,
        "this_seed_loso_plcc": plcc,
        "verdict": "PROMOTE",
    }


def full_repository(root: Path, key: KeyPair | None = None) -> Repository:
    """A repository with one of everything: plain, external data, int8, sidecars, an ensemble."""
    repository = Repository(root, key)
    repository.add_sidecar(repository.add("plain", smoke=False))
    repository.add_external("ext")
    repository.add_int8("q")
    repository.add_ensemble("ens", 2, training={"smoke": True})
    return repository


def codes(report: Any) -> list[str]:
    """The codes of the findings that fail, sorted."""
    return sorted(f.code for f in report.failing)


def replace_once(path: Path, old: str, new: str) -> None:
    """Replace the one occurrence of `old` in a UTF-8 file."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), "utf-8")
