"""One Airflow a place, for all tests of this folder."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kube.features.scene import Scene, running_scene
from tests.kube.features.site import kubernetes_site, localkube_site


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
