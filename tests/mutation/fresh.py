# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: the file `MUTANT_OF` is imported with the source in the file `MUTANT`."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any, Final

_FILE: Final = os.environ["MUTANT_OF"]
_SOURCE: Final = Path(os.environ["MUTANT"]).read_bytes()


class _Loader(SourceFileLoader):
    """The changed source under the path of the file, and no bytecode of the file as it is."""

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(_SOURCE, self.path)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin != _FILE:
            return None
        spec.loader = _Loader(name, _FILE)
        return spec


sys.meta_path.insert(0, _Finder())
