"""The command line: its commands, its help, and what is wrong in a line."""

from importlib.metadata import version

import pytest

from source_kustomer.cli import parse

Output = pytest.CaptureFixture[str]


def ended(*arguments: str) -> int | str | None:
    """Parse a command line that ends the program, and return the exit code."""
    with pytest.raises(SystemExit) as exited:
        parse([*arguments])
    return exited.value.code


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["spec"], {}),
        (["check", "--config", "c"], {"config": "c"}),
        (["discover", "--config=c"], {"config": "c"}),
        (
            ["read", "--config", "c", "--catalog", "k"],
            {"config": "c", "catalog": "k", "state": None},
        ),
        (
            ["read", "--state", "s", "--catalog", "k", "--config", "c"],
            {"config": "c", "catalog": "k", "state": "s"},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_has_its_files(arguments: list[str], parsed: dict[str, str | None]) -> None:
    expected = {"command": arguments[0], **parsed}
    assert vars(parse(arguments)) == {**expected, "debug": False}
    assert vars(parse([*arguments, "--debug"])) == {**expected, "debug": True}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=["nothing", "--help", "-h"])
def test_help_shows_the_commands_with_an_example_each(capsys: Output, arguments: list[str]) -> None:
    assert ended(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("usage: source-kustomer ")
    for command in ("spec", "check", "discover", "read"):
        assert f"\n    {command} " in out
        assert f"\n  source-kustomer {command}" in out
    assert '{"org_name": "acme", "api_key": "..."}' in out


@pytest.mark.parametrize("command", ["spec", "check", "discover", "read"])
def test_a_command_has_a_help_of_its_own(capsys: Output, command: str) -> None:
    assert ended(command, "--help") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"usage: source-kustomer {command} ")
    assert "--debug" in out
    assert ("--config FILE" in out) == (command != "spec")
    assert ("--catalog FILE" in out) == ("--state FILE" in out) == (command == "read")


def test_the_version_is_that_of_the_package(capsys: Output) -> None:
    assert ended("--version") == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"source-kustomer {version('airbyte-source-kustomer')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["write"], "invalid choice: 'write'"),
        (["check"], "the following arguments are required: --config"),
        (["read", "--config", "c"], "the following arguments are required: --catalog"),
        (["check", "--config"], "--config: expected one argument"),
        (["check", "--conf", "c"], "the following arguments are required: --config"),
        (["spec", "--config", "c"], "unrecognized arguments: --config c"),
        (["--unknown"], "--unknown"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_on_standard_error(
    capsys: Output, arguments: list[str], words: str
) -> None:
    assert ended(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("source-kustomer")
    assert words in line
