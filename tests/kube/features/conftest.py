"""One Airflow a place, for all tests of this folder."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kube.features.scene import Run, Scene, running_scene
from tests.kube.features.site import kubernetes_site, localkube_site

_AS_THEY_ARE = (
    *("oom-retry", "oom-out", "no-image", "deadline", "refused", "broken", "nothing", "mute", "fan", "foreign"),
    *("long", "long-oom", "long-refused", "long-deadline", "long-no-image", "long-nothing", "long-lost", "long-cancel"),
)
TOGETHER = {name: name for name in _AS_THEY_ARE} | {
    "pod-deleted": "lost",
    "task-killed": "held",
    "worker-killed": "held",
    "failed": "cancel",
    "run-deleted": "cancel",
}
"""Runs that go on at the same time, and the workflow of each: most of their time is waiting."""


def _places() -> list[Any]:
    kubernetes = pytest.param("kubernetes", marks=pytest.mark.kube)
    return [pytest.param("localkube", marks=pytest.mark.e2e), *([kubernetes] if "KUBECONFIG" in os.environ else [])]


@pytest.fixture(scope="session", params=_places())
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Airflow with the workflows of these tests, on localkube and on the Kubernetes of KUBECONFIG."""
    folder = tmp_path_factory.mktemp("features")
    if request.param == "localkube":
        with localkube_site(folder) as site, running_scene(site, folder) as scene:
            yield scene
    else:
        site = kubernetes_site(request.getfixturevalue("platform"), folder)
        with running_scene(site, folder) as scene:
            yield scene


@pytest.fixture(scope="session")
def runs(scene: Scene) -> dict[str, Run]:
    """The runs of TOGETHER, just started."""
    return dict(zip(TOGETHER, scene.start(*TOGETHER.values()), strict=True))
