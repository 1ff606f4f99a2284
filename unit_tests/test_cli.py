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
    ("line", "files"),
    [
        ("spec", {}),
        ("check --config c", {"config": "c"}),
        ("discover --config=c", {"config": "c"}),
        ("read --config c --catalog k", {"config": "c", "catalog": "k", "state": None}),
        ("read --state s --catalog k --config c", {"config": "c", "catalog": "k", "state": "s"}),
    ],
)
def test_a_command_has_its_files(line: str, files: dict[str, str | None]) -> None:
    expected = {"command": line.split(maxsplit=1)[0], **files}
    assert vars(parse(line.split())) == {**expected, "debug": False}
    assert vars(parse([*line.split(), "--debug"])) == {**expected, "debug": True}


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["nothing", "--help"])
def test_help_shows_the_commands_with_an_example_each(capsys: Output, arguments: list[str]) -> None:
    assert ended(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("usage: source-kustomer ")
    for command in ("spec", "check", "discover", "read"):
        assert f"\n    {command} " in out
        assert f"\n  source-kustomer {command}" in out
        assert ended(command, "--help") == 0
        shown, _ = capsys.readouterr()
        assert shown.startswith(f"usage: source-kustomer {command} ")
        assert ("--config FILE" in shown) == (command != "spec")


def test_the_version_is_that_of_the_package(capsys: Output) -> None:
    assert ended("--version") == 0
    expected = f"source-kustomer {version('airbyte-source-kustomer')}\n"
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("write", "invalid choice: 'write'"),
        ("check", "the following arguments are required: --config"),
        ("check --config", "--config: expected one argument"),
        ("check --conf c", "the following arguments are required: --config"),
        ("spec --config c", "unrecognized arguments: --config c"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(capsys: Output, line: str, words: str) -> None:
    assert ended(*line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (said,) = err.splitlines()
    assert said.startswith("source-kustomer")
    assert words in said
