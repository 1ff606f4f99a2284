"""Install a requirements file and this package with uv: `python tools/install.py VENV FILE`.

Runs before anything is installed, so it takes the standard library only. uv does not read pip's
configuration; what that says of indexes, proxies and certificates is handed over.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

UV = "uv==0.13.9"

# What pip and uv write where they reach no index.
_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectTimeout|ProxyError|name resolution|dns error|error sending request"
)

# pip's options and uv's variables for them.
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
# The later section takes precedence, as it does for pip.
_SECTIONS = ("global", "install", ":env:")
_DEFAULTS = {
    # The system's certificates, as pip uses them, and not uv's own.
    "UV_SYSTEM_CERTS": "true",
    # Like pip: a package may come from any index. Its hash says whether it is the right one.
    "UV_INDEX_STRATEGY": "unsafe-best-match",
}


def main(venv: str, requirements: str) -> int:
    """Make the environment where there is none, and install; returns 1 if a step fails."""
    programs = Path(venv, "bin")
    try:
        if not (programs / "uv").exists():
            _run("Making an environment", [sys.executable, "-m", "venv", venv])
            _run("Fetching the installer, uv", [programs / "pip", "install", "--quiet", UV])
        listed = subprocess.run(
            [programs / "pip", "config", "list"], capture_output=True, text=True, check=True
        ).stdout
        environment = {**_DEFAULTS, **uv_environment(listed.splitlines()), **os.environ}
        uv, python = str(programs / "uv"), str(programs / "python")
        install = [uv, "pip", "install", "--python", python, "--no-deps"]
        _run(
            f"Installing the packages of {requirements}",
            [*install, "--require-hashes", "--requirement", requirements],
            environment,
        )
        _run(
            "Adding the connector",
            [*install, "--no-build-isolation", "--editable", "."],
            environment,
        )
    except subprocess.CalledProcessError as e:
        print(explanation(e.output or str(e)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    return 0


def explanation(output: str) -> str:
    """Return what a step that failed wrote, or one sentence where the network is missing."""
    if not _UNREACHABLE.search(output):
        return output
    return (
        "The package index, needed once to install, cannot be reached: check the network, "
        "HTTPS_PROXY and `pip config list`, then run make again."
    )


def uv_environment(listed: Iterable[str]) -> Mapping[str, str]:
    """Translate the lines of `pip config list` into uv's environment."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listed:
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found and option in _VARIABLES:
            values = str(ast.literal_eval(value)).split()
            # Of lists, uv separates this one by commas.
            separator = "," if option == "find-links" else " "
            found[section][_VARIABLES[option]] = separator.join(values)
    return {name: value for section in _SECTIONS for name, value in found[section].items()}


def _run(
    what: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> None:
    """Run a command and show how long it takes; its output belongs to the error if it fails."""
    began = time.monotonic()
    print(f"{what} ...", end="", flush=True)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            if sys.stdout.isatty():
                print(f"\r{what} ... {time.monotonic() - began:.0f} s", end="", flush=True)
        before = f"\r{what} ..." if sys.stdout.isatty() else ""
        took = "failed" if process.returncode else f"{time.monotonic() - began:.1f} s"
        print(f"{before} {took}", flush=True)
        output.seek(0)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, output.read())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
