"""The process of a run whose app may be kept (run/own_process.py): no command for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from warmci.cli import exits
from warmci.cli.common import load_settings
from warmci.report.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence


def _run(argv: Sequence[str]) -> int:
    from warmci.run.own_process import Order, run_here  # noqa: PLC0415

    order = Order.model_validate_json(argv[0])
    return run_here(load_settings(lock_wait_s=order.lock_wait_s), Console(), order).exit_code


if __name__ == "__main__":
    sys.exit(exits.run_main(_run, sys.argv[1:]))
