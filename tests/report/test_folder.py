import os
import subprocess
import sys
import threading

import pytest

from cacseg.errors import UsageError
from cacseg.report import folder
from cacseg.report.folder import replace_folder


def ours(name):
    return name in ("result.json", "other.txt")


def writer(text):
    def write(target):
        (target / "result.json").write_text(text)
        (target / "other.txt").write_text(text)

    return write


def test_makes_and_replaces(tmp_path):
    target = tmp_path / "deep" / "out"
    replace_folder(target, writer("one"), ours)
    replace_folder(target, writer("two"), ours)
    assert (target / "result.json").read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    replace_folder(tmp_path / "out", writer("one"), ours)
    assert (tmp_path / "out" / "other.txt").read_text() == "one"


def test_a_failure_leaves_the_old_one(tmp_path):
    replace_folder(tmp_path / "out", writer("one"), ours)

    def fails(target):
        (target / "result.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_folder(tmp_path / "out", fails, ours)
    assert (tmp_path / "out" / "result.json").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("names", [["notes.txt"], ["result.json", "notes.txt"], ["other.txt"]])
def test_a_foreign_folder_is_not_touched(tmp_path, names):
    (tmp_path / "out").mkdir()
    for name in names:
        (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UsageError, match="did not write"):
        replace_folder(tmp_path / "out", writer("one"), ours)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)


def test_a_file_and_the_working_directory_are_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        replace_folder(tmp_path / "file", writer("one"), ours)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="working directory"):
        replace_folder(tmp_path / "here", writer("one"), ours)


def test_without_the_exchange_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_exchange", lambda first, second: False)
    replace_folder(tmp_path / "out", writer("one"), ours)
    replace_folder(tmp_path / "out", writer("two"), ours)
    assert (tmp_path / "out" / "result.json").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    dead = tmp_path / f".out{folder.MARK}{finished.pid}"
    dead.mkdir()
    alive = tmp_path / f".out{folder.MARK}{os.getppid()}"
    alive.mkdir()
    replace_folder(tmp_path / "out", writer("one"), ours)
    assert not dead.exists()
    assert alive.exists()


def test_a_reader_never_sees_a_mixture(tmp_path):
    target = tmp_path / "out"
    replace_folder(target, writer("0"), ours)
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            handle = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
            try:
                texts = []
                for name in ("result.json", "other.txt"):
                    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=handle)) as file:
                        texts.append(file.read())
                seen.append(texts)
            except FileNotFoundError:
                seen.append(["gone", "gone"])  # the folder opened was replaced and removed as a whole
            finally:
                os.close(handle)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        replace_folder(target, writer(str(number)), ours)
    stop.set()
    reader.join()
    assert len(seen) > 40
    assert all(first == second for first, second in seen)


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        replace_folder(tmp_path / "out", writer("one"), ours)
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
