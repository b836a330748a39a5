# SPDX-License-Identifier: Apache-2.0
"""The yardstick of `verify`: a loop that reads, hashes, parses and verifies each row, and no more.

It judges and bounds nothing, and imports nothing of `provenance`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from typing import Any, Final

import onnx
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ALGORITHM: Final = ECDSA(SHA256())


def verify(root: str) -> int:
    """Verify every row of the registry in `root`, and return how many there are."""
    key = load_pem_public_key(_read(root, "release.pub"))
    assert isinstance(key, EllipticCurvePublicKey)
    models = os.path.join(root, "model")
    rows = json.loads(_read(models, "registry.json"))["models"]
    for row in rows:
        _verify_row(models, row, key)
    return len(rows)


def _verify_row(models: str, row: dict[str, Any], key: EllipticCurvePublicKey) -> None:
    name = row["onnx"]
    files = {name: row["sha256"]} | row.get("external_data_sha256", {})
    if "int8_sha256" in row:
        files[name.removesuffix(".onnx") + ".int8.onnx"] = row["int8_sha256"]
    for file, declared in files.items():
        data = _read(models, file)
        _require(hashlib.sha256(data).hexdigest() == declared, file)
        if file.endswith(".onnx"):
            onnx.load_model_from_string(data)
    sidecar = _read(models, name.removesuffix(".onnx") + ".json")
    _require(json.loads(sidecar)["sha256"] == row["sha256"], name)
    sidecar_sha256 = hashlib.sha256(sidecar).hexdigest()
    statement = _statement(_read(models, row["sigstore_bundle"]), key)
    signed = {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
    _require(signed == files, name)
    _require(statement["predicate"]["sidecars"][0]["digest"]["sha256"] == sidecar_sha256, name)


def _statement(bundle: bytes, key: EllipticCurvePublicKey) -> Any:
    """Return the statement in a bundle. Raises InvalidSignature if it is not signed by `key`."""
    envelope = json.loads(bundle)["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key.verify(signature, signed, ALGORITHM)
    return json.loads(payload)


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb") as stream:
        return stream.read()


def _require(held: bool, name: str) -> None:
    if not held:
        raise SystemExit(f"error: {name} is not the file that was released")


if __name__ == "__main__":
    sys.stdout.write(f"{verify(sys.argv[1]):,} rows verified\n")
