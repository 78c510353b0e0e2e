"""Every object has exactly its keys: nullable ones are null, hidden ones absent (section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok
from tests.wire.conformance.bodies import (
    AI,
    C,
    G,
    N,
    X,
    Y,
    make_ai,
    make_experiment,
    make_run,
    path_of_run,
)

#: What Tradeoff tells beyond SigOpt (section 11).
OURS = {
    "experiment": {"suggestion_ttl_seconds", "early_stopping", "engine", "paused"},
    "aiexperiment": {"suggestion_ttl_seconds", "early_stopping", "engine", "paused"},
    "suggestion": {
        "source",
        "observations_seen",
        "model_age_seconds",
        "explanation",
        "worker_id",
        "lease_seconds",
        "lease_expires",
        "attempt",
    },
    "observation": {"failure_kind"},
    "token": {"id", "name", "created", "role"},
}
COMMON = (
    "object id client user name type state created updated project parameters conditionals "
    "linear_constraints metrics parallel_bandwidth num_solutions metadata progress runs_only"
)
KEYS = {
    "experiment": f"{COMMON} development observation_budget",
    "aiexperiment": f"{COMMON} budget",
    "suggestion": "object id experiment assignments state created deleted metadata",
    "queued_suggestion": "object id experiment assignments created",
    "observation": "object id experiment suggestion assignments values failed metadata created",
    "best_assignments": "object id assignments values metadata",
    "metric_evaluation": "object name value value_stddev",
    "metric": "object name objective strategy threshold",
    "bounds": "object min max",
    "categorical_value": "object name enum_index",
    "conditional": "object name values",
    "linear_constraint": "object type threshold terms",
    "constraint_term": "object name weight",
    "normal_prior": "object name mean scale",
    "beta_prior": "object name shape_a shape_b",
    "stopping_criteria": "object should_stop reasons",
    "checkpoint": "object id training_run created values metadata",
    "project": "object id client name user created updated metadata experiment_count "
    "training_run_count deleted",
    "tag": "object id client name color",
    "token": "object token token_type client organization user experiment training_run "
    "all_experiments development permissions scope expires lease_length",
    "client": "object id organization name created client_security",
    "organization": "object id name created academic email_domains client_for_email_signup "
    "allow_signup_from_email_domains optimized_runs_in_billing_cycle total_runs_in_billing_cycle "
    "data_storage_bytes",
    "session": "object api_token client user code needs_password_reset",
    "file": "object id client user created name filename content_length content_type content_md5",
    "s3_upload": "object url method headers",
    "s3_download": "object url",
    "assignments_meta": "object source",
    "assignments_sources": "object sort default_show",
    "dataset": "object",
    "log": "object content",
    "model": "object type",
    "source_code": "object content hash",
    "field": "object key name type sortable count",
}


def check(shown: dict[str, Any], kind: str, *further: str) -> None:
    """`shown` is of this kind, with exactly its keys and these."""
    assert shown["object"] == kind
    assert set(shown) - OURS.get(kind, set()) == {*KEYS[kind].split(), *further}


@pytest.fixture(scope="module")
def rich(us: Caller) -> dict[str, Any]:
    """An experiment with everything in it."""
    return ok(
        us.post(
            "/v1/experiments",
            {
                "name": "rich",
                "parameters": [
                    {**Y, "prior": {"name": "beta", "shape_a": 2, "shape_b": 3}},
                    {**X, "prior": {"name": "normal", "mean": 0.5, "scale": 2}},
                    {**C, "conditions": {"k": "two"}},
                    G,
                    {**N, "default_value": 3.0},
                    {**X, "name": "l", "bounds": {"min": 0.1, "max": 1}, "transformation": "log"},
                ],
                "conditionals": [{"name": "k", "values": ["one", "two"]}],
                "linear_constraints": [
                    {
                        "type": "less_than",
                        "threshold": 1,
                        "terms": [{"name": "y", "weight": 2}, {"name": "x", "weight": 1}],
                    }
                ],
                "metrics": [
                    {"name": "s", "strategy": "store"},
                    {"name": "g", "objective": "minimize", "threshold": 3},
                    {"name": "f"},
                    {"name": "c", "strategy": "constraint", "threshold": 0.5},
                ],
                "observation_budget": 9.0,
                "metadata": {"a": "b", "none": None},
            },
        )
    )


def test_an_experiment(us: Caller, rich: dict[str, Any]) -> None:
    check(rich, "experiment")
    assert (rich["user"], rich["project"], rich["num_solutions"]) == (None, None, None)
    assert rich["parallel_bandwidth"] is None
    assert (rich["type"], rich["state"]) == ("offline", "active")
    assert (rich["development"], rich["runs_only"]) == (False, False)
    assert rich["metadata"] == {"a": "b"}
    assert rich["observation_budget"] == 9
    assert rich["progress"] == {
        "object": "progress",
        "observation_count": 0,
        "observation_budget_consumed": 0,
        "first_observation": None,
        "last_observation": None,
        "best_observation": None,
    }


def test_parameters_are_sorted_by_name_and_have_exactly_their_keys(rich: dict[str, Any]) -> None:
    plain = {
        "object",
        "name",
        "type",
        "bounds",
        "categorical_values",
        "default_value",
        "prior",
        "transformation",
        "conditions",
    }
    shown = {each["name"]: each for each in rich["parameters"]}

    assert list(shown) == ["c", "g", "l", "n", "x", "y"]
    for name, each in shown.items():
        assert each["object"] == "parameter"
        assert set(each) == (plain | {"grid"} if name == "g" else plain)
    assert shown["c"]["bounds"] is None
    assert shown["c"]["conditions"] == {"k": ["two"]}
    assert [(v["name"], v["enum_index"]) for v in shown["c"]["categorical_values"]] == [
        ("b", 1),
        ("a", 2),
    ]
    check(shown["c"]["categorical_values"][0], "categorical_value")
    assert shown["g"]["grid"] == [1, 2.5, 4]
    assert shown["g"]["bounds"] == {"object": "bounds", "min": 1, "max": 4}
    assert shown["l"]["transformation"] == "log"
    assert shown["n"]["default_value"] == 3
    assert isinstance(shown["n"]["default_value"], int)
    assert shown["x"]["conditions"] == {}
    assert shown["x"]["categorical_values"] is None
    assert shown["x"]["transformation"] is None
    check(shown["x"]["prior"], "normal_prior")
    check(shown["y"]["prior"], "beta_prior")


def test_metrics_conditionals_and_constraints(rich: dict[str, Any]) -> None:
    assert [each["name"] for each in rich["metrics"]] == ["c", "f", "g", "s"]
    for each in rich["metrics"]:
        check(each, "metric")
    assert [each["threshold"] for each in rich["metrics"]] == [0.5, None, 3, None]
    assert [each["strategy"] for each in rich["metrics"]] == [
        "constraint",
        "optimize",
        "optimize",
        "store",
    ]
    assert rich["conditionals"] == [
        {"object": "conditional", "name": "k", "values": ["one", "two"]}
    ]
    (constraint,) = rich["linear_constraints"]
    check(constraint, "linear_constraint")
    assert [term["name"] for term in constraint["terms"]] == ["x", "y"]
    check(constraint["terms"][0], "constraint_term")


def test_terms_are_sorted_by_lower_cased_name_and_zero_weights_are_gone(us: Caller) -> None:
    names = ["b", "A", "c", "D"]
    made = ok(
        us.post(
            "/v1/experiments",
            {
                "name": "terms",
                "parameters": [{**X, "name": name} for name in names],
                "linear_constraints": [
                    {
                        "type": "greater_than",
                        "threshold": 0.1,
                        "terms": [{"name": n, "weight": 0 if n == "c" else 1} for n in names],
                    }
                ],
            },
        )
    )

    assert [term["name"] for term in made["linear_constraints"][0]["terms"]] == ["A", "b", "D"]


def test_a_grid_experiment_shows_the_names_of_categories_as_grid(us: Caller) -> None:
    made = ok(us.post("/v1/experiments", {"name": "g", "type": "grid", "parameters": [C, G]}))

    assert made["observation_budget"] == 6
    assert sorted(made["parameters"][0]["grid"]) == ["a", "b"]


def test_one_unnamed_metric_has_null_for_a_name(us: Caller) -> None:
    shown = ok(us.get(make_experiment(us)))

    assert [each["name"] for each in shown["metrics"]] == [None]


def test_suggestions_and_observations(us: Caller, rich: dict[str, Any]) -> None:
    path = f"/v1/experiments/{rich['id']}"
    suggestion = ok(us.post(f"{path}/suggestions"))
    values = [{"name": name, "value": 1} for name in ("s", "g", "f", "c")]
    body = {"suggestion": suggestion["id"], "values": values}
    observation = ok(us.post(f"{path}/observations", body))
    failed = ok(
        us.post(
            f"{path}/observations",
            {"assignments": observation["assignments"], "failed": True},
        )
    )
    queued = {"assignments": observation["assignments"]}

    check(suggestion, "suggestion")
    assert (suggestion["state"], suggestion["deleted"]) == ("open", False)
    assert suggestion["metadata"] is None
    check(observation, "observation")
    assert [each["name"] for each in observation["values"]] == ["c", "f", "g", "s"]
    check(observation["values"][0], "metric_evaluation")
    assert observation["values"][0]["value_stddev"] is None
    check(failed, "observation")
    assert (failed["failed"], failed["values"], failed["suggestion"]) == (True, [], None)
    check(ok(us.post(f"{path}/queued_suggestions", queued)), "queued_suggestion")
    for best in ok(us.get(f"{path}/best_assignments"))["data"]:
        check(best, "best_assignments")
        check(best["values"][0], "metric_evaluation")
    check(ok(us.get(f"{path}/stopping_criteria")), "stopping_criteria")


def test_integers_are_integers_and_switched_off_parameters_are_absent(
    us: Caller, rich: dict[str, Any]
) -> None:
    for _ in range(4):
        assignments = ok(us.post(f"/v1/experiments/{rich['id']}/suggestions"))["assignments"]
        assert isinstance(assignments["n"], int)
        assert assignments["g"] in (1, 2.5, 4)
        assert ("c" in assignments) is (assignments["k"] == "two")


def test_an_aiexperiment(us: Caller, project: str) -> None:
    shown = ok(us.get(make_ai(us, project)))

    check(shown, "aiexperiment")
    assert (shown["project"], shown["budget"], shown["runs_only"]) == ("gears", None, True)
    assert shown["progress"] == {
        "object": "progress",
        "finished_run_count": 0,
        "active_run_count": 0,
        "total_run_count": 0,
        "remaining_budget": None,
    }


def test_the_list_of_experiments_shows_an_aiexperiment_with_its_own_budget(
    us: Caller, project: str
) -> None:
    ai = make_ai(us, project, budget=5).rpartition("/")[2]

    page = ok(us.get(f"{project}/experiments", include_ai="True"))

    shown = next(row for row in page["data"] if row["id"] == ai)
    assert shown["object"] == "experiment"
    assert (shown["budget"], "observation_budget" in shown) == (5, False)
    assert shown["progress"]["remaining_budget"] == 5


def test_a_run_and_all_that_is_in_it(us: Caller, project: str) -> None:
    run = make_run(
        us,
        project,
        assignments={"lr": 2.0, "n": 1.5, "a": "b"},
        assignments_meta={"lr": {"source": "User"}},
        assignments_sources={"User": {"sort": 2, "default_show": True}},
        values={"f": {"value": 1}},
        datasets={"d": {}},
        logs={"stdout": {"content": "x"}},
        model={"type": "t"},
        source_code={"hash": "h"},
    )
    shown = ok(us.get(path_of_run(run)))

    assert isinstance(shown["assignments"]["lr"], int)
    check(shown["assignments_meta"]["lr"], "assignments_meta")
    check(shown["assignments_sources"]["User"], "assignments_sources")
    assert shown["values"] == {
        "f": {"object": "metric_evaluation", "name": "f", "value": 1, "value_stddev": None}
    }
    check(shown["datasets"]["d"], "dataset")
    check(shown["logs"]["stdout"], "log")
    check(shown["model"], "model")
    check(shown["source_code"], "source_code")
    assert shown["source_code"] == {"object": "source_code", "content": None, "hash": "h"}


def test_a_checkpoint(us: Caller, project: str) -> None:
    run = path_of_run(make_run(us, project))
    values = [{"name": "g", "value": 1, "value_stddev": 0.1}, {"name": "f", "value": 2}]

    made = ok(us.post(f"{run}/checkpoints", {"values": values}))

    check(made, "checkpoint")
    assert [each["name"] for each in made["values"]] == ["f", "g"]
    assert made["metadata"] is None
    assert ok(us.get(f"{run}/checkpoints/{made['id']}")) == made


def test_a_file_has_its_upload_when_it_is_made_and_its_download_when_it_is_fetched(
    us: Caller, project: str
) -> None:
    run = path_of_run(make_run(us, project))
    body = {
        "content_length": 4,
        "content_type": "image/png",
        "content_md5": "jXd/OF09/siBXSD3SWAm3A==",
        "name": "n",
    }

    made = ok(us.post(f"{run}/files", body))
    fetched = ok(us.get(f"/v1/files/{made['id']}"))

    check(made, "file", "upload")
    check(made["upload"], "s3_upload")
    check(fetched, "file", "download")
    check(fetched["download"], "s3_download")
    assert ok(us.get(run))["files"] == [made["id"]]


def test_tokens_sessions_clients_and_organizations(us: Caller) -> None:
    token = ok(us.get("/v1/tokens/self"))
    session = ok(us.get("/v1/sessions"))
    client = ok(us.get(f"/v1/clients/{us.client_id}"))

    check(token, "token")
    assert token["client"] == str(us.client_id)
    check(session, "session")
    assert session["api_token"]["client"] == token["client"]
    check(client, "client")
    assert client["client_security"]["allow_users_to_see_experiments_by_others"] in (True, False)
    check(ok(us.get(f"/v1/organizations/{client['organization']}")), "organization")


def test_guest_tokens_are_bound_read_only_and_end_after_thirty_days(
    us: Caller, project: str
) -> None:
    experiment, run = make_experiment(us), path_of_run(make_run(us, project))

    for path, key in ((experiment, "experiment"), (run, "training_run")):
        made = ok(us.post(f"{path}/tokens"))
        check(made, "token")
        assert made[key] == path.rpartition("/")[2]
        assert (made["token_type"], made["permissions"]) == ("guest", "read")
        assert (made["scope"], made["all_experiments"]) == ("shared_experiment", False)
        assert made["expires"] > 0
        guest = us.as_token(made["token"])
        assert ok(guest.get(path))["id"] == path.rpartition("/")[2]
        assert guest.put(path, {}).status_code == 403


def test_projects_and_tags(us: Caller, project: str) -> None:
    check(ok(us.get(project)), "project")
    tag = ok(us.post(f"/v1/clients/{us.client_id}/tags", {"name": "tag", "color": "#a0b1c2"}))
    check(tag, "tag")
    assert tag["color"] == "#A0B1C2"


def test_the_list_of_runs_describes_its_fields(us: Caller, project: str) -> None:
    make_run(us, project, metadata={"k": "v"}, values={"f": {"value": 1}})

    page = ok(us.get(f"{project}/training_runs"))

    assert set(page) == {"object", "count", "data", "paging", "defined_fields"}
    fields = {field["key"]: field for field in page["defined_fields"]}
    for field in fields.values():
        check(field, "field")
    assert fields["metadata.k"]["type"] == "string"
    assert fields["values.f.value"]["type"] == "numeric"
    assert fields["created"]["type"] == "timestamp"


def test_times_are_whole_seconds_and_ids_are_digits(us: Caller, project: str) -> None:
    shown = [
        ok(us.get(make_experiment(us))),
        ok(us.get(make_ai(us, project))),
        make_run(us, project),
        ok(us.post(f"{make_experiment(us)}/suggestions")),
    ]
    for each in shown:
        assert isinstance(each["created"], int)
        assert each["id"].isdigit()
    assert AI["name"] == shown[1]["name"]
