# SPDX-License-Identifier: Apache-2.0
"""Read YAML with limits on its structure.

The parser is written in Python. Its time for a value grows with the depth of nesting, and an alias
can repeat most of the file. So values, levels and aliases are counted during parsing.
"""

from __future__ import annotations

from typing import Any

import yaml

from provenance.artifacts import limits


class YamlError(ValueError):
    """The text is not YAML, or exceeds a limit on its structure. The message is a clause."""


def parse(text: str) -> Any:
    """Return the value of YAML `text`, made of strings, lists and mappings only.

    Unlike with `SafeLoader`, `on` stays a string, and a merge key, with which a small file can fill
    the memory, is an ordinary key.

    Raises:
        YamlError: If the text is not YAML or exceeds a limit on its structure.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as e:
        line = getattr(getattr(e, "problem_mark", None), "line", None)
        where = "" if line is None else f" (line {line + 1})"
        raise YamlError(f"is not YAML{where}") from e
    except RecursionError as e:
        raise YamlError("is nested too deeply") from e


class _Loader(yaml.BaseLoader):
    """A loader that counts events, aliases and levels."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._events = self._aliases = self._levels = 0

    def get_event(self) -> Any:
        """Return the next event. Raises YamlError if a limit is exceeded."""
        event = super().get_event()  # type: ignore[no-untyped-call]
        self._events += 1
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
        if self._events > limits.YAML_EVENTS:
            raise YamlError(f"has more than {limits.YAML_EVENTS:,} values")
        if self._aliases > limits.YAML_ALIASES:
            raise YamlError(f"has more than {limits.YAML_ALIASES:,} aliases")
        if isinstance(event, yaml.CollectionStartEvent):
            self._levels += 1
            if self._levels > limits.NESTING:
                raise YamlError("is nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._levels -= 1
        return event
