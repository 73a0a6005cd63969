"""Alarms reach a webhook, and its address reaches nothing else. Against a real server on loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from tags_assets.graph.alarms import WEBHOOK_VARIABLE, alarm_on_failed_check, alarm_on_failed_run, post


@pytest.fixture
def webhook(monkeypatch):
    """A server that remembers what is posted to it, and answers as it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    posted = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.posted = 200, posted
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/services/T0/SECRET"
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.url)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@dg.asset(check_specs=[dg.AssetCheckSpec("few_rejected", asset="rows")])
def rows(context):
    if context.run.tags.get("fail"):
        raise dg.Failure("data/a.jsonl: is cut short. Fetch it again.", allow_retries=False)
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(
                passed=bool(context.run.tags.get("good")), description="30.0% of the rows could not be read"
            )
        ]
    )


def ran(instance, **tags):
    result = dg.materialize([rows], instance=instance, raise_on_error=False, tags=tags)
    name = "PIPELINE_FAILURE" if tags.get("fail") else "PIPELINE_SUCCESS"
    [event] = [event for event in result.all_events if event.event_type_value == name]
    return dg.build_run_status_sensor_context(
        sensor_name="alarm", dagster_instance=instance, dagster_run=result.dagster_run, dagster_event=event
    )


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_failed_run_is_posted_with_the_line_that_says_what_to_do(webhook, instance):
    assert alarm_on_failed_run(ran(instance, fail="1").for_run_failure()) is None
    [message] = webhook.posted
    assert "failed" in message["text"]
    assert "rows: data/a.jsonl: is cut short. Fetch it again." in message["text"]


def test_a_failed_check_is_posted_though_the_run_went_on(webhook, instance):
    assert alarm_on_failed_check(ran(instance)) is None
    [message] = webhook.posted
    assert "rows: check few_rejected: 30.0% of the rows could not be read" in message["text"]


def test_a_run_whose_checks_pass_is_silent(webhook, instance):
    assert isinstance(alarm_on_failed_check(ran(instance, good="1")), dg.SkipReason)
    assert webhook.posted == []


def test_without_an_address_nothing_is_sent(webhook, instance, monkeypatch):
    monkeypatch.delenv(WEBHOOK_VARIABLE)
    assert "is not set" in alarm_on_failed_run(ran(instance, fail="1").for_run_failure()).skip_message
    assert webhook.posted == []


@pytest.mark.parametrize("trouble", ["refused", "gone", "no address"])
def test_what_goes_wrong_is_said_without_the_address(webhook, instance, monkeypatch, trouble, caplog):
    if trouble == "refused":
        webhook.answer = 403
    elif trouble == "gone":
        monkeypatch.setenv(WEBHOOK_VARIABLE, "http://127.0.0.1:1/services/T0/SECRET")
    else:
        monkeypatch.setenv(WEBHOOK_VARIABLE, "ftp://SECRET")
    said = alarm_on_failed_run(ran(instance, fail="1").for_run_failure()).skip_message
    assert "could not be sent" in said
    assert "SECRET" not in said
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:SECRET/",
        "http://127.0.0.1:99999999/SECRET",
        "http://127.0.0.1:1/SEC RET/SECRET",
        "http://127.0.0.1:1/SECRET\n",
        "http://[SECRET/",
        "http://SECRET:x@127.0.0.1:1/",
        "http:///SECRET",
        "http://",
        "http://127.0.0.1:1/SECRET\u00e9",
    ],
)
def test_an_address_that_is_no_address_is_never_shown(url):
    said = post(url, "x")
    assert said
    assert "SECRET" not in said


def test_the_alarms_are_off_unless_an_address_is_set():
    for sensor in (alarm_on_failed_run, alarm_on_failed_check):
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert post("file:///etc/passwd", "x") == f"{WEBHOOK_VARIABLE} is not an http address"
