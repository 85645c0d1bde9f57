"""Images of programs that are on this machine: the program and the libraries that it loads, on nothing. The Compose file's
own images cannot be had where nothing but packages can be fetched, and it is the file that is tested, not they."""

import pathlib
import re
import shutil
import subprocess


def make(tag, folder, program, settings):
    """An image whose entry point is this program, at its own name in `/`; `settings` is a line of a Dockerfile."""
    root = folder / "root"
    program = pathlib.Path(program).resolve()
    for file in _libraries(program):
        place = root / file.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    root.mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    shutil.copy(program, root / program.name)
    (folder / "Dockerfile").write_text(f'FROM scratch\n{settings}\nCOPY root /\nENTRYPOINT ["/{program.name}"]\n')
    run("buildah", "bud", "--quiet", "--isolation=chroot", f"--tag={tag}", folder)


def run(*command, **options):
    """What a command prints; one that fails fails the test, with its words."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr or done.stdout}"
    return done.stdout


def _libraries(program):
    found = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", found)]
