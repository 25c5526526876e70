import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from cacseg.errors import UsageError
from cacseg.service.settings import Settings


def test_every_default_is_safe():
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.dicom is None
    assert settings.retention_days is None
    assert settings.database_url.startswith("sqlite:////")


def test_command_line_wins_over_environment_over_file_over_default(tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text("port: 1111\nquiet_s: 7\nrule: all\ndicom: {aet: FILE, port: 2222}\n")
    monkeypatch.setenv("CACSEG_PORT", "3333")
    monkeypatch.setenv("CACSEG_QUIET_S", "8")
    monkeypatch.setenv("CACSEG_DICOM__AET", "ENVIRONMENT")
    settings = Settings.load(file, port=4444, host=None)
    assert (settings.port, settings.quiet_s, settings.rule) == (4444, 8.0, "all")
    assert (settings.dicom.aet, settings.dicom.port) == ("ENVIRONMENT", 2222)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("prot: 8080", "prot"),
        ("port: 99999", "port"),
        ("dicom: {aet: ''}", "dicom.aet"),
        ("workers: -1", "workers"),
        ("rule: invented", "invented"),
        ("- a list", "YAML"),
        ("port: [", "YAML"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, content, named):
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    with pytest.raises(UsageError, match=named):
        Settings.load(file)


def test_absent_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no settings file"):
        Settings.load(tmp_path / "absent.yaml")


def test_secrets_are_never_shown():
    settings = Settings(
        database="postgresql+pg8000://user:hidden1@host/db",
        archive={"kind": "stow", "url": "https://archive/studies", "token": "hidden2"},
        deliveries={"webhook": {"url": "https://hook", "secret": "hidden3"}},
    )
    shown = json.dumps(settings.masked())
    assert "hidden" not in shown
    assert "https://archive/studies" in shown
    assert "hidden" not in repr(settings.archive) + repr(settings.deliveries)


def test_settings_cannot_be_changed_on_the_way():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_folders_are_for_this_user_alone(tmp_path):
    settings = Settings(data=tmp_path / "data")
    settings.make_folders()
    for folder in (settings.data, settings.incoming, settings.results, settings.scratch):
        assert folder.stat().st_mode & 0o077 == 0


def test_the_light_install_can_say_what_it_lacks():
    code = (
        "import sys\n"
        "for name in ('fastapi', 'pydantic_settings', 'sqlalchemy', 'uvicorn'):\n"
        "    sys.modules[name] = None\n"
        "from cacseg.service.command import need_serving_stack\n"
        "import importlib.util\n"
        "importlib.util.find_spec = lambda name: None\n"
        "import cacseg.service.command as command\n"
        "command.find_spec = lambda name: None\n"
        "try:\n"
        "    need_serving_stack()\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("MissingExtraError")
    assert "pip install 'cacseg[serve]'" in said
