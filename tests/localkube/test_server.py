"""The server itself: what is its own and not Kubernetes': start, stop, restart, places, images, isolation."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from clara_ops.localkube.command import main

pytestmark = pytest.mark.e2e

DATA = [{"name": "data", "persistentVolumeClaim": {"claimName": "clara-data"}}]
GPU = {"limits": {"nvidia.com/gpu": "1"}}


def on_data(**container: object) -> dict[str, object]:
    return {"volumeMounts": [{"name": "data", "mountPath": "/data"}], **container}


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def comes_true(holds, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class TestStart:
    def test_the_kubeconfig_is_private_and_names_the_namespace(self, server):
        server.start()
        assert stat.S_IMODE(server.kubeconfig.stat().st_mode) == 0o600
        written = yaml.safe_load(server.kubeconfig.read_text())
        assert written["contexts"][0]["context"]["namespace"] == "clara"
        assert written["clusters"][0]["cluster"]["server"].startswith("http://127.0.0.1:")
        assert stat.S_IMODE((server.folder / "state").stat().st_mode) == 0o700

    def test_the_log_is_json_lines_that_say_what_this_is(self, server):
        server.start("--gpus", "3")
        lines = [json.loads(line) for line in server.stderr.splitlines()]
        text = " ".join(line["message"] for line in lines)
        assert "for this machine only" in text
        assert "3 made-up GPUs" in text
        assert {line["level"] for line in lines} == {"info"}

    def test_a_second_server_in_the_same_folder_is_refused(self, server, capfd):
        server.start()
        assert (
            main(["serve", "--state", str(server.folder / "state"), "--kubeconfig", str(server.folder / "other")]) == 1
        )
        assert "another clara-localkube uses this folder" in capfd.readouterr().err
        assert not (server.folder / "other").exists()

    def test_a_port_that_is_taken_is_told(self, server, tmp_path, capfd):
        server.start()
        port = yaml.safe_load(server.kubeconfig.read_text())["clusters"][0]["cluster"]["server"].rpartition(":")[2]
        assert main(["serve", "--state", str(tmp_path / "s"), "--kubeconfig", str(tmp_path / "k"), "--port", port]) == 1
        assert f"port {port} on 127.0.0.1: " in capfd.readouterr().err

    def test_a_claim_without_folder_is_told(self, tmp_path, capfd):
        options = ["--state", str(tmp_path / "s"), "--kubeconfig", str(tmp_path / "k")]
        assert main(["serve", *options, "--claim", f"clara-data={tmp_path}/nowhere"]) == 1
        assert "nowhere: no such folder" in capfd.readouterr().err


class TestStop:
    def test_ends_the_pods_and_takes_the_kubeconfig_away(self, server):
        server.start()
        server.create("waits", "exit 1", container={"resources": {"limits": {"cpu": "3"}}})
        server.wait_for_end("waits")
        script = "trap 'echo bye > /data/bye; exit 3' TERM; echo $$$$ > /data/pid; sleep 600 & wait"
        server.create("runs", script, container=on_data(resources=GPU), volumes=DATA)
        server.create("queued", "echo never", container={"resources": GPU})
        assert comes_true((server.claim / "pid").exists)
        assert server.stop() == 0
        assert (server.claim / "bye").read_text() == "bye\n"
        assert not server.kubeconfig.exists()
        assert not alive(int((server.claim / "pid").read_text()))
        server.start()
        for name in ("runs", "queued"):
            pod = server.wait_for_end(name)
            assert (pod.status.phase, pod.status.reason) == ("Failed", "Terminated")
        pod = server.wait_for_end("runs")
        assert pod.status.container_statuses[0].state.terminated.exit_code == 3

    def test_kills_a_pod_that_does_not_end(self, server):
        server.start("--exit-grace", "0.5")
        server.create("stubborn", "trap '' TERM; echo $$$$ > /data/pid; sleep 600", container=on_data(), volumes=DATA)
        assert comes_true(lambda: (server.claim / "pid").exists() and (server.claim / "pid").read_text())
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
        assert not alive(int((server.claim / "pid").read_text()))

    def test_can_leave_the_pods_running(self, server):
        server.start("--on-exit", "keep")
        server.create("runs", "sleep 1.5; echo done > /data/done", container=on_data(), volumes=DATA)
        server.wait("runs", lambda pod: pod.status.phase == "Running")
        assert server.stop() == 0
        server.start()
        assert server.wait_for_end("runs").status.phase == "Succeeded"
        assert (server.claim / "done").exists()


class TestRestartAfterAKill:
    def test_finds_what_runs_what_has_ended_and_what_waits(self, server):
        server.start()
        server.create("long", "echo before; sleep 2; echo after; exit 7", container={"resources": GPU})
        server.create("short", "sleep 0.3; echo $HOME > /dev/termination-log; exit 5")
        server.create("waits", "echo had one", container={"resources": GPU})
        server.create("ended", "exit 4")
        server.wait("long", lambda pod: pod.status.phase == "Running")
        server.wait("short", lambda pod: pod.status.phase == "Running")
        server.wait_for_end("ended")
        before = yaml.safe_load(server.kubeconfig.read_text())
        server.stop(signal.SIGKILL)
        time.sleep(0.5)
        server.start()
        assert yaml.safe_load(server.kubeconfig.read_text()) == before

        def code(name: str) -> int:
            return int(server.wait_for_end(name).status.container_statuses[0].state.terminated.exit_code)

        assert code("ended") == 4
        assert code("short") == 5
        short = server.wait_for_end("short").status.container_statuses[0].state.terminated
        assert short.message == f"{os.environ['HOME']}\n"
        assert server.api.read_namespaced_pod("waits", "clara").status.phase == "Pending"
        assert code("long") == 7
        assert server.logs("long") == "before\nafter\n"
        assert server.wait_for_end("waits").status.phase == "Succeeded"

    def test_goes_on_after_the_init_container_that_was_running(self, server):
        init = {"name": "first", "image": "stages", "command": ["/bin/sh", "-c", "echo i >> /data/order; sleep 1"]}
        server.start()
        server.create(
            "pod", "echo c >> /data/order", container=on_data(), initContainers=[on_data(**init)], volumes=DATA
        )
        assert comes_true((server.claim / "order").exists)
        server.stop(signal.SIGKILL)
        server.start()
        assert server.wait_for_end("pod").status.phase == "Succeeded"
        assert (server.claim / "order").read_text() == "i\nc\n"

    def test_reports_a_pod_whose_processes_are_gone_as_lost(self, server):
        server.start()
        server.create("pod", "sleep 600")
        server.wait("pod", lambda pod: pod.status.phase == "Running")
        (lock,) = (server.folder / "state" / "pods").glob("*/containers/base/lock")
        server.stop(signal.SIGKILL)
        os.kill(int(lock.read_text()), signal.SIGKILL)
        server.start()
        pod = server.wait_for_end("pod")
        end = pod.status.container_statuses[0].state.terminated
        assert pod.status.phase == "Failed"
        assert (end.exit_code, end.reason) == (137, "ContainerStatusUnknown")

    def test_finishes_a_deletion(self, server):
        server.start()
        server.create("pod", "trap '' TERM; echo $$$$ > /data/pid; sleep 600", container=on_data(), volumes=DATA)
        assert comes_true(lambda: (server.claim / "pid").exists() and (server.claim / "pid").read_text())
        server.api.delete_namespaced_pod("pod", "clara", grace_period_seconds=1)
        server.stop(signal.SIGKILL)
        server.start()
        assert comes_true(lambda: not alive(int((server.claim / "pid").read_text())))
        assert comes_true(lambda: server.api.list_namespaced_pod("clara").items == [])
        assert comes_true(lambda: list((server.folder / "state" / "pods").iterdir()) == [])

    def test_clears_away_a_pod_that_was_deleted_at_once(self, server):
        server.start()
        server.create("pod", "trap '' TERM; echo $$$$ > /data/pid; sleep 600", container=on_data(), volumes=DATA)
        assert comes_true(lambda: (server.claim / "pid").exists() and (server.claim / "pid").read_text())
        (stored,) = (server.folder / "state" / "pods").glob("*/pod.json")
        server.stop(signal.SIGKILL)
        stored.unlink()
        server.start()
        assert comes_true(lambda: list((server.folder / "state" / "pods").iterdir()) == [])
        assert comes_true(lambda: not alive(int((server.claim / "pid").read_text())))

    def test_leaves_out_what_a_power_cut_has_broken(self, server):
        server.start()
        server.create("whole", "true")
        server.create("broken", "true")
        uid = server.wait_for_end("broken").metadata.uid
        server.wait_for_end("whole")
        server.stop(signal.SIGKILL)
        (server.folder / "state" / "pods" / uid / "pod.json").write_text("")
        server.start()
        assert [pod.metadata.name for pod in server.api.list_namespaced_pod("clara").items] == ["whole"]
        assert "left out, it cannot be read" in server.stderr

    def test_an_old_watch_is_told_to_list_again(self, server):
        server.start()
        with pytest.raises(client.ApiException) as error:
            server.api.list_namespaced_pod("clara", watch=True, resource_version="1")
        assert error.value.status == 410
        assert json.loads(error.value.body)["reason"] == "Expired"


class TestPlaces:
    def test_pods_get_different_gpus_and_find_them_in_the_environment(self, server):
        server.start("--gpus", "2")
        for name in ("a", "b"):
            server.create(name, "echo $CUDA_VISIBLE_DEVICES; sleep 1", container={"resources": GPU})
        server.create("none", 'echo "[$CUDA_VISIBLE_DEVICES]"')
        assert {server.wait_for_end(name) and server.logs(name) for name in ("a", "b")} == {"0\n", "1\n"}
        assert server.wait_for_end("none") and server.logs("none") == "[]\n"

    @pytest.mark.parametrize("resource", [{"cpu": "3"}, {"memory": "3Gi"}])
    def test_first_come_is_first_served(self, server, resource):
        server.start()
        half = {key: "2" if key == "cpu" else "2Gi" for key in resource}
        script = "date +%s.%N >> /data/order; hostname=$HOSTNAME; echo $HOSTNAME >> /data/names; sleep 0.3"
        server.create("first", script, container=on_data(resources={"requests": resource}), volumes=DATA)
        for name in ("second", "third"):
            server.create(name, script, container=on_data(resources={"requests": resource}), volumes=DATA)
        server.create("small", script, container=on_data(resources={"requests": half}), volumes=DATA)
        for name in ("first", "second", "third", "small"):
            server.wait_for_end(name)
        assert (server.claim / "names").read_text().split() == ["first", "second", "third", "small"]


class TestImages:
    def test_an_image_without_command_runs_its_entrypoint(self, running):
        running.create("plain", "", container={"command": [], "image": "registry.example:5000/clara/stages:1.2"})
        running.create("with-args", "", container={"command": [], "args": ["from", "the pod"]})
        running.wait_for_end("plain")
        running.wait_for_end("with-args")
        assert running.logs("plain") == "from the image\n"
        assert running.logs("with-args") == "from the pod\n"

    def test_an_unknown_image_with_a_command_runs_with_a_warning(self, running):
        running.create("unknown-image", "echo ran", container={"image": "nvcr.io/somebody/their-ai:2"})
        assert running.wait_for_end("unknown-image").status.phase == "Succeeded"
        events = running.api.list_namespaced_event("clara", field_selector="involvedObject.name=unknown-image").items
        warnings = [event for event in events if event.type == "Warning"]
        assert [event.reason for event in warnings] == ["UnknownImage"]
        assert "nvcr.io/somebody/their-ai:2" in warnings[0].message

    def test_a_map_with_a_typing_error_is_told(self, tmp_path, capfd):
        images = tmp_path / "images.yaml"
        images.write_text("images: {a: {entry: [x]}}")
        options = ["--state", str(tmp_path / "s"), "--kubeconfig", str(tmp_path / "k"), "--images", str(images)]
        assert main(["serve", *options]) == 65
        assert f"{images}: cannot be used as an image map" in capfd.readouterr().err


class TestWithoutNamespaces:
    def test_the_app_folder_is_made_of_links(self, server):
        server.start("--isolation", "none")
        (server.claim / "run" / "in").mkdir(parents=True)
        (server.claim / "run" / "payload.json").write_text("{}")
        mounts = [
            {"name": "data", "mountPath": "/app/input/reader", "subPath": "run/in", "readOnly": True},
            {"name": "data", "mountPath": "/app/output", "subPath": "run/out"},
            {"name": "data", "mountPath": "/app/payload.json", "subPath": "run/payload.json"},
            {"name": "tmp", "mountPath": "/tmp"},
        ]
        volumes = [*DATA, {"name": "tmp", "emptyDir": {}}]
        script = "cd $CLARA_APP_DIR; ls; ls input; cat payload.json; echo r > output/result; echo t > $TMPDIR/file"
        container = {"volumeMounts": mounts, "env": [{"name": "CLARA_APP_DIR", "value": "/app"}]}
        server.create("pod", script, container=container, volumes=volumes)
        assert server.wait_for_end("pod").status.phase == "Succeeded"
        assert server.logs("pod") == "input\noutput\npayload.json\nreader\n{}"
        assert (server.claim / "run/out/result").read_text() == "r\n"
        reasons = {event.reason for event in server.api.list_namespaced_event("clara").items if event.type == "Warning"}
        assert reasons == {"MountsNotIsolated"}


class TestWithNamespaces:
    def test_folders_of_the_image_stay_visible_under_a_mounted_tmp(self, server):
        # The test's folder lies under /tmp, as a checkout may.
        folder = server.folder / "checkout"
        folder.mkdir()
        (folder / "program").write_text("here\n")
        images = server.folder / "more.yaml"
        images.write_text(yaml.safe_dump({"default": {"folders": [str(folder)]}}))
        server.start("--images", str(images), "--isolation", "namespaces")
        mounts = [{"name": "tmp", "mountPath": str(server.folder.parent)}]
        script = f"ls {server.folder.parent}/*; cat {folder}/program; touch {server.folder.parent}/mine"
        volumes = [{"name": "tmp", "emptyDir": {}}]
        server.create("pod", script, container={"volumeMounts": mounts}, volumes=volumes)
        server.wait_for_end("pod")
        assert server.logs("pod") == "checkout\nhere\n"
        assert not (server.folder.parent / "mine").exists()

    def test_nothing_of_a_mount_is_left_on_the_host(self, running):
        mounts = [{"name": "data", "mountPath": path} for path in ("/nowhere-on-the-host/a", "/etc/clara-test/b")]
        running.create("mounts", "touch /etc/clara-test/b/file", container={"volumeMounts": mounts}, volumes=DATA)
        assert running.wait_for_end("mounts").status.phase == "Succeeded"
        assert (running.claim / "file").exists()
        assert not Path("/nowhere-on-the-host").exists()
        assert not Path("/etc/clara-test").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("container", "spec", "field"),
        [
            ({}, {"restartPolicy": "OnFailure"}, "spec.restartPolicy"),
            ({"livenessProbe": {"exec": {"command": ["true"]}}}, {}, "spec.containers[0].livenessProbe"),
            ({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}, {}, "spec.containers[0].lifecycle"),
            ({}, {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
            (
                {},
                {"initContainers": [{"name": "side", "image": "stages", "restartPolicy": "Always"}]},
                "spec.initContainers[0].restartPolicy",
            ),
            (
                {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
                {},
                "spec.containers[0].env[0].valueFrom.resourceFieldRef",
            ),
        ],
    )
    def test_what_kubernetes_has_and_localkube_has_not_is_422(self, running, container, spec, field):
        with pytest.raises(client.ApiException) as error:
            running.create("pod", "true", container=container, **spec)
        causes = json.loads(error.value.body)["details"]["causes"]
        assert error.value.status == 422
        assert [cause["field"] for cause in causes] == [field]
        assert "localkube" in causes[0]["message"]

    def test_exec_says_that_there_is_none(self, running):
        running.create("no-exec", "exec sleep 5")
        running.wait("no-exec", lambda pod: pod.status.phase == "Running")
        with pytest.raises(client.ApiException) as error:
            running.api.connect_get_namespaced_pod_exec("no-exec", "clara", command=["true"])
        assert error.value.status == 501
        assert "use a cluster" in json.loads(error.value.body)["message"]

    def test_an_unknown_path_and_method_are_told_as_status(self, running):
        api = running.api.api_client
        for path, method, code in (("/apis/apps/v1/deployments", "GET", 404), ("/api/v1/pods", "PUT", 405)):
            with pytest.raises(client.ApiException) as error:
                api.call_api(path, method, auth_settings=["BearerToken"], response_types_map={})
            assert (error.value.status, json.loads(error.value.body)["kind"]) == (code, "Status")


def test_a_pod_leaves_nothing_behind(running):
    volumes = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    mounts = [{"name": "memory", "mountPath": "/fast"}]
    script = "mkdir -p /fast/deep; echo x > /fast/deep/file; chmod 500 /fast/deep; sleep 1"
    running.create("leaves", script, container={"volumeMounts": mounts}, volumes=volumes)
    pod = running.wait("leaves", lambda found: found.status.phase == "Running")
    shared = Path("/dev/shm") / f"localkube-{pod.metadata.uid}"
    assert comes_true((shared / "memory/deep/file").exists)
    running.wait_for_end("leaves")
    assert comes_true(lambda: not shared.exists())
    assert running.logs("leaves") == ""
    running.api.delete_namespaced_pod("leaves", "clara")
    assert comes_true(lambda: not (running.folder / "state" / "pods" / pod.metadata.uid).exists())


def test_a_pod_starts_within_a_moment(running):
    running.create("warm-up", "true")
    running.wait_for_end("warm-up")
    took = []
    for index in range(3):
        asked = time.time()
        running.create(f"pod-{index}", "date +%s.%N")
        running.wait_for_end(f"pod-{index}")
        took.append(float(running.logs(f"pod-{index}")) - asked)
    assert min(took) < 0.5, took


def test_the_console_script_shows_its_options():
    command = [sys.executable, "-m", "clara_ops.localkube.command", "serve", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"--state", "--claim", "--images", "--gpus", "--isolation"} <= set(shown.replace(",", " ").split())
