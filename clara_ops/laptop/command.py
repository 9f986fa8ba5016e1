"""`clara-laptop`: everything on one machine."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from clara_ops.contract.errors import ClaraError
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.demo import demo
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when all went well, 1 with one message when not."""
    parser = argparse.ArgumentParser(prog="clara-laptop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo_parser = commands.add_parser("demo", help="send real CT series through the whole product and show the result")
    demo_parser.add_argument("--once", action="store_true", help="check the result and stop, instead of running on")
    demo_parser.add_argument("--root", type=Path, default=ROOT, help="the checkout (default: this one)")
    demo_parser.add_argument("--home", type=Path, help="where everything is written (default: .clara in the checkout)")
    options = parser.parse_args(arguments)

    console = Console(soft_wrap=True)
    root = options.root.resolve()
    home = Home((options.home or root / ".clara").resolve())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(Checkout(root), home, once=options.once, console=console)
    except ClaraError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]: {error}", highlight=False, markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
