"""Alerts and dashboard ask for metrics that there are; each alert fires in its trouble and in no other."""

import json
import re

import pytest
import yaml

from consumers.console_metrics import ConsoleMetrics
from consumers.look_back.metrics import LookBackMetrics
from consumers.metrics import Metrics
from tests.support.deployed import GRAFANA, OPERATIONS, PROMETHEUS, ROOT, assert_accepts, tool

RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((GRAFANA / "dashboards" / "likeness.json").read_text())
PROMETHEUS_OWN = {"up"}


def families():
    """What /metrics of a consumer, of a console and of who looks back show."""
    return [one for each in (Metrics, ConsoleMetrics, LookBackMetrics) for one in each().registry.collect()]


def metric_names():
    """Their names with suffixes, such as likeness_events_total."""
    names = set()
    for family in families():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def names_in(expression):
    """The metrics that a PromQL expression asks for."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on)\s*\([^)]*\)', " ", expression)
    return {word for word in re.findall(r"[a-z_][a-z0-9_:]*", bare) if "_" in word or word == "up"} - {
        "histogram_quantile"
    }


def panel_expressions():
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])] + [
        annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist_and_leads_to_its_runbook(rule):
    assert names_in(rule["expr"]) <= metric_names() | PROMETHEUS_OWN
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in {"page", "ticket"}
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / file).read_text(), flags=re.M)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings


def test_every_runbook_belongs_to_an_alert():
    assert set(re.findall(r"^### (\w+)$", OPERATIONS, flags=re.M)) == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("expression", panel_expressions())
def test_the_dashboard_asks_for_metrics_that_exist(expression):
    asked = names_in(expression.replace("$__rate_interval", "5m"))
    assert asked
    assert asked <= metric_names()


def test_the_dashboard_finds_its_data_source_and_overlaps_nothing():
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    used = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])}
    assert used == {source["uid"] for source in sources["datasources"]}
    cells = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not own & cells, panel["title"]
        cells |= own


def test_every_metric_of_ours_is_on_the_dashboard():
    ours = {family.name for family in families() if family.name.startswith("likeness_")}
    shown = " ".join(panel_expressions())
    assert {name for name in ours if name not in shown} == set()


PROMTOOL = ("promtool", "Prometheus rules", "install Debian's package prometheus, which carries it")


def test_prometheus_accepts_its_configuration_and_rules():
    assert_accepts(tool(*PROMTOOL), "check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_prometheus_can_read_every_expression_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"dashboard:panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(panel_expressions())
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert_accepts(tool(*PROMTOOL), "check", "rules", str(tmp_path / "rules.yml"))


ONE = '{instance="one", job="likeness"}'
TWO = '{instance="two", job="likeness"}'
CONSOLE = '{instance="three", job="likeness-console"}'
CONSOLE_TWO = '{instance="four", job="likeness-console"}'
UNREADABLE = f'{CONSOLE[:-1]}, result="unreadable"}}'
REFUSED = f'{CONSOLE[:-1]}, result="refused"}}'
UNFIT = f'{CONSOLE[:-1]}, result="refused"}}'
BACK = '{instance="five", job="likeness-look-back"}'
BACK_TWO = '{instance="six", job="likeness-look-back"}'
NO_KEY = f'{ONE[:-1]}, result="no_key"}}'
LATE = f'{CONSOLE[:-1]}, queue="victims"}}'
REPORT_PAGE = '{instance="seven", job="likeness-report-page"}'


def shown_by(metrics, instance):
    """What a process shows for alerts before any of its threads runs; a report page runs few of a console's ever."""
    asked = set().union(*(names_in(rule["expr"]) for rule in RULES))
    shown = {}
    for sample in (sample for family in metrics.registry.collect() for sample in family.samples):
        if sample.name in asked - {"likeness_ready", "likeness_console_ready", "process_start_time_seconds"}:
            labels = [f'{key}="{value}"' for key, value in sample.labels.items()]
            shown[f"{sample.name}{{{', '.join([*labels, instance[1:]])}"] = f"{sample.value:g}x60"
    return shown


WELL = {
    f"up{ONE}": "1x60",
    f"likeness_ready{ONE}": "1x60",
    f"process_start_time_seconds{ONE}": "1000x60",
    f"likeness_seconds_since_poll{ONE}": "1x60",
    'likeness_consumer_lag{instance="one", partition="0"}': "0+10x60",
    'likeness_latency_seconds_bucket{le="1.0"}': "0+1000x60",
    'likeness_latency_seconds_bucket{le="30.0"}': "0+1000x60",
    'likeness_latency_seconds_bucket{le="1800.0"}': "0+1000x60",
    'likeness_latency_seconds_bucket{le="+Inf"}': "0+1000x60",
    'likeness_events_total{outcome="clear"}': "0+1000x60",
    'likeness_events_total{outcome="dead_letter"}': "0+10x60",
    "likeness_delivery_failures_total": "0x60",
    f"likeness_fetch_hosts_down{ONE}": "0x20 1x1 0x38",
    f'likeness_workers_lost_total{{how="crash", {ONE[1:]}': "0x20 2x39",
    f"likeness_seconds_since_outbox{ONE}": "0.2x60",
    f"likeness_seconds_since_outbox{TWO}": "0+60x60",
    f"likeness_gallery_references{ONE}": "5x60",
    f"likeness_gallery_references_unusable{ONE}": "0x60",
    f"likeness_gallery_version{ONE}": "7+1x60",
    f"likeness_gallery_version{TWO}": "7+1x60",
    f"likeness_ready{TWO}": "1x60",
    'likeness_findings_total{kind="same_person"}': "0+1x60",
    'likeness_findings_total{kind="same_picture"}': "0+100x60",
    f"likeness_expected_false_alarm_rate{ONE}": "0.001x60",
    f"likeness_reviews_held_total{ONE}": "0x60",
    f"likeness_threshold_extrapolated{ONE}": "0x60",
    f"up{CONSOLE}": "1x60",
    f"process_start_time_seconds{CONSOLE}": "1000x60",
    f"likeness_console_ready{CONSOLE}": "0x4 1x55",
    f"likeness_console_seconds_since_reviews{CONSOLE}": "1x30 90x1 1x28",
    f"likeness_console_reviews_waiting{CONSOLE}": "0x30 90x29",
    f"likeness_console_reviews_total{UNREADABLE}": "0x60",
    f"likeness_console_seconds_since_reports{CONSOLE}": "1x30 800x1 1x28",
    f"likeness_console_reports_total{UNFIT}": "0x60",
    f"likeness_console_seconds_since_decisions{CONSOLE}": "1x60",
    f"likeness_console_seconds_since_decisions{CONSOLE_TWO}": "0+60x60",
    f"likeness_console_seconds_since_coop{CONSOLE}": "1x60",
    f"likeness_console_seconds_since_coop{CONSOLE_TWO}": "0+60x60",
    f"likeness_console_coop_reports_total{REFUSED}": "0x60",
    f"likeness_console_seconds_since_mails{CONSOLE}": "1x60",
    f"likeness_console_seconds_since_mails{CONSOLE_TWO}": "0+60x60",
    f"likeness_console_seconds_since_expiry{CONSOLE}": "60x60",
    f"likeness_console_seconds_since_expiry{CONSOLE_TWO}": "0+60x60",
    f"likeness_console_cases_late{LATE}": "0x30 1x9 0x20",
    f"likeness_look_back_seconds_since_step{BACK}": "1x60",
    f"likeness_look_back_seconds_since_step{BACK_TWO}": "0+60x60",
    f"likeness_look_back_seconds_behind{BACK}": "3600x60",
    f"likeness_probes_total{NO_KEY}": "0x60",
    'likeness_people_with_faces{where="gallery", instance="console"}': "50000x60",
    'likeness_people_with_faces{where="gallery", instance="another"}': "50000x60",
    'likeness_people_with_faces{where="cases", instance="console"}': "20000x60",
    # a page for reporters is scraped, too, and processes that begin
    f"up{REPORT_PAGE}": "1x60",
    f"likeness_console_ready{REPORT_PAGE}": "1x60",
    **shown_by(ConsoleMetrics(), REPORT_PAGE),
    **shown_by(Metrics(), '{instance="eight", job="likeness"}'),
    **shown_by(LookBackMetrics(), '{instance="nine", job="likeness-look-back"}'),
}
TROUBLES = {
    "LikenessAbsent": {f"up{ONE}": "0x60"},
    "LikenessNotReady": {f"likeness_ready{ONE}": "0x60"},
    "LikenessRestarting": {f"process_start_time_seconds{ONE}": "1000+100x60"},
    "LikenessNotPolling": {f"likeness_seconds_since_poll{ONE}": "0+60x60"},
    "LikenessLagGrowing": {'likeness_consumer_lag{instance="one", partition="0"}': "0+100x60"},
    "LikenessUploadsTooOld": {
        'likeness_latency_seconds_bucket{le="1.0"}': "0+100x60",
        'likeness_latency_seconds_bucket{le="30.0"}': "0+200x60",
    },
    "LikenessLatencyHigh": {
        'likeness_latency_seconds_bucket{le="1.0"}': "0+900x60",
        'likeness_latency_seconds_bucket{le="30.0"}': "0+950x60",
    },
    "LikenessDeadLetters": {'likeness_events_total{outcome="dead_letter"}': "0+500x60"},
    "LikenessFetchHostDown": {f"likeness_fetch_hosts_down{ONE}": "1x60"},
    "LikenessWorkersLost": {f'likeness_workers_lost_total{{how="crash", {ONE[1:]}': "0+3x60"},
    "LikenessOutboxStuck": {f"likeness_seconds_since_outbox{one}": "0+60x60" for one in (ONE, TWO)},
    "LikenessDeliveryFailing": {"likeness_delivery_failures_total": "0+1x60"},
    "LikenessGalleryUnreadable": {f'likeness_gallery_changes_total{ONE[:-1]}, result="unreadable"}}': "1x60"},
    "LikenessReferencesUnusable": {f"likeness_gallery_references_unusable{ONE}": "3x60"},
    "LikenessGalleryEmpty": {f"likeness_gallery_references{ONE}": "0x60"},
    "LikenessGalleryBehind": {f"likeness_gallery_version{TWO}": "7x60"},
    "LikenessFindingsAboveBudget": {'likeness_findings_total{kind="look_alike_risk"}': "0+6x60"},
    "LikenessReviewsHeld": {f"likeness_reviews_held_total{ONE}": "0x30 1x29"},
    "LikenessThresholdExtrapolated": {f"likeness_threshold_extrapolated{ONE}": "1x60"},
    "LikenessConsoleAbsent": {f"up{CONSOLE}": "0x60"},
    "LikenessConsoleNotReady": {f"likeness_console_ready{CONSOLE}": "0x60"},
    "LikenessReviewsStuck": {f"likeness_console_seconds_since_reviews{CONSOLE}": "0+60x60"},
    "LikenessReviewsWaiting": {f"likeness_console_reviews_waiting{CONSOLE}": "0+10x60"},
    "LikenessReviewsUnreadable": {f"likeness_console_reviews_total{UNREADABLE}": "0x30 1x29"},
    "LikenessReportsStuck": {f"likeness_console_seconds_since_reports{CONSOLE}": "0+60x60"},
    "LikenessReportsPassedOver": {f"likeness_console_reports_total{UNFIT}": "0x30 1x29"},
    "LikenessDecisionsStuck": {
        f"likeness_console_seconds_since_decisions{one}": "0+60x60" for one in (CONSOLE, CONSOLE_TWO)
    },
    "LikenessCoopStuck": {f"likeness_console_seconds_since_coop{one}": "0+60x60" for one in (CONSOLE, CONSOLE_TWO)},
    "LikenessMailStuck": {f"likeness_console_seconds_since_mails{one}": "0+60x60" for one in (CONSOLE, CONSOLE_TWO)},
    "LikenessExpiryStuck": {f"likeness_console_seconds_since_expiry{one}": "0+60x60" for one in (CONSOLE, CONSOLE_TWO)},
    "LikenessCoopRefuses": {f"likeness_console_coop_reports_total{REFUSED}": "0x30 1x29"},
    "LikenessManyFaces": {'likeness_people_with_faces{where="cases", instance="console"}': "30001x60"},
    "LikenessLookBackStuck": {f"likeness_look_back_seconds_since_step{one}": "0+60x60" for one in (BACK, BACK_TWO)},
    "LikenessLookBackBehind": {f"likeness_look_back_seconds_behind{BACK}": "90000x60"},
    "LikenessProbesNotKept": {f"likeness_probes_total{NO_KEY}": "0x30 1x29"},
    "LikenessCasesLate": {f"likeness_console_cases_late{LATE}": "0x30 1x29"},
}
ACCOMPANIED_BY = {"LikenessUploadsTooOld": {"LikenessLatencyHigh"}}


def fires(series, expected, minute, step):
    firing, names = 'ALERTS{alertstate="firing",alertname', "|".join(sorted(expected)) or "none"
    return {
        "interval": f"{step}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(group by (alertname) ({firing}=~"{names}"}})) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": len(expected)}],
            },
            {
                "expr": f'count({firing}!~"{names}"}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 0}],
            },
        ],
    }


def assert_fires(folder, series, expected, minute=50, step=1):
    promtool = tool(*PROMTOOL)
    document = {
        "rule_files": [str(PROMETHEUS / "alerts.yml")],
        "evaluation_interval": f"{step}m",
        "tests": [fires(series, expected, minute, step)],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(document))
    assert_accepts(promtool, "test", "rules", str(folder / "test.yml"))


def test_no_alert_fires_while_all_is_well(tmp_path):
    assert_fires(tmp_path, WELL, set())


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_an_alert_fires_in_its_trouble_and_no_other_does(alert, tmp_path):
    assert_fires(tmp_path, WELL | TROUBLES[alert], {alert} | ACCOMPANIED_BY.get(alert, set()))


def test_a_console_that_is_started_again_and_again_is_told_like_a_consumer(tmp_path):
    assert_fires(tmp_path, WELL | {f"process_start_time_seconds{CONSOLE}": "1000+100x60"}, {"LikenessRestarting"})


def test_a_consumer_that_still_loads_the_gallery_is_not_behind(tmp_path):
    series = WELL | {f"likeness_gallery_version{TWO}": "0x60", f"likeness_ready{TWO}": "0x60"}
    assert_fires(tmp_path, series, {"LikenessNotReady"})


def test_findings_without_a_calibration_are_not_compared_with_a_budget(tmp_path):
    series = WELL | {f"likeness_expected_false_alarm_rate{ONE}": "0x60"}
    assert_fires(tmp_path, series | TROUBLES["LikenessFindingsAboveBudget"], set())


def test_a_threshold_that_has_been_extrapolated_for_a_week_is_no_news(tmp_path):
    series = {f"up{ONE}": "1x2600", f"up{CONSOLE}": "1x2600", f"likeness_threshold_extrapolated{ONE}": "1x2600"}
    assert_fires(tmp_path, series, set(), minute=10_200, step=4)
