"""The alert rules: PromQL that parses, over metrics that a server has, and a page that knows each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from registry.server.board import METHODS, ROUTES
from tests.docker.charts import CHART, ROOT, one, render
from tests.server.oci_pushes import push_image
from tests.server.program import serving

ALERTS = CHART / "alerts.yaml"
PAGE = ROOT / "docker" / "OPERATING.md"

#: What Prometheus itself says of each place that it asks.
PROMETHEUS = {"up"}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def selectors(expression: Any) -> Iterator[promql_parser.VectorSelector]:
    """Every metric that an expression asks for."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    elif isinstance(expression, promql_parser.MatrixSelector):
        yield expression.vector_selector
    elif isinstance(expression, promql_parser.Call):
        for argument in expression.args:
            yield from selectors(argument)
    elif isinstance(expression, promql_parser.BinaryExpr):
        yield from selectors(expression.lhs)
        yield from selectors(expression.rhs)
    elif isinstance(expression, promql_parser.AggregateExpr | promql_parser.ParenExpr):
        yield from selectors(expression.expr)
    else:
        assert isinstance(expression, promql_parser.NumberLiteral), type(expression)


@pytest.mark.slow
def test_alerts_ask_for_metrics_that_a_server_has(tmp_path: Path) -> None:
    with serving(tmp_path, "--events", "nats://127.0.0.1:1") as server:
        with server.client() as client:
            push_image(client, "alerts/a", "v1", b"{}", b"layer")
        there = {name for name, _ in server.metrics()}
    for rule in rules():
        for selector in selectors(promql_parser.parse(rule["expr"])):
            assert selector.name in there | PROMETHEUS, rule["alert"]


def test_alerts_ask_for_labels_that_there_are() -> None:
    routes = {route.value[1] for route in ROUTES}
    asked = [
        (matcher.name, value)
        for rule in rules()
        for selector in selectors(promql_parser.parse(rule["expr"]))
        for matcher in selector.matchers.matchers
        for value in matcher.value.split("|")
    ]
    assert {value for name, value in asked if name == "route"} <= routes
    assert {value for name, value in asked if name == "method"} <= set(METHODS)
    assert {name for name, _ in asked} <= {"job", "route", "method", "status", "follower", "worker"}


def test_an_expression_that_is_none_would_be_found() -> None:
    with pytest.raises(ValueError, match="parenthes"):
        promql_parser.parse("sum by (job) rate(artifact_store_requests_total[5m]")


def test_each_alert_says_how_grave_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+[mhd]", rule.get("for", "1m"))
        assert rule["annotations"]["description"].endswith(".")
        assert rule["annotations"]["summary"]


def test_the_operators_page_knows_each_alert() -> None:
    text = PAGE.read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in text] == []


def test_the_chart_carries_them_whole() -> None:
    document = one(render("everything"), "PrometheusRule")
    assert document["spec"] == yaml.safe_load(ALERTS.read_text())
