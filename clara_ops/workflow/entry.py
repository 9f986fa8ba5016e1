"""One stage of the catalogue: its image, and how it wants to be run.

An entry is what `clara-wf cs NAME` writes, key for key as in 2019; the keys after `timeout` are optional and new.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from clara_ops.workflow.fields import AbsolutePath, Environment, FileName, Label, ObjectName, Quantity, Seconds
from clara_ops.workflow.placement import Placement
from clara_ops.workflow.schema import FileModel
from clara_ops.workflow.security import SecurityContext


class Image(FileModel):
    """The container image of a stage.

    Attributes:
        repository: its name; one without a registry gets the platform's registry in front.
        tag: its version.
    """

    repository: Annotated[StrictStr, Field(min_length=1)]
    tag: Annotated[StrictStr, Field(min_length=1)] = "latest"


class NamedFolder(FileModel):
    """A port of Clara's pipeline definition; kept for 2019, the mount point is `inputs` or `outputs`.

    Attributes:
        name: of the port; without effect.
    """

    name: StrictStr


class OptionDeclaration(FileModel):
    """An option that a workflow may give: `--<name> VALUE`, or `--<name>` alone for a flag.

    Attributes:
        name: without the dashes.
        type: what its value is; a flag has none.
        choices: the values of a `choice`.
        default: what the stage gets where the workflow does not give it.
        help: what it does.
    """

    name: StrictStr
    type: Literal["text", "integer", "number", "flag", "choice"] = "text"
    choices: tuple[StrictStr, ...] = ()
    default: StrictStr | StrictBool | StrictInt | StrictFloat | None = None
    help: StrictStr = ""


class Resources(FileModel):
    """What the pod asks for, as request and limit in one.

    Attributes:
        cpu: processors, for example `"2"` or `500m`.
        memory: for example `4Gi`.
        memory_retry: memory of the one try after a container was killed for using too much; without it there is none.
        gpu: how many; 0 forbids workflows to ask for one.
        gpu_product: only nodes whose label `nvidia.com/gpu.product` is this.
        mig: profile of a Multi-Instance GPU, for example `1g.10gb`: `gpu` then counts slices of it, 1 when not given.
        claim: name of a ResourceClaimTemplate (Dynamic Resource Allocation) that says which device.
        shm: size of `/dev/shm`, which counts as memory; a stage with a GPU has one as large as its memory anyway.
    """

    cpu: Quantity | None = None
    memory: Quantity | None = None
    memory_retry: Quantity | None = Field(default=None, alias="memory-retry")
    gpu: Annotated[StrictInt, Field(ge=0, le=64)] | None = None
    gpu_product: StrictStr | None = Field(default=None, alias="gpu-product")
    mig: Annotated[StrictStr, Field(pattern=r"^[0-9]+g\.[0-9]+gb(\.me)?$")] | None = None
    claim: Label | None = None
    shm: Quantity | None = None

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU, a part of one or a claimed device is asked for."""
        return bool(self.gpu) or (self.gpu is None and self.mig is not None) or self.claim is not None


class CatalogueEntry(FileModel):
    """One stage of the catalogue.

    Attributes:
        image: what runs.
        input: kept for 2019.
        output: kept for 2019.
        stage_name: the entry's name once more.
        app_dir: folder in the container that the others lie in.
        input_lock: kept for 2019: the lock that says that the input is whole.
        inputs: name of the folder in `appDir` with what the stage reads.
        log_name: file that the driver logs to; its folder is mounted.
        outputs: name of the folder in `appDir` that the stage writes.
        lock_dir: folder of the locks.
        lock_name: lock that the stage leaves when it is done; `waitLocks` name it.
        timeout: seconds that the pod may run.
        command: what the container runs; the image's own where it is not given.
        args: options that a workflow may give; without this key they are not checked.
        driver: False for a container that knows nothing of us: an init container then empties its output for a retry.
        map: a MONAI application package: folders and variables are those of that format, and `driver` is off.
        resources: what the pod asks for; a workflow may ask for something else.
        env: variables; a value is text, or `{secret: NAME, key: KEY}` for what a Secret of the pods' namespace holds.
        models: names of the Triton models that it needs.
        retries: how often a failed try is repeated, with a pause that grows; a worker that was killed needs one too.
        deferrable: True waits for the pod in Airflow's triggerer: that costs no worker, but a second or two at the end,
            and the log comes every five seconds. When not given, a stage with a timeout above 900 s does.
        security_context: laid over the container's restricted one, for a foreign image.
        placement: where the pod may run: `nodeSelector`, `tolerations`, `affinity`, `runtimeClassName`.
        image_pull_secrets: names of Secrets for the image's registry.
        priority_class: False leaves PriorityClass `clara-<priority>` out of the pod.
    """

    image: Image
    input: NamedFolder = NamedFolder(name="input")
    output: NamedFolder = NamedFolder(name="output")
    stage_name: StrictStr
    app_dir: AbsolutePath = "/app"
    input_lock: AbsolutePath = "/app/locks/input.lock"
    inputs: FileName = "input"
    log_name: AbsolutePath
    outputs: FileName = "output"
    lock_dir: AbsolutePath = "/app/locks"
    lock_name: FileName
    timeout: Seconds

    command: tuple[StrictStr, ...] | None = None
    args: tuple[OptionDeclaration, ...] | None = None
    driver: StrictBool = True
    map: StrictBool = False
    resources: Resources = Resources()
    env: Environment = Field(default_factory=dict)
    models: tuple[StrictStr, ...] = ()
    retries: Annotated[StrictInt, Field(ge=1, le=10)] = 2
    deferrable: StrictBool | None = None
    security_context: SecurityContext = SecurityContext()
    placement: Placement = Placement()
    image_pull_secrets: tuple[ObjectName, ...] = ()
    priority_class: StrictBool = True

    def inside(self, name: str) -> str:
        """A folder of that name in `appDir`."""
        return str(PurePosixPath(self.app_dir) / name)
