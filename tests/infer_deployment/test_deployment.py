"""What lies in infer/ holds together: every name that one file uses, another one defines."""

import configparser
import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cacseg import __version__
from cacseg.service.app import make_app
from cacseg.service.settings import Settings
from cacseg.service.versions import destinations

INFER = Path(__file__).resolve().parents[2] / "infer"
BASE, SCALED = INFER / "kubernetes" / "base", INFER / "kubernetes" / "scaled"
USER = "10001"


def documents(folder):
    """Every Kubernetes object of a folder."""
    paths = sorted(path for path in folder.glob("*.yaml") if path.name not in ("kustomization.yaml", "settings.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def of_kind(kind, *folders):
    return [one for folder in folders for one in documents(folder) if one["kind"] == kind]


def pods():
    return [one["spec"]["template"] for one in of_kind("Deployment", BASE, SCALED)]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((INFER / "compose" / "compose.yaml").read_text())


@pytest.mark.parametrize("path", sorted(INFER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(INFER)))
def test_every_yaml_file_can_be_read_and_names_nothing_twice(path):
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"a key stands twice in {keys}"
            return super().construct_mapping(node, deep)

    assert list(yaml.load_all(path.read_text(), Strict))


@pytest.mark.parametrize("folder", [INFER / "compose", BASE], ids=["compose", "kubernetes"])
def test_settings_files_hold(folder, monkeypatch):
    settings = Settings.load(folder / "settings.yaml")
    assert settings.data == Path("/data")
    assert settings.dicom is not None
    assert destinations(settings) == ("archive",)
    monkeypatch.setenv("CACSEG_WORKERS", "0")
    monkeypatch.setenv("CACSEG_ARCHIVE__TOKEN", "secret")
    changed = Settings.load(folder / "settings.yaml")
    assert (changed.workers, changed.archive.token.get_secret_value()) == (0, "secret")


def test_the_container_runs_as_an_ordinary_user():
    text = (INFER / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines.index(f"USER {USER}:{USER}") < lines.index('ENTRYPOINT ["cacseg"]')
    assert f"--uid {USER}" in text
    settings = Settings.load(BASE / "settings.yaml")
    assert f"EXPOSE {settings.port} {settings.dicom.port}" in lines
    assert "VOLUME /data" in lines


def test_compose_mounts_what_there_is(compose):
    services = compose["services"]
    assert set(services) == {"cacseg", "orthanc", "triton"}
    for service in services.values():
        assert {"image"} <= set(service)
        assert not service["image"].endswith(":latest")
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            assert target.startswith("/")
            if source.startswith("./"):
                assert (INFER / "compose" / source).is_file()
            elif not source.startswith("../"):
                assert source in compose["volumes"]
    build = services["cacseg"]["build"]
    context = (INFER / "compose" / build["context"]).resolve()
    assert (context / build["dockerfile"]).is_file()
    assert services["cacseg"]["image"].endswith(f":{__version__}")
    assert services["orthanc"]["depends_on"]["cacseg"]["condition"] == "service_healthy"
    assert services["cacseg"]["healthcheck"]
    assert "/etc/cacseg/settings.yaml" in services["cacseg"]["command"]


def test_only_the_scanners_port_leaves_the_machine(compose):
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert sorted(port for port in published if not port.startswith("127.0.0.1:")) == ["4242:4242"]


def test_service_and_orthanc_know_each_other(compose):
    orthanc = json.loads((INFER / "compose" / "orthanc.json").read_text())
    settings = Settings.load(INFER / "compose" / "settings.yaml")
    assert settings.dicom.allowed == {orthanc["DicomAet"]: "orthanc"}
    assert (settings.archive.aet, settings.archive.port) == (orthanc["DicomAet"], orthanc["DicomPort"])
    assert settings.archive.host in compose["services"]
    (name, peer), *others = orthanc["DicomModalities"].items()
    assert not others
    assert peer == {"AET": settings.dicom.aet, "Host": "cacseg", "Port": settings.dicom.port}
    assert peer["Host"] in compose["services"]
    forward = (INFER / "compose" / "forward.lua").read_text()
    assert f"'/modalities/{name}/store'" in forward
    mounted = {volume.split(":")[1] for volume in compose["services"]["orthanc"]["volumes"]}
    assert set(orthanc["LuaScripts"]) <= mounted
    assert orthanc["AuthenticationEnabled"]
    assert orthanc["StorageDirectory"] in mounted


def test_kustomizations_list_every_file():
    for folder in (BASE, SCALED):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        listed = {name for name in kustomization["resources"] if name.endswith(".yaml")}
        present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "settings.yaml"}
        assert listed == present
        assert kustomization["labels"][0]["includeTemplates"], "network policies select pods by this label"
    generated = yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
    assert [(one["name"], one["files"]) for one in generated] == [("cacseg-settings", ["settings.yaml"])]


def test_every_kubernetes_object_is_named():
    for one in documents(BASE) + documents(SCALED):
        assert one["apiVersion"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])


def test_selectors_find_their_pods():
    for deployment in of_kind("Deployment", BASE, SCALED):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    server = of_kind("Deployment", BASE)[0]["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in server["spec"]["containers"][0]["ports"]}
    settings = Settings.load(BASE / "settings.yaml")
    assert ports == {"http": settings.port, "dicom": settings.dicom.port}
    for service in of_kind("Service", BASE):
        assert service["spec"]["selector"].items() <= server["metadata"]["labels"].items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    for policy in of_kind("NetworkPolicy", BASE):
        named = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert named <= set(ports)


@pytest.mark.parametrize("number", [0, 1], ids=["server", "worker"])
def test_pods_run_without_privileges_on_volumes_that_exist(number):
    spec = pods()[number]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert str(spec["securityContext"]["runAsUser"]) == USER
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"].endswith(f":{__version__}")
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    claims = {claim["metadata"]["name"] for claim in of_kind("PersistentVolumeClaim", BASE)}
    for volume in spec["volumes"]:
        assert volume.get("persistentVolumeClaim", {}).get("claimName") in (None, *claims)
        assert volume.get("configMap", {}).get("name") in (None, "cacseg-settings")
    assert container["resources"]["limits"]["memory"]


def test_one_server_alone_and_workers_beside_it():
    server, worker = of_kind("Deployment", BASE, SCALED)
    assert (server["spec"]["replicas"], server["spec"]["strategy"]["type"]) == (1, "Recreate")
    arguments = [one["spec"]["template"]["spec"]["containers"][0]["args"] for one in (server, worker)]
    assert arguments[1] == [*arguments[0], "worker"]
    patches = yaml.safe_load((SCALED / "kustomization.yaml").read_text())["patches"]
    changes = {patch["target"]["kind"]: yaml.safe_load(patch["patch"]) for patch in patches}
    assert changes["PersistentVolumeClaim"][0]["value"] == ["ReadWriteMany"]
    assert {"name": "CACSEG_WORKERS", "value": "0"} in changes["Deployment"][0]["value"]


def test_probes_ask_what_the_service_answers(tmp_path):
    app = make_app(Settings(data=tmp_path))
    routes = set(app.openapi()["paths"]) | {getattr(route, "path", "") for route in app.routes}
    app.state.services.database.close()
    container = pods()[0]["spec"]["containers"][0]
    probed = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    scraped = pods()[0]["metadata"]["annotations"]["prometheus.io/path"]
    assert probed | {scraped} <= routes


@pytest.mark.parametrize("folder", [BASE, SCALED], ids=["base", "scaled"])
def test_kustomize_builds(folder):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is absent")
    built = subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True)
    made = list(yaml.safe_load_all(built.stdout))
    assert all(one["metadata"].get("namespace", "cacseg") == "cacseg" for one in made)
    deployments = [one for one in made if one["kind"] == "Deployment"]
    assert len(deployments) == (1 if folder == BASE else 2)
    assert all(
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "cacseg" for one in deployments
    )
    config = next(one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap")
    assert all(
        {"name": config} in [volume.get("configMap") for volume in one["spec"]["template"]["spec"]["volumes"]]
        for one in deployments
    )


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(INFER / "systemd" / "cacseg.service")
    return parser


def test_the_unit_runs_the_service_on_its_state_directory(unit):
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == ["serve", "--settings", "/etc/cacseg/settings.yaml"]
    assert service["Environment"] == f"CACSEG_DATA=/var/lib/{service['StateDirectory']}"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["KillMode"] == "mixed", "workers are told by the service, which waits for them"


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is absent")
    text = (INFER / "systemd" / "cacseg.service").read_text()
    unit = tmp_path / "cacseg.service"
    unit.write_text(text.replace("/opt/cacseg/bin/cacseg", shutil.which("true")))
    said = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "Unknown" not in said.stderr
    assert said.returncode == 0, said.stderr


def test_shell_scripts_are_well_formed():
    for script in INFER.rglob("*.sh"):
        subprocess.run(["sh", "-n", str(script)], check=True)


def test_the_readme_names_every_file():
    text = (INFER / "README.md").read_text()
    for path in INFER.iterdir():
        if path.name != "README.md" and not path.name.startswith((".", "__")):
            assert f"`{path.name}" in text, f"{path.name} is not in the README"


def test_the_webhook_receiver_of_the_examples_knows_our_signature():
    receiver = runpy.run_path(str(INFER / "webhook_receiver.py"))
    from cacseg.service.sending.webhook import SIGNATURE, TIMESTAMP, signature

    fields = {TIMESTAMP: "1000", SIGNATURE: signature("s", "1000", b"{}")}
    assert receiver["genuine"]("s", fields, b"{}", 1200.0)
    assert not receiver["genuine"]("s", fields, b"{}", 1400.0)
    assert not receiver["genuine"]("t", fields, b"{}", 1200.0)
    assert not receiver["genuine"]("s", {}, b"{}", 1200.0)
