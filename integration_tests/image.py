"""The connector's image, built once for all the tests that run it."""

import fcntl
import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

TAG = "source-kustomer:test"

_PROJECT = Path(__file__).parents[1]
_STANDIN = Path(__file__).with_name("standin_base_image.sh")
_SECONDS_FOR_STANDIN = 1800
# Docker passes these to a build by itself only where its client's configuration says so.
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class NoImageError(Exception):
    """No image can be built on this machine, for a reason that lies outside the project."""


@functools.cache
def image() -> str:
    """Build the connector's image, on Airbyte's base or else on the stand-in, and return its tag.

    Raises `NoImageError` with one line that says why, where neither base can be had.
    """
    with _one_process_at_a_time():
        try:
            client = docker.from_env(timeout=_SECONDS_FOR_STANDIN)
        except DockerException as e:
            raise NoImageError(f"Docker cannot be reached ({_line(e)})") from None
        with client:
            arguments = {name: os.environ[name] for name in _PROXIES if name in os.environ}
            base = airbyte_base()
            try:
                _have(client, base)
            except DockerException as e:
                arguments["BASE_IMAGE"] = _standin(f"Airbyte's base image cannot be had: {_line(e)}")
            try:
                client.images.build(
                    path=str(_PROJECT),
                    tag=TAG,
                    buildargs=arguments,
                    # The package index may be one that only this machine's network reaches.
                    network_mode="host",
                    rm=True,
                    forcerm=True,
                )
            except BuildError as e:
                log = "".join(str(entry.get("stream", "")) for entry in e.build_log)
                raise RuntimeError(f"{e.msg}\n{log[-4000:]}") from None
    return TAG


def airbyte_base() -> str:
    """Return the base image that the Dockerfile names."""
    for line in (_PROJECT / "Dockerfile").read_text().splitlines():
        if line.startswith("ARG BASE_IMAGE="):
            return line.partition("=")[2]
    raise AssertionError("the Dockerfile names no base image")


def _have(client: docker.DockerClient, name: str) -> None:
    try:
        client.images.get(name)
    except ImageNotFound:
        repository, _, digest = name.partition("@")
        client.images.pull(repository.rpartition(":")[0], tag=digest)


def _standin(why: str) -> str:
    try:
        made = subprocess.run(
            [str(_STANDIN)],
            capture_output=True,
            text=True,
            timeout=_SECONDS_FOR_STANDIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise NoImageError(f"{why}; nor the stand-in: {_line(e)}") from None
    if made.returncode:
        raise NoImageError(f"{why}; nor the stand-in: {_line(made.stderr)}")
    return made.stdout.strip()


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    # Tests run in several processes; whoever comes later finds every layer cached.
    path = Path(tempfile.gettempdir()) / f"source-kustomer-image-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _line(reason: object) -> str:
    if isinstance(reason, APIError) and reason.explanation:
        reason = reason.explanation
    lines = str(reason).strip().splitlines()
    return lines[-1] if lines else "no reason given"
