# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping programs and servers on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0
"""Seconds after which a server that does not answer is a failure."""

PATIENCE_WITH_OTHERS: Final = 600.0
"""Seconds after which another run on this machine that holds a port is a failure."""

Answer = tuple[int, Any]
"""A status, and what is sent as JSON."""


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def await_free(port: int) -> None:
    """Wait until a fixed port of a program is free."""
    deadline = time.monotonic() + PATIENCE_WITH_OTHERS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                return
            except OSError as e:
                if time.monotonic() > deadline:
                    raise AssertionError(f"port {port} is taken: another run?") from e
        time.sleep(0.5)


@contextmanager
def program(command: Sequence[str | Path], log: Path, ports: Sequence[int]) -> Iterator[None]:
    """Run `command` until the end of the block, and wait until it listens on its ports."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(c) for c in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(log.parent)},
        )
        try:
            for port in ports:
                _await(port, process, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    tail = log.read_text("utf-8", "replace")[-2000:]
    raise AssertionError(f"nothing listens on port {port}; the last that was said:\n{tail}")


@contextmanager
def answering(answer: Callable[[str, str, bytes], Answer]) -> Iterator[int]:
    """Run an HTTP server in a thread, and yield its port.

    `answer` receives the method, the path and the body.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, value = answer(self.command, self.path, body)
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the clients log their requests."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
