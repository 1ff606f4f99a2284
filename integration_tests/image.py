"""The connector's image, built once for all the tests that run it."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

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


@functools.cache
def why_none() -> str:
    """Build the image `TAG`; returns the reason in one line where it cannot be had, else ""."""
    try:
        base()
    except NoImageError as e:
        return str(e)
    build(PROJECT, TAG)
    return ""


def build(project: Path, tag: str) -> None:
    """Build an image from a folder with the project's files; raises `RuntimeError` with the log."""
    arguments = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    try:
        engine().images.build(
            path=str(project),
            tag=tag,
            buildargs={**arguments, "BASE_IMAGE": base()},
            # The package index may be one that only this machine's network reaches.
            network_mode="host",
            rm=True,
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
    dockerfile = (PROJECT / "Dockerfile").read_text()
    (airbytes,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    try:
        engine().images.get(airbytes)
    except ImageNotFound:
        try:
            engine().api.pull(airbytes)
            engine().images.get(airbytes)
        except DockerException as e:
            return _standin(f"Airbyte's base image cannot be had ({_last_line(e)})")
    return str(airbytes)


def _standin(why: str) -> str:
    try:
        made = subprocess.run(
            [_STANDIN], capture_output=True, text=True, timeout=_SECONDS_FOR_STANDIN, check=True
        )
    except (OSError, subprocess.SubprocessError) as e:
        reason = _last_line(getattr(e, "stderr", None) or e)
        raise NoImageError(f"{why}, nor can a stand-in be made ({reason})") from None
    return made.stdout.strip()


def _last_line(reason: object) -> str:
    return str(reason).strip().rpartition("\n")[2] or "no reason given"
