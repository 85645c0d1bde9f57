"""Files that an operator names and that hang, or are no files: nothing else waits for them."""

import contextlib
import fcntl
import json
import os
import signal
import ssl
import subprocess

import pytest

import probe
from apps import OTHER, knows, replace, settings
from certificates import issue
from deadline import until
from process import Process
from server import ADDRESSES, APP, binary

HANGS = 10
"""Seconds after which the server says that a file hangs."""


@pytest.fixture
def server(serve, file):
    return serve(**settings(file))


@contextlib.contextmanager
def hanging(path):
    """A process that opens the file meanwhile waits inside the system, as on a network that does not answer: the kernel asks the
    holder of a lease first, and we do not answer."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(path, "r+") as held:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def secure(serve, pair):
    cert, key = pair
    return serve(GAUNG_TLS_CERT=str(cert), GAUNG_TLS_KEY=str(key))


def shown(server):
    """The certificate that the server shows to every client."""
    return ssl.get_server_certificate((server.host, server.port), timeout=probe.PATIENCE).strip()


def test_a_pipe_in_the_place_of_the_apps_file_stops_nothing_and_is_told(server, file):
    file.unlink()
    os.mkfifo(file)
    until(lambda: "no regular file" in server.log, "the log says what is wrong")
    assert probe.metric(server, "gaung_reloads_total") == 1
    assert probe.readiness(server)[0] and probe.takes_events(server)
    file.unlink()
    file.write_text(json.dumps([APP, OTHER]))
    until(lambda: knows(server, OTHER), "the file is read again")
    server.stop()


def test_an_apps_file_that_hangs_stops_nothing_and_is_told(server, file):
    with hanging(file):
        # What looks the same is not read again, but for SIGHUP.
        server.signal(signal.SIGHUP)
        until(lambda: "has timed out" in server.log, "the log says what is wrong", HANGS * 2)
        probe.throughout(lambda: probe.readiness(server)[0] and probe.takes_events(server))
        assert probe.metric(server, "gaung_reloads_total") == 1
        server.stop()


def test_an_apps_file_that_answers_again_is_followed_again(server, file):
    with hanging(file):
        server.signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in server.log, "the signal has come")
        assert probe.is_alive(server)
    replace(file, [APP, OTHER])
    until(lambda: knows(server, OTHER), "the file is read again")
    server.stop()


def test_sighup_reads_the_apps_file_and_ends_nothing(server, file):
    for _ in range(3):
        before = server.log.count("apps file reloaded, unchanged")
        server.signal(signal.SIGHUP)
        until(lambda: server.log.count("apps file reloaded, unchanged") > before, "the file was read again")
    assert probe.readiness(server)[0] and knows(server, APP)
    server.stop()


def test_sighup_while_a_server_still_reads_its_apps_file_ends_nothing(file):
    settings = {"GAUNG_APPS_FILE": str(file), "GAUNG_PORT": "0", "GAUNG_ADMIN_PORT": "0"}
    with hanging(file):
        server = Process([binary()], {"PATH": os.environ["PATH"], **settings})
        until(lambda: "read-file" in threads(server.pid), "the server reads the file")
        server.signal(signal.SIGHUP)
    try:
        server.printed(ADDRESSES, HANGS)
        until(lambda: "SIGHUP" in server.log, "what was asked for meanwhile is done")
        server.terminate()
        assert server.has_ended() == 0
    finally:
        server.kill()


def threads(pid):
    """The names of a process's threads."""
    names = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/comm") as name:
            names.add(name.read().strip())
    return names


def test_sighup_reads_the_certificate_changed_or_not_and_ends_nothing(secure, pair):
    cert, key = pair
    for _ in range(2):
        before = secure.log.count("certificate reloaded")
        secure.signal(signal.SIGHUP)
        until(lambda: secure.log.count("certificate reloaded") > before, "the certificate was read again")
        assert shown(secure) == cert.read_text().strip()
    new = issue(cert.with_name("new-cert.pem"), key.with_name("new-key.pem"))
    os.replace(new[1], key)
    os.replace(new[0], cert)
    secure.signal(signal.SIGHUP)
    until(lambda: shown(secure) == cert.read_text().strip(), "the new certificate is shown")
    assert probe.is_alive(secure)
    secure.stop()


def test_a_pipe_in_the_place_of_the_certificate_stops_nothing_and_is_told(secure, pair):
    cert, _ = pair
    text = cert.read_text()
    before = shown(secure)
    cert.unlink()
    os.mkfifo(cert)
    secure.signal(signal.SIGHUP)
    until(lambda: "no regular file" in secure.log, "the log says what is wrong")
    assert probe.is_alive(secure) and shown(secure) == before
    cert.unlink()
    cert.write_text(text)
    until(lambda: "certificate reloaded" in secure.log, "the file is read again")
    assert shown(secure) == before
    secure.stop()


def test_a_certificate_that_hangs_stops_nothing_and_is_told(secure, pair):
    cert, _ = pair
    before = shown(secure)
    with hanging(cert):
        secure.signal(signal.SIGHUP)
        until(lambda: "has timed out" in secure.log, "the log says what is wrong", HANGS * 2)
        assert probe.is_alive(secure) and shown(secure) == before
        assert probe.metric(secure, "gaung_reloads_total") == 1
        secure.stop()


def test_a_server_does_not_start_with_a_pipe_or_a_hanging_file(file):
    def refusal(path):
        environment = {"PATH": os.environ["PATH"], "GAUNG_APPS_FILE": str(path)}
        done = subprocess.run([binary(), "check"], env=environment, capture_output=True, text=True, timeout=HANGS * 3)
        assert done.returncode == 2
        return done.stderr

    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    assert "it is no regular file" in refusal(pipe)
    with hanging(file):
        assert f"reading it takes longer than {HANGS} s" in refusal(file)
