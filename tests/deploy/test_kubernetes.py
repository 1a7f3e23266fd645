"""deploy/kubernetes/: valid for Kubernetes' own schemas, and without loose ends."""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from config.settings import __doc__ as documented
from shardlayer.server.cli import CommandLineInterface
from tests import tools
from tests.deploy.manifests import Manifest, containers, pod, render

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OLDEST = "1.30"
LONGEST_DRAIN = 30  # seconds until a node ends whatever happens


@pytest.fixture
def site() -> list[Manifest]:
    """All objects of the example."""
    return render(FOLDER / "example")


def named(site: list[Manifest], kind: str, name: str) -> Any:
    """Return one object."""
    [found] = [item for item in site if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def deployments(site: list[Manifest]) -> list[Manifest]:
    """Return what makes pods."""
    return [item for item in site if containers(item)]


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_is_valid(site: list[Manifest], version: str) -> None:
    """Every key and type is one that this version of Kubernetes knows."""
    for item in site:
        kubernetes_validate.validate(item, version, strict=True)


def test_schema_refuses_a_wrong_object(site: list[Manifest]) -> None:
    """The check itself works: a misspelt key is found."""
    wrong = copy.deepcopy(named(site, "Deployment", "node"))
    containers(wrong)[0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_all_files_are_used() -> None:
    """Nothing lies beside the kustomizations that they do not name, but the adapter's values."""
    files = {path.name for path in (FOLDER / "base").glob("*.yaml")} - {"kustomization.yaml"}
    text = (FOLDER / "base" / "kustomization.yaml").read_text()
    assert files == set(re.findall(r"^  - (\w+\.yaml)$", text, re.MULTILINE))


def test_containers_may_do_little(site: list[Manifest]) -> None:
    """Each has a user of its own, a root that it can't write to, and no capability."""
    for item in deployments(site):
        security = pod(item)["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert pod(item)["automountServiceAccountToken"] is False
        for container in containers(item):
            inside = container["securityContext"]
            assert inside["readOnlyRootFilesystem"] is True
            assert inside["allowPrivilegeEscalation"] is False
            assert inside["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_user_is_the_image_s(site: list[Manifest]) -> None:
    """The Dockerfile makes the user as whom Kubernetes runs it."""
    user = pod(named(site, "Deployment", "node"))["securityContext"]["runAsUser"]
    assert f"\nUSER {user}\n" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_secrets_are_references(site: list[Manifest]) -> None:
    """No object holds one, and each process of the project gets those of one Secret."""
    assert not [item for item in site if item["kind"] == "Secret"]
    for item in deployments(site):
        for container in containers(item):
            assert "env" not in container
            if "shardlayer" in container["image"]:
                assert {"secretRef": {"name": "shardlayer"}} in container["envFrom"]
    for variable in named(site, "ConfigMap", "shardlayer")["data"]:
        assert f"| {variable} |" in (documented or "")
        assert not re.search("SECRET|PASSWORD|URL", variable)


def test_references_lead_somewhere(site: list[Manifest]) -> None:
    """ConfigMaps, volumes, ports and selectors are there."""
    labels = [item["spec"]["template"]["metadata"]["labels"] for item in deployments(site)]
    for item in site:
        selector = item.get("spec", {}).get("selector") or item.get("spec", {}).get("podSelector")
        if selector:
            assert selector.get("matchLabels", selector) in labels, item["metadata"]
    for item in deployments(site):
        volumes = {volume["name"]: volume for volume in pod(item)["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                named(site, "ConfigMap", volume["configMap"]["name"])
        for container in containers(item):
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
            for source in container["envFrom"]:
                if "configMapRef" in source:
                    named(site, "ConfigMap", source["configMapRef"]["name"])
            ports = {port["name"] for port in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert probe not in container or container[probe]["httpGet"]["port"] in ports


def test_variables_of_haproxy_are_its_own(site: list[Manifest]) -> None:
    """What is set is what haproxy.cfg reads, and it is mounted where HAProxy's image looks."""
    known = set(
        re.findall(r"HAPROXY_\w+", named(site, "ConfigMap", "haproxy")["data"]["haproxy.cfg"])
    )
    environment = named(site, "ConfigMap", "haproxy-environment")["data"]
    assert environment.keys() <= known
    service = named(site, "Service", "node")
    namespace = service["metadata"]["namespace"]
    assert environment["HAPROXY_NODES"] == f"node.{namespace}.svc.cluster.local:8000"
    assert service["spec"]["clusterIP"] == "None"  # one address for each node


def test_node_drains_before_it_is_killed(site: list[Manifest]) -> None:
    """The longest drain ends before SIGKILL; nothing keeps SIGTERM, of which HAProxy notices."""
    node = named(site, "Deployment", "node")
    [container] = containers(node)
    assert "lifecycle" not in container
    assert pod(node)["terminationGracePeriodSeconds"] > LONGEST_DRAIN
    assert node["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_probes_ask_what_they_should(site: list[Manifest]) -> None:
    """A Redis that is away takes nodes out of service, and restarts none."""
    [container] = containers(named(site, "Deployment", "node"))
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        [header] = container[probe]["httpGet"]["httpHeaders"]
        hosts = named(site, "ConfigMap", "shardlayer")["data"]["DJANGO_ALLOWED_HOSTS"]
        assert header["value"] in hosts.split(",")


def test_full_house_stays_reachable(site: list[Manifest]) -> None:
    """HAProxy hears of nodes that are not ready, and is ready itself while one of them is alive."""
    node = named(site, "Deployment", "node")
    service = named(site, "Service", "node")["spec"]
    assert service["selector"].items() <= node["spec"]["template"]["metadata"]["labels"].items()
    assert service["publishNotReadyAddresses"] is True
    [container] = containers(named(site, "Deployment", "haproxy"))
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    configuration = named(site, "ConfigMap", "haproxy")["data"]["haproxy.cfg"]
    assert "monitor fail if { nbsrv(pages) lt 1 }" in configuration
    pages = configuration.partition("\nbackend pages\n")[2].partition("\nfrontend ")[0]
    assert "uri /health/live " in pages


def test_disruptions_are_bounded(site: list[Manifest]) -> None:
    """Machines that are emptied take one pod of a kind at a time."""
    for name in ("node", "haproxy", "pool"):
        budget = named(site, "PodDisruptionBudget", name)["spec"]
        assert budget["maxUnavailable"] == 1
        deployment = named(site, "Deployment", name)["spec"]
        assert budget["selector"] == deployment["selector"]


def test_autoscaler_follows_connections(site: list[Manifest]) -> None:
    """Its metric is what the adapter makes of HAProxy's; its target leaves room in each node."""
    spec = named(site, "HorizontalPodAutoscaler", "node")["spec"]
    named(site, spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"])
    [metric] = spec["metrics"]
    adapter = (FOLDER / "prometheus-adapter.yaml").read_text()
    assert f"as: {metric['external']['metric']['name']} " in adapter
    [container] = containers(named(site, "Deployment", "node"))
    program, *arguments = container["args"]
    assert program == "shardlayer-daphne"
    capacity = CommandLineInterface().parser.parse_args(arguments).capacity
    assert int(metric["external"]["target"]["averageValue"]) <= capacity * 0.7
    most = int(named(site, "ConfigMap", "haproxy-environment")["data"]["HAPROXY_MOST_NODES"])
    assert 2 * spec["maxReplicas"] <= most  # those that start or end have an address, too


@pytest.mark.needs("promtool")
def test_autoscaler_counts_what_stays_open(tmp_path: Path) -> None:
    """WebSockets and streams, not pages; Prometheus takes the query, whatever the adapter adds."""
    [rule] = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["external"]
    open_ones = '{proxy=~"sockets|streams"'
    assert rule["seriesQuery"] == f"haproxy_server_current_sessions{open_ones}}}"
    promtool = tools.find("promtool")
    assert promtool is not None
    for matchers in ("", 'namespace="shardlayer"'):
        query = rule["metricsQuery"].replace("<<.LabelMatchers>>", matchers)
        query = query.replace("<<.Series>>", "haproxy_server_current_sessions")
        assert open_ones in query
        rules = {"groups": [{"name": "scale", "rules": [{"record": "open", "expr": query}]}]}
        written = tmp_path / "rules.yml"
        written.write_text(yaml.safe_dump(rules))
        checked = subprocess.run(
            [promtool, "check", "rules", str(written)], capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_haproxy_reaches_nodes(site: list[Manifest]) -> None:
    """Nodes believe X-Forwarded-For, so nobody else may say it."""
    [rule] = named(site, "NetworkPolicy", "node")["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "haproxy"}}}]
    [container] = containers(named(site, "Deployment", "node"))
    assert "--proxy-headers" in container["args"]
