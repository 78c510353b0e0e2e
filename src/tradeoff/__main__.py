"""The command `tradeoff`, also as `python -m tradeoff`."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Run the command line, or say what to install for it."""
    if importlib.util.find_spec("typer") is None:
        if sys.argv[1:2] == ["resend"]:
            # For training scripts, whose machines have nothing but the client.
            from tradeoff.client import resend  # noqa: PLC0415

            sys.exit(resend.main(sys.argv[2:]))
        # The base install is the client alone, which a training script imports.
        sys.exit(
            "The command `tradeoff` needs more than the Python client. Install it with:\n"
            "    pip install 'tradeoff[server]'   the API and the tools\n"
            "    pip install 'tradeoff[all]'      workers and the demo as well\n"
            "Here it knows one command: tradeoff resend"
        )
    from tradeoff.cli import main as commands  # noqa: PLC0415  # only where typer is installed

    commands.main()


if __name__ == "__main__":
    main()
