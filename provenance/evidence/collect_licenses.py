# SPDX-License-Identifier: Apache-2.0
"""Collect the license files of this repository that rows point at, each once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from provenance.artifacts import digest, license_text, limits, paths
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.repository import WorkTree, file_url, work_tree
from provenance.evidence.rows import LicenseFile
from provenance.registry.registry import Registry
from provenance.registry.rows import Row


def license_files(
    root: Tree, registry: Registry, rows: Iterable[Row], repository: str | None
) -> dict[str, LicenseFile]:
    """Return the license files that rows point at, by the value of their `license_url`.

    URLs of other sites are left out. So are URLs of this repository whose file is not in the tree:
    the branch in the URL may have it.
    """
    collector = _Collector(root, registry, repository)
    urls = dict.fromkeys(u for r in rows if (u := r.text("license_url")) is not None)
    found = ((url, collector.file(url)) for url in urls)
    return {url: file for url, file in found if file is not None}


class _Collector:
    def __init__(self, root: Tree, registry: Registry, repository: str | None) -> None:
        self._root = root
        self._registry = registry
        self._repository = repository
        self._files: dict[str, LicenseFile] = {}

    @cached_property
    def _work_tree(self) -> WorkTree:
        return work_tree(self._root.root, self._repository)

    def file(self, url: str) -> LicenseFile | None:
        address = file_url(url) if _is_elsewhere(url) else None
        if address is not None:
            path = self._work_tree.path_of(address)
            found = None if path is None else self._read(path)
            return None if found is None or found.problem is not None else found
        if _is_elsewhere(url):
            return None
        # A path is relative to the registry's folder, like the paths of bundles, or to the root.
        here = self._read(self._registry.absolute(url))
        return self._read(url) if here.missing else here

    def _read(self, path: str) -> LicenseFile:
        known = self._files.get(path)
        if known is None:
            known = self._files[path] = self._license(path)
        return known

    def _license(self, path: str) -> LicenseFile:
        name = self._registry.name_of(path) if paths.unsafe_reason(path) is None else path
        try:
            data = self._root.read(path, limits.LICENSE)
        except FileError as e:
            return LicenseFile(path, name, problem=e.kept())
        found = digest.of_bytes(data)
        text = data.decode("utf-8", "replace")
        tags = license_text.tagged(text)
        if tags:
            return LicenseFile(path, name, found, licenses=tags, says_so=True)
        id = license_text.recognised(text)
        return LicenseFile(path, name, found, licenses=() if id is None else (id,))


def _is_elsewhere(url: str) -> bool:
    """Whether a string is a URL at which a license can be read."""
    # `urlsplit` drops line ends and tabs; a browser would not.
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme in _WITH_HOST:
        return bool(parts.hostname)
    return parts.scheme in _WITHOUT_HOST and bool(parts.netloc or parts.path)


# Not `file:`, which is a place on one machine, nor a single letter, which is a drive.
_WITH_HOST: Final = (
    *("https", "http", "ftps", "ftp", "sftp", "ssh", "git", "svn", "s3", "gs", "hf", "oci"),
    *(f"git+{scheme}" for scheme in ("https", "http", "ssh")),
)
_WITHOUT_HOST: Final = ("urn", "doi", "swh", "ipfs", "pkg", "info")
