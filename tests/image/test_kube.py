"""The image as the chart deploys it."""

import pytest

from expect import has_no_rights, has_read_only_files, hears_a_signed_trigger
from kube import Deployed


@pytest.fixture(scope="module")
def node(image, tmp_path_factory):
    with Deployed(image, tmp_path_factory.mktemp("kube"), GAUNG_PING_SECONDS=45) as node:
        node.is_ready()
        yield node


def test_it_has_the_rights_that_the_chart_leaves_it(node):
    has_no_rights(node)
    has_read_only_files(node)


def test_settings_of_the_values_reach_the_server(node):
    assert "GAUNG_PING_SECONDS=45" in node.execute("/gaung", "check").stdout


def test_it_serves_the_apps_of_the_values(node):
    hears_a_signed_trigger(node)
