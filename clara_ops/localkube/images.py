"""The image map: which images exist on this machine, and what each of them is.

    default:                              # the stages' environment; images below inherit from it
      path: [/checkout/.venvs/clara/bin]  # in front of PATH
      env: {LANG: C.UTF-8}
      workdir: /checkout
      folders: [/checkout]                # stay visible where a mount, such as /tmp, would hide them
    images:
      clara-stages: {entrypoint: [clara-stage]}
      tools/sleeper: {entrypoint: [sleep], command: ["60"]}

An image is found by its repository, with or without registry, whatever its tag or digest. The longest entry that is the
end of the repository wins.
"""

import os
import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, DirectoryPath, ValidationError

from clara_ops.localkube.errors import ImageMapError

_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_NAME}(?:/{_NAME})*)(?::\w[\w.-]{{0,127}})?(?:@\w+:[0-9a-f]{{32,}})?"
)
_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image(BaseModel):
    """What an image brings: an environment, and what runs where the pod says nothing.

    Attributes:
        path: folders in front of PATH.
        entrypoint: runs where a container has no `command`.
        command: its arguments where the container has no `args` either.
        folders: folders of the host that no mount may hide.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: tuple[DirectoryPath, ...] = ()
    env: dict[str, str] = {}
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    workdir: Path | None = None
    folders: tuple[DirectoryPath, ...] = ()

    def environment(self) -> dict[str, str]:
        """The variables of the image: PATH, HOME, LANG and its own."""
        path = ":".join([*map(str, self.path), _BASE_PATH])
        return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **self.env}

    def over(self, default: "Image") -> "Image":
        """This image, with what it does not say taken from the default."""
        return Image(
            path=self.path or default.path,
            env={**default.env, **self.env},
            entrypoint=self.entrypoint,
            command=self.command,
            workdir=self.workdir or default.workdir,
            folders=(*default.folders, *self.folders),
        )


class ImageMap(BaseModel):
    """All images of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Image = Image()
    images: dict[str, Image] = {}

    def find(self, reference: str) -> Image | None:
        """The image of that name, None where this machine has none."""
        repository = repository_of(reference)
        if repository is None:
            return None
        known = [name for name in self.images if repository == name or repository.endswith(f"/{name}")]
        return self.images[max(known, key=len)].over(self.default) if known else None


def repository_of(reference: str) -> str | None:
    """The repository of an image reference, without tag and digest; None where it is not a reference."""
    match = _REFERENCE.fullmatch(reference)
    return match["repository"] if match else None


def read_image_map(path: Path) -> ImageMap:
    """Read the file.

    Raises:
        ImageMapError: it is not there, not YAML, has an unknown key, or names a folder that is not there.
    """
    try:
        return ImageMap.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ImageMapError(f"{path}: cannot be used as an image map: {error}") from error
