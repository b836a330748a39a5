# SPDX-License-Identifier: Apache-2.0
"""Statements of a release, edited and signed again by the key that counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.cases import dsse_bundle
from tests.support.keys import KeyPair


def sign_again(path: Path, key: KeyPair, edit: Callable[[Any], object]) -> None:
    bundle = json.loads(path.read_text("utf-8"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    edit(statement)
    path.write_text(json.dumps(dsse_bundle(json.dumps(statement).encode(), key)), "utf-8")
