# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses that are cheap to define.

The standard library compiles six methods for each frozen dataclass, which takes 0.3 ms. A command
loads 150 such classes and would spend a quarter of its time on this. The decorator in this module
compiles only `__init__`; all classes share the other methods.

Type checkers see the standard decorator and reject assignments to fields. At run time, only classes
with `order=True` or `init=False` reject them, because those use the standard decorator.
"""

from __future__ import annotations

import reprlib
from dataclasses import fields
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    def dataclass(cls=None, /, *, frozen=False, repr=True, eq=True, **options):
        """Do the same as `dataclasses.dataclass`, with shared methods if frozen and not ordered."""
        if cls is None:
            return partial(dataclass, frozen=frozen, repr=repr, eq=eq, **options)
        if not frozen or options.get("order") or not options.get("init", True):
            return dataclasses.dataclass(cls, frozen=frozen, repr=repr, eq=eq, **options)
        made = dataclasses.dataclass(cls, repr=False, eq=False, **options)
        shared = {"__repr__": _repr} if repr else {}
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash}
            names = [f.name for f in fields(made) if f.compare]
            # With a single name, `attrgetter` would not return a tuple.
            made._compared = attrgetter(*names, names[0]) if names else staticmethod(lambda _: ())
        for name, method in shared.items():
            # Python sets `__hash__` to None if a class defines `__eq__`.
            if vars(made).get(name) is None:
                setattr(made, name, method)
        return made


def _eq(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return self._compared(self) == other._compared(other)


def _hash(self: Any) -> int:
    return hash(self._compared(self))


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"
