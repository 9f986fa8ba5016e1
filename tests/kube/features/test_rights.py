"""The rights of Airflow's account: all other tests of this folder get along with them; here each one is missed."""

import re
from collections.abc import Iterator

import pytest
from kubernetes import client

from tests.kube.features.scene import Scene

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

ROLE = "clara-airflow"
RIGHTS = [
    *(("pods", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")),
    ("pods/log", "get"),
    ("events", "list"),
]
WHILE_A_DEFERRED_POD_WAITS = ("events", "watch")
"""Asked for only where the pod does not run yet when the trigger looks, so its lack is not told each time."""


@pytest.fixture
def rules(scene: Scene) -> Iterator[list[client.V1PolicyRule]]:
    """The account's rules; whatever is done to them is undone, and what is left without rights is deleted."""
    api = client.RbacAuthorizationV1Api(scene.site.core.api_client)
    role = api.read_namespaced_role(ROLE, scene.site.namespace)
    yield role.rules
    patch = {"rules": api.api_client.sanitize_for_serialization(role.rules)}
    api.patch_namespaced_role(ROLE, scene.site.namespace, patch)


def take_away(scene: Scene, rules: list[client.V1PolicyRule], resource: str, verb: str) -> None:
    """Leave the account with one right less."""
    api = client.RbacAuthorizationV1Api(scene.site.core.api_client)
    plain = api.api_client.sanitize_for_serialization(rules)
    for rule in plain:
        if rule["resources"] == [resource]:
            rule["verbs"] = [each for each in rule["verbs"] if each != verb]
    less = [rule for rule in plain if rule["verbs"]]
    assert less != api.api_client.sanitize_for_serialization(rules), f"the account has no right to {verb} {resource}"
    api.patch_namespaced_role(ROLE, scene.site.namespace, {"rules": less})


@pytest.mark.parametrize("scene", [pytest.param("kubernetes", marks=pytest.mark.kube)], indirect=True)
@pytest.mark.parametrize(("resource", "verb"), RIGHTS)
def test_the_task_says_which_right_it_misses(
    scene: Scene, rules: list[client.V1PolicyRule], resource: str, verb: str
) -> None:
    take_away(scene, rules, resource, verb)
    (run,) = scene.start("refused")
    run.wait(lambda: run.task() in ("failed", "up_for_retry"))
    assert re.search(rf'cannot {verb} resource \\*"{resource}\\*"', run.log()), run.log()
    run.mark_failed()
    for pod in run.pods():
        scene.site.core.delete_namespaced_pod(pod, scene.site.namespace, grace_period_seconds=0)


@pytest.mark.parametrize("scene", [pytest.param("kubernetes", marks=pytest.mark.kube)], indirect=True)
def test_it_has_no_other_rights(scene: Scene, rules: list[client.V1PolicyRule]) -> None:
    assert {(resource, verb) for rule in rules for resource in rule.resources for verb in rule.verbs} == {
        *RIGHTS,
        WHILE_A_DEFERRED_POD_WAITS,
    }
