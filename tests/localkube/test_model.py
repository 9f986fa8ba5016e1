"""Quantities, and what a pod asks for in all."""

from decimal import Decimal

import pytest

from clara_ops.localkube.model import PodSpec, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        (2, 2),
        (0.5, Decimal("0.5")),
        ("500m", Decimal("0.5")),
        ("1.5Gi", 1.5 * 2**30),
        ("64Mi", 64 * 2**20),
        ("1k", 1000),
        ("3E", 3 * 10**18),
        ("1e3", 1000),
        ("2E2", 200),
        ("5n", Decimal("5e-9")),
        (".5", Decimal("0.5")),
    ],
)
def test_quantities(text, value):
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1gi", "one", True, "1Kim", "1e"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="quantities must match"):
        parse_quantity(text)


def test_a_pod_asks_for_its_containers_together_or_its_largest_init_container():
    def container(cpu: str, memory: str) -> dict[str, object]:
        return {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}

    spec = PodSpec.model_validate(
        {
            "containers": [container("1", "1Gi"), container("500m", "1Gi")],
            "initContainers": [container("4", "1Gi"), container("1", "1Gi")],
        }
    )
    assert spec.requests() == {"cpu": Decimal(4), "memory": Decimal(2 * 2**30)}
