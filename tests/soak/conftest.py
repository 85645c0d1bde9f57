import pathlib
import sys

# The server, its processes and the waiting are those of the client tests; nodes and memory those of the attacks.
for folder in ("clients/python", "abuse"):
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / folder))
