"""The command line: the four commands of the Airbyte protocol, and their help."""

import argparse
from typing import NoReturn

from typing_extensions import override

from source_kustomer import __version__

_EXAMPLES = """
examples:
  source-kustomer spec
      print the connector specification
  source-kustomer check --config config.json
      test the API key and list what it cannot read
  source-kustomer discover --config config.json
      print the six streams with their columns
  source-kustomer read --config config.json --catalog catalog.json > messages.jsonl
      print the records of the streams that the catalog names

config.json holds {"org_name": "acme", "api_key": "..."}: acme for
https://acme.kustomerapp.com, and a key from Settings > Security > API Keys.
"""

_FILES = {
    "config": "the JSON file with org_name and api_key",
    "catalog": "the JSON file with the streams to read, a configured Airbyte catalog",
    "state": "the JSON file with the state to resume from",
}

_COMMANDS = {
    "spec": ("print the connector specification", ()),
    "check": ("test the API key and list what it cannot read", ("config",)),
    "discover": ("print the six streams with their columns", ("config",)),
    "read": ("print records and states as messages", ("config", "catalog", "state")),
}


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong; argparse would print the usage before it."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; exits after printing help or the version, or what is wrong.

    The result has `command`, `debug`, and the files of the command.
    """
    parser = _Parser(
        "source-kustomer",
        description="Reads customers, conversations, users, teams, tags and brands from Kustomer, "
        "as messages of the Airbyte protocol on stdout.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"source-kustomer {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, (does, files) in _COMMANDS.items():
        command = commands.add_parser(
            name, help=does, description=f"{does.capitalize()}.", allow_abbrev=False
        )
        for option in files:
            command.add_argument(
                f"--{option}", metavar="FILE", required=option != "state", help=_FILES[option]
            )
        command.add_argument("--debug", action="store_true", help="log more")
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        parser.exit()
    return parsed
