# SPDX-License-Identifier: Apache-2.0
"""The public API. `provenance` exports these names and imports each when it is first used."""

from __future__ import annotations as _annotations

import provenance.config as _config
import provenance.signing.trusted_root as _roots
from provenance.config import Config as Config
from provenance.config import trust_from_file as trust_from_file
from provenance.config import trust_from_keys as trust_from_keys
from provenance.config import trust_from_options as trust_from_options
from provenance.consumer.model import ModelRefusedError as ModelRefusedError
from provenance.consumer.model import VerifiedModel as VerifiedModel
from provenance.consumer.verifier import Verifier as Verifier
from provenance.consumer.verifier import open_model as open_model
from provenance.errors import InputError as InputError
from provenance.errors import ProvenanceError as ProvenanceError
from provenance.errors import UnavailableError as UnavailableError
from provenance.errors import VerificationError as VerificationError
from provenance.gate.finding import Finding as Finding
from provenance.gate.finding import Report as Report
from provenance.gate.finding import Severity as Severity
from provenance.gate.finding import Verdict as Verdict
from provenance.gate.requirements import Require as Require
from provenance.operations.artifact import sign_artifact as sign_artifact
from provenance.operations.artifact import sign_statement as sign_statement
from provenance.operations.check import check as check
from provenance.operations.fix import fix as fix
from provenance.operations.hashing import Hashes as Hashes
from provenance.operations.hashing import hash_models as hash_models
from provenance.operations.layout import Layout as Layout
from provenance.operations.layout import layout as layout
from provenance.operations.layout import layout_request as layout_request
from provenance.operations.promote import Promotion as Promotion
from provenance.operations.promote import promote as promote
from provenance.operations.record import Recording as Recording
from provenance.operations.record import record_step as record_step
from provenance.operations.restore import Restoration as Restoration
from provenance.operations.restore import Restored as Restored
from provenance.operations.restore import restore as restore
from provenance.operations.sign import attest as attest
from provenance.operations.sign import release as release
from provenance.operations.sign import sign as sign
from provenance.operations.verify import verify as verify
from provenance.operations.verify_options import VerifyOptions as VerifyOptions
from provenance.signing.signers import open_signer as open_signer
from provenance.signing.trust import Trust as Trust
from provenance.signing.trust import TrustedIdentity as TrustedIdentity
from provenance.signing.trust import TrustedKey as TrustedKey
from provenance.signing.trust import TrustedWorkflow as TrustedWorkflow
from provenance.signing.trusted_root import Instance as Instance
from provenance.version import __version__ as __version__

load_config = _config.load
trusted_root_from_file = _roots.of_file
