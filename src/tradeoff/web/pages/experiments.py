"""The list of experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tradeoff.errors import NotAllowed, NotFound
from tradeoff.service import access, course, experiments
from tradeoff.store import accounts, activity, paging, projects, tables, tags
from tradeoff.store import experiments as stored
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Form, Visit

PAGE_ROWS = 50
SORTS = {
    "recent": "Last change",
    "newest": "Newest",
    "name": "Name",
    "done": "Done",
    "failed": "Share that failed",
}
#: Sorted from the smallest, unless the address says otherwise.
ASCENDING = frozenset({"name"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the list is wanted; each as the address says it, empty for all.

    Attributes:
        search: part of the name.
        state: one of `activity.STATES`, or `archived`.
        tag: the name of a tag.
        project: the slug of a project.
        sort: a key of `SORTS`.
        order: `up` or `down`; empty for the usual way round of what is sorted by.
    """

    search: str
    state: str
    tag: str
    project: str
    sort: str
    order: str

    @classmethod
    def read(cls, query: Form) -> Choice:
        """Read an address; what it says wrong counts as not said."""
        state, sort, order = (query.text(name) for name in ("state", "sort", "order"))
        return cls(
            search=query.text("search")[:200],
            state=state if state in (*activity.STATES, "archived") else "",
            tag=query.text("tag"),
            project=query.text("project"),
            sort=sort if sort in SORTS else "recent",
            order=order if order in ("up", "down") else "",
        )

    @property
    def ascending(self) -> bool:
        """Whether the smallest comes first."""
        return self.order == "up" or (self.sort in ASCENDING and not self.order)

    def address(self, **changes: str) -> str:
        """The address of this choice with something changed."""
        fields = {name: getattr(self, name) for name in self.__slots__} | changes
        said = {name: value for name, value in fields.items() if value}
        if said.get("sort") == "recent":
            del said["sort"]
        return "/experiments" + (f"?{urlencode(said)}" if said else "")

    def sorted_by(self, sort: str) -> str:
        """The address sorted by something; the other way round when it is so already."""
        turned = "down" if self.ascending else "up"
        usual = "up" if sort in ASCENDING else "down"
        order = turned if sort == self.sort and turned != usual else ""
        return self.address(sort=sort, order=order)


def show(visit: Visit) -> Answer:
    """List the experiments of whoever is signed in."""
    if visit.who.experiment_id is not None:
        return Redirect(f"/experiment/{visit.who.experiment_id}")
    access.require_whole_client(visit.who)
    choice = Choice.read(visit.query)
    before, after = visit.query.text("before") or None, visit.query.text("after") or None
    page = _fetch(visit, choice, before, after)
    ids = [row.id for row in page.rows]
    forward, back = (page.after, page.before) if choice.ascending else (page.before, page.after)
    context = {
        "choice": choice,
        "page": page,
        "forward": forward,
        "back": back if before or after else None,
        "activity": activity.list_activity(visit.session, ids),
        "courses": course.courses(visit.session, page.rows),
        "states": activity.STATES,
        "sorts": SORTS,
        **_names(visit, page.rows),
    }
    return Html("experiments.html", context)


def _fetch(
    visit: Visit, choice: Choice, before: str | None, after: str | None
) -> paging.Page[tables.Experiment]:
    query = stored.listing(
        visit.who.client_id,
        state="deleted" if choice.state == "archived" else "active",
        search=choice.search or None,
        development=visit.who.development,
        project=choice.project or None,
    )
    if choice.state in activity.STATES:
        query = activity.with_state(query, choice.state)
    if choice.tag:
        found = tags.list_by_name(visit.session, visit.who.client_id, [choice.tag])
        query = activity.with_tag(query, found[choice.tag].id if found else -1)
    return paging.fetch(
        visit.session,
        query,
        id_column=tables.Experiment.id.expression,
        key=stored.sort_key(choice.sort),
        limit=PAGE_ROWS,
        before=before,
        after=after,
        ascending=choice.ascending,
    )


def _names(visit: Visit, rows: Sequence[tables.Experiment]) -> dict[str, Any]:
    """What the rows name by numbers: projects, tags, who made them."""
    client_id = visit.who.client_id
    made_by = {row.created_by for row in rows if row.created_by is not None}
    return {
        "tags": {tag.id: tag for tag in tags.list_all(visit.session, client_id)},
        "projects": {each.slug: each for each in projects.list_all(visit.session, client_id)},
        "owners": accounts.list_token_names(visit.session, made_by),
    }


def archive(visit: Visit) -> Answer:
    """Put experiments away, or with `restore` bring them back."""
    restores = visit.form.has("restore")
    for row in _chosen(visit):
        if restores:
            experiments.change(visit.session, row, {"state": "active"})
        else:
            experiments.delete(visit.session, row)
    return Redirect(Choice.read(visit.form).address())


def pause(visit: Visit) -> Answer:
    """Pause experiments, or with `resume` let them go on."""
    paused = not visit.form.has("resume")
    for row in _chosen(visit):
        if row.paused != paused:
            experiments.change(visit.session, row, {"paused": paused})
    return Redirect(Choice.read(visit.form).address())


def _chosen(visit: Visit) -> Iterator[tables.Experiment]:
    """The experiments that were ticked.

    Raises:
        NotFound: when there is no such experiment for who is here.
    """
    for text in visit.form.texts("experiment"):
        try:
            number = int(text) if text.isdigit() and len(text) < 19 else 0
            yield access.get_experiment(visit.session, visit.who, number, write=True)
        except NotAllowed:
            raise NotFound(f"There is no experiment {text[:20]}") from None
