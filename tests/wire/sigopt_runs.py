"""Projects, runs and AIExperiments as a user of SigOpt wrote them; run by the official client.

Only the address and the token are ours, and both come from the environment. Prints what it saw as
JSON for the test to look at.
"""

# ruff: noqa: T201

import json
import pathlib

import sigopt
from sigopt.exception import ConflictingProjectException, ProjectNotFoundException

seen: dict[str, object] = {}
sigopt.set_project("gearbox")
pathlib.Path("picture.svg").write_text("<svg/>")
try:
    sigopt.create_run(name="too early")
except ProjectNotFoundException as error:
    seen["no_project"] = "gearbox" in str(error)
project = sigopt.create_project("gearbox", "Gearbox")
seen["project"] = [project.id, project.name]
try:
    sigopt.create_project("gearbox")
except ConflictingProjectException:
    seen["conflict"] = True

with sigopt.create_run(name="by hand", metadata={"first": 1}) as run:
    run.params.lr = 0.1
    run.params.setdefaults(dict(layers=3, kind="a", gone=1))
    del run.params["gone"]
    run.log_metric("accuracy", 0.9, stddev=0.01)
    run.log_metrics(ms=2, size=3.5)
    run.log_metadata("host", "laptop")
    run.log_metadata("flag", True)
    run.log_model("net")
    run.log_dataset("iris")
    run.log_source_code(content="print()")
    run.log_image("picture.svg", name="a picture")
    for step in range(3):
        run.log_checkpoint({"accuracy": step / 10})
kept = sigopt.get_run(run.id)
seen["run"] = {
    "state": kept.state,
    "assignments": dict(kept.assignments),
    "values": {name: [v.value, v.value_stddev] for name, v in kept.values.items()},
    "metadata": dict(kept.metadata),
    "model": kept.model.type,
    "datasets": sorted(kept.datasets),
    "checkpoints": kept.checkpoint_count,
    "source": kept.source_code.content,
    "files": len(kept.files),
}
try:
    with sigopt.create_run(name="broken") as broken:
        raise OSError("the disk is full")
except OSError:
    seen["broken"] = sigopt.get_run(broken.id).state

experiment = sigopt.create_experiment(
    name="loop",
    parameters=[
        {"name": "x", "type": "double", "bounds": {"min": 0.0, "max": 1.0}},
        {"name": "n", "type": "int", "bounds": {"min": 1, "max": 8}, "transformation": None},
    ],
    metrics=[
        {"name": "score", "strategy": "optimize", "objective": "maximize"},
        {"name": "ms", "strategy": "optimize", "objective": "minimize"},
    ],
    parallel_bandwidth=1,
    budget=6,
    metadata={"_IS_XGB_EXPERIMENT": "True"},
)
loops = 0
for run in experiment.loop():
    with run:
        loops += 1
        assert isinstance(run.params.n, int), run.params
        if loops == 3:
            run.log_failure()
        else:
            run.log_metric("score", 1 - (run.params.x - 0.3) ** 2)
            run.log_metric("ms", run.params.n)
experiment.refresh()
seen["loops"] = loops
seen["progress"] = [
    experiment.progress.finished_run_count,
    experiment.progress.active_run_count,
    experiment.progress.remaining_budget,
]
seen["finished"] = experiment.is_finished()
seen["states"] = sorted(run.state for run in experiment.get_runs())
seen["best"] = [run.values["score"].value for run in experiment.get_best_runs()]
seen["observed"] = sorted(run.observation is not None for run in experiment.get_runs())
# The client insists on the parameters.
experiment.update(
    name="renamed",
    parameters=[
        {"name": "x", "type": "double", "bounds": {"min": 0.0, "max": 2.0}},
        {"name": "n", "type": "int", "bounds": {"min": 1, "max": 8}},
    ],
)
seen["renamed"] = sigopt.get_experiment(experiment.id).name
experiment.archive()
seen["archived"] = sigopt.get_experiment(experiment.id).state
sigopt.unarchive_experiment(experiment.id)
seen["unarchived"] = sigopt.get_experiment(experiment.id).state
sigopt.archive_experiment(experiment.id, include_runs=True)
seen["archived_run"] = sigopt.get_run(run.id).deleted
sigopt.unarchive_run(run.id)
seen["unarchived_run"] = sigopt.get_run(run.id).deleted
sigopt.archive_run(run.id)
seen["archived_again"] = sigopt.get_run(run.id).deleted

uploaded = sigopt.upload_runs(
    [
        {
            "name": f"earlier {index}",
            "assignments": {"x": index / 10},
            "values": {"score": {"value": index}},
            "state": "completed",
        }
        for index in range(25)
    ]
)
seen["uploaded"] = len(uploaded)

# --- What the resources of the connection do besides ---------------------------------------------
# (It knows neither tags nor the guest tokens of runs.)

connection = sigopt.Connection()
guest = connection.experiments(experiment.id).tokens().create()
seen["guest"] = [guest.token_type, guest.permissions, guest.experiment == experiment.id]
as_guest = sigopt.Connection(client_token=guest.token)
seen["guest_reads"] = as_guest.aiexperiments(experiment.id).fetch().name
print(json.dumps(seen))
