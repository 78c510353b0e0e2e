"""Cells of a CSV file as spreadsheets read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(cells: Iterable[Any]) -> list[Any]:
    """Cells that no spreadsheet takes for a formula."""
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in cells
    ]
