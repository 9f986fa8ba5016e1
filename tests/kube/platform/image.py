"""The image of the platform: built by buildah when what it is made of changed, and given to the cluster.

`CLUSTER_TOOLS` names a folder with the program `load-image NAME:TAG`, which does the latter, `BASE_IMAGE` what to build
from.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from kubernetes import client

from clara_ops.workflow.pod import DRIVER_IMAGE

ROOT = Path(__file__).parents[3]
REGISTRY = "localhost"
IMAGE = f"{REGISTRY}/{DRIVER_IMAGE}"

_CONTAINERFILE = "docker/clara.Containerfile"
_LOCKS = ("requirements/image.txt", "requirements/triton.txt", "requirements/triton-server.txt")
_SOURCES = ("README.md", "pyproject.toml", ".containerignore", _CONTAINERFILE, *_LOCKS)
_PACKAGES = ("clara", "clara_ops", "dicom_listener")
_LABEL = "clara.io/content"
_LOADED = ROOT / "build" / "kube-image.loaded"


def provide_image(api: client.CoreV1Api) -> None:
    """Make sure that the cluster has the image of this checkout."""
    content = content_hash()
    if _label_of_built_image() != content:
        _build(content)
    loaded = f"{content} {api.read_namespace('kube-system').metadata.uid}"
    if _LOADED.is_file() and _LOADED.read_text() == loaded:
        return
    subprocess.run([_tools() / "load-image", IMAGE], check=True)
    _LOADED.parent.mkdir(exist_ok=True)
    _LOADED.write_text(loaded)


def provide_base_image() -> None:
    """Make sure that the cluster has the base image, which the contract suite runs its shells in."""
    subprocess.run([_tools() / "load-image", _base_image()], check=True, env=_buildah_environment())


def content_hash() -> str:
    """SHA-256 over names and content of every file that goes into the image."""
    files = [ROOT / name for name in _SOURCES]
    for package in _PACKAGES:
        found = (ROOT / package).rglob("*")
        files += sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _build(content: str) -> None:
    base = _base_image()
    command = ["buildah", "bud", "--layers", "--isolation", "chroot", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    command += ["--build-arg", f"BASE={base}", "--label", f"{_LABEL}={content}"]
    subprocess.run(
        [*command, "--tag", IMAGE, "--file", _CONTAINERFILE, "."], cwd=ROOT, check=True, env=_buildah_environment()
    )


def _base_image() -> str:
    return os.environ.get("BASE_IMAGE", f"{REGISTRY}/debian:12")


def _label_of_built_image() -> str:
    command = ["buildah", "inspect", "--type", "image", "--format", f'{{{{index .OCIv1.Config.Labels "{_LABEL}"}}}}']
    done = subprocess.run([*command, IMAGE], capture_output=True, text=True, check=False, env=_buildah_environment())
    return done.stdout.strip()


def _buildah_environment() -> dict[str, str]:
    return {"STORAGE_DRIVER": "overlay", **os.environ}


def _tools() -> Path:
    assert "CLUSTER_TOOLS" in os.environ, "set CLUSTER_TOOLS to a folder with the program load-image NAME:TAG"
    return Path(os.environ["CLUSTER_TOOLS"])
