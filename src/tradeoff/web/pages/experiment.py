"""What all pages of one experiment have in common: the header and the tabs."""

from __future__ import annotations

from typing import Any

from tradeoff.web.visit import Visit


def frame(visit: Visit, tab: str) -> dict[str, Any]:
    """The context of `experiment.html`.

    Args:
        visit: of a page whose path names an experiment.
        tab: which of the tabs is shown.
    """
    return {"experiment": visit.experiment, "spec": visit.experiment.spec, "tab": tab}
