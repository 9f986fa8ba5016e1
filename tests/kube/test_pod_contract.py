"""What localkube claims is what Kubernetes does: one suite for both (see conftest.py for how the second is chosen)."""

import base64
import json
import secrets
import threading
import time
from typing import Any

import pytest
from kubernetes import client, watch

Json = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

IMAGE = "localhost/debian:12"
CLAIM = {"name": "claim", "persistentVolumeClaim": {"claimName": "contract"}}


@pytest.fixture(autouse=True)
def leave_no_pod(cluster):
    """A pod that a test has left would keep its place and its GPUs from the next one."""
    yield
    cluster.delete_all()


def pod_of(*containers: Json, volumes: list[Json] | None = None, labels: Json | None = None, **spec: Any) -> Json:
    """A pod with a name of its own; containers get names c0, c1, ... unless they have one."""
    named = [{"name": f"c{index}", "image": IMAGE, **container} for index, container in enumerate(containers)]
    metadata = {"name": f"pod-{secrets.token_hex(4)}", "labels": labels or {}}
    return {
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", "containers": named, "volumes": volumes or [], **spec},
    }


def sh(script: str, **container: Any) -> Json:
    """A container that runs a shell script."""
    return {"command": ["/bin/sh", "-c", script], **container}


def mount(name: str, path: str, **options: Any) -> Json:
    return {"name": name, "mountPath": path, **options}


def state_of(pod: client.V1Pod, index: int = 0) -> client.V1ContainerState:
    return pod.status.container_statuses[index].state


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[int, Json]:
    """Code and Status object of a call that is refused."""
    with pytest.raises(client.ApiException) as caught:
        call(*arguments, **options)
    return caught.value.status, json.loads(caught.value.body)


class TestObjects:
    def test_a_stored_pod_has_identity_defaults_and_is_pending(self, cluster):
        body = pod_of(sh("sleep 0", resources={"limits": {"cpu": "100m", "memory": "64Mi"}}), labels={"a": "b"})
        pod = cluster.create(body)
        assert pod.status.phase == "Pending"
        assert pod.metadata.uid
        assert pod.metadata.creation_timestamp
        assert pod.metadata.resource_version
        assert pod.metadata.labels == {"a": "b"}
        assert pod.spec.termination_grace_period_seconds == 30
        assert pod.spec.containers[0].termination_message_path == "/dev/termination-log"
        assert pod.spec.containers[0].image_pull_policy == "IfNotPresent"
        assert pod.spec.containers[0].resources.requests == {"cpu": "100m", "memory": "64Mi"}

    def test_a_name_is_made_from_generate_name(self, cluster):
        body = pod_of(sh("true"))
        body["metadata"] = {"generateName": "made-"}
        first, second = cluster.create(body).metadata.name, cluster.create(body).metadata.name
        assert first.startswith("made-") and len(first) == 10
        assert first != second

    def test_a_name_that_is_taken_is_409(self, cluster):
        body = pod_of(sh("true"))
        cluster.create(body)
        code, status = refusal(cluster.create, body)
        name = body["metadata"]["name"]
        assert (code, status["kind"], status["status"], status["reason"]) == (409, "Status", "Failure", "AlreadyExists")
        assert status["message"] == f'pods "{name}" already exists'
        assert status["details"] == {"name": name, "kind": "pods"}

    @pytest.mark.parametrize("call", ["read_namespaced_pod", "delete_namespaced_pod", "read_namespaced_pod_log"])
    def test_a_pod_that_is_not_there_is_404(self, cluster, call):
        code, status = refusal(getattr(cluster.api, call), "nobody", cluster.namespace)
        assert (code, status["reason"], status["message"]) == (404, "NotFound", 'pods "nobody" not found')
        assert status["details"] == {"name": "nobody", "kind": "pods"}

    def test_a_namespace_that_is_not_there_is_404(self, cluster):
        code, status = refusal(cluster.api.create_namespaced_pod, "no-such-namespace", pod_of(sh("true")))
        assert (code, status["reason"]) == (404, "NotFound")
        assert status["message"] == 'namespaces "no-such-namespace" not found'

    def test_a_pod_for_another_namespace_is_400(self, cluster):
        body = pod_of(sh("true"))
        body["metadata"]["namespace"] = "default"
        code, status = refusal(cluster.create, body)
        assert (code, status["reason"]) == (400, "BadRequest")
        assert "does not match the namespace" in status["message"]

    def test_a_value_of_the_wrong_type_is_400(self, cluster):
        for container in ({"args": 7}, {"resources": {"limits": {"cpu": "many"}}}, {"env": "A=b"}, {"name": []}):
            code, status = refusal(cluster.create, pod_of(sh("true", **container)))
            assert (code, status["reason"]) == (400, "BadRequest")
            assert status["message"].startswith('Pod in version "v1" cannot be handled as a Pod: ')

    def test_a_wrong_token_is_401(self, cluster):
        other = client.Configuration()
        other.host, other.ssl_ca_cert = cluster.configuration.host, cluster.configuration.ssl_ca_cert
        other.verify_ssl = cluster.configuration.verify_ssl
        other.api_key = {"authorization": "Bearer wrong"}
        code, status = refusal(client.CoreV1Api(client.ApiClient(other)).read_namespaced_pod, "a", cluster.namespace)
        assert (code, status["reason"]) == (401, "Unauthorized")

    def test_the_version_is_told(self, cluster):
        version = client.VersionApi(cluster.api.api_client).get_code()
        assert version.major == "1"
        assert version.git_version.startswith("v1.")

    def test_a_namespace_can_be_read(self, cluster):
        assert cluster.api.read_namespace(cluster.namespace).status.phase == "Active"


INVALID = {
    "no image": ({"image": None}, {}, "FieldValueRequired", "spec.containers[0].image"),
    "no container name": ({"name": ""}, {}, "FieldValueRequired", "spec.containers[0].name"),
    "a container name that is no label": ({"name": "No"}, {}, "FieldValueInvalid", "spec.containers[0].name"),
    "unknown volume": (
        {"volumeMounts": [mount("nowhere", "/a")]},
        {},
        "FieldValueNotFound",
        "spec.containers[0].volumeMounts[0].name",
    ),
    "no mount path": (
        {"volumeMounts": [mount("v", "")]},
        {},
        "FieldValueRequired",
        "spec.containers[0].volumeMounts[0].mountPath",
    ),
    "mount path twice": (
        {"volumeMounts": [mount("v", "/a"), mount("v", "/a")]},
        {},
        "FieldValueInvalid",
        "spec.containers[0].volumeMounts[1].mountPath",
    ),
    "absolute subPath": (
        {"volumeMounts": [mount("v", "/a", subPath="/b")]},
        {},
        "FieldValueInvalid",
        "spec.containers[0].volumeMounts.subPath",
    ),
    "subPath that leads out": (
        {"volumeMounts": [mount("v", "/a", subPath="b/../../c")]},
        {},
        "FieldValueInvalid",
        "spec.containers[0].volumeMounts.subPath",
    ),
    "a request above its limit": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        {},
        "FieldValueInvalid",
        "spec.containers[0].resources.requests",
    ),
    "a GPU request without limit": (
        {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
        {},
        "FieldValueRequired",
        "spec.containers[0].resources.limits",
    ),
    "a fraction of a GPU": (
        {"resources": {"limits": {"nvidia.com/gpu": "500m"}}},
        {},
        "FieldValueInvalid",
        "spec.containers[0].resources.limits[nvidia.com/gpu]",
    ),
    "a variable without name": ({"env": [{"name": ""}]}, {}, "FieldValueRequired", "spec.containers[0].env[0].name"),
    "a variable with two values": (
        {"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        {},
        "FieldValueInvalid",
        "spec.containers[0].env[0].valueFrom",
    ),
    "an unknown pull policy": (
        {"imagePullPolicy": "Sometimes"},
        {},
        "FieldValueNotSupported",
        "spec.containers[0].imagePullPolicy",
    ),
    "an unknown message policy": (
        {"terminationMessagePolicy": "Shout"},
        {},
        "FieldValueNotSupported",
        "spec.containers[0].terminationMessagePolicy",
    ),
    "no containers": ({}, {"containers": []}, "FieldValueRequired", "spec.containers"),
    "an unknown restart policy": ({}, {"restartPolicy": "Perhaps"}, "FieldValueNotSupported", "spec.restartPolicy"),
    "a volume twice": (
        {},
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        "FieldValueDuplicate",
        "spec.volumes[1].name",
    ),
    "a file that leads out of its volume": (
        {},
        {"volumes": [{"name": "v", "configMap": {"name": "a", "items": [{"key": "k", "path": "../k"}]}}]},
        "FieldValueInvalid",
        "spec.volumes[0].configMap.items[0].path",
    ),
    "no deadline": ({}, {"activeDeadlineSeconds": 0}, "FieldValueInvalid", "spec.activeDeadlineSeconds"),
}


class TestInvalidPods:
    @pytest.mark.parametrize("case", INVALID, ids=[name.replace(" ", "-") for name in INVALID])
    def test_is_422_with_the_field_and_the_reason(self, cluster, case):
        container, spec, reason, field = INVALID[case]
        body = pod_of(sh("true", **container), **{"volumes": [{"name": "v", "emptyDir": {}}], **spec})
        code, status = refusal(cluster.create, body)
        assert (code, status["reason"], status["details"]["kind"]) == (422, "Invalid", "Pod")
        causes = {(cause["reason"], cause["field"]) for cause in status["details"]["causes"]}
        assert (reason, field) in causes
        assert status["message"].startswith(f'Pod "{body["metadata"]["name"]}" is invalid: ')
        assert field in status["message"]

    @pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "a" * 254])
    def test_a_name_that_no_object_can_have_is_422(self, cluster, name):
        body = pod_of(sh("true"))
        body["metadata"]["name"] = name
        code, status = refusal(cluster.create, body)
        assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.name")

    def test_a_label_that_no_object_can_have_is_422(self, cluster):
        code, status = refusal(cluster.create, pod_of(sh("true"), labels={"a": "not a label"}))
        assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.labels")

    def test_a_container_name_twice_is_422(self, cluster):
        code, status = refusal(cluster.create, pod_of(sh("true", name="a"), sh("true", name="a")))
        causes = status["details"]["causes"]
        assert code == 422
        assert [(cause["reason"], cause["field"]) for cause in causes] == [
            ("FieldValueDuplicate", "spec.containers[1].name")
        ]

    def test_everything_that_is_wrong_is_told_at_once(self, cluster):
        code, status = refusal(cluster.create, pod_of(sh("true", image=None), sh("true", name="B")))
        fields = {cause["field"] for cause in status["details"]["causes"]}
        assert code == 422
        assert {"spec.containers[0].image", "spec.containers[1].name"} <= fields


class TestEnds:
    def test_exit_code_0_is_success(self, cluster):
        pod = cluster.run(pod_of(sh("echo fine")))
        assert pod.status.phase == "Succeeded"
        end = state_of(pod).terminated
        assert (end.exit_code, end.reason) == (0, "Completed")
        assert pod.status.start_time <= end.started_at <= end.finished_at
        conditions = {condition.type: condition.status for condition in pod.status.conditions}
        assert (conditions["PodScheduled"], conditions["Initialized"], conditions["Ready"]) == ("True", "True", "False")
        ready = next(condition for condition in pod.status.conditions if condition.type == "Ready")
        assert ready.reason == "PodCompleted"
        assert pod.spec.node_name
        assert pod.status.container_statuses[0].restart_count == 0

    @pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -KILL $$$$", 137), ("exit 99", 99)])
    def test_another_exit_code_is_failure(self, cluster, script, code):
        # The inner shell dies of the signal, so that this holds for a container's first process as for any other.
        pod = cluster.run(pod_of(sh(f"sh -c '{script}'; exit $?")))
        assert pod.status.phase == "Failed"
        assert (state_of(pod).terminated.exit_code, state_of(pod).terminated.reason) == (code, "Error")

    def test_a_command_that_is_not_there_is_a_start_error(self, cluster):
        pod = cluster.run(pod_of({"command": ["/no/such/program"]}))
        end = state_of(pod).terminated
        assert pod.status.phase == "Failed"
        assert (end.exit_code, end.reason) == (128, "StartError")
        assert "/no/such/program" in end.message

    def test_a_pod_fails_when_one_container_of_several_does(self, cluster):
        pod = cluster.run(pod_of(sh("exit 0"), sh("exit 4")))
        assert pod.status.phase == "Failed"
        assert [status.state.terminated.exit_code for status in pod.status.container_statuses] == [0, 4]

    def test_the_termination_message_is_what_the_container_wrote(self, cluster):
        pod = cluster.run(pod_of(sh("echo not this; printf 'this' > /dev/termination-log; exit 1")))
        assert state_of(pod).terminated.message == "this"

    def test_the_termination_message_can_have_another_path(self, cluster):
        pod = cluster.run(pod_of(sh("printf here > /tmp/words", terminationMessagePath="/tmp/words")))
        assert state_of(pod).terminated.message == "here"

    @pytest.mark.parametrize(
        ("policy", "code", "message"),
        [("FallbackToLogsOnError", 1, "one\ntwo\n"), ("FallbackToLogsOnError", 0, None), ("File", 1, None)],
    )
    def test_the_log_stands_in_for_a_missing_termination_message(self, cluster, policy, code, message):
        pod = cluster.run(pod_of(sh(f"echo one; echo two; exit {code}", terminationMessagePolicy=policy)))
        assert state_of(pod).terminated.message == message

    def test_more_memory_than_the_limit_is_oom_killed(self, cluster):
        script = "import time\ndata = b'x' * (200 << 20)\ntime.sleep(30)"
        container = {"command": ["python3", "-c", script], "resources": {"limits": {"memory": "64Mi"}}}
        pod = cluster.run(pod_of(container))
        assert pod.status.phase == "Failed"
        assert (state_of(pod).terminated.exit_code, state_of(pod).terminated.reason) == (137, "OOMKilled")

    def test_memory_within_the_limit_is_not(self, cluster):
        script = "data = b'x' * (40 << 20)\nimport time\ntime.sleep(0.5)"
        pod = cluster.run(pod_of({"command": ["python3", "-c", script], "resources": {"limits": {"memory": "128Mi"}}}))
        assert pod.status.phase == "Succeeded"

    def test_the_deadline_ends_the_pod(self, cluster):
        started = time.monotonic()
        body = pod_of(sh("trap 'exit 5' TERM; sleep 60 & wait"), activeDeadlineSeconds=2)
        pod = cluster.run(body)
        pod = cluster.wait(pod.metadata.name, lambda found: state_of(found).terminated)
        assert time.monotonic() - started < 30
        assert (pod.status.phase, pod.status.reason) == ("Failed", "DeadlineExceeded")
        assert pod.status.message == "Pod was active on the node longer than the specified deadline"

    def test_processes_left_behind_end_with_the_container(self, cluster):
        mounts = [mount("claim", "/data", subPath="left-behind")]
        script = "(setsid sh -c 'while true; do echo . >> /data/dots; sleep 0.05; done' &) ; sleep 0.5"
        cluster.run(pod_of(sh(script, volumeMounts=mounts), volumes=[CLAIM]))
        count = "wc -l < /data/dots"
        pod = cluster.run(pod_of(sh(f"{count}; sleep 1; {count}", volumeMounts=mounts), volumes=[CLAIM]))
        first, second = cluster.log(pod.metadata.name).split()
        assert int(first) > 0
        assert first == second


class TestInitContainers:
    def test_run_in_order_before_the_containers(self, cluster):
        mounts = [mount("shared", "/shared")]
        init = [
            {"name": "first", "image": IMAGE, **sh("echo 1 >> /shared/order", volumeMounts=mounts)},
            {"name": "second", "image": IMAGE, **sh("echo 2 >> /shared/order", volumeMounts=mounts)},
        ]
        body = pod_of(
            sh("echo 3 >> /shared/order; cat /shared/order", volumeMounts=mounts),
            volumes=[{"name": "shared", "emptyDir": {}}],
            initContainers=init,
        )
        pod = cluster.run(body)
        assert pod.status.phase == "Succeeded"
        assert cluster.log(pod.metadata.name) == "1\n2\n3\n"
        assert [status.state.terminated.exit_code for status in pod.status.init_container_statuses] == [0, 0]

    def test_one_that_fails_ends_the_pod(self, cluster):
        init = [{"name": "broken", "image": IMAGE, **sh("echo no; exit 6")}]
        pod = cluster.run(pod_of(sh("echo never"), initContainers=init))
        assert pod.status.phase == "Failed"
        assert pod.status.init_container_statuses[0].state.terminated.exit_code == 6
        assert state_of(pod).waiting.reason == "PodInitializing"
        assert cluster.log(pod.metadata.name, container="broken") == "no\n"
        code, status = refusal(cluster.api.read_namespaced_pod_log, pod.metadata.name, cluster.namespace)
        assert (code, status["reason"]) == (400, "BadRequest")
        expected = f'container "c0" in pod "{pod.metadata.name}" is waiting to start: PodInitializing'
        assert status["message"] == expected


class TestLogs:
    def test_hold_both_streams_and_an_unfinished_last_line(self, cluster):
        pod = cluster.run(pod_of(sh("echo out; sleep 0.2; echo err >&2; sleep 0.2; printf rest")))
        name = pod.metadata.name
        assert cluster.log(name) == "out\nerr\nrest"
        assert cluster.log(name, tail_lines=2) == "err\nrest"
        assert cluster.log(name, tail_lines=0) == ""
        assert cluster.log(name, limit_bytes=5) == "out\ne"
        assert cluster.log(name, since_seconds=3600) == "out\nerr\nrest"
        assert cluster.log(name, follow=True) == "out\nerr\nrest"

    def test_carry_times(self, cluster):
        pod = cluster.run(pod_of(sh("echo one; echo; echo three")))
        lines = cluster.log(pod.metadata.name, timestamps=True).split("\n")
        assert [line.partition(" ")[2] for line in lines] == ["one", "", "three", ""]
        for line in lines[:3]:
            assert line[:4].isdigit() and line.partition(" ")[0].endswith("Z")

    def test_since_leaves_out_older_lines(self, cluster):
        pod = cluster.run(pod_of(sh("echo old; sleep 4; echo new")))
        assert cluster.log(pod.metadata.name, since_seconds=3) in ("new\n", "")
        assert cluster.log(pod.metadata.name, since_seconds=600) == "old\nnew\n"

    def test_a_long_line_stays_one_line(self, cluster):
        pod = cluster.run(pod_of({"command": ["python3", "-c", "print('x' * 100_000); print('y')"]}))
        assert cluster.log(pod.metadata.name) == "x" * 100_000 + "\ny\n"
        timed = cluster.log(pod.metadata.name, timestamps=True)
        assert timed.count("Z ") == 2

    def test_follow_brings_lines_as_they_come_and_ends_with_the_container(self, cluster):
        body = pod_of(sh("for i in 1 2 3; do echo line $i; sleep 1; done"))
        name = cluster.create(body).metadata.name
        cluster.wait(name, lambda pod: pod.status.phase != "Pending")
        stream = cluster.api.read_namespaced_pod_log(name, cluster.namespace, follow=True, _preload_content=False)
        arrived = [(line, time.monotonic()) for line in stream]
        ended = time.monotonic()
        assert [line for line, _ in arrived] == [b"line 1\n", b"line 2\n", b"line 3\n"]
        times = [when for _, when in arrived]
        assert 0.5 < times[2] - times[1] < 2
        assert 0.5 < ended - times[2] < 3

    def test_of_several_containers_need_a_name(self, cluster):
        pod = cluster.run(pod_of(sh("echo a", name="a"), sh("echo b", name="b")))
        name = pod.metadata.name
        assert cluster.log(name, container="b") == "b\n"
        code, status = refusal(cluster.api.read_namespaced_pod_log, name, cluster.namespace, container="x")
        assert (code, status["message"]) == (400, f"container x is not valid for pod {name}")


class TestEnvironment:
    def test_comes_from_image_config_maps_secrets_and_the_pod(self, cluster):
        suffix = secrets.token_hex(4)
        config_map = {"metadata": {"name": f"config-{suffix}"}, "data": {"A": "map-a", "B": "map-b"}}
        secret = {"metadata": {"name": f"secret-{suffix}"}, "stringData": {"KEY": "s3cret"}}
        cluster.api.create_namespaced_config_map(cluster.namespace, config_map)
        stored = cluster.api.create_namespaced_secret(cluster.namespace, secret)
        assert base64.b64decode(stored.data["KEY"]) == b"s3cret"
        container = sh(
            "env; echo args=$0,$1",
            args=["$(A)", "$(UNKNOWN)$$(A)"],
            envFrom=[
                {"configMapRef": {"name": f"config-{suffix}"}},
                {"prefix": "P_", "secretRef": {"name": f"secret-{suffix}"}},
                {"configMapRef": {"name": "not-there", "optional": True}},
            ],
            env=[
                {"name": "A", "value": "pod-a"},
                {"name": "COMBINED", "value": "$(A)-$(B)-$(NOPE)"},
                {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": f"config-{suffix}", "key": "B"}}},
                {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": f"secret-{suffix}", "key": "KEY"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['colour']"}}},
            ],
        )
        pod = cluster.run(pod_of(container, labels={"colour": "blue"}))
        *lines, arguments = cluster.log(pod.metadata.name).splitlines()
        found = dict(line.split("=", 1) for line in lines)
        expected = {
            "A": "pod-a",
            "B": "map-b",
            "P_KEY": "s3cret",
            "COMBINED": "pod-a-map-b-$(NOPE)",
            "ONE": "map-b",
            "TWO": "s3cret",
            "ME": pod.metadata.name,
            "WHERE": cluster.namespace,
            "LABEL": "blue",
            "HOSTNAME": pod.metadata.name,
        }
        assert found | expected == found
        assert "PATH" in found
        assert not {"NONE", "ONLY_IN_THE_SERVER", "PYTEST_CURRENT_TEST"} & found.keys()
        assert arguments == "args=pod-a,$(UNKNOWN)$(A)"

    def test_the_container_waits_for_a_config_map_that_is_missing(self, cluster):
        name = f"late-{secrets.token_hex(4)}"
        created = cluster.create(pod_of(sh("echo $WORD", envFrom=[{"configMapRef": {"name": name}}])))

        def waits(pod: client.V1Pod) -> bool:
            statuses = pod.status.container_statuses
            return bool(statuses) and statuses[0].state.waiting.reason == "CreateContainerConfigError"

        pod = cluster.wait(created.metadata.name, waits)
        assert pod.status.phase == "Pending"
        assert state_of(pod).waiting.message == f'configmap "{name}" not found'
        cluster.api.create_namespaced_config_map(
            cluster.namespace, {"metadata": {"name": name}, "data": {"WORD": "here"}}
        )
        cluster.wait(pod.metadata.name, lambda found: found.status.phase == "Succeeded")
        assert cluster.log(pod.metadata.name) == "here\n"

    def test_the_working_directory_is_the_pods(self, cluster):
        pod = cluster.run(pod_of(sh("pwd", workingDir="/usr/lib")))
        assert cluster.log(pod.metadata.name) == "/usr/lib\n"


class TestVolumes:
    def test_a_claim_is_shared_by_sub_path_and_read_only_is_true(self, cluster):
        folder = f"run-{secrets.token_hex(4)}"
        write = "echo content > /app/output/file.txt; mkdir /app/output/sub; ls -d /app/*"
        cluster.run(
            pod_of(
                sh(write, volumeMounts=[mount("claim", "/app/output", subPath=f"{folder}/stage/output")]),
                volumes=[CLAIM],
            )
        )
        mounts = [
            mount("claim", "/app/input", subPath=f"{folder}/stage/output", readOnly=True),
            mount("claim", "/app/one/payload.txt", subPath=f"{folder}/stage/output/file.txt", readOnly=True),
            mount("claim", "/app/logs", subPath=f"{folder}/logs"),
        ]
        script = (
            "cat /app/input/file.txt /app/one/payload.txt; ls /app/input; touch /app/logs/mine && echo wrote;"
            "touch /app/input/x || echo refused; echo y > /app/one/payload.txt || echo refused"
        )
        pod = cluster.run(pod_of(sh(f"({script}) 2>/dev/null", volumeMounts=mounts), volumes=[CLAIM]))
        expected = "content\ncontent\nfile.txt\nsub\nwrote\nrefused\nrefused\n"
        assert cluster.log(pod.metadata.name) == expected

    def test_an_empty_dir_is_empty_and_shared_in_the_pod(self, cluster):
        mounts = [mount("scratch", "/tmp"), mount("memory", "/fast")]
        first = sh("ls -A /tmp /fast; echo a > /tmp/a; echo b > /fast/b; sleep 2", volumeMounts=mounts)
        second = sh("until [ -s /fast/b ]; do sleep 0.1; done; cat /tmp/a /fast/b", volumeMounts=mounts)
        volumes = [{"name": "scratch", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]
        pod = cluster.run(pod_of(first, second, volumes=volumes))
        assert cluster.log(pod.metadata.name, container="c0") == "/fast:\n\n/tmp:\n"
        assert cluster.log(pod.metadata.name, container="c1") == "a\nb\n"

    def test_config_maps_and_secrets_are_files(self, cluster):
        suffix = secrets.token_hex(4)
        config_map = {
            "metadata": {"name": f"files-{suffix}"},
            "data": {"a.txt": "text"},
            "binaryData": {"b.bin": base64.b64encode(b"\x00\x01").decode()},
        }
        secret = {"metadata": {"name": f"files-{suffix}"}, "data": {"key": base64.b64encode(b"hidden").decode()}}
        cluster.api.create_namespaced_config_map(cluster.namespace, config_map)
        cluster.api.create_namespaced_secret(cluster.namespace, secret)
        volumes = [
            {"name": "all", "configMap": {"name": f"files-{suffix}"}},
            {"name": "one", "configMap": {"name": f"files-{suffix}", "items": [{"key": "a.txt", "path": "x/y.txt"}]}},
            {"name": "secret", "secret": {"secretName": f"files-{suffix}"}},
            {"name": "optional", "configMap": {"name": "not-there", "optional": True}},
        ]
        mounts = [mount(volume["name"], f"/etc/contract/{volume['name']}") for volume in volumes]
        mounts.append(mount("all", "/etc/contract-file", subPath="a.txt"))
        script = (
            "cd /etc/contract; ls all one optional secret; cat all/a.txt one/x/y.txt secret/key /etc/contract-file;"
            "wc -c < all/b.bin; (echo no > all/a.txt) 2>/dev/null || echo refused"
        )
        pod = cluster.run(pod_of(sh(script, volumeMounts=mounts), volumes=volumes))
        listing = "all:\na.txt\nb.bin\n\none:\nx\n\noptional:\n\nsecret:\nkey\n"
        assert cluster.log(pod.metadata.name) == f"{listing}texttexthiddentext2\nrefused\n"

    def test_the_pod_waits_for_the_config_map_of_a_volume(self, cluster):
        name = f"late-{secrets.token_hex(4)}"
        container = sh("cat /config/word", volumeMounts=[mount("config", "/config")])
        created = cluster.create(pod_of(container, volumes=[{"name": "config", "configMap": {"name": name}}]))

        def failed_mount(_: client.V1Pod) -> bool:
            return any(event.reason == "FailedMount" for event in cluster.events(created.metadata.name))

        pod = cluster.wait(created.metadata.name, failed_mount)
        assert pod.status.phase == "Pending"
        assert state_of(pod).waiting.reason == "ContainerCreating"
        message = next(event.message for event in cluster.events(pod.metadata.name) if event.reason == "FailedMount")
        assert f'configmap "{name}" not found' in message
        cluster.api.create_namespaced_config_map(cluster.namespace, {"metadata": {"name": name}, "data": {"word": "w"}})
        cluster.wait(pod.metadata.name, lambda found: found.status.phase == "Succeeded", seconds=120)

    def test_a_claim_that_is_not_there_keeps_the_pod_pending(self, cluster):
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "no-such-claim"}}
        created = cluster.create(pod_of(sh("true", volumeMounts=[mount("v", "/v")]), volumes=[volume]))
        cluster.wait(
            created.metadata.name, lambda pod: _unschedulable(pod, 'persistentvolumeclaim "no-such-claim" not found')
        )

    def test_a_read_only_root_keeps_volumes_writable(self, cluster):
        script = "(touch /usr/mark) 2>/dev/null || echo refused; touch /tmp/mark && echo wrote"
        context = {"readOnlyRootFilesystem": True}
        container = sh(script, volumeMounts=[mount("tmp", "/tmp")], securityContext=context)
        pod = cluster.run(pod_of(container, volumes=[{"name": "tmp", "emptyDir": {}}]))
        assert cluster.log(pod.metadata.name) == "refused\nwrote\n"


def _unschedulable(pod: client.V1Pod, text: str) -> bool:
    conditions = [condition for condition in pod.status.conditions or [] if condition.type == "PodScheduled"]
    return any(
        condition.status == "False" and condition.reason == "Unschedulable" and text in condition.message
        for condition in conditions
    )


class TestPlaces:
    def test_a_pod_waits_while_the_gpus_are_taken(self, cluster):
        gpus = {"limits": {"nvidia.com/gpu": str(cluster.gpus)}}
        one = {"limits": {"nvidia.com/gpu": "1"}}
        holder = cluster.create(pod_of(sh("exec sleep 600", resources=gpus))).metadata.name
        cluster.wait(holder, lambda pod: pod.status.phase == "Running")
        waiter = cluster.create(pod_of(sh("echo had one", resources=one))).metadata.name
        other = cluster.run(pod_of(sh("echo needs none")))
        assert other.status.phase == "Succeeded"
        cluster.wait(waiter, lambda pod: _unschedulable(pod, "Insufficient nvidia.com/gpu"))
        events = [event for event in cluster.events(waiter) if event.reason == "FailedScheduling"]
        assert events and events[0].type == "Warning"
        assert "Insufficient nvidia.com/gpu" in events[0].message
        assert cluster.log(waiter) == ""
        cluster.delete(holder)
        cluster.wait(waiter, lambda pod: pod.status.phase == "Succeeded")

    def test_a_pod_that_can_never_fit_stays_pending_and_keeps_nobody(self, cluster):
        large = {"limits": {"nvidia.com/gpu": str(cluster.gpus + 1)}}
        giant = cluster.create(pod_of(sh("true", resources=large))).metadata.name
        huge = cluster.create(pod_of(sh("true", resources={"requests": {"cpu": "5000"}}))).metadata.name
        cluster.wait(giant, lambda pod: _unschedulable(pod, "Insufficient nvidia.com/gpu"))
        cluster.wait(huge, lambda pod: _unschedulable(pod, "Insufficient cpu"))
        fits = cluster.run(pod_of(sh("true", resources={"limits": {"nvidia.com/gpu": "1", "cpu": "100m"}})))
        assert fits.status.phase == "Succeeded"
        assert {cluster.read(name).status.phase for name in (giant, huge)} == {"Pending"}


class TestImages:
    @pytest.mark.parametrize(
        ("image", "policy", "reasons"),
        [
            ("localhost/no-such-image:1", "IfNotPresent", {"ErrImagePull", "ImagePullBackOff"}),
            ("localhost/no-such-image:1", "Never", {"ErrImageNeverPull"}),
            ("Not An Image", "IfNotPresent", {"InvalidImageName"}),
        ],
    )
    def test_an_image_that_is_not_there_keeps_the_container_waiting(self, cluster, image, policy, reasons):
        created = cluster.create(pod_of({"image": image, "imagePullPolicy": policy}))

        def waits(pod: client.V1Pod) -> bool:
            return bool(pod.status.container_statuses) and state_of(pod).waiting.reason in reasons

        pod = cluster.wait(created.metadata.name, waits)
        assert pod.status.phase == "Pending"
        assert image in state_of(pod).waiting.message
        assert any(
            event.reason in ("Failed", "InspectFailed", "ErrImageNeverPull")
            for event in cluster.events(pod.metadata.name)
        )
        code, status = refusal(cluster.api.read_namespaced_pod_log, pod.metadata.name, cluster.namespace)
        assert code == 400
        assert "is waiting to start" in status["message"]


class TestDelete:
    def test_gives_a_container_its_grace(self, cluster):
        body = pod_of(sh("trap 'sleep 1; exit 7' TERM; echo up; sleep 600 & wait"))
        name = cluster.create(body).metadata.name
        cluster.wait(name, lambda pod: pod.status.phase == "Running")
        _wait_for_log(cluster, name, "up\n")
        cluster.api.delete_namespaced_pod(name, cluster.namespace)
        pod = cluster.read(name)
        assert pod.metadata.deletion_timestamp is not None
        assert pod.metadata.deletion_grace_period_seconds == 30
        started = time.monotonic()
        codes = _ends_seen(cluster, name)
        assert codes == {7}
        assert time.monotonic() - started < 20

    def test_kills_what_does_not_end_in_time(self, cluster):
        name = cluster.create(pod_of(sh("trap '' TERM; echo up; sleep 600"))).metadata.name
        _wait_for_log(cluster, name, "up\n")
        started = time.monotonic()
        cluster.api.delete_namespaced_pod(name, cluster.namespace, grace_period_seconds=2)
        assert _ends_seen(cluster, name) == {137}
        assert 1.5 < time.monotonic() - started < 15

    def test_with_no_grace_is_at_once(self, cluster):
        name = cluster.create(pod_of(sh("trap '' TERM; sleep 600"))).metadata.name
        cluster.wait(name, lambda pod: pod.status.phase == "Running")
        cluster.api.delete_namespaced_pod(name, cluster.namespace, body=client.V1DeleteOptions(grace_period_seconds=0))
        cluster.wait_gone(name, seconds=1)

    def test_of_a_pod_that_has_ended_is_at_once(self, cluster):
        pod = cluster.run(pod_of(sh("true")))
        answer = cluster.api.delete_namespaced_pod(pod.metadata.name, cluster.namespace, body=client.V1DeleteOptions())
        assert answer.metadata.name == pod.metadata.name
        cluster.wait_gone(pod.metadata.name, seconds=5)
        code, _ = refusal(cluster.api.delete_namespaced_pod, pod.metadata.name, cluster.namespace)
        assert code == 404

    def test_of_another_pod_of_the_same_name_is_409(self, cluster):
        pod = cluster.run(pod_of(sh("true")))
        options = client.V1DeleteOptions(preconditions={"uid": "00000000-0000-0000-0000-000000000000"})
        code, status = refusal(cluster.api.delete_namespaced_pod, pod.metadata.name, cluster.namespace, body=options)
        assert (code, status["reason"]) == (409, "Conflict")
        assert cluster.read(pod.metadata.name)


def _wait_for_log(cluster: Any, name: str, text: str) -> None:
    cluster.wait(name, lambda pod: pod.status.phase == "Running")
    cluster.wait(name, lambda _: cluster.log(name) == text)


def _ends_seen(cluster: Any, name: str) -> set[int]:
    """The exit codes that a watch shows until the pod is gone."""
    codes = set()
    for event in watch.Watch().stream(
        cluster.api.list_namespaced_pod, cluster.namespace, field_selector=f"metadata.name={name}", timeout_seconds=60
    ):
        end = state_of(event["object"]).terminated
        if end is not None:
            codes.add(end.exit_code)
        if event["type"] == "DELETED":
            return codes
    return pytest.fail(f"pod {name} was not deleted")


class TestListsAndWatches:
    def test_labels_and_fields_select(self, cluster):
        mark = f"m{secrets.token_hex(4)}"
        names = {}
        for colour, size in (("red", "1"), ("blue", "2"), ("green", None)):
            labels = {"mark": mark, "colour": colour, **({"size": size} if size else {})}
            names[colour] = cluster.run(pod_of(sh("true"), labels=labels)).metadata.name

        def selected(labels: str, fields: str | None = None) -> set[str]:
            pods = cluster.api.list_namespaced_pod(
                cluster.namespace,
                label_selector=f"mark={mark},{labels}",
                **({"field_selector": fields} if fields else {}),
            )
            return {pod.metadata.labels["colour"] for pod in pods.items}

        assert selected("colour=red") == {"red"}
        assert selected("colour!=red") == {"blue", "green"}
        assert selected("colour in (red, green)") == {"red", "green"}
        assert selected("colour notin (red)") == {"blue", "green"}
        assert selected("size") == {"red", "blue"}
        assert selected("!size") == {"green"}
        assert selected("size!=1,!airflow-worker") == {"blue", "green"}
        assert selected("colour", f"metadata.name={names['red']}") == {"red"}
        assert selected("colour", "status.phase=Succeeded") == {"red", "blue", "green"}
        assert selected("colour", "status.phase!=Succeeded") == set()
        everywhere = cluster.api.list_pod_for_all_namespaces(label_selector=f"mark={mark}")
        assert len(everywhere.items) == 3
        assert everywhere.metadata.resource_version
        one = cluster.api.read_namespaced_pod_status(names["red"], cluster.namespace)
        assert one.status.phase == "Succeeded"

    @pytest.mark.parametrize("selector", [{"field_selector": "spec.colour=red"}, {"label_selector": "a in b"}])
    def test_a_selector_that_cannot_be_read_is_400(self, cluster, selector):
        code, status = refusal(cluster.api.list_namespaced_pod, cluster.namespace, **selector)
        assert (code, status["reason"]) == (400, "BadRequest")

    def test_a_watch_pushes_every_change(self, cluster):
        mark = f"m{secrets.token_hex(4)}"
        listed = cluster.api.list_namespaced_pod(cluster.namespace, label_selector=f"mark={mark}")
        seen: list[tuple[str, str]] = []

        def follow() -> None:
            for event in watch.Watch().stream(
                cluster.api.list_namespaced_pod,
                cluster.namespace,
                label_selector=f"mark={mark}",
                resource_version=listed.metadata.resource_version,
                timeout_seconds=60,
            ):
                seen.append((event["type"], event["object"].status.phase))
                if event["type"] == "DELETED":
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        cluster.run(pod_of(sh("true")))
        pod = cluster.run(pod_of(sh("sleep 0.5"), labels={"mark": mark}))
        cluster.api.delete_namespaced_pod(pod.metadata.name, cluster.namespace)
        follower.join(60)
        kinds, phases = [kind for kind, _ in seen], [phase for _, phase in seen]
        assert seen[0] == ("ADDED", "Pending")
        assert kinds == ["ADDED", *["MODIFIED"] * (len(seen) - 2), "DELETED"]
        assert [phase for index, phase in enumerate(phases) if phase not in phases[:index]] == [
            "Pending",
            "Running",
            "Succeeded",
        ]

    def test_a_watch_shows_first_what_is_there(self, cluster):
        mark = f"m{secrets.token_hex(4)}"
        pod = cluster.run(pod_of(sh("true"), labels={"mark": mark}))
        stream = watch.Watch().stream(
            cluster.api.list_namespaced_pod, cluster.namespace, label_selector=f"mark={mark}", timeout_seconds=1
        )
        assert [(event["type"], event["object"].metadata.name) for event in stream] == [("ADDED", pod.metadata.name)]

    def test_an_object_that_no_longer_matches_is_deleted_for_the_watcher(self, cluster):
        mark = f"m{secrets.token_hex(4)}"
        name = cluster.run(pod_of(sh("true"), labels={"mark": mark})).metadata.name
        listed = cluster.api.list_namespaced_pod(cluster.namespace)
        cluster.api.patch_namespaced_pod(name, cluster.namespace, {"metadata": {"labels": {"mark": None}}})
        stream = watch.Watch().stream(
            cluster.api.list_namespaced_pod,
            cluster.namespace,
            label_selector=f"mark={mark}",
            resource_version=listed.metadata.resource_version,
            timeout_seconds=1,
        )
        assert [(event["type"], event["object"].metadata.name) for event in stream] == [("DELETED", name)]

    def test_events_tell_what_happened_and_can_be_watched(self, cluster):
        pod = cluster.run(pod_of(sh("sleep 0.2", name="base")))
        events = cluster.events(pod.metadata.name)
        found = {event.reason: event for event in events}
        assert {"Scheduled", "Started"} <= found.keys()
        assert found["Started"].involved_object.field_path == "spec.containers{base}"
        assert found["Started"].involved_object.uid == pod.metadata.uid
        assert found["Started"].type == "Normal"
        stream = watch.Watch().stream(
            cluster.api.list_namespaced_event,
            cluster.namespace,
            field_selector=f"involvedObject.name={pod.metadata.name}",
            timeout_seconds=1,
        )
        assert {event["object"].reason for event in stream} == found.keys()


class TestPatch:
    def test_adds_and_removes_labels(self, cluster):
        pod = cluster.run(pod_of(sh("true"), labels={"a": "1", "b": "2"}))
        body = {"metadata": {"labels": {"already_checked": "True", "a": None}, "annotations": {"note": "n"}}}
        patched = cluster.api.patch_namespaced_pod(pod.metadata.name, cluster.namespace, body)
        assert patched.metadata.labels == {"b": "2", "already_checked": "True"}
        assert cluster.read(pod.metadata.name).metadata.annotations["note"] == "n"
        assert patched.metadata.resource_version != pod.metadata.resource_version
        assert patched.status.phase == "Succeeded"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"spec": {"restartPolicy": "Always"}}, 422),
            ({"metadata": {"labels": {"a": "not a label"}}}, 422),
            ({"metadata": {"labels": {"a": 7}}}, 422),
        ],
    )
    def test_refuses_what_may_not_change(self, cluster, body, code):
        pod = cluster.create(pod_of(sh("true")))
        found, _ = refusal(cluster.api.patch_namespaced_pod, pod.metadata.name, cluster.namespace, body)
        assert found == code


class TestConfiguration:
    @pytest.mark.parametrize("kind", ["config_map", "secret"])
    def test_is_created_read_listed_patched_and_deleted(self, cluster, kind):
        def call(verb: str) -> Any:
            return getattr(cluster.api, f"{verb}_namespaced_{kind}")

        name = f"config-{secrets.token_hex(4)}"
        value, other = (base64.b64encode(text).decode() for text in (b"one", b"two"))
        body = {"metadata": {"name": name, "labels": {"name": name}}, "data": {"key": value}}
        created = call("create")(cluster.namespace, body)
        assert created.data == {"key": value}
        assert refusal(call("create"), cluster.namespace, body)[0] == 409
        assert call("read")(name, cluster.namespace).metadata.uid == created.metadata.uid
        assert [item.data for item in call("list")(cluster.namespace, label_selector=f"name={name}").items] == [
            {"key": value}
        ]
        patched = call("patch")(name, cluster.namespace, {"data": {"key": None, "more": other}})
        assert patched.data == {"more": other}
        answer = call("delete")(name, cluster.namespace)
        assert answer.status == "Success"
        assert refusal(call("read"), name, cluster.namespace)[0] == 404

    @pytest.mark.parametrize("key", ["../outside", "a b", ".."])
    def test_a_key_that_no_file_can_have_is_422(self, cluster, key):
        body = {"metadata": {"name": f"config-{secrets.token_hex(4)}"}, "data": {key: "x"}}
        code, status = refusal(cluster.api.create_namespaced_config_map, cluster.namespace, body)
        assert (code, status["details"]["causes"][0]["field"]) == (422, f"data[{key}]")

    @pytest.mark.parametrize(
        ("kind", "data"), [("config_map", {"a": 7}), ("config_map", []), ("secret", {"a": "not base64!"})]
    )
    def test_data_of_the_wrong_type_is_400(self, cluster, kind, data):
        body = {"metadata": {"name": f"config-{secrets.token_hex(4)}"}, "data": data}
        code, status = refusal(getattr(cluster.api, f"create_namespaced_{kind}"), cluster.namespace, body)
        assert (code, status["reason"]) == (400, "BadRequest")

    def test_a_name_that_no_object_can_have_is_422(self, cluster):
        code, status = refusal(
            cluster.api.create_namespaced_config_map, cluster.namespace, {"metadata": {"name": "Not_This"}}
        )
        assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.name")
