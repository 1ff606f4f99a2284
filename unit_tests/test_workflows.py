"""What GitHub runs is what one's own machine runs, and what it publishes was tested.

That actions are pinned, credentials do not stay and triggers are safe is zizmor's, in `make lint`.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
# `on` is a truth value in YAML 1.1, and so the key of the triggers.
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in (PROJECT / ".github/workflows").glob("*.yml")
}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
OUR_OWN = "$/.github/workflows/tests.yml"
# The right to ask for the short-lived token of trusted publishing, and no other.
WRITES = {"publish-package": {"id-token": "write"}}
MAKEFILE = (PROJECT / "Makefile").read_text("utf-8")


def steps(name: str, action: str = "") -> Iterator[dict[str, Any]]:
    """Yield the steps of a workflow's jobs, or those that use an action."""
    for job in WORKFLOWS[name]["jobs"].values():
        for step in job.get("steps", []):
            if step.get("uses", "").startswith(action):
                yield step


def makes(script: str) -> set[str]:
    """Return the targets that a shell script makes."""
    return set(re.findall(r"^make (\S+)$", script, re.MULTILINE))


def made(name: str) -> set[str]:
    """Return the targets that a workflow makes."""
    return set().union(*(makes(step.get("run", "")) for step in steps(name)))


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_given_a_job_when_it_runs_then_it_has_the_least_rights_and_ends(
    name: str, job: str
) -> None:
    content = WORKFLOWS[name]["jobs"][job]

    assert WORKFLOWS[name]["permissions"] == {}
    assert content["permissions"] == WRITES.get(job, {"contents": "read"})
    # The jobs of a called workflow have their own.
    assert content.get("uses") == OUR_OWN or 0 < content["timeout-minutes"] <= 60


def test_given_an_action_in_several_places_when_compared_then_it_is_the_same_everywhere() -> None:
    used = {step["uses"] for name in WORKFLOWS for step in steps(name) if "uses" in step}

    assert used
    assert len(used) == len({action.partition("@")[0] for action in used})


def test_given_our_ci_when_compared_then_github_makes_the_same() -> None:
    assert made("tests") == makes((PROJECT / ".ci/run").read_text()) != set()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_given_a_target_when_a_workflow_makes_it_then_the_makefile_has_it(name: str) -> None:
    assert made(name) <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_given_the_supported_pythons_when_compared_then_the_tests_run_on_each() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    ((lowest, beyond),) = re.findall(r'\nrequires-python = ">=3\.(\d+),<3\.(\d+)"\n', project)
    jobs = WORKFLOWS["tests"]["jobs"]
    (everything,) = (
        step["with"]["python-version"]
        for step in jobs["everything"]["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    )

    tested = {everything, *jobs["other-pythons"]["strategy"]["matrix"]["python"]}
    assert tested == {f"3.{minor}" for minor in range(int(lowest), int(beyond))}


def test_given_an_image_when_it_is_proposed_then_it_is_built_as_a_release_and_not_pushed() -> None:
    proposed, released = (
        next(steps(name, "docker/build-push-action@"))["with"] for name in ("image", "release")
    )

    assert (proposed.pop("push"), proposed.pop("outputs")) == (
        False,
        "type=oci,dest=image.tar,rewrite-timestamp=true",
    )
    assert released.pop("outputs") == "type=registry,rewrite-timestamp=true"
    assert proposed.items() <= released.items()
    assert {"platforms", "sbom", "provenance"} <= proposed.keys()
    # The time that files are rewritten to.
    for name in ("image", "release"):
        assert any("SOURCE_DATE_EPOCH=" in step.get("run", "") for step in steps(name))


def test_given_a_release_when_it_publishes_then_after_the_version_and_the_tests() -> None:
    jobs = WORKFLOWS["release"]["jobs"]

    def before(job: str) -> set[str]:
        needs = jobs[job].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct))

    assert WORKFLOWS["release"][True] == {"push": {"tags": ["v*"]}}
    assert jobs["tests"]["uses"] == OUR_OWN
    for job in ("publish-package", "publish-image"):
        assert {"version", "tests"} <= before(job)
        assert jobs[job]["environment"] == "release"
    assert "package" in before("publish-package")


@pytest.mark.parametrize(
    ("tag", "code"), [("v{version}", 0), ("v{version}.1", 1), ("{version}", 1)]
)
def test_given_a_tag_when_it_is_not_the_packages_version_then_nothing_is_released(
    tag: str, code: int, tmp_path: Path
) -> None:
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text())["data"]
    version, image = metadata["dockerImageTag"], metadata["dockerRepository"]
    (script,) = (step["run"] for step in steps("release") if step.get("id") == "version")
    output = tmp_path / "output"
    output.touch()
    given = {"GITHUB_REF_NAME": tag.format(version=version), "GITHUB_OUTPUT": str(output)}

    ran = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=PROJECT,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == code
    assert ("::error::" in ran.stdout) == bool(code)
    assert output.read_text() == ("" if code else f"version={version}\nimage={image}\n")


def test_given_what_lint_runs_when_compared_then_a_commit_runs_the_same() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.+\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    linted = recipe[1].replace("$(BIN)", ".venv/bin").replace("$(TOOLS)", ".tools").split("\n\t")
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]

    # A hook may leave out the files, which it is given.
    for command, hook in zip(linted, hooks, strict=True):
        assert f"{command.strip()} ".startswith(f"{hook['entry']} ")
