"""The dashboard and the alert rules ask for measures that there are, in words Prometheus takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tradeoff import measures

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = DEPLOY / "grafana" / "tradeoff.json"
#: What Grafana puts in for its variables.
VARIABLES = {"$__rate_interval": "5m", "$job": ".*"}


def rules() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            yield expression


#: What Prometheus sees of a measure, by its kind.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def known() -> dict[str, set[str]]:
    """Every name that Prometheus can know, with the labels it comes with."""
    labels = {
        str(getattr(collector, "_name", "")): set(getattr(collector, "_labelnames", ()))
        for collector in measures.REGISTRY._collector_to_names
    }
    return {
        family.name + suffix: labels.get(family.name, set())
        | ({"le"} if suffix == "_bucket" else set())
        for family in measures.REGISTRY.collect()
        for suffix in SUFFIXES.get(family.type, ("",))
    }


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_is_promql_and_asks_for_what_there_is(expression: str) -> None:
    promql_parser.parse(expression)

    there = known()
    asked = set(re.findall(r"\btradeoff_\w+", expression))
    assert asked
    assert asked <= there.keys()
    labels = {label for name in asked for label in there[name]} | {"job"}
    assert set(re.findall(r"(\w+)=~?\"", expression)) <= labels
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        assert {name.strip() for name in grouping.split(",")} <= labels


def test_every_rule_says_what_it_means_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) >= 8
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_panels_do_not_lie_on_each_other_and_name_their_data_source() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"


def test_what_operators_are_promised_is_measured() -> None:
    """The measures that docs/watching.md explains are all there is, and there are no others."""
    told = set(
        re.findall(r"`(tradeoff_\w+)`", (DEPLOY.parent / "docs" / "watching.md").read_text())
    )
    families = {family.name for family in measures.REGISTRY.collect()}
    plain = {re.sub(r"_(total|info)$", "", name) for name in told}
    assert plain == {name for name in families if not name.startswith("tradeoff_process_")}
