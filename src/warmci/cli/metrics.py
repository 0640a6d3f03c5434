"""`warmci metrics`: figures for Prometheus."""

from __future__ import annotations

from warmci.cli.common import load_settings
from warmci.report.console import print_data


def metrics() -> None:
    """Print what metrics_file gets after each run: canonicals, last verdicts, slots, disk, the last sweep."""
    from warmci.operate.metrics import as_text  # noqa: PLC0415  (--help stays quick)

    print_data(as_text(load_settings()))
