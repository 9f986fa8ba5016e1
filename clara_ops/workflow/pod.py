"""The one place where a stage becomes a pod: plain camelCase data of core/v1, see docs/architecture.md 2.2."""

import re
from pathlib import PurePosixPath
from typing import Any

from clara_ops import __version__
from clara_ops.contract import environment
from clara_ops.contract.payload import LOCKS, LOGS, MANIFEST, PUBLISH
from clara_ops.workflow.entry import CatalogueEntry, Resources
from clara_ops.workflow.fields import SecretKey
from clara_ops.workflow.options import fill_args
from clara_ops.workflow.parameters import Values, environment_of, fill, parameter_values
from clara_ops.workflow.placement import Placement
from clara_ops.workflow.security import SecurityContext
from clara_ops.workflow.workflow import Stage, Workflow

CLAIM = "clara-data"
CONTAINER = "base"
DRIVER_IMAGE = f"clara-stages:{__version__}"
PLATFORM_CONFIG_MAP = "clara-platform"
SERVICE_ACCOUNT = "clara-stage"
TERMINATION_GRACE_SECONDS = 15
USER = 1000

GPU = "nvidia.com/gpu"
DEVICE = "device"
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"

RUN_LABEL = "clara.io/run"
WORKFLOW_LABEL = "clara.io/workflow"
STAGE_LABEL = "clara.io/stage"

_MAP_FOLDER = PurePosixPath("/var/holoscan")
_REGISTRY = re.compile(r"(localhost|[^/]*[.:][^/]*)/.*")
_EMPTY_FOLDER = 'find "$1" -mindepth 1 -delete && rm -f -- "$2"'


def stage_pod(
    workflow: Workflow, stage: Stage, payload: str, registry: str = "", parameters: Values | None = None
) -> dict[str, Any]:
    """The pod of one stage of one run.

    Args:
        workflow: the stage's workflow.
        stage: the stage.
        payload: run id, which is the payload's folder below `payloads/`.
        registry: what goes in front of image names without a registry.
        parameters: value of every parameter of the workflow; the defaults when not given.
    """
    values = parameter_values(workflow.parameters, {}) if parameters is None else parameters
    spec: dict[str, Any] = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": stage.timeout,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(workflow, stage, payload, registry, values)],
        "volumes": _volumes(stage.resources),
        **_placement(stage.placement, stage.resources.gpu_product),
    }
    if stage.resources.claim is not None:
        spec["resourceClaims"] = [{"name": DEVICE, "resourceClaimTemplateName": stage.resources.claim}]
    if stage.entry.priority_class:
        spec["priorityClassName"] = workflow.priority_class(stage)
    if not uses_driver(stage):
        spec["initContainers"] = [_clean_container(stage, payload, registry)]
    if stage.entry.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in stage.entry.image_pull_secrets]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{workflow.name}-{stage.name}"[:50].rstrip("-"),
            "labels": _labels(workflow, stage, payload),
        },
        "spec": spec,
    }


def uses_driver(stage: Stage) -> bool:
    """Whether the stage's container cleans up after an earlier try by itself."""
    return stage.entry.driver and not stage.entry.map


def _labels(workflow: Workflow, stage: Stage, payload: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": stage.entry.stage_name,
        "app.kubernetes.io/component": "stage",
        "app.kubernetes.io/part-of": "clara",
        RUN_LABEL: payload,
        WORKFLOW_LABEL: workflow.id,
        STAGE_LABEL: stage.name,
    }


def _container(workflow: Workflow, stage: Stage, payload: str, registry: str, values: Values) -> dict[str, Any]:
    entry = stage.entry
    variables = _environment(workflow, stage, payload, values)
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": _image(f"{entry.image.repository}:{entry.image.tag}", registry),
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [_variable(name, value) for name, value in variables.items()],
        "envFrom": [{"configMapRef": {"name": PLATFORM_CONFIG_MAP, "optional": True}}],
        "volumeMounts": _mounts(workflow, stage, payload),
        "securityContext": _security(entry),
    }
    if entry.command is not None:
        container["command"] = list(entry.command)
    if stage.args:
        container["args"] = fill_args(stage.args, entry.args, values)
    resources = _resources(stage.resources)
    if resources:
        container["resources"] = resources
    return container


def _clean_container(stage: Stage, payload: str, registry: str) -> dict[str, Any]:
    """For a container that knows nothing of us: what an earlier try left behind is gone before it starts."""
    output, locks = _output_folder(stage), stage.entry.lock_dir
    return {
        "name": "clean",
        "image": _image(DRIVER_IMAGE, registry),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _EMPTY_FOLDER, "clean", output, f"{locks}/{stage.lock}"],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        "volumeMounts": [_mount(output, payload, stage.output), _mount(locks, payload, LOCKS)],
        "securityContext": SecurityContext().as_pod_data(),
    }


def _image(image: str, registry: str) -> str:
    return image if not registry or _REGISTRY.fullmatch(image) else f"{registry.rstrip('/')}/{image}"


def _variable(name: str, value: str | SecretKey) -> dict[str, Any]:
    if isinstance(value, SecretKey):
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": value.secret, "key": value.key}}}
    return {"name": name, "value": value}


def _environment(workflow: Workflow, stage: Stage, payload: str, values: Values) -> dict[str, str | SecretKey]:
    entry = stage.entry
    own: dict[str, str | SecretKey] = {
        environment.RUN_ID: payload,
        environment.WORKFLOW_ID: workflow.id,
        environment.STAGE: stage.name,
        environment.APP_DIR: entry.app_dir,
        environment.LOCK_NAME: f"{entry.lock_dir}/{stage.lock}",
        environment.WAIT_LOCK: " ".join(stage.wait_locks),
        environment.LOG_NAME: f"{_log_folder(stage)}/{stage.log}",
        environment.NO_SYNC_LOCK: "TRUE",
        environment.HOLOSCAN_INPUT: _input_folder(stage),
        environment.HOLOSCAN_OUTPUT: _output_folder(stage),
    }
    if entry.map:
        own |= {
            "HOLOSCAN_WORKDIR": str(_MAP_FOLDER),
            "HOLOSCAN_LOGS": _log_folder(stage),
            "MONAI_INPUTPATH": _input_folder(stage),
            "MONAI_OUTPUTPATH": _output_folder(stage),
        }
    given = {name: fill(value, values) if isinstance(value, str) else value for name, value in stage.env.items()}
    return {**own, **environment_of(values), **given}


def _mounts(workflow: Workflow, stage: Stage, payload: str) -> list[dict[str, Any]]:
    entry, inputs = stage.entry, _input_folder(stage)
    folders = {inputs: stage.inputs[0].folder}
    if len(stage.inputs) > 1:
        folders = {f"{inputs}/{source.producer or 'dicom'}": source.folder for source in stage.inputs}
    mounts = [_mount(place, payload, folder, read_only=True) for place, folder in folders.items()]
    mounts += [
        _mount(_output_folder(stage), payload, stage.output),
        _mount(entry.inside("dicom"), payload, workflow.input, read_only=True),
        _mount(entry.lock_dir, payload, LOCKS),
        _mount(_log_folder(stage), payload, LOGS),
        _mount(entry.inside("publish"), payload, f"{PUBLISH}/{stage.name}"),
        _mount(entry.inside(MANIFEST), payload, MANIFEST, read_only=True),
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if _has_shared_memory(stage.resources):
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    return mounts


def _mount(place: str, payload: str, folder: str, *, read_only: bool = False) -> dict[str, Any]:
    mount: dict[str, Any] = {"name": "data", "mountPath": place, "subPath": f"payloads/{payload}/{folder}"}
    return {**mount, "readOnly": True} if read_only else mount


def _volumes(resources: Resources) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if _has_shared_memory(resources):
        limit = {"sizeLimit": resources.shm} if resources.shm is not None else {}
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", **limit}})
    return volumes


def _has_shared_memory(resources: Resources) -> bool:
    return resources.uses_gpu or resources.shm is not None


def _input_folder(stage: Stage) -> str:
    return str(_MAP_FOLDER / "input") if stage.entry.map else stage.entry.inside(stage.entry.inputs)


def _output_folder(stage: Stage) -> str:
    return str(_MAP_FOLDER / "output") if stage.entry.map else stage.entry.inside(stage.entry.outputs)


def _log_folder(stage: Stage) -> str:
    return str(_MAP_FOLDER / "logs" if stage.entry.map else PurePosixPath(stage.entry.log_name).parent)


def _security(entry: CatalogueEntry) -> dict[str, Any]:
    """A package writes caches into its home, and into its working folder: it may, unless its entry says otherwise."""
    security = entry.security_context
    if entry.map and "read_only_root_filesystem" not in security.model_fields_set:
        security = security.model_copy(update={"read_only_root_filesystem": False})
    return security.as_pod_data()


def _resources(resources: Resources) -> dict[str, Any]:
    quantities = {"cpu": resources.cpu, "memory": resources.memory, **_devices(resources)}
    asked = {name: quantity for name, quantity in quantities.items() if quantity is not None}
    claims = {"claims": [{"name": DEVICE}]} if resources.claim is not None else {}
    return ({"requests": asked, "limits": dict(asked)} if asked else {}) | claims


def _devices(resources: Resources) -> dict[str, str]:
    if resources.mig is not None and resources.gpu != 0:
        return {f"nvidia.com/mig-{resources.mig}": str(resources.gpu or 1)}
    return {GPU: str(resources.gpu)} if resources.gpu else {}


def _placement(placement: Placement, gpu_product: str | None) -> dict[str, Any]:
    """The pod's placement in core/v1's words; nodes of another GPU product fit none of the terms of its affinity."""
    spec: dict[str, Any] = placement.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if gpu_product is not None:
        nodes = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        required = nodes.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": [{}]})
        for term in required["nodeSelectorTerms"]:
            expression = {"key": GPU_PRODUCT_LABEL, "operator": "In", "values": [gpu_product]}
            term["matchExpressions"] = [*term.get("matchExpressions", []), expression]
    return spec
