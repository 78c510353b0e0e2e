"""The Helm chart renders, with Helm itself, to what Kubernetes takes and an operator may run."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tradeoff.config import Settings

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "tradeoff"
#: The oldest that Chart.yaml allows, and the newest known.
OLDEST, NEWEST = "1.28.0", kubernetes_validate.latest_version()
#: Kinds that operators of Kubernetes bring along; their schemas are not Kubernetes'.
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
SECRET = {"database": {"existingSecret": "postgres-of-ours"}}
EVERYTHING: dict[str, Any] = {
    **SECRET,
    "workers": {"gpu": {"enabled": True, "nodeSelector": {"gpu": "h100"}}},
    "autoscaling": {"kind": "keda"},
    "api": {
        "autoscaling": {"enabled": True},
        "ingress": {"enabled": True, "className": "nginx"},
        "podAnnotations": {"a": "b"},
    },
    "images": {"pullSecrets": [{"name": "registry"}]},
    "metrics": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    "networkPolicy": {
        "apiFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "databaseTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}],
    },
    "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}],
}
CHOICES: dict[str, dict[str, Any]] = {
    "smallest": {"database": {"url": "postgresql://u:p@db/tradeoff"}},
    "own secret": SECRET,
    "everything": EVERYTHING,
    "hpa": {**SECRET, "autoscaling": {"kind": "hpa"}},
    "no policy": {**SECRET, "networkPolicy": {"enabled": False}, "migration": {"enabled": False}},
}
each_choice = pytest.mark.parametrize("values", CHOICES.values(), ids=CHOICES.keys())


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        document
        for name, text in _render(json.dumps(values)).items()
        if name.endswith(".yaml")
        for document in yaml.load_all(text, yaml.CSafeLoader)
        if document
    ]


@functools.cache
def _render(values: str) -> dict[str, str]:
    with helm_python.Chart.load(CHART) as chart:
        return chart.render(values=json.loads(values), name="lab", namespace="tuning")


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and specification of the pods that there will be."""
    for document in documents:
        if document["kind"] in ("Deployment", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


@each_choice
def test_the_chart_passes_helms_own_linter(values: dict[str, Any]) -> None:
    report = helm_python.lint(CHART, values=values, strict=True)

    assert report["errors"] == []
    # An icon is recommended; there is none.
    assert [each for each in report["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize(
    ("choice", "version"), [("everything", OLDEST), *((choice, NEWEST) for choice in CHOICES)]
)
def test_everything_is_what_kubernetes_takes(choice: str, version: str) -> None:
    documents = render(CHOICES[choice])

    assert len(documents) >= 6
    for document in documents:
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(set(names)) == len(names)


@each_choice
def test_every_container_is_unprivileged_and_cannot_write_its_image(values: dict[str, Any]) -> None:
    for name, pod in pods(render(values)):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert mounted == {"/tmp", "/var/lib/tradeoff"}


@each_choice
def test_every_variable_of_ours_is_one_that_the_program_reads(values: dict[str, Any]) -> None:
    known = {f"TRADEOFF_{name.upper()}" for name in Settings.model_fields}
    for _, pod in pods(render(values)):
        for container in pod["containers"]:
            told = {variable["name"]: variable.get("value") for variable in container["env"]}
            assert {name for name in told if name.startswith("TRADEOFF_")} <= known
            assert "TRADEOFF_DATABASE_URL" in told
            Settings(
                **{
                    name.removeprefix("TRADEOFF_").lower(): value
                    for name, value in told.items()
                    if name.startswith("TRADEOFF_") and value is not None
                }
            )


@each_choice
def test_what_selects_pods_finds_some(values: dict[str, Any]) -> None:
    documents = render(values)
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in of_kind(documents, "Deployment")
    ]

    def finds(selector: dict[str, str]) -> bool:
        return any(selector.items() <= each.items() for each in labels)

    for document in of_kind(documents, "Service"):
        assert finds(document["spec"]["selector"])
    for kind, key in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
        ("PodMonitor", "selector"),
    ):
        for document in of_kind(documents, kind):
            assert finds(document["spec"][key]["matchLabels"]), document["metadata"]["name"]
    deployments = {each["metadata"]["name"] for each in of_kind(documents, "Deployment")}
    for kind in ("ScaledObject", "HorizontalPodAutoscaler"):
        for document in of_kind(documents, kind):
            assert document["spec"]["scaleTargetRef"]["name"] in deployments


def test_a_secret_of_ones_own_is_used_and_none_is_made() -> None:
    documents = render(SECRET)

    assert of_kind(documents, "Secret") == []
    for _, pod in pods(documents):
        address = pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
        assert address == {"name": "postgres-of-ours", "key": "database-url"}


def test_migrations_go_first_and_may_have_an_account_of_their_own() -> None:
    values = {"database": {"existingSecret": "s", "migrationUrlKey": "owner-url"}}
    (job,) = of_kind(render(values), "Job")

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["migrate"]
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["key"] == "owner-url"


def test_the_secret_is_there_before_the_migration() -> None:
    documents = render(CHOICES["smallest"])
    (secret,), (job,) = of_kind(documents, "Secret"), of_kind(documents, "Job")

    weights = [
        int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in (secret, job)
    ]
    assert weights[0] < weights[1]


def test_workers_follow_the_queue() -> None:
    scaled = of_kind(render(EVERYTHING), "ScaledObject")
    assert {each["metadata"]["name"] for each in scaled} == {
        "lab-tradeoff-worker-cpu",
        "lab-tradeoff-worker-gpu",
    }
    for document in of_kind(render(EVERYTHING), "Deployment"):
        # What scales decides; a number here would undo it at each upgrade.
        assert "replicas" not in document["spec"]


def test_the_query_that_workers_follow_is_right(database_url: str) -> None:
    import psycopg2

    (trigger,) = of_kind(render(EVERYTHING), "ScaledObject")[0]["spec"]["triggers"]
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(trigger["metadata"]["query"])
            assert cursor.fetchone() == (0,)
    finally:
        connection.close()


def test_a_worker_on_a_gpu_asks_for_one() -> None:
    (gpu,) = [pod for name, pod in pods(render(EVERYTHING)) if name.endswith("worker-gpu")]

    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"name": "TRADEOFF_DEVICE", "value": "cuda"} in gpu["containers"][0]["env"]
    assert gpu["nodeSelector"] == {"gpu": "h100"}


def test_the_alert_rules_go_along() -> None:
    (rule,) = of_kind(render(EVERYTHING), "PrometheusRule")

    written = yaml.safe_load((CHART.parents[1] / "prometheus" / "alerts.yaml").read_text())
    assert rule["spec"] == written


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "database.existingSecret"),
        ({**SECRET, "workers": {"cpu": {"device": "tpu"}}}, "device"),
        ({**SECRET, "autoscaling": {"kind": "magic"}}, "autoscaling"),
        ({**SECRET, "databse": {}}, "databse"),
        ({"database": {"url": "mysql://db"}}, "url"),
        ({**SECRET, "api": {"ingress": {"enabled": True, "tlsSecret": ""}}}, "tlsSecret"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render(values)
