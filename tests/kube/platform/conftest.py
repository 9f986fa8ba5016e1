"""The platform on a real Kubernetes, once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.kube.platform.deployment import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Built, loaded, applied and ready; without the listener, which needs an Airflow to talk to."""
    with running_platform() as running:
        yield running
