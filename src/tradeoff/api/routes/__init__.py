"""Every route of the API on one page: method, path, what is done, what the token must be allowed.

Below `/v1` they are SigOpt's. What needs no token is in `routes.public`.
"""

from __future__ import annotations

from tradeoff.api.routes import (
    aiexperiments,
    audit,
    best_assignments,
    best_practices,
    checkpoints,
    clients,
    experiments,
    files,
    importances,
    observations,
    operations,
    organizations,
    projects,
    queued_suggestions,
    sessions,
    stopping_criteria,
    suggestions,
    tags,
    tokens,
    training_runs,
    users,
)
from tradeoff.api.routing import Permission, Route

READ = Permission.READ
WRITE = Permission.WRITE
ADMIN = Permission.ADMIN

EXPERIMENT = "/v1/experiments/{experiment}"
SUGGESTION = EXPERIMENT + "/suggestions/{suggestion}"
CHECKPOINTS = SUGGESTION + "/checkpoints"
AIEXPERIMENT = "/v1/aiexperiments/{aiexperiment}"
RUN = "/v1/training_runs/{training_run}"
QUEUE = EXPERIMENT + "/queued_suggestions"
CLIENT = "/v1/clients/{client}"
ORGANIZATION = "/v1/organizations/{organization}"
TOKEN = "/v1/tokens/{token}"
USER = "/v1/users/{user}"
PROJECT = CLIENT + "/projects/{project}"
OBSERVATION = EXPERIMENT + "/observations/{observation}"

#: A full batch is 2,500 observations.
BATCH_BYTES = 10 * 1024 * 1024
BATCH_MEMBERS = 1_000_000
#: A full batch is 10,000 runs.
RUNS_BYTES = 32 * 1024 * 1024

ROUTES = (
    Route("POST", "/v1/experiments", experiments.create, WRITE),
    Route("GET", "/v1/experiments", experiments.fetch_list, READ),
    Route("GET", EXPERIMENT, experiments.fetch, READ, moves=True),
    Route("PUT", EXPERIMENT, experiments.update, WRITE),
    Route("DELETE", EXPERIMENT, experiments.delete, WRITE),
    Route(
        "POST",
        EXPERIMENT + "/suggestions",
        suggestions.create,
        WRITE,
        classical_only=True,
        shared=True,
    ),
    Route("GET", EXPERIMENT + "/suggestions", suggestions.fetch_list, READ),
    Route("DELETE", EXPERIMENT + "/suggestions", suggestions.delete_all, WRITE),
    Route("GET", SUGGESTION, suggestions.fetch, READ),
    Route("PUT", SUGGESTION, suggestions.update, WRITE),
    Route("DELETE", SUGGESTION, suggestions.delete, WRITE),
    Route("POST", CHECKPOINTS, checkpoints.create, WRITE),
    Route("GET", CHECKPOINTS, checkpoints.fetch_list, READ),
    Route("GET", CHECKPOINTS + "/{checkpoint}", checkpoints.fetch, READ),
    Route(
        "POST",
        EXPERIMENT + "/observations",
        observations.create,
        WRITE,
        classical_only=True,
        shared=True,
    ),
    Route(
        "POST",
        EXPERIMENT + "/observations/batch",
        observations.create_batch,
        WRITE,
        classical_only=True,
        max_bytes=BATCH_BYTES,
        max_members=BATCH_MEMBERS,
    ),
    Route("GET", EXPERIMENT + "/observations", observations.fetch_list, READ),
    Route("DELETE", EXPERIMENT + "/observations", observations.delete_all, WRITE),
    Route("GET", OBSERVATION, observations.fetch, READ),
    Route("PUT", OBSERVATION, observations.update, WRITE),
    Route("DELETE", OBSERVATION, observations.delete, WRITE),
    Route("GET", EXPERIMENT + "/best_assignments", best_assignments.fetch_list, READ),
    Route("GET", TOKEN, tokens.fetch, READ),
    Route("PUT", TOKEN, tokens.update, WRITE),
    Route("DELETE", TOKEN, tokens.delete, WRITE),
    Route("POST", QUEUE, queued_suggestions.create, WRITE),
    Route("GET", QUEUE, queued_suggestions.fetch_list, READ),
    Route("GET", QUEUE + "/{queued_suggestion}", queued_suggestions.fetch, READ),
    Route("DELETE", QUEUE + "/{queued_suggestion}", queued_suggestions.delete, WRITE),
    Route("GET", EXPERIMENT + "/stopping_criteria", stopping_criteria.fetch, READ),
    Route("GET", EXPERIMENT + "/metric_importances", importances.fetch_list, READ),
    Route("PUT", EXPERIMENT + "/metric_importances", importances.refresh, WRITE),
    Route("GET", EXPERIMENT + "/importances", importances.fetch, READ),
    Route("GET", EXPERIMENT + "/best_practices", best_practices.fetch, READ),
    Route("GET", EXPERIMENT + "/best_training_runs", training_runs.fetch_best_of_experiment, READ),
    Route("DELETE", EXPERIMENT + "/hyperparameters", experiments.forget_model, WRITE),
    Route("POST", EXPERIMENT + "/retry", operations.retry, WRITE),
    Route(
        "POST",
        EXPERIMENT + "/tokens",
        tokens.create_for_experiment,
        WRITE,
        production_only=True,
    ),
    Route("GET", "/v1/sessions", sessions.fetch, READ),
    Route("GET", "/v1/organizations", organizations.fetch_list, READ),
    Route("GET", ORGANIZATION, organizations.fetch, READ),
    Route("POST", ORGANIZATION + "/clients", clients.create_in_organization, ADMIN),
    Route("GET", ORGANIZATION + "/clients", clients.fetch_list_of_organization, ADMIN),
    Route("GET", ORGANIZATION + "/memberships", users.fetch_memberships_of_organization, ADMIN),
    Route("GET", ORGANIZATION + "/permissions", users.fetch_permissions_of_organization, ADMIN),
    Route("GET", ORGANIZATION + "/operations", operations.fetch, ADMIN),
    Route("GET", ORGANIZATION + "/audit_log", audit.fetch_list, ADMIN),
    Route("POST", "/v1/users", users.create, ADMIN),
    Route("GET", USER, users.fetch, READ, production_only=True),
    Route("PUT", USER, users.update, WRITE, production_only=True),
    Route("DELETE", USER, users.delete, ADMIN),
    Route("GET", USER + "/permissions", users.fetch_permissions, READ, production_only=True),
    Route("POST", USER + "/permissions", users.create_permission, ADMIN),
    Route("GET", USER + "/memberships", users.fetch_memberships, READ, production_only=True),
    Route("POST", "/v1/clients", clients.create, ADMIN),
    Route("GET", CLIENT, clients.fetch, READ),
    Route("PUT", CLIENT, clients.update, ADMIN),
    Route("DELETE", CLIENT, clients.delete, ADMIN),
    Route("GET", CLIENT + "/quotas", clients.fetch_quotas, ADMIN),
    Route("PUT", CLIENT + "/quotas", clients.update_quotas, ADMIN),
    Route("GET", CLIENT + "/permissions", clients.fetch_permissions, ADMIN),
    Route("POST", CLIENT + "/tokens", tokens.create, ADMIN),
    Route("GET", CLIENT + "/tokens", tokens.fetch_list, READ),
    Route("POST", CLIENT + "/experiments", experiments.create_in_client, WRITE),
    Route("GET", CLIENT + "/experiments", experiments.fetch_list_of_client, READ),
    Route("POST", CLIENT + "/projects", projects.create, WRITE),
    Route("GET", CLIENT + "/projects", projects.fetch_list, READ),
    Route("GET", PROJECT, projects.fetch, READ),
    Route("PUT", PROJECT, projects.update, WRITE),
    Route("POST", PROJECT + "/notes", projects.create_note, WRITE),
    Route("GET", PROJECT + "/notes", projects.fetch_notes, READ),
    Route(
        "POST",
        PROJECT + "/aiexperiments",
        aiexperiments.create,
        WRITE,
        production_only=True,
    ),
    Route(
        "GET",
        PROJECT + "/aiexperiments",
        aiexperiments.fetch_list_of_project,
        READ,
        production_only=True,
    ),
    Route(
        "GET",
        CLIENT + "/aiexperiments",
        aiexperiments.fetch_list_of_client,
        READ,
        production_only=True,
    ),
    Route("GET", "/v1/aiexperiments", aiexperiments.fetch_list, READ, production_only=True),
    Route("GET", AIEXPERIMENT, aiexperiments.fetch, READ, production_only=True),
    Route("PUT", AIEXPERIMENT, aiexperiments.update, WRITE, production_only=True),
    Route("DELETE", AIEXPERIMENT, aiexperiments.delete, WRITE, production_only=True),
    Route(
        "POST",
        AIEXPERIMENT + "/training_runs",
        training_runs.create_in_experiment,
        WRITE,
        production_only=True,
    ),
    Route(
        "GET",
        AIEXPERIMENT + "/best_training_runs",
        training_runs.fetch_best,
        READ,
        production_only=True,
    ),
    Route("POST", PROJECT + "/training_runs", training_runs.create, WRITE),
    Route(
        "POST",
        PROJECT + "/training_runs/batch",
        training_runs.create_batch,
        WRITE,
        max_bytes=RUNS_BYTES,
        max_members=BATCH_MEMBERS,
    ),
    Route("GET", PROJECT + "/training_runs", training_runs.fetch_list, READ),
    Route("GET", CLIENT + "/training_runs", training_runs.fetch_list_of_client, READ),
    Route("GET", RUN, training_runs.fetch, READ),
    Route("PUT", RUN, training_runs.update, WRITE),
    # Not a method that a description may have.
    Route("MERGE", RUN, training_runs.merge, WRITE, described=False),
    Route("DELETE", RUN, training_runs.delete, WRITE),
    Route("POST", RUN + "/checkpoints", training_runs.create_checkpoint, WRITE),
    Route("GET", RUN + "/checkpoints", training_runs.fetch_checkpoints, READ),
    Route("GET", RUN + "/checkpoints/{run_checkpoint}", training_runs.fetch_checkpoint, READ),
    Route("POST", RUN + "/files", files.create, WRITE),
    Route("GET", "/v1/files/{file}", files.fetch, READ),
    Route("POST", RUN + "/tokens", tokens.create_for_run, WRITE, production_only=True),
    Route("POST", RUN + "/tags", training_runs.add_tag, WRITE, production_only=True),
    Route("DELETE", RUN + "/tags/{tag}", training_runs.remove_tag, WRITE, production_only=True),
    Route("POST", CLIENT + "/tags", tags.create, WRITE, production_only=True),
    Route("GET", CLIENT + "/tags", tags.fetch_list, READ, production_only=True),
    Route("GET", PROJECT + "/experiments", experiments.fetch_list_of_project, READ),
)
