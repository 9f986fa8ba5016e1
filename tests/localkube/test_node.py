"""The node without HTTP: what cannot be provoked from outside."""

import asyncio
import logging
from decimal import Decimal

import pytest

from clara_ops.localkube import process
from clara_ops.localkube.admission import admit_namespace, admit_pod
from clara_ops.localkube.errors import StateError
from clara_ops.localkube.images import ImageMap
from clara_ops.localkube.isolation import find_isolation
from clara_ops.localkube.machine import Machine
from clara_ops.localkube.node import Node
from clara_ops.localkube.store import Store

CAPACITY = {"cpu": Decimal(1), "memory": Decimal(2**30), "nvidia.com/gpu": Decimal(0)}


def pod_named(name: str) -> dict[str, object]:
    container = {
        "name": "base",
        "image": "any",
        "command": ["true"],
        "resources": {"requests": {"cpu": "1"}},
    }
    body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    return admit_pod(body, "clara")


def test_a_defect_of_ours_fails_the_pod_and_frees_its_place(tmp_path, monkeypatch, caplog):
    async def broken(_: process.Launch) -> None:
        raise RuntimeError("a defect")

    async def run() -> dict[str, object]:
        store = Store(tmp_path)
        store.namespaces.create(admit_namespace({"metadata": {"name": "clara"}}))
        node = Node(store, Machine(CAPACITY, {}, ImageMap(), isolated=False, workdir=tmp_path))
        node.create(pod_named("a"))
        node.create(pod_named("b"))
        for _ in range(500):
            await asyncio.sleep(0.01)
            phases = {pod["metadata"]["name"]: pod["status"] for pod in store.pods.all()}
            if all(status["phase"] == "Failed" for status in phases.values()):
                break
        return phases

    monkeypatch.setattr(process, "start", broken)
    with caplog.at_level(logging.ERROR):
        statuses = asyncio.run(run())
    assert [status["reason"] for status in statuses.values()] == ["LocalkubeError", "LocalkubeError"]
    assert "clara/a: given up" in caplog.text


@pytest.fixture
def no_namespaces(tmp_path, monkeypatch):
    """A machine whose kernel refuses: the parent of the processes fails as it does there."""
    program = tmp_path / "sandbox.py"
    refuse = "def enter_namespace():\n    raise PermissionError(1, 'Operation not permitted')\n\n\n"
    program.write_text(
        process.SANDBOX.read_text().replace('if __name__ == "__main__":', f'{refuse}if __name__ == "__main__":')
    )
    monkeypatch.setattr(process, "SANDBOX", program)


def test_auto_isolation_does_without_namespaces_and_says_so(no_namespaces, caplog):
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(find_isolation("auto")) is False
    assert "no mount namespaces here" in caplog.text
    assert "Operation not permitted" in caplog.text


def test_namespaces_that_are_asked_for_and_cannot_be_had_are_an_error(no_namespaces):
    with pytest.raises(StateError, match="--isolation namespaces"):
        asyncio.run(find_isolation("namespaces"))


def test_auto_isolation_takes_namespaces_where_they_are():
    assert asyncio.run(find_isolation("auto")) is True
