"""Draw the pictures of README: `make pictures`, or `python -m docs.pictures`."""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from datetime import date
from pathlib import Path
from typing import Final

from integration_tests.browser import screenshot
from sandbox import Sandbox

PROJECT: Final = Path(__file__).parents[1]
PICTURES: Final = {PROJECT / "docs" / "tour.png": False, PROJECT / "docs" / "tour-dark.png": True}

_PAGE: Final = [PROJECT / "tools" / "tour" / name for name in ("report.html", "charts.py")]
# A PNG's signature and its first chunk.
_HEAD: Final = 33


def version() -> bytes:
    """Return what a picture of today's page says of its version, as a chunk of a PNG."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _PAGE)).hexdigest()
    text = b"tEXtSource\0" + digest.encode()
    return struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))


def main() -> None:
    """Read a sandbox, and draw its page light and dark."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        with Sandbox(conversations=1500, today=date.today()) as sandbox:  # noqa: DTZ011
            config = Path(folder) / "config.json"
            config.write_text(f'{{"org_name": "acme", "api_key": "{sandbox.key}"}}')
            subprocess.run(
                [sys.executable, "-m", "tools.tour", "--config", config, "--into", folder],
                env={**os.environ, "KUSTOMER_API_URL": sandbox.url},
                check=True,
            )
        for path, dark in PICTURES.items():
            picture = screenshot(page.as_uri(), dark=dark, width=1200, height=1500)
            path.write_bytes(picture[:_HEAD] + version() + picture[_HEAD:])


if __name__ == "__main__":
    main()
