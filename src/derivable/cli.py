"""The command ``derivable``. A subcommand is one entry of ``COMMANDS``: a module with ``add_arguments`` and ``run``."""

import argparse
import sys

from derivable.book import ledger, mutants
from derivable.claims import check, errata

COMMANDS = {"ledger": ledger, "mutants": mutants, "check": check, "errata": errata}


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return its exit status; bad input is one line on stderr and status 2."""
    parser = argparse.ArgumentParser(prog="derivable", description="The book's engine from a terminal.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        summary = module.run.__doc__.splitlines()[0]
        module.add_arguments(subparsers.add_parser(name, help=summary, description=summary))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except (OSError, ValueError) as error:
        print(f"derivable {options.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
