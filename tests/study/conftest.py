"""Make the builders of synthetic studies importable by name (test folders are no packages)."""

import importlib.util
import sys
from pathlib import Path

for name in ("build", "hostile", "hostile_files", "hostile_images", "hostile_others"):
    module_name = f"study_{name}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
