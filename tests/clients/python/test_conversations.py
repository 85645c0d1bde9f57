"""Libraries that cannot be run here, by what they send: conversations are read from files and played byte for byte."""

import re

import pytest

from conversation import Conversation, Player, conversations
from deadline import until
from server import REPOSITORY, Gaung

SETTINGS = {"GAUNG_APP_CLIENT_EVENTS": "true"}

by_library = pytest.mark.parametrize("file", conversations(), ids=lambda file: file.stem)


@pytest.fixture(scope="module")
def closed_to_others():
    """A server that only pages of its own host may connect to."""
    server = Gaung(GAUNG_APP_ALLOWED_ORIGINS="127.0.0.1")
    yield server
    server.stop()


@by_library
def test_a_library_hears_what_it_understands(gaung, back_end, file):
    Player(gaung, back_end, Conversation(file)).play()
    # The next one meets nobody in its channels.
    until(lambda: back_end.channels_info()["channels"] == {}, "all channels are left")


@by_library
def test_a_library_is_told_that_its_key_is_wrong(gaung, back_end, file):
    conversation = Conversation(file).refused(4001, "Application does not exist; its key has 11 characters")
    conversation.handshake = conversation.handshake.replace("%key%", "no-such-key")
    Player(gaung, back_end, conversation).play()


@by_library
def test_a_library_comes_from_the_host_that_its_origin_names(closed_to_others, back_end, file):
    conversation = Conversation(file)
    if not re.search("^Origin: (ws://)?%", conversation.handshake, re.MULTILINE):
        conversation.refused(4009, "Origin not allowed (allowed_origins)")
    Player(closed_to_others, back_end, conversation).play(conversation.lines[:2])


@pytest.mark.parametrize("file", [file for file in conversations() if file.stem != "none"], ids=lambda file: file.stem)
def test_a_library_has_a_row_in_the_documentation(file):
    name = re.match(r"# ([\w-]+) ", file.read_text())[1]
    page = (REPOSITORY / "docs" / "clients.md").read_text()
    rows = page.split("\n## Other libraries\n")[1].split("\n")
    assert any(row.startswith("| ") and name in row for row in rows), name
