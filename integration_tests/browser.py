"""A page in a real browser: Chromium or Chrome without a window."""

import functools
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typing_extensions import override

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str:
    """Return the browser's program; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("left out: no Chromium is installed (Debian's package is chromium)")
    return found


def render(address: str, *, dark: bool = False, width: int = 1200) -> tuple[str, list[str]]:
    """Return a page's document after its scripts ran, and what the browser wrote to its console."""
    done = _run("--dump-dom", address, dark=dark, size=(width, 1000))
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def screenshot(address: str, *, dark: bool, width: int, height: int) -> bytes:
    """Return the top of a page as a PNG."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.png"
        _run(f"--screenshot={path}", "--hide-scrollbars", address, dark=dark, size=(width, height))
        return path.read_bytes()


def _run(*arguments: str, dark: bool, size: tuple[int, int]) -> "subprocess.CompletedProcess[str]":
    # Chromium's own sandbox does not run as root.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [
                *(browser(), "--headless", *as_root, "--disable-gpu", f"--user-data-dir={profile}"),
                *("--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"),
                # Whatever the page would load from elsewhere fails, and is an error in the console.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                *(f"--window-size={size[0]},{size[1]}", "--virtual-time-budget=5000"),
                *("--enable-logging=stderr", "--v=0", *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback and yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
