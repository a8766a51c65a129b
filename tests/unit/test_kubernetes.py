"""The manifests of deploy/kubernetes are what Kubernetes takes, and what the program needs."""

import json
import re
import shutil

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner
from yamllint import linter
from yamllint.config import YamlLintConfig

from config import Settings, load_settings
from consumers.service import LEAVE_MS
from likeness.main import app
from tests.support.deployed import COMPOSE, INSTRUCTIONS, OPERATIONS, ROOT, rendered

FOLDER = ROOT / "deploy" / "kubernetes"
KEDA = Draft202012Validator(json.loads((ROOT / "tests" / "support" / "keda.schema.json").read_text()))
OLDEST, NEWEST = "1.27", kubernetes_validate.latest_version()
YAML_RULES = YamlLintConfig(
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, comments: disable,"
    " braces: {max-spaces-inside: 0}, octal-values: disable}}"
)
MANIFESTS = [
    document
    for path in sorted(FOLDER.rglob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
SHARED = dict(
    line.split("=", 1)
    for line in (FOLDER / "base" / "settings.env").read_text().splitlines()
    if line and not line.startswith("#")
)


def of_kind(*kinds):
    return [one for one in MANIFESTS if one["kind"] in kinds]


WORKLOADS = of_kind("StatefulSet", "Deployment", "Job")
SCREENING = of_kind("StatefulSet")[0]
SCALED = of_kind("ScaledObject")[0]
TRIGGER = SCALED["spec"]["triggers"][0]["metadata"]


def named(manifests):
    return pytest.mark.parametrize("manifest", manifests, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")


def pod(workload):
    return workload["spec"]["template"]["spec"]


def container(workload):
    (only,) = pod(workload)["containers"]
    return only


def variables(workload):
    """What the container gets: texts; of what Kubernetes fills in, None."""
    shared = SHARED if "envFrom" in container(workload) else {}
    return shared | {one["name"]: one.get("value") for one in container(workload).get("env", [])}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_manifests_are_well_formed(path):
    problems = [f"{problem.line}: {problem.desc}" for problem in linter.run(path.read_text(), YAML_RULES)]
    assert problems == []


def assert_kubernetes_takes(document):
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(document, version, strict=True)


@named([one for one in MANIFESTS if not one["apiVersion"].startswith("keda")])
def test_kubernetes_takes_each_manifest(manifest):
    assert_kubernetes_takes(manifest)


@named([one for one in MANIFESTS if one["apiVersion"].startswith("keda")])
def test_keda_takes_what_is_for_it_as_its_documentation_has_it(manifest):
    KEDA.validate(manifest)


def test_kubernetes_takes_the_autoscaler_that_keda_makes_of_it():
    spec = SCALED["spec"]
    assert_kubernetes_takes(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "keda-hpa-screening"},
            "spec": {
                "scaleTargetRef": spec["scaleTargetRef"],
                "minReplicas": spec["minReplicaCount"],
                "maxReplicas": spec["maxReplicaCount"],
                "behavior": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
            },
        }
    )


@pytest.mark.parametrize("folder", ["base", "autoscaling"])
def test_kustomize_renders_it_and_kubernetes_takes_the_whole(folder):
    documents = rendered(FOLDER / folder)
    assert_whole(documents)
    (screening,) = [one for one in documents if one["kind"] == "StatefulSet"]
    # A number in the manifest would undo the autoscaler's with each apply.
    assert ("replicas" in screening["spec"]) == (folder == "base")
    (settings,) = [one for one in documents if one["kind"] == "ConfigMap"]
    assert settings["data"] == SHARED


def test_an_overlay_puts_the_gallery_into_milvus(tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "own").mkdir()
    overlay = {"resources": ["../autoscaling"], "components": ["../milvus"]}
    (tmp_path / "own" / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    documents = rendered(tmp_path / "own")
    assert_whole(documents)
    (settings,) = [one for one in documents if one["kind"] == "ConfigMap"]
    added = dict(settings["data"].items() - SHARED.items())
    assert load_settings(milvus={"uri": added.pop("LIKENESS_MILVUS__URI")}).milvus.uri
    assert not added


def assert_whole(documents):
    workloads = [one for one in documents if one["kind"] in ("StatefulSet", "Deployment", "Job")]
    assert len(workloads) == len(WORKLOADS)
    for document in documents:
        if document["apiVersion"].startswith("keda"):
            KEDA.validate(document)
        else:
            assert_kubernetes_takes(document)
        assert document["metadata"].get("namespace", "likeness") == "likeness"
    (settings,) = [one for one in documents if one["kind"] == "ConfigMap"]
    for workload in workloads:
        assert container(workload)["image"] == "registry.example.com/likeness:0.1.0"
        for source in container(workload).get("envFrom", []):
            assert source["configMapRef"]["name"] == settings["metadata"]["name"]


@named(WORKLOADS)
def test_each_process_gets_settings_that_it_takes(manifest):
    given = {name: "1" if value is None else value for name, value in variables(manifest).items()}
    assert {name for name in given if not name.startswith("LIKENESS_")} == set()
    given.pop("LIKENESS_SECRETS_DIR")  # the folder is the pod's
    shown = CliRunner().invoke(app, ["config", "show"], env=given, catch_exceptions=False)
    settings = json.loads(shown.stdout)
    for name, value in given.items():
        section, field = name.removeprefix("LIKENESS_").lower().split("__")
        assert str(settings[section][field]).lower() in (value.lower(), str(yaml.safe_load(value)).lower()), name


@named(WORKLOADS)
def test_each_process_runs_a_command_that_there_is(manifest):
    (command,) = container(manifest)["args"]
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


@named(WORKLOADS)
def test_each_process_is_nobody_special_and_writes_nowhere_but_in_memory(manifest):
    user = next(line.split()[1] for line in INSTRUCTIONS if line.startswith("USER"))
    context, inner = pod(manifest)["securityContext"], container(manifest)["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert context["runAsNonRoot"] and context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["readOnlyRootFilesystem"] and not inner["allowPrivilegeEscalation"]
    assert inner["capabilities"] == {"drop": ["ALL"]}
    assert pod(manifest)["automountServiceAccountToken"] is False
    sources = {volume["name"]: volume for volume in pod(manifest)["volumes"]}
    writable = [sources[one["name"]] for one in container(manifest)["volumeMounts"] if not one.get("readOnly")]
    assert all(volume["emptyDir"]["medium"] == "Memory" for volume in writable)


@named(WORKLOADS)
def test_each_process_finds_its_secrets_where_it_looks_for_them(manifest):
    mounts = {one["name"]: one for one in container(manifest)["volumeMounts"]}
    folder = variables(manifest)["LIKENESS_SECRETS_DIR"]
    assert mounts["secrets"]["mountPath"] == folder and mounts["secrets"]["readOnly"]
    (secrets,) = [one["secret"] for one in pod(manifest)["volumes"] if one["name"] == "secrets"]
    told = re.search(rf"kubectl .*create secret generic {secrets['secretName']} (?:.*\\\n)*.*", OPERATIONS)
    assert told, f"operations.md does not tell how to make the Secret {secrets['secretName']}"
    paths = [value for value in variables(manifest).values() if value and value.startswith(f"{folder}/")]
    files = {path.removeprefix(f"{folder}/") for path in paths}
    asked = [reference for one in of_kind("TriggerAuthentication") for reference in one["spec"]["secretTargetRef"]]
    keys = {reference["key"] for reference in asked if reference["name"] == secrets["secretName"]}
    needed = {"LIKENESS_DATABASE__URL"} | files | keys
    assert needed <= set(re.findall(r"--from-file=([\w.-]+)", told[0]))


def test_no_secret_stands_in_the_manifests():
    assert not of_kind("Secret")
    secrets = {
        f"LIKENESS_{section}__{field}".upper()
        for section, table in Settings.model_fields.items()
        for field, one in getattr(table.annotation, "model_fields", {}).items()
        if "Secret" in str(one.annotation)
    }
    assert "LIKENESS_KEYS__MASTER_KEY" in secrets
    assert not {name for workload in WORKLOADS for name in variables(workload)} & secrets


@named([one for one in WORKLOADS if one["kind"] != "Job"])
def test_probes_ask_where_the_process_answers(manifest):
    settings = load_settings()
    ports = {port["name"]: port["containerPort"] for port in container(manifest)["ports"]}
    assert ports["metrics"] == settings.http.port
    assert ports.get("pages", settings.web.port) == settings.web.port
    paths = {name: container(manifest)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: one["path"] for name, one in paths.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {one["port"] for one in paths.values()} == {"metrics"}
    annotations = manifest["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(settings.http.port)


@named([one for one in WORKLOADS if one["kind"] != "Job"])
def test_each_process_is_given_the_time_that_leaving_takes(manifest):
    grace = pod(manifest)["terminationGracePeriodSeconds"]
    assert grace >= load_settings().kafka.transaction_seconds + LEAVE_MS / 1000
    assert f"{grace}s" == COMPOSE["services"]["likeness"]["stop_grace_period"]


def test_each_consumer_has_a_name_that_outlives_it_and_counts_its_own_cores():
    filled = {one["name"]: one["valueFrom"] for one in container(SCREENING)["env"]}
    assert filled["LIKENESS_KAFKA__WORKER_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert filled["LIKENESS_MODELS__THREADS"] == {"resourceFieldRef": {"resource": "requests.cpu"}}
    assert "cpu" not in container(SCREENING)["resources"].get("limits", {})


def test_every_selector_finds_pods():
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS]
    for one in of_kind("Service", "PodDisruptionBudget"):
        selector = one["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= has.items() for has in labels), one["metadata"]["name"]
    for policy in of_kind("NetworkPolicy"):
        for wanted in policy["spec"]["podSelector"].get("matchExpressions", []):
            assert set(wanted["values"]) <= {has[wanted["key"]] for has in labels}


def test_what_may_be_reached_are_the_ports_that_are_used():
    open_to = {
        port["port"]
        for policy in of_kind("NetworkPolicy")
        for rule in policy["spec"].get("ingress", [])
        for port in rule["ports"]
    }
    assert open_to == {load_settings().http.port, load_settings().web.port}
    asked = {
        port["port"]
        for policy in of_kind("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for port in rule["ports"]
    }
    assert int(SHARED["LIKENESS_KAFKA__BOOTSTRAP_SERVERS"].rpartition(":")[2]) in asked


def test_the_autoscaler_watches_the_group_and_the_topic_of_the_consumers_it_starts():
    settings = load_settings()
    reference = SCALED["spec"]["scaleTargetRef"]
    assert (reference["kind"], reference["name"]) == (SCREENING["kind"], SCREENING["metadata"]["name"])
    assert TRIGGER["consumerGroup"] == settings.kafka.group_id
    assert TRIGGER["topic"] == settings.topics.uploads
    assert TRIGGER["bootstrapServers"] == SHARED["LIKENESS_KAFKA__BOOTSTRAP_SERVERS"]
    assert TRIGGER["sasl"] == SHARED["LIKENESS_KAFKA__SASL_MECHANISM"].lower().replace("-", "_").replace("sha_", "sha")
    assert TRIGGER["offsetResetPolicy"] == "earliest"


def test_consumers_come_and_go_no_faster_than_their_group_settles():
    """Who is killed is missed for a session; the transaction that it left open may last for as long as any may."""
    kafka = load_settings().kafka
    settles = max(kafka.session_timeout_ms / 1000, kafka.transaction_seconds + 5)
    behavior = SCALED["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction in behavior.values():
        assert all(policy["periodSeconds"] >= 2 * settles for policy in direction["policies"])
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 10 * settles
