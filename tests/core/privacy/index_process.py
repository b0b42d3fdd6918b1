"""Index servers in processes of their own: ``python -m tests.core.privacy.index_process FILE PORT [real]``.

Without ``real`` the scorer is the fake one. Prints what is loaded when told to on stdin.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(command, port, *, seconds=60.0):
    """A process that listens on a port, when it does."""
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(process.stderr.read().decode())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process
        time.sleep(0.02)
    process.kill()
    message = "the index server does not listen"
    raise AssertionError(message)


def start_fake(file, port):
    return start([sys.executable, "-m", "tests.core.privacy.index_process", str(file), str(port)], port)


def start_real(file, port):
    """As a user does: ``leo index serve``."""
    command = [sys.executable, "-c", "from leo_core.cli import main; main()", "index", "serve", str(file)]
    return start([*command, "--port", str(port)], port)


def stop(process):
    """End it; returns what it wrote to stderr."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=20)[1].decode()
    process.kill()
    return process.communicate()[1].decode()


def main():
    """Serve with the fake scorer."""
    from leo_core.privacy.index.service import run_service
    from tests.core.privacy.index_parts import make_server

    run_service(make_server(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))


if __name__ == "__main__":
    main()
