"""Volumes of a pod as folders of this machine, and what of them a container mounts."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clara_ops.localkube.configuration import Lookup, NotReady, data_of
from clara_ops.localkube.model import Container, Volume

FAILED_MOUNT = "FailedMount"

_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine at a path of the container."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class PodFolders:
    """Where a pod's own things lie: `<state>/pods/<uid>`."""

    path: Path
    uid: str

    def container(self, name: str) -> Path:
        """Of one container: lock, log, exit record, termination log."""
        return self.path / "containers" / name

    @property
    def shared_memory(self) -> Path:
        """The folder of all emptyDirs with medium Memory, for our user only."""
        return (_SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else self.path) / f"localkube-{self.uid}"

    @property
    def volumes(self) -> Path:
        """The folder of all other volumes that are made for the pod."""
        return self.path / "volumes"

    def remove_volumes(self) -> None:
        """Delete what only the pod's containers could see."""
        for folder in (self.shared_memory, self.volumes):
            _remove(folder)

    def remove(self) -> None:
        """Delete all of it."""
        self.remove_volumes()
        _remove(self.path)


def _remove(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)  # A container may have taken it from us.
    shutil.rmtree(folder, ignore_errors=True)


def prepare_volume(volume: Volume, folders: PodFolders, claims: Mapping[str, Path], lookup: Lookup) -> Path:
    """Make a volume, and tell its folder.

    Raises:
        NotReady: FailedMount, a ConfigMap or Secret that is not optional is not there.
    """
    if volume.persistent_volume_claim is not None:
        return claims[volume.persistent_volume_claim.claim_name]
    in_memory = volume.empty_dir is not None and volume.empty_dir.medium == "Memory"
    folder = (folders.shared_memory if in_memory else folders.volumes) / volume.name
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        if volume.empty_dir is not None:
            folder.chmod(0o777)
        else:
            _write_config(volume, folder, lookup)
    except OSError as error:
        raise NotReady(FAILED_MOUNT, f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
    return folder


def _write_config(volume: Volume, folder: Path, lookup: Lookup) -> None:
    config = volume.config_map or volume.secret
    if config is None:
        return
    plural, name = ("configmaps", config.name) if volume.config_map else ("secrets", config.secret_name)
    item = lookup(plural, name)
    if item is None and not config.optional:
        kind = plural.removesuffix("s")
        raise NotReady(
            "FailedMount", f'MountVolume.SetUp failed for volume "{volume.name}" : {kind} "{name}" not found'
        )
    data = data_of(plural, item) if item is not None else {}
    paths = {entry.key: entry.path for entry in config.items} or {key: key for key in data}
    for key, path in paths.items():
        if key not in data:
            if config.optional:
                continue
            text = f"references non-existent config key: {key}"
            raise NotReady(FAILED_MOUNT, f'MountVolume.SetUp failed for volume "{volume.name}" : {text}')
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(data[key])
        target.chmod(config.default_mode)


def mounts(container: Container, volumes: Mapping[str, Volume], sources: Mapping[str, Path]) -> list[Mount]:
    """The container's mounts, outer paths first. A `subPath` that is not there becomes a folder.

    Raises:
        NotReady: a `subPath` leads out of its volume.
    """
    found = []
    for mount in container.volume_mounts:
        volume, root = volumes[mount.name], sources[mount.name]
        source = root / mount.sub_path
        if not source.resolve().is_relative_to(root.resolve()):
            text = f'failed to prepare subPath for volumeMount "{mount.name}" of container "{container.name}"'
            raise NotReady("CreateContainerConfigError", text)
        if mount.sub_path and not source.exists():
            source.mkdir(parents=True)
        claim = volume.persistent_volume_claim
        read_only = mount.read_only or (volume.empty_dir is None and (claim is None or claim.read_only))
        target = "/" + str(PurePosixPath(mount.mount_path)).lstrip("/")
        found.append(Mount(str(source), target, read_only))
    return sorted(found, key=lambda mount: mount.target.count("/"))


def link_app_dir(folder: Path, app_dir: str, found: list[Mount]) -> None:
    """Where there are no mounts: a folder of links that looks like `/app`, for programs that ask CLARA_APP_DIR."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for mount in found:
        target = PurePosixPath(mount.target)
        if target.is_relative_to(app_dir) and target != PurePosixPath(app_dir):
            link = folder / target.relative_to(app_dir)
            if not any(parent.is_symlink() for parent in link.parents):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(mount.source)
