"""Create tags, and put them on experiments."""

from __future__ import annotations

from collections.abc import Iterable

from tradeoff.errors import BadInput
from tradeoff.spec.values import check_name
from tradeoff.store import experiments, tables, tags
from tradeoff.store.database import Session

MAX_TAGS = 20
#: Of tags that are made by naming them; in turn, so that neighbours differ.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def create(session: Session, *, client_id: int, name: str, color: str) -> tables.Tag:
    """A new tag.

    Raises:
        Conflict: when the client has one of this name.
    """
    return tags.insert(session, client_id=client_id, name=name, color=color)


def put(session: Session, experiment: tables.Experiment, names: Iterable[str]) -> None:
    """Let an experiment have the tags of these names and no others; makes those there are not.

    Raises:
        BadInput: when a name is not one, or there are too many.
    """
    wanted = list(dict.fromkeys(_checked(name) for name in names))
    if len(wanted) > MAX_TAGS:
        raise BadInput(f"tags: at most {MAX_TAGS}, not {len(wanted)}")
    known = tags.list_by_name(session, experiment.client_id, wanted)
    for name in wanted:
        if name not in known:
            color = COLORS[sum(name.encode()) % len(COLORS)]
            known[name] = create(session, client_id=experiment.client_id, name=name, color=color)
    experiments.lock(session, experiment)
    experiment.tags = [known[name].id for name in wanted]
    experiments.touch(session, experiment)


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise BadInput(f"tags: {error}") from error
