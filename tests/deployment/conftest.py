import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]

# The server, its processes and the waiting are those of the client tests, the examples those of the proxies.
sys.path += [str(TESTS / "clients" / "python"), str(TESTS / "abuse"), str(TESTS / "proxies")]
