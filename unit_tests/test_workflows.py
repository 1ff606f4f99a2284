"""What GitHub runs: pinned, with the least rights, and the same as on one's own machine."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
PATHS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
# `on` is a truth value in YAML 1.1, and so the key of the triggers.
WORKFLOWS: dict[str, dict[Any, Any]] = {p.stem: yaml.safe_load(p.read_text()) for p in PATHS}
JOBS = [
    pytest.param(workflow, job, id=f"{name}/{job}")
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"]
]
OUR_OWN = "$/.github/workflows/tests.yml"
# The right to ask for the short-lived token of trusted publishing, and no other.
WRITES = {("release", "publish-package"): {"id-token": "write"}}
PINNED = re.compile(r"[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def steps(workflow: dict[Any, Any], action: str = "") -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs, or those that use an action."""
    for job in workflow["jobs"].values():
        for step in job.get("steps", []):
            if not action or step.get("uses", "").startswith(f"{action}@"):
                yield step


def makes(text: str) -> set[str]:
    """Return the targets that a shell script makes."""
    return set(re.findall(r"^make (\S+)$", text, re.MULTILINE))


def made(workflow: dict[Any, Any]) -> set[str]:
    """Return the targets that a workflow makes."""
    return set().union(*(makes(step.get("run", "")) for step in steps(workflow)))


def builds(name: str) -> dict[str, Any]:
    """Return what the one build of an image in a workflow is given."""
    (step,) = steps(WORKFLOWS[name], "docker/build-push-action")
    given: dict[str, Any] = step["with"]
    return given


def makefile() -> str:
    return (PROJECT / "Makefile").read_text("utf-8")


def test_given_the_folder_when_listed_then_these_workflows_are_there() -> None:
    assert set(WORKFLOWS) == {"tests", "image", "release"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_given_an_action_when_it_is_used_then_it_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(), re.MULTILINE)
    foreign = [action for action in used if action != OUR_OWN]

    assert foreign
    assert [action for action in foreign if not PINNED.fullmatch(action)] == []


def test_given_an_action_in_several_places_when_compared_then_it_is_the_same_everywhere() -> None:
    versions: dict[str, set[str]] = {}
    for path in PATHS:
        for action, version in re.findall(r"uses: ([^@\n]+)@(.+)$", path.read_text(), re.MULTILINE):
            versions.setdefault(action, set()).add(version)

    assert {action for action, several in versions.items() if len(several) > 1} == set()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_given_a_workflow_when_it_starts_then_it_has_no_rights_of_its_own(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    assert "concurrency" in WORKFLOWS[name]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_given_a_job_when_it_runs_then_it_has_the_least_rights(name: str) -> None:
    for job, content in WORKFLOWS[name]["jobs"].items():
        assert content["permissions"] == WRITES.get((name, job), {"contents": "read"})


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_given_a_job_when_it_hangs_then_it_is_ended(workflow: dict[Any, Any], job: str) -> None:
    content = workflow["jobs"][job]
    if content.get("uses") == OUR_OWN:
        # GitHub allows no timeout here; the called jobs have theirs.
        assert "timeout-minutes" not in content
    else:
        assert 0 < content["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_given_a_checkout_when_it_is_done_then_no_credentials_stay(name: str) -> None:
    checkouts = list(steps(WORKFLOWS[name], "actions/checkout"))

    assert checkouts
    assert all(checkout["with"]["persist-credentials"] is False for checkout in checkouts)


@pytest.mark.parametrize("name", ["tests", "image"])
def test_given_a_proposed_change_when_it_is_tested_then_with_the_rights_of_its_author(
    name: str,
) -> None:
    triggers = WORKFLOWS[name][True]

    assert {"push", "pull_request"} <= set(triggers) <= {"push", "pull_request", "workflow_call"}
    assert "secrets." not in (PROJECT / f".github/workflows/{name}.yml").read_text()


def test_given_our_ci_when_compared_then_github_makes_the_same() -> None:
    assert made(WORKFLOWS["tests"]) == makes((PROJECT / ".ci/run").read_text()) != set()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_given_a_target_when_a_workflow_makes_it_then_the_makefile_has_it(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", makefile(), re.MULTILINE))

    assert made(WORKFLOWS[name]) <= targets


def test_given_the_supported_pythons_when_compared_then_the_tests_run_on_each() -> None:
    (lowest, beyond), *_ = re.findall(
        r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$',
        (PROJECT / "pyproject.toml").read_text(),
        re.MULTILINE,
    )
    jobs = WORKFLOWS["tests"]["jobs"]
    (everything,) = (
        step["with"]["python-version"]
        for step in jobs["everything"]["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    )
    others = jobs["other-pythons"]["strategy"]["matrix"]["python"]

    supported = [f"3.{minor}" for minor in range(int(lowest), int(beyond))]
    assert sorted([everything, *others]) == supported


def test_given_an_image_when_it_is_built_then_for_both_platforms_with_its_origin() -> None:
    for name in ("image", "release"):
        build = builds(name)
        assert build["platforms"] == "linux/amd64,linux/arm64"
        assert build["sbom"] is True
        assert build["provenance"] == "mode=max"
        assert "rewrite-timestamp=true" in build["outputs"].split(",")
        assert any("SOURCE_DATE_EPOCH=" in s.get("run", "") for s in steps(WORKFLOWS[name]))


def test_given_a_proposed_change_when_its_image_is_built_then_it_is_not_pushed() -> None:
    build = builds("image")

    assert build["push"] is False
    assert "type=oci" in build["outputs"].split(",")
    assert list(steps(WORKFLOWS["image"], "docker/login-action")) == []


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
    ("tag", "code"),
    [
        pytest.param("v{version}", 0, id="the version"),
        pytest.param("v{version}.1", 1, id="another version"),
        pytest.param("{version}", 1, id="without its v"),
    ],
)
def test_given_a_tag_when_it_is_not_the_packages_version_then_nothing_is_released(
    tag: str, code: int, tmp_path: Path
) -> None:
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text())["data"]
    version, image = metadata["dockerImageTag"], metadata["dockerRepository"]
    (script,) = (step["run"] for step in steps(WORKFLOWS["release"]) if step.get("id") == "version")
    output = tmp_path / "output"
    output.touch()

    ran = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=PROJECT,
        env={
            **os.environ,
            "GITHUB_REF_NAME": tag.format(version=version),
            "GITHUB_OUTPUT": str(output),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == code
    assert ("::error::" in ran.stdout) == bool(code)
    assert output.read_text() == ("" if code else f"version={version}\nimage={image}\n")


def test_given_what_lint_runs_when_compared_then_a_commit_runs_the_same() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.+\n)+)", makefile(), re.MULTILINE)
    assert recipe
    folders = {"$(BIN)": ".venv/bin", "$(TOOLS)": ".tools"}
    linted = recipe[1].strip().replace("\t", "")
    for variable, folder in folders.items():
        linted = linted.replace(variable, folder)
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]

    # A hook may leave out the files, which it is given.
    unlike = [
        (command, hook["entry"])
        for command, hook in zip(linted.splitlines(), hooks, strict=False)
        if not f"{command} ".startswith(f"{hook['entry']} ")
    ]
    assert unlike == []
    assert len(hooks) == len(linted.splitlines())
