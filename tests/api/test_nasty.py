"""Bodies that nobody should send: a 4xx each, from each address with a body, and nothing stored."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, values
from tests.builders import make_account, make_admin
from tradeoff.api.routes import ROUTES
from tradeoff.api.routing import Route
from tradeoff.store.database import Database

HUGE = 10**400


def text(body: Any) -> bytes:
    return json.dumps(body).encode()


#: Not JSON, or JSON that no two readers understand alike.
MALFORMED = {
    "an open brace": b"{",
    "a comma too much": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "two objects": b"{}{}",
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "a string": b'"a"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": Infinity}',
    "minus Infinity": b'{"name": -Infinity}',
    "1e999": b'{"name": 1e999}',
    "an endless integer": b'{"name": ' + b"9" * 5_000 + b"}",
    "a key twice": b'{"name": 1, "name": 2}',
    "a key twice inside": b'{"metadata": {"a": 1, "a": 2}}',
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL in a key": b'{"metadata": {"\\u0000": 1}}',
    "a raw NUL": b'{"name": "\x00"}',
    "half a surrogate pair": b'{"name": "\\ud83d"}',
    "half a surrogate pair in a key": b'{"\\udc00": 1}',
    "Latin-1": '{"name": "é"}'.encode("latin-1"),
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an overlong encoding": b'{"name": "\xc0\x80"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "too deep": b'{"metadata": ' + b"[" * 30 + b"]" * 30 + b"}",
    "far too deep": b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and open": b'{"metadata": ' + b'{"a":' * 100_000,
    "very many members": b'{"metadata": [' + b"0," * 400_000 + b"0]}",
    "a comment": b'{"a": 1} // one',
    "a plus sign": b'{"a": +1}',
    "hexadecimal": b'{"a": 0x10}',
    "an octal": b'{"a": 010}',
    "a raw newline": b'{"a": "\n"}',
    "form data": b"name=a&parameters=b",
    "XML": b"<name>a</name>",
    "zip": b"PK\x03\x04" + bytes(range(256)),
}

#: JSON, with something in it that cannot be. Laid over a body that could be.
TWISTED: dict[str, Any] = {
    "an unknown key": {"__proto__": {}},
    "a key of SQL": {"'; drop table experiments; --": 1},
    "an empty key": {"": 1},
    "a very long key": {"k" * 100_000: 1},
    "metadata of numbers": {"metadata": 1},
    "metadata of lists": {"metadata": [[]]},
    "metadata of a string": {"metadata": "a" * 100},
    "metadata of objects": {"metadata": {"a": {"b": 1}}},
    "metadata of booleans": {"metadata": {"a": False}},
    "metadata of a huge number": {"metadata": {"a": HUGE}},
    "metadata of a huge float": {"metadata": {"a": 1.7e308}},
    "metadata of a long text": {"metadata": {"a": "b" * 501}},
    "metadata with a long key": {"metadata": {"b" * 101: 1}},
    "metadata with an empty key": {"metadata": {"": 1}},
    "metadata with many keys": {"metadata": {str(i): 1 for i in range(101)}},
    "metadata with a control character": {"metadata": {"a": "\x07"}},
    "metadata with a control character in a key": {"metadata": {"a\n": "b"}},
}

#: The same for what an observation or a suggestion carries.
ASSIGNED: dict[str, Any] = {
    f"assignments {name}": {"assignments": assignments}
    for name, assignments in {
        "number": 1,
        "text": "lr=1",
        "list": [["lr", 1]],
        "empty": {},
        "unknown": {**ASSIGNMENTS, "x" * 10_000: 1},
        "huge integer": {**ASSIGNMENTS, "filters": HUGE},
        "minus huge integer": {**ASSIGNMENTS, "filters": -HUGE},
        "2^63": {**ASSIGNMENTS, "filters": 2**63},
        "huge double": {**ASSIGNMENTS, "lr": HUGE},
        "1e308": {**ASSIGNMENTS, "lr": 1e308},
        "negative log": {**ASSIGNMENTS, "lr": -1e-300},
        "true": {**ASSIGNMENTS, "filters": True},
        "digits": {**ASSIGNMENTS, "filters": "16"},
        "null": {**ASSIGNMENTS, "filters": None},
        "nested": {**ASSIGNMENTS, "filters": {"filters": 16}},
        "long category": {**ASSIGNMENTS, "act": "r" * 100_000},
        "category as list": {**ASSIGNMENTS, "act": ["relu"]},
    }.items()
}
MEASURED: dict[str, Any] = {
    f"values {name}": {"values": given}
    for name, given in {
        "number": 1,
        "object": {"accuracy": 1},
        "nulls": [None, None],
        "lists": [[], []],
        "names alone": [{"name": "accuracy"}, {"name": "ms"}],
        "huge": [{"name": "accuracy", "value": HUGE}, {"name": "ms", "value": 1}],
        "text": [{"name": "accuracy", "value": "1"}, {"name": "ms", "value": 1}],
        "boolean": [{"name": "accuracy", "value": False}, {"name": "ms", "value": 1}],
        "name as number": [{"name": 1, "value": 1}, {"name": "ms", "value": 1}],
        "name as list": [{"name": [], "value": 1}, {"name": "ms", "value": 1}],
        "negative deviation": [
            {"name": "accuracy", "value": 1, "value_stddev": -1e-300},
            {"name": "ms", "value": 1},
        ],
        "many": values() * 5_000,
        "twice": [values()[0], values()[0]],
    }.items()
} | {
    f"suggestion {name}": {"suggestion": given, "assignments": None, "values": values()}
    for name, given in {
        "huge": HUGE,
        "2^63": 2**63,
        "minus": -1,
        "zero": 0,
        "float": 1.5,
        "text": "one",
        "list": [1],
        "true": True,
        "many digits": "9" * 1_000,
        "other digits": "٣",
        "SQL": "1 or 1=1",
    }.items()
}
Cases = dict[str, Any]


def each(word: str, key: str, cases: Cases) -> Cases:
    """A body with `key` alone for each of `cases`."""
    return {f"{word} {name}": {key: [given]} for name, given in cases.items()}


PARAMETER: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
SPECIFIED: dict[str, Any] = (
    each(
        "parameter",
        "parameters",
        {
            "number": 1,
            "null": None,
            "list": [],
            "nameless": {},
            "name as object": {**PARAMETER, "name": {}},
            "type as list": {**PARAMETER, "type": ["double"]},
            "huge bounds": {**PARAMETER, "bounds": {"min": -HUGE, "max": HUGE}},
            "bounds as list": {**PARAMETER, "bounds": [0, 1]},
            "bounds crossed": {**PARAMETER, "bounds": {"min": 1, "max": 0}},
            "grid of lists": {"name": "x", "type": "double", "grid": [[1], [2]]},
            "grid of objects": {"name": "x", "type": "double", "grid": [{}, {}]},
            "grid too long": {"name": "x", "type": "double", "grid": list(range(10_001))},
            "categories as numbers": {
                "name": "x",
                "type": "categorical",
                "categorical_values": [1, 2],
            },
            "categories as lists": {
                "name": "x",
                "type": "categorical",
                "categorical_values": [[], []],
            },
            "categories as text": {"name": "x", "type": "categorical", "categorical_values": "ab"},
            "categories with bad indexes": {
                "name": "x",
                "type": "categorical",
                "categorical_values": [{"name": "a", "enum_index": "z"}, {"name": "b"}],
            },
            "conditions as list": {**PARAMETER, "conditions": [1]},
            "conditions as numbers": {**PARAMETER, "conditions": {"a": 1}},
            "conditions as objects": {**PARAMETER, "conditions": {"a": [{}]}},
            "prior as text": {**PARAMETER, "prior": "normal"},
            "prior as list": {**PARAMETER, "prior": []},
            "prior of numbers": {**PARAMETER, "prior": {"name": 1}},
            "huge default": {**PARAMETER, "default_value": HUGE},
            "default as list": {**PARAMETER, "default_value": [1]},
            "default as boolean": {**PARAMETER, "default_value": True},
            "transformation as object": {**PARAMETER, "transformation": {}},
        },
    )
    | each(
        "metric",
        "metrics",
        {
            "number": 1,
            "list": [],
            "name as number": {"name": 1},
            "name as list": {"name": ["f"]},
            "objective as list": {"name": "f", "objective": []},
            "strategy as object": {"name": "f", "strategy": {}},
            "huge threshold": {"name": "f", "strategy": "constraint", "threshold": HUGE},
            "threshold as text": {"name": "f", "strategy": "constraint", "threshold": "1"},
            "long name": "f" * 100_000,
        },
    )
    | {
        "a huge budget": {"observation_budget": HUGE},
        "a huge bandwidth": {"parallel_bandwidth": HUGE},
        "a budget of 2^53": {"observation_budget": 2**53},
        "parameters as object": {"parameters": {}},
        "parameters as text": {"parameters": "x"},
        "metrics as object": {"metrics": {}},
        "a name of spaces": {"name": "   "},
        "a name as list": {"name": ["a"]},
        "early stopping as text": {"early_stopping": "yes"},
        "early stopping as boolean": {"early_stopping": True},
        "early stopping of what is unknown": {"early_stopping": {"patience": 3}},
        "early stopping with no trainings": {"early_stopping": {"min_trainings": 0}},
        "early stopping at a negative step": {"early_stopping": {"min_step": -1}},
        "early stopping at a huge step": {"early_stopping": {"min_step": HUGE}},
        "early stopping with certainty": {"early_stopping": {"confidence": 1}},
        "early stopping with a text": {"early_stopping": {"confidence": "0.9"}},
        "early stopping with null": {"early_stopping": {"confidence": None}},
        "a huge name": {"name": HUGE},
        "a state as list": {"state": []},
    }
)
CREATED: dict[str, Any] = {
    "conditionals as text": {"conditionals": "a"},
    "conditionals of numbers": {"conditionals": [1]},
    "conditionals of lists": {"conditionals": [{"name": "a", "values": [[], []]}]},
    "linear constraints as text": {"linear_constraints": "a"},
    "linear constraints of numbers": {"linear_constraints": [1]},
    "linear constraints of weights": {
        "linear_constraints": [
            {"type": "less_than", "threshold": HUGE, "terms": [{"weight": HUGE}]}
        ]
    },
    "tasks": {"tasks": [1]},
    "tasks as text": {"tasks": "full"},
    "tasks of lists": {"tasks": [[], []]},
    "tasks of huge costs": {"tasks": [{"name": "a", "cost": HUGE}, {"name": "b", "cost": 1}]},
    "tasks of text costs": {"tasks": [{"name": "a", "cost": "1"}, {"name": "b", "cost": 0.5}]},
    "tasks with names as lists": {"tasks": [{"name": [], "cost": 1}, {"name": "b", "cost": 0.5}]},
    "the engine as list": {"engine": []},
    "another engine": {"engine": "tpe"},
    "a project as list": {"project": []},
    "runs_only as text": {"runs_only": "true"},
    "solutions as text": {"num_solutions": "2"},
    "the type as list": {"type": []},
}

GOOD: dict[str, dict[str, Any]] = {
    "experiments.create": {"name": "n", "parameters": [PARAMETER]},
    "operations.retry": {},
    "experiments.create_in_client": {"name": "n", "parameters": [PARAMETER]},
    "experiments.update": {},
    "aiexperiments.create": {
        "name": "n",
        "parameters": [PARAMETER],
        "metrics": [{"name": "f"}],
    },
    "aiexperiments.update": {},
    "training_runs.create": {"name": "n"},
    "training_runs.create_batch": {"runs": []},
    "training_runs.create_in_experiment": {"name": "n"},
    "training_runs.update": {},
    "training_runs.merge": {},
    "training_runs.create_checkpoint": {"values": [{"name": "f", "value": 1}]},
    "training_runs.add_tag": {},
    "files.create": {
        "name": "n",
        "content_type": "image/png",
        "content_length": 1,
        "content_md5": "jXd/OF09/siBXSD3SWAm3A==",
    },
    "tokens.create_for_run": {},
    "tokens.create": {},
    "tokens.update": {},
    "clients.create": {"name": "n"},
    "clients.create_in_organization": {"name": "n"},
    "clients.update": {},
    "clients.update_quotas": {},
    "users.create": {"name": "n", "email": "nasty@x.org"},
    "users.update": {},
    "users.create_permission": {"role": "read"},
    "projects.create": {"id": "nasty", "name": "n"},
    "projects.update": {},
    "tags.create": {"name": "nasty", "color": "#000000"},
    "projects.create_note": {"contents": "n"},
    "importances.refresh": {},
    "queued_suggestions.create": {"assignments": ASSIGNMENTS},
    "tokens.create_for_experiment": {},
    "suggestions.create": {},
    "suggestions.update": {},
    "checkpoints.create": {"values": values()},
    "observations.create": {"assignments": ASSIGNMENTS, "values": values()},
    "observations.create_batch": {},
    "observations.update": {},
}
LOGGED: dict[str, dict[str, Any]] = {
    "a bad state": {"state": "paused"},
    "values as list": {"values": [{"name": "f", "value": 1}]},
    "a value as number": {"values": {"f": 1}},
    "a value as text": {"values": {"f": {"value": "1"}}},
    "a negative stddev": {"values": {"f": {"value": 1, "value_stddev": -1}}},
    "assignments as list": {"assignments": []},
    "an assignment as object": {"assignments": {"a": {}}},
    "an assignment as flag": {"assignments": {"a": True}},
    "meta of nothing": {"assignments_meta": {"none": {"source": "User"}}},
    "our own source": {"assignments": {"a": 1}, "assignments_meta": {"a": {"source": "SigOpt"}}},
    "a long source": {"assignments_sources": {"x" * 31: {"sort": 1, "default_show": True}}},
    "a bad sort": {"assignments_sources": {"User": {"sort": "1"}}},
    "a full dataset": {"datasets": {"d": {"rows": 1}}},
    "a log as text": {"logs": {"stdout": "text"}},
    "a model as text": {"model": "net"},
    "an unknown key of source code": {"source_code": {"path": "x"}},
    "other sys_metadata": {"sys_metadata": {"gpu": 1}},
    "scores of text": {"sys_metadata": {"feature_importances": {"scores": {"a": "b"}}}},
    "dev_metadata in depth": {"dev_metadata": {"a": {"b": 1}}},
    "an own id": {"id": "1"},
}
SECURED: dict[str, dict[str, Any]] = {
    "security as list": {"client_security": []},
    "security as text": {"client_security": "all"},
    "security of numbers": {
        "client_security": {"allow_users_to_see_experiments_by_others": 1},
    },
    "a huge name": {"name": "a" * 100_000},
    "name as list": {"name": ["n"]},
}
ADDRESSED: dict[str, dict[str, Any]] = {
    "email as list": {"email": ["a@x.org"]},
    "a long address": {"email": "a" * 300 + "@x.org"},
    "an address of two lines": {"email": "a@x.org\nBcc: b@x.org"},
    "name as object": {"name": {}},
    "a password": {"password": "hunter2"},
}
#: What is laid over the good body of each route.
LAID_OVER: dict[str, dict[str, Any]] = {
    "experiments.create": TWISTED | SPECIFIED | CREATED,
    "operations.retry": {"nonsense": {"nonsense": 1}},
    "experiments.create_in_client": TWISTED,
    "experiments.update": TWISTED | SPECIFIED,
    "aiexperiments.create": {
        k: v for k, v in (TWISTED | SPECIFIED).items() if "budget" not in str(v)
    },
    "aiexperiments.update": TWISTED | SPECIFIED,
    "training_runs.create": TWISTED | LOGGED,
    "training_runs.create_batch": {
        k: {"runs": [{"name": "n", **v}]} for k, v in (TWISTED | LOGGED).items()
    },
    "training_runs.create_in_experiment": TWISTED | LOGGED,
    "training_runs.update": TWISTED | LOGGED,
    "training_runs.merge": TWISTED | LOGGED,
    "training_runs.create_checkpoint": {
        "values as object": {"values": {"f": {"value": 1}}},
        "a value as text": {"values": [{"name": "f", "value": "1"}]},
        "an unknown key": {"step": 1},
        "many notes": {"metadata": {str(n): n for n in range(6)}},
    },
    "files.create": {
        "a long file": {"content_length": 10**12},
        "another type": {"content_type": "a/b\r\nX-Y: z"},
        "another digest": {"content_md5": "z"},
        "a list for a name": {"name": []},
    },
    "tokens.create_for_run": {"anything": {"expires": 1}},
    "training_runs.add_tag": {"id as text": {"id": "one"}, "id as list": {"id": [1]}},
    "tokens.create": TWISTED
    | {
        "role as list": {"role": ["admin"]},
        "a huge lease": {"lease_length": HUGE},
        "a lease of half a second": {"lease_length": 60.5},
        "a user of text": {"user": "ada"},
        "an experiment as list": {"experiment": [1]},
        "development as text": {"development": "true"},
        "a huge name": {"name": "a" * 100_000},
    },
    "tokens.update": TWISTED
    | {
        "token as list": {"token": ["rotate"]},
        "expires as number": {"expires": HUGE},
        "lasts as number": {"lasts_forever": 1},
    },
    "clients.create": TWISTED | SECURED,
    "clients.create_in_organization": TWISTED | SECURED,
    "clients.update": TWISTED | SECURED,
    "clients.update_quotas": TWISTED
    | {
        f"{name} as {kind}": {name: value}
        for name in ("experiments", "observations", "file_bytes", "requests_per_second")
        for kind, value in {"list": [1], "text": "1", "below 0": -1, "huge": 1e300}.items()
    },
    "users.create": TWISTED | ADDRESSED,
    "users.update": TWISTED | ADDRESSED,
    "users.create_permission": TWISTED
    | {
        "no role": {"client": 1, "role": ""},
        "role as list": {"client": 1, "role": []},
        "a client of text": {"client": "x"},
        "a huge client": {"client": HUGE},
    },
    "projects.create": TWISTED | {"id as list": {"id": []}, "id as number": {"id": 7}},
    "projects.update": TWISTED,
    "tags.create": {k: v for k, v in TWISTED.items() if "metadata" not in v}
    | {"color as list": {"color": []}, "color as number": {"color": 7}},
    "projects.create_note": {
        f"contents {name}": {"contents": given}
        for name, given in {
            "missing": None,
            "empty": "",
            "number": 1,
            "list": ["a"],
            "NUL": "a\x00b",
            "half a pair": "\ud800",
            "too long": "a" * 100_001,
        }.items()
    },
    "importances.refresh": {"anything": {"metric": "f"}},
    "queued_suggestions.create": ASSIGNED,
    "tokens.create_for_experiment": {"anything": {"expires": 1}},
    "suggestions.create": TWISTED | ASSIGNED,
    "suggestions.update": {k: v for k, v in TWISTED.items() if "metadata" in v},
    "checkpoints.create": TWISTED
    | {k: v for k, v in MEASURED.items() if k.startswith("values")}
    | {
        f"step {name}": {"step": given}
        for name, given in {
            "negative": -1,
            "half": 0.5,
            "huge": HUGE,
            "2^53": 2**53,
            "text": "1",
            "true": True,
            "list": [1],
        }.items()
    }
    | {"metadata with six keys": {"metadata": {str(i): i for i in range(6)}}},
    "observations.create": TWISTED | ASSIGNED | MEASURED,
    "observations.update": TWISTED
    | {k: {**v, "suggestion": None} for k, v in ASSIGNED.items()}
    | MEASURED,
    "observations.create_batch": {k: v for k, v in TWISTED.items() if "metadata" not in v}
    | {
        k: {"observations": [{**{"assignments": ASSIGNMENTS, "values": values()}, **v}]}
        for k, v in (TWISTED | ASSIGNED | MEASURED).items()
    }
    | {
        "observations as text": {"observations": "a"},
        "observations of numbers": {"observations": [1]},
        "observations of lists": {"observations": [[]]},
    },
}
WITH_BODY = [route for route in ROUTES if route.body_model is not None]


def test_there_is_a_good_body_for_each_route() -> None:
    assert {route.name for route in WITH_BODY} == set(GOOD) == set(LAID_OVER)


@pytest.fixture(scope="module")
def owner(http: httpx.Client, shared: Database) -> Caller:
    account = make_account(shared, "Nasty")
    return Caller(http, make_admin(shared, account), account.client_id)


@pytest.fixture(scope="module")
def ids(owner: Caller) -> dict[str, Any]:
    experiment = owner.experiment()
    path = path_of(experiment)
    ok(owner.post(f"/v1/clients/{owner.client_id}/projects", {"id": "owned", "name": "Owned"}))
    return {
        "token": "self",
        "organization": ok(owner.get("/v1/tokens/self"))["organization"],
        "user": ok(owner.post("/v1/users", {"name": "n", "email": "n@x.org"}))["id"],
        "client": owner.client_id,
        "project": "owned",
        "training_run": ok(
            owner.post(f"/v1/clients/{owner.client_id}/projects/owned/training_runs", {"name": "n"})
        )["id"],
        "aiexperiment": ok(
            owner.post(
                f"/v1/clients/{owner.client_id}/projects/owned/aiexperiments",
                GOOD["aiexperiments.create"],
            )
        )["id"],
        "experiment": experiment["id"],
        "suggestion": ok(owner.post(f"{path}/suggestions"))["id"],
        "observation": owner.observe(path, **GOOD["observations.create"])["id"],
    }


def stored(owner: Caller, ids: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that the client has."""
    path = f"/v1/experiments/{ids['experiment']}"
    projects = f"/v1/clients/{ids['client']}/projects"
    paths = ("/v1/experiments", projects, path, f"{path}/suggestions", f"{path}/observations")
    return [ok(owner.get(each)) for each in paths]


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
def test_no_nasty_body_gets_through(owner: Caller, ids: dict[str, Any], route: Route) -> None:
    before = stored(owner, ids)
    path = route.path.format(**ids)
    nasty = {name: body for name, body in MALFORMED.items()}
    nasty |= {
        name: text({**GOOD[route.name], **over}) for name, over in LAID_OVER[route.name].items()
    }

    through = {}
    for name, body in nasty.items():
        answer = owner.request(
            route.method, path, content=body, headers={"Content-Type": "application/json"}
        )
        told = answer.json()
        if not (400 <= answer.status_code < 500 and told["status"] == answer.status_code):
            through[name] = (answer.status_code, answer.text[:200])
        if len(answer.text) > 5_000:
            through[name] = (answer.status_code, f"a message of {len(answer.text)} characters")

    assert through == {}
    assert stored(owner, ids) == before


def test_there_are_enough_of_them() -> None:
    assert len(MALFORMED) + len(TWISTED) >= 50
    assert len(MALFORMED | TWISTED | ASSIGNED | MEASURED | SPECIFIED | CREATED) >= 120
