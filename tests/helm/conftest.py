"""What all tests of the chart are given: both Helms, and the oldest and newest Kubernetes that we know."""

import pytest

from chart import CI_NAMES, HELMS, KUBES, ci_values, render


@pytest.fixture(params=HELMS)
def version(request):
    return request.param


@pytest.fixture(params=KUBES)
def kube(request):
    return request.param


@pytest.fixture(params=CI_NAMES)
def ci(request):
    return request.param


@pytest.fixture
def objects(ci):
    """The objects of one of ci/*.yaml."""
    return render(ci_values(ci))
