"""The light install runs without the training stack."""

import os
import subprocess
import sys

LIGHT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "monai", "lightning"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import importlib, pkgutil, cacseg
skipped = ("cacseg.models", "cacseg.train", "cacseg.service")
for module in pkgutil.walk_packages(cacseg.__path__, "cacseg."):
    if not module.name.startswith(skipped):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_every_module_of_the_light_install_imports_without_torch():
    done = subprocess.run([sys.executable, "-W", "error", "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert {"cacseg.pipeline", "cacseg.study.reading", "cacseg.scoring.score", "cacseg.infer"} <= set(imported)


def test_idle_threads_of_blas_leave_the_cores_to_the_network():
    code = "import os, sys; from cacseg.cli import main; main(['infer', 'absent']); print(os.environ['OPENBLAS_NUM_THREADS'])"
    for given, taken in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "4"}, "4")):
        own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=own)
        assert done.stdout.strip() == taken


def test_command_line_starts_without_heavy_imports():
    code = (
        "import sys, cacseg.cli; print([m for m in ('numpy', 'pydicom', 'onnxruntime', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
