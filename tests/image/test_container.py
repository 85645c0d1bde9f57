"""The image as a container: what the server may do in it, who hears it, and what it says to a wrong configuration."""

import json

import pytest

from container import ON_HOST, Container, Server, podman
from expect import has_no_rights, has_read_only_files, hears_a_signed_trigger
from process import STOP_PATIENCE


@pytest.fixture(scope="module")
def server(image):
    with Server(image) as server:
        yield server


def test_it_has_a_user_without_rights_and_no_capability(server):
    has_no_rights(server)


def test_its_files_are_read_only(server):
    has_read_only_files(server)


@pytest.mark.parametrize("shell", ["sh", "/bin/sh", "/bin/bash", "busybox"])
def test_there_is_no_shell(server, shell):
    assert server.execute(shell, "-c", "true").returncode == 127


def test_the_binary_says_that_the_server_is_ready(server):
    answer = server.execute("/gaung", "health")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["ready"] is True


def test_the_image_knows_how_to_ask_after_its_health(server):
    podman("healthcheck", "run", server.name)


def test_a_server_that_is_not_ready_is_not_healthy(image):
    # Nobody listens for NATS here, so the node is never in step with a cluster.
    with Server(image, GAUNG_NATS_URL="nats://127.0.0.1:1") as alone:
        assert alone.execute("/gaung", "health").returncode == 1
        with pytest.raises(AssertionError, match="unhealthy"):
            podman("healthcheck", "run", alone.name)


def test_a_client_outside_hears_a_signed_trigger(server):
    hears_a_signed_trigger(server)


def test_without_an_app_it_refuses_to_start_and_says_what_to_set(image):
    with Container(image) as container:
        assert container.has_ended() == 2, container.log
        assert "GAUNG_HOST is 0.0.0.0 but no app is configured; set GAUNG_APP_ID" in container.log


def test_a_misspelt_setting_is_named(image):
    with Container(image, GAUNG_PROT="6002") as container:
        assert container.has_ended() == 2, container.log
        assert "GAUNG_PROT" in container.log
        assert "GAUNG_PORT" in container.log


def test_it_can_be_tried_without_an_app_on_the_loopback_of_the_host(image):
    loopback = {"GAUNG_HOST": "127.0.0.1", "GAUNG_ADMIN_HOST": "127.0.0.1"}
    with Container(image, options=ON_HOST, GAUNG_PORT="0", GAUNG_ADMIN_PORT="0", **loopback) as container:
        container.printed(r"^app +gaung$.*^REVERB_APP_SECRET=gaung-secret$", STOP_PATIENCE)
