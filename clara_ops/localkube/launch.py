"""From a container of a pod to the processes of this machine: its image, variables, mounts and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clara_ops.contract import environment as names
from clara_ops.localkube.configuration import Lookup, NotReady, environment, expanded
from clara_ops.localkube.errors import Json
from clara_ops.localkube.images import Image, ImageMap, repository_of
from clara_ops.localkube.machine import Machine
from clara_ops.localkube.model import GPU, Container, Pod
from clara_ops.localkube.process import Launch
from clara_ops.localkube.volumes import Mount, PodFolders, link_app_dir, mounts

APP_DIR = "/app"


@dataclass(frozen=True)
class Place:
    """What a pod was given on this machine: its folders, and the indices of its GPUs."""

    folders: PodFolders
    gpus: Sequence[int]


def prepare_launch(
    container: Container,
    stored: Json,
    pod: Pod,
    place: Place,
    machine: Machine,
    sources: Mapping[str, Path],
    lookup: Lookup,
) -> Launch:
    """All that it takes to start a container.

    Args:
        stored: the pod's stored form, for variables that name a field of it.
        sources: the folder of each volume.

    Raises:
        NotReady: there is no such image, or something it refers to is not there.
        OSError: a folder cannot be made.
    """
    image = find_image(container, machine.images)
    found = mounts(container, {volume.name: volume for volume in pod.spec.volumes}, sources)
    env = environment(container, stored, image.environment(), lookup)
    folder = place.folders.container(container.name)
    folder.mkdir(parents=True, exist_ok=True)
    termination_log = folder / "termination-log"
    termination_log.touch()
    if machine.isolated:
        found.append(Mount(str(termination_log), container.termination_message_path, False))
    else:
        env |= _environment_without_mounts(folder / "app", env, found)
    limit = container.resources.limits.get("memory")
    return Launch(
        folder=str(folder),
        argv=_arguments(container, image, env),
        env=env | _gpu_environment(container, pod, place.gpus),
        cwd=container.working_dir or str(image.workdir or machine.workdir),
        isolate=machine.isolated,
        read_only_root=container.security_context.read_only_root_filesystem,
        mounts=found,
        folders=[str(path) for path in image.folders],
        memory=None if limit is None else int(limit),
    )


def find_image(container: Container, images: ImageMap) -> Image:
    """The container's image; one that is not in the map is the stages' environment, if there is a `command` to run.

    Raises:
        NotReady: with the reason that the kubelet gives, and what to do.
    """
    known = images.find(container.image)
    if known is not None:
        return known
    if repository_of(container.image) is None:
        text = f'Failed to apply default image tag "{container.image}": couldn\'t parse image name'
        raise NotReady("InvalidImageName", f"{text}: invalid reference format")
    if not container.command:
        raise NotReady(
            "ErrImageNeverPull" if container.image_pull_policy == "Never" else "ErrImagePull",
            f'image "{container.image}" is not in the image map of localkube, which cannot pull images; give the '
            "stage's catalogue entry a command: (it then runs in the stages' environment), or add the image to "
            "the image map, or run the workflow on a cluster",
        )
    return images.default


def _arguments(container: Container, image: Image, env: Mapping[str, str]) -> list[str]:
    command = container.command or list(image.entrypoint)
    arguments = container.args or ([] if container.command else list(image.command))
    return [expanded(text, env) for text in (*command, *arguments)]


def _environment_without_mounts(links: Path, env: Mapping[str, str], found: list[Mount]) -> dict[str, str]:
    link_app_dir(links, env.get(names.APP_DIR, APP_DIR), found)
    temporary = [("TMPDIR", mount.source) for mount in found if mount.target == "/tmp"]
    return {names.APP_DIR: str(links), **dict(temporary)}


def _gpu_environment(container: Container, pod: Pod, gpus: Sequence[int]) -> dict[str, str]:
    """The container's share of the pod's GPUs; init containers run alone and begin with the first."""
    count = int(container.resources.limits.get(GPU, 0))
    if count == 0:
        return {}
    before = pod.spec.containers[: pod.spec.containers.index(container)] if container in pod.spec.containers else []
    first = sum(int(other.resources.limits.get(GPU, 0)) for other in before)
    indices = ",".join(map(str, gpus[first : first + count]))
    return {"CUDA_VISIBLE_DEVICES": indices, "NVIDIA_VISIBLE_DEVICES": indices}
