# SPDX-License-Identifier: Apache-2.0
"""Sign, attest and verify the models of an ONNX registry.

The public API has four parts:

- the operations that an author runs in a repository: `check`, `fix`, `promote`, `restore`,
  `hash_models`, `sign`, `attest`, `release`, `verify`, `layout` and `record_step`;
- the `Verifier` of a consumer, and `open_model`;
- `sign_artifact` and `sign_statement`, which write bundles for single files;
- the types that these take and return, and the errors.

`provenance.api` lists every name. It is imported when a name is first used, so that
`import provenance` alone is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from provenance.version import __version__ as __version__

if TYPE_CHECKING:
    from provenance.api import *  # noqa: F403

    __all__: list[str]
else:

    def __getattr__(name: str) -> Any:
        if name == "__all__":
            return __dir__()
        if not name.startswith("_") and name in __dir__():
            return getattr(importlib.import_module("provenance.api"), name)
        raise AttributeError(f"module 'provenance' has no attribute {name!r}")


def __dir__() -> list[str]:
    names = vars(importlib.import_module("provenance.api"))
    return sorted(n for n in names if not n.startswith("_") or n == "__version__")
