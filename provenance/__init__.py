# SPDX-License-Identifier: Apache-2.0
"""Sign, attest and verify the models of an ONNX registry.

The public API: the journeys (`check`, `fix`, `promote`, `restore`, `verify`, `verify_file`,
`verify_release`, `sign`, `attest`, `release`, `hash_models`, `layout`, `record_step`), the
consumer's `open_model`, the same for single files of any kind (`verify_artifact`, `sign_artifact`,
`sign_statement`), what they take (`load_config`, `open_signer`, `trust_from_keys`,
`trust_from_file`, `layout_request`, `Require`), what they return (`Report`, `Finding`,
`VerifiedModel`, …) and the errors.
Each name is imported when it is first used: importing `provenance` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provenance.config import Config, trust_from_file, trust_from_keys, trust_from_options
    from provenance.config import load as load_config
    from provenance.consumer.model import VerifiedModel
    from provenance.consumer.opening import ModelRefusedError, open_model
    from provenance.errors import (
        InputError,
        ProvenanceError,
        UnavailableError,
        VerificationError,
    )
    from provenance.gate.finding import Finding, Report, Severity, Verdict
    from provenance.gate.requirements import Require
    from provenance.operations.artifact import sign_artifact, sign_statement, verify_artifact
    from provenance.operations.check import check
    from provenance.operations.fix import fix
    from provenance.operations.hashing import Hashes, hash_models
    from provenance.operations.layout import Layout, layout, layout_request
    from provenance.operations.promote import Promotion, promote
    from provenance.operations.record import Recording, record_step
    from provenance.operations.restore import Restoration, Restored, restore
    from provenance.operations.sign import attest, release, sign
    from provenance.operations.verify import verify, verify_file
    from provenance.operations.verify_release import verify_release
    from provenance.signing.roots import Instance
    from provenance.signing.roots import of_file as trusted_root_from_file
    from provenance.signing.signers import open_signer
    from provenance.signing.trust import Trust, TrustedIdentity, TrustedKey, TrustedWorkflow
    from provenance.version import __version__

_WHERE = {
    "check": ("provenance.operations.check", "check"),
    "fix": ("provenance.operations.fix", "fix"),
    "promote": ("provenance.operations.promote", "promote"),
    "Promotion": ("provenance.operations.promote", "Promotion"),
    "verify": ("provenance.operations.verify", "verify"),
    "verify_artifact": ("provenance.operations.artifact", "verify_artifact"),
    "verify_file": ("provenance.operations.verify", "verify_file"),
    "verify_release": ("provenance.operations.verify_release", "verify_release"),
    "sign": ("provenance.operations.sign", "sign"),
    "attest": ("provenance.operations.sign", "attest"),
    "release": ("provenance.operations.sign", "release"),
    "sign_artifact": ("provenance.operations.artifact", "sign_artifact"),
    "sign_statement": ("provenance.operations.artifact", "sign_statement"),
    "hash_models": ("provenance.operations.hashing", "hash_models"),
    "restore": ("provenance.operations.restore", "restore"),
    "Restoration": ("provenance.operations.restore", "Restoration"),
    "Restored": ("provenance.operations.restore", "Restored"),
    "Hashes": ("provenance.operations.hashing", "Hashes"),
    "open_model": ("provenance.consumer.opening", "open_model"),
    "VerifiedModel": ("provenance.consumer.model", "VerifiedModel"),
    "ModelRefusedError": ("provenance.consumer.opening", "ModelRefusedError"),
    "Require": ("provenance.gate.requirements", "Require"),
    "Layout": ("provenance.operations.layout", "Layout"),
    "layout": ("provenance.operations.layout", "layout"),
    "layout_request": ("provenance.operations.layout", "layout_request"),
    "Recording": ("provenance.operations.record", "Recording"),
    "record_step": ("provenance.operations.record", "record_step"),
    "Config": ("provenance.config", "Config"),
    "load_config": ("provenance.config", "load"),
    "trust_from_file": ("provenance.config", "trust_from_file"),
    "trust_from_keys": ("provenance.config", "trust_from_keys"),
    "trust_from_options": ("provenance.config", "trust_from_options"),
    "Instance": ("provenance.signing.roots", "Instance"),
    "trusted_root_from_file": ("provenance.signing.roots", "of_file"),
    "open_signer": ("provenance.signing.signers", "open_signer"),
    "Trust": ("provenance.signing.trust", "Trust"),
    "TrustedIdentity": ("provenance.signing.trust", "TrustedIdentity"),
    "TrustedWorkflow": ("provenance.signing.trust", "TrustedWorkflow"),
    "TrustedKey": ("provenance.signing.trust", "TrustedKey"),
    "Finding": ("provenance.gate.finding", "Finding"),
    "Report": ("provenance.gate.finding", "Report"),
    "Severity": ("provenance.gate.finding", "Severity"),
    "Verdict": ("provenance.gate.finding", "Verdict"),
    "InputError": ("provenance.errors", "InputError"),
    "ProvenanceError": ("provenance.errors", "ProvenanceError"),
    "UnavailableError": ("provenance.errors", "UnavailableError"),
    "VerificationError": ("provenance.errors", "VerificationError"),
    "__version__": ("provenance.version", "__version__"),
}

__all__ = [
    "Config",
    "Finding",
    "Hashes",
    "InputError",
    "Instance",
    "Layout",
    "ModelRefusedError",
    "Promotion",
    "ProvenanceError",
    "Recording",
    "Report",
    "Require",
    "Restoration",
    "Restored",
    "Severity",
    "Trust",
    "TrustedIdentity",
    "TrustedKey",
    "TrustedWorkflow",
    "UnavailableError",
    "Verdict",
    "VerificationError",
    "VerifiedModel",
    "__version__",
    "attest",
    "check",
    "fix",
    "hash_models",
    "layout",
    "layout_request",
    "load_config",
    "open_model",
    "open_signer",
    "promote",
    "record_step",
    "release",
    "restore",
    "sign",
    "sign_artifact",
    "sign_statement",
    "trust_from_file",
    "trust_from_keys",
    "trust_from_options",
    "trusted_root_from_file",
    "verify",
    "verify_artifact",
    "verify_file",
    "verify_release",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'provenance' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)
