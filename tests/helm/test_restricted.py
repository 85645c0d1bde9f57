"""The check of the restricted level finds what it is for."""

import pytest

from chart import CLUSTER, merged, pod_templates, render
from restricted import violations

GOOD = pod_templates(render(CLUSTER))["Deployment/gaung"][1]


def test_a_good_pod_has_none():
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    "change,fault",
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "volume root"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "gaung: seccompProfile"),
        ({"securityContext": {"runAsNonRoot": False}}, "gaung: runAsNonRoot"),
        ({"securityContext": {"runAsUser": 0}}, "gaung: runAsUser"),
        ({"initContainers": [{"name": "first"}]}, "first: allowPrivilegeEscalation"),
    ],
)
def test_a_pod_that_may_more_is_found(change, fault):
    assert fault in violations(merged(GOOD, change))


@pytest.mark.parametrize(
    "context,fault",
    [
        ({"privileged": True}, "privileged"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"capabilities": {"drop": []}}, "capabilities kept"),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "capabilities added"),
        ({"runAsUser": 0}, "runAsUser"),
    ],
)
def test_a_container_that_may_more_is_found(context, fault):
    container = merged(GOOD["containers"][0], {"securityContext": context})
    assert violations({**GOOD, "containers": [container]}) == [f"gaung: {fault}"]
