"""The connector's image, built once for all the tests that run it."""

import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.client import DockerClient
from docker.errors import BuildError, DockerException, ImageNotFound

TAG = "source-kustomer:test"
PROJECT = Path(__file__).parents[1]

_STANDIN = Path(__file__).with_name("standin_base_image.sh")
_SECONDS_FOR_STANDIN = 1800
# Docker passes these to a build by itself only where its client's configuration says so.
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class NoImageError(Exception):
    """No image can be built on this machine, for a reason that lies outside the project."""


def image() -> str:
    """Build the connector's image, on Airbyte's base or else on the stand-in, and return its tag.

    Raises `NoImageError` with one line that says why, where neither base can be had.
    """
    built = _image_or_reason()
    if isinstance(built, NoImageError):
        raise built
    return built


def build(project: Path, tag: str, **options: Any) -> None:
    """Build an image from a folder with the project's files; raises `RuntimeError` with the log."""
    arguments = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    arguments["BASE_IMAGE"] = base()
    try:
        engine().images.build(
            path=str(project),
            tag=tag,
            buildargs=arguments,
            # The package index may be one that only this machine's network reaches.
            network_mode="host",
            rm=True,
            **options,
        )
    except BuildError as e:
        log = "".join(str(entry.get("stream", "")) for entry in e.build_log)
        raise RuntimeError(f"{e.msg}\n{log[-8000:]}") from None


@functools.cache
def engine() -> DockerClient:
    """The Docker engine of this machine; raises `DockerException` if there is none."""
    client: DockerClient = DockerClient.from_env(timeout=_SECONDS_FOR_STANDIN)
    return client


@functools.cache
def base() -> str:
    """Return the base image: Airbyte's or else the stand-in; raises `NoImageError`."""
    # Airbyte's own tests call the command.
    if shutil.which("docker") is None:
        raise NoImageError("there is no docker command")
    try:
        engine()
    except DockerException as e:
        raise NoImageError(f"there is no Docker engine ({_last_line(e)})") from None
    airbytes = _airbyte_base()
    try:
        engine().images.get(airbytes)
    except ImageNotFound:
        try:
            engine().api.pull(airbytes)
            engine().images.get(airbytes)
        except DockerException as e:
            return _standin(f"Airbyte's base image cannot be had ({_last_line(e)})")
    return airbytes


@functools.cache
def _image_or_reason() -> str | NoImageError:
    # Cached too where there is none: finding that out again would take as long.
    with _one_process_at_a_time():
        try:
            base()
        except NoImageError as e:
            return e
        build(PROJECT, TAG)
    return TAG


def _airbyte_base() -> str:
    for line in (PROJECT / "Dockerfile").read_text().splitlines():
        if line.startswith("ARG BASE_IMAGE="):
            return line.partition("=")[2]
    raise AssertionError("the Dockerfile names no base image")


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
        raise NoImageError(f"{why}, nor can a stand-in be made ({_last_line(e)})") from None
    if made.returncode:
        raise NoImageError(f"{why}, nor can a stand-in be made ({_last_line(made.stderr)})")
    return made.stdout.strip()


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    # Tests run in several processes; whoever comes later finds every layer cached.
    path = Path(tempfile.gettempdir()) / f"source-kustomer-image-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _last_line(reason: object) -> str:
    lines = str(reason).strip().splitlines()
    return lines[-1] if lines else "no reason given"
