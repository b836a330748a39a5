# SPDX-License-Identifier: Apache-2.0
"""The real clients and services of `make interop`, each built once per machine.

`python -m tests.interop.peers` builds what is missing in `${XDG_CACHE_HOME:-~/.cache}`. The name of
a folder there has the version and the digest of the lock file; a folder that exists is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
COSIGN_VERSION: Final = "v3.1.3"
COSIGN_PACKAGE: Final = "github.com/sigstore/cosign/v3/cmd/cosign"
SIGSTORE_JS_VERSION: Final = "4.1.3"
"""Of `@sigstore/verify`: the package `sigstore` only adds the public instance to it."""
VERSION_VARIABLE: Final = "sigs.k8s.io/release-utils/version.gitVersion"


class PeerError(Exception):
    """A client is not available. The message says what is missing and what to do."""


@dataclass(frozen=True)
class GoProgram:
    """A program that is built from a Go module with pinned versions."""

    name: str
    version: str
    package: str
    pins: Path

    def build(self) -> Path:
        def build(folder: Path) -> None:
            go = _tool("go", f"Install Go 1.26 or newer: {self.name} is built from its module.")
            flags = f"-X {VERSION_VARIABLE}={self.version}"
            command: list[str | Path] = [go, "build", "-mod=readonly", "-buildvcs=false"]
            command += ["-trimpath", "-ldflags", flags, "-o", folder / self.name, self.package]
            _run(command, self.pins)

        pinned = (self.pins / "go.mod", self.pins / "go.sum")
        return cached(f"{self.name}-{self.version}", pinned, build) / self.name


COSIGN: Final = GoProgram("cosign", COSIGN_VERSION, COSIGN_PACKAGE, HERE / "go")
SERVICES: Final = (
    GoProgram("fulcio", "v1.8.8", "github.com/sigstore/fulcio", HERE / "services" / "fulcio"),
    GoProgram(
        "rekor",
        "v2.2.1",
        "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
        HERE / "services" / "rekor",
    ),
    GoProgram(
        "timestamp-server",
        "v2.0.6",
        "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
        HERE / "services" / "timestamp-authority",
    ),
)
"""What a Sigstore instance is made of, besides what `tests.interop.instance` answers itself."""

SOFTHSM_PLACES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
"""Where distributions put the PKCS#11 module of SoftHSM 2."""


@dataclass(frozen=True)
class SoftHsm:
    """SoftHSM 2: a PKCS#11 token in software, and the program that initializes it."""

    module: Path
    tool: Path


@dataclass(frozen=True)
class Peers:
    """The paths of the clients and services."""

    cosign: Path
    node: Path
    node_modules: Path
    services: Mapping[str, Path]
    softhsm: SoftHsm


def prepare() -> Peers:
    """Build the clients that are missing, and return all.

    Raises:
        PeerError: A toolchain is missing, or a build failed. Nothing is skipped.
    """
    return Peers(
        cosign=COSIGN.build(),
        node=_tool("node", "Install Node.js 20 or newer."),
        node_modules=_node_modules(),
        services={service.name: service.build() for service in SERVICES},
        softhsm=_softhsm(),
    )


def cache_folder() -> Path:
    """Return the folder for built clients, which is outside the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "onnx-provenance"


def _node_modules() -> Path:
    pins = HERE / "node"
    files = (pins / "package.json", pins / "package-lock.json")

    def build(folder: Path) -> None:
        npm = _tool("npm", "Install npm, which comes with Node.js.")
        for file in files:
            shutil.copy(file, folder)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)

    return cached(f"sigstore-js-{SIGSTORE_JS_VERSION}", files, build) / "node_modules"


def _softhsm() -> SoftHsm:
    """Find the installed SoftHSM, or unpack that of the Debian packages."""
    tool = shutil.which("softhsm2-util")
    module = next((p for p in map(Path, SOFTHSM_PLACES) if p.is_file()), None)
    if tool and module:
        return SoftHsm(module, Path(tool))

    def build(folder: Path) -> None:
        apt = _tool("apt-get", "Install SoftHSM 2, which comes as softhsm or softhsm2.")
        # apt would become a user who may not enter the folder.
        quiet: list[str | Path] = [apt, "-qq", "-o", "APT::Sandbox::User=root"]
        download = [*quiet, "download", "libsofthsm2", "softhsm2"]
        try:
            _run(download, folder)
        except PeerError:  # a new machine has no lists of packages yet
            _run([*quiet, "update"], folder)
            _run(download, folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg-deb", "--extract", package, folder], folder)
            package.unlink()

    found = cached("softhsm2-debian", (), build) / "usr"
    return SoftHsm(found / "lib" / "softhsm" / "libsofthsm2.so", found / "bin" / "softhsm2-util")


def cached(name: str, pinned: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Return the cache folder of `name` as pinned by these files; only one process builds it.

    Where it is not there yet `build` makes it, in a folder that is moved into place afterwards.
    """
    name = f"{name}-{_digest(*pinned)}"
    place = cache_folder() / name
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _lock(place.with_name(f".{name}.lock")):
        if place.is_dir():
            return place
        _say(f"building {name}, once for this machine")
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=place.parent) as folder:
            new = Path(folder) / name
            new.mkdir()
            build(new)
            new.rename(place)
    return place


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _tool(name: str, advice: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise PeerError(
            f"`{name}` is not on PATH, and the interoperability tests need it. {advice}"
        )
    return Path(found)


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        raise PeerError(f"exit {done.returncode} from: {shown}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def main() -> int:
    """Build what is missing, print all paths, and return the exit status."""
    try:
        peers = prepare()
    except PeerError as e:
        _say(f"error: {e}")
        return 1
    _say(f"cosign {COSIGN_VERSION}: {peers.cosign}")
    _say(f"sigstore-js {SIGSTORE_JS_VERSION}: {peers.node_modules}")
    for service in SERVICES:
        _say(f"{service.name} {service.version}: {peers.services[service.name]}")
    _say(f"SoftHSM: {peers.softhsm.module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
