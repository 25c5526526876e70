"""The reading page in a browser: sign in, correct, watch the numbers, sign, take the report home."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest

from cacseg.service.inbox import study_key
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.worker import Worker

pytestmark = pytest.mark.system("chromium", "chromedriver")

MARKUP = "<script>broken()</script>^<b>Digital</b>"
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--window-size=1440,900", "--force-device-scale-factor=1"),
)
SERVE = """
import sys, uvicorn
from cacseg.service.app import make_app
from cacseg.service.settings import Settings
settings = Settings(data=sys.argv[1], workers=0, min_free_bytes=0)
server = uvicorn.Server(uvicorn.Config(make_app(settings), port=0, log_config=None))
class Told(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Told(server.config).run()
"""


@pytest.fixture(scope="module")
def service(small_study, dicom_files, tmp_path_factory):
    """A scored study whose patient has markup for a name, served by a process of its own."""
    data = tmp_path_factory.mktemp("browser") / "service"
    house = Services.of(Settings(data=data, workers=0, threads=1, min_free_bytes=0))
    refused_id = house.inbox.put_all(dicom_files(study=77), "test", "test").stored[0].study_id
    house.inbox.complete(refused_id)
    copies = data.parent / "instances"
    copies.mkdir()
    for number, path in enumerate(sorted(small_study.rglob("*"))):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            instance = pydicom.dcmread(path)
            instance.PatientName = MARKUP
            instance.save_as(copies / f"{number}.dcm")
    study_id = house.inbox.put_all(sorted(copies.iterdir()), "test", "test").stored[0].study_id
    house.inbox.complete(study_id)
    worker = Worker(house.settings, house.database, "worker")
    assert [worker.run_once() for _ in range(3)] == [True, True, False]
    tokens = {name: house.access.add(name, "review", "test") for name in ("Jane", "Ben")}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    port = int(process.stdout.readline())
    with house.database.session(write=False) as session:
        from cacseg.service.database import Study

        uid = session.get(Study, study_id).study_instance_uid
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{port}",
        study_id=study_id,
        refused_id=refused_id,
        tokens=tokens,
        data=data,
        incoming=data / "incoming" / study_key(uid),
    )
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    process.stdout.close()
    house.database.close()


class Page:
    """One browser with somebody signed in."""

    def __init__(self, folder):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.until(lambda: self.all(selector))[0]

    def text(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"Nothing came within {seconds} s; the page says: {self.text('body')[:2000]}")

    def keys(self, *keys):
        for key in keys:
            self.one("body").send_keys(key)

    def press(self, text):
        """Press a button at the head of the page."""
        self.until(lambda: [one for one in self.all("#actions button") if one.text.startswith(text)])[0].click()

    def sign_in(self, service, name):
        self.driver.get(service.url)
        self.one("input[name=token]").send_keys(service.tokens[name], "\n")
        self.one(f".worklist tbody a[data-study='{service.study_id}']")

    def open_study(self, service, study_id=None):
        self.driver.get(f"{service.url}/#/study/{study_id or service.study_id}")
        self.one("canvas[data-ready]")

    def scores(self):
        """Agatston scores now by row of the table, as text."""
        rows = self.driver.execute_script(
            "return [...document.querySelectorAll('.scores tbody tr')].map((row) => [...row.children].map((cell) => cell.innerText.trim()))"
        )
        return {row[0]: row[1:] for row in rows}

    def fetch(self, path):
        """Get a document of the service with the page's own cookie."""
        return self.driver.execute_async_script(
            "const done = arguments[1]; fetch(arguments[0]).then((a) => a.arrayBuffer()).then((b) => done([...new Uint8Array(b)]))",
            path,
        )


@pytest.fixture
def browser(tmp_path):
    """Open browsers that are closed after the test: ``browser()`` gives a new one."""
    opened = []

    def make():
        opened.append(Page(tmp_path / f"profile-{len(opened)}"))
        return opened[-1]

    yield make
    for page in opened:
        page.driver.quit()


def faults(page):
    """What the browser complained about, the first look for a session aside."""
    return [
        one["message"]
        for one in page.driver.get_log("browser")
        if one["level"] == "SEVERE" and "/api/session" not in one["message"]
    ]


def test_from_the_work_list_to_a_signed_report(service, browser, tmp_path):
    page = browser()
    page.sign_in(service, "Jane")
    assert "<script>broken()</script>, <b>Digital</b>" in page.text(".worklist tbody")
    assert not page.all(".worklist tbody script, .worklist tbody b")
    page.open_study(service)
    assert "<b>Digital</b>" in page.text("#heading")
    assert not page.all("#heading b, #heading script")
    assert "has seen no patient" in page.text("#notice")
    before = page.scores()
    page.keys("n")
    lesion = page.one(".lesions .chosen").text.split()
    target = "RCA" if lesion[1] != "RCA" else "LAD"
    page.keys({"RCA": "4", "LAD": "2"}[target])
    page.until(lambda: page.scores() != before)
    after = page.scores()
    assert after["Total"][0] == before["Total"][0]
    assert after[lesion[1]][1] != before[lesion[1]][1]
    page.keys("s")
    page.one("dialog input[name=name]").send_keys("Jane Roe")
    page.one("dialog input[name=role_title]").send_keys("Radiologist")
    page.one("dialog .primary").click()
    page.one(".signed")
    assert "Roe, Jane" in page.text(".standing")
    files = {
        name: bytes(page.fetch(f"/api/studies/{service.study_id}/files/{name}?version=2"))
        for name in ("labels.nii.gz", "structured_report.dcm")
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    said = subprocess.run(
        [Path(sys.executable).with_name("cacseg"), "score", service.incoming, tmp_path / "labels.nii.gz", "--json"],
        capture_output=True,
        check=True,
    )
    vessels = json.loads(said.stdout)["scores"]["vessels"]
    shown = page.scores()
    assert {name: f"{one['agatston']:.1f}" for name, one in vessels.items()} == {
        name: shown[name][1] for name in vessels
    }
    report = pydicom.dcmread(tmp_path / "structured_report.dcm")
    assert report.VerificationFlag == "VERIFIED"
    assert report.VerifyingObserverSequence[0].VerifyingObserverName == "Roe^Jane"
    assert str(report.PatientName) == MARKUP
    assert faults(page) == []
    page.press("Amend")
    page.one(".draft")
    page.keys("n", "x")
    page.until(lambda: "Changes (1)" in page.text(".history"))
    assert page.text(".scores thead").split()[1:4] == ["Automatic", "Signed", "v2"]


def test_a_change_that_came_too_late_is_offered_again(service, browser):
    jane, ben = browser(), browser()
    for page, name in ((jane, "Jane"), (ben, "Ben")):
        page.sign_in(service, name)
        page.open_study(service)
    for page in (jane, ben):
        if page.all(".signed"):
            page.press("Amend")
            page.one(".draft")
    known = "return document.querySelector('.history summary').innerText"
    start = int(jane.driver.execute_script(known).split("(")[1].rstrip(")"))
    jane.driver.execute_script("window.setInterval = () => 0")
    jane.keys("n", "5")
    jane.until(lambda: f"({start + 1})" in jane.driver.execute_script(known))
    ben.keys("n", "n", "x")
    dialog = ben.one("dialog")
    assert "changed by Jane" in dialog.text
    assert f"({start + 1})" in ben.driver.execute_script(known)
    ben.one("dialog .primary").click()
    ben.until(lambda: f"({start + 2})" in ben.driver.execute_script(known))


def test_everything_goes_by_keys_and_the_picture_follows(service, browser):
    page = browser()
    page.sign_in(service, "Jane")
    page.one("body").send_keys("j")
    page.driver.switch_to.active_element.send_keys("\n")
    page.one("canvas[data-ready]")
    slice_ = lambda: int(page.one("canvas").get_attribute("data-slice"))  # noqa: E731
    first = slice_()
    page.keys("\ue013")
    page.until(lambda: slice_() == first + 1)
    page.keys("\ue010")
    page.until(lambda: slice_() == 0)
    for key, word in (("w", "Mediastinum"), ("w", "Lung"), ("m", "MIP 3"), ("o", None)):
        page.keys(key)
        if word:
            page.until(lambda word=word: word in [one.text for one in page.all(".tools [aria-pressed=true]")])
    assert not any("Outlines" in one.text for one in page.all(".tools [aria-pressed=true]"))
    page.keys("?")
    assert "exclude it" in page.one("dialog").text
    page.one("dialog button").click()
    theme = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    page.keys("t")
    assert page.driver.execute_script("return getComputedStyle(document.body).backgroundColor") != theme
    page.keys("a", "\ue007")
    assert "click on calcium" in page.text(".hint")
    page.keys("\ue015", "\ue00c")
    assert page.text(".hint") == ""
    assert faults(page) == []


def changes(page):
    return int(page.text(".history summary").split("(")[1].rstrip(")"))


def test_lesions_are_picked_added_and_cut_with_the_mouse(service, browser):
    from selenium.webdriver.common.action_chains import ActionChains

    page = browser()
    page.sign_in(service, "Jane")
    page.open_study(service)
    if page.all(".signed"):
        page.press("Amend")
        page.one(".draft")
    start = changes(page)
    largest = "return [...document.querySelectorAll('.lesions tbody tr[data-lesion]:not(.outside)')].sort((a, b) => b.children[3].innerText - a.children[3].innerText)[0]"
    for _ in range(8):
        page.keys("+")
    row = page.driver.execute_script(largest)
    row.click()
    chosen = page.text(".lesions .chosen").split()
    page.keys("\ue00c")
    assert not page.all(".lesions .chosen")
    canvas = page.one("canvas")
    ActionChains(page.driver).move_to_element(canvas).click().perform()
    assert page.one(".lesions .chosen").text.split() == chosen
    before = page.scores()
    page.keys("x")
    page.until(lambda: changes(page) == start + 1)
    assert page.scores()["Total"] != before["Total"]
    page.keys("a", {"LM": "1", "LAD": "2", "LCX": "3", "RCA": "4"}[chosen[1]])
    ActionChains(page.driver).move_to_element(canvas).click().perform()
    page.until(lambda: changes(page) == start + 2)
    assert page.scores() == before
    page.keys("c")
    drag = ActionChains(page.driver).move_to_element_with_offset(canvas, -90, 0).click_and_hold()
    drag.move_by_offset(180, 0).release().perform()
    assert "bright part of lesion" in page.text(".hint")
    page.keys("f", "8")
    page.until(lambda: changes(page) == start + 3)
    assert float(page.scores()["Total"][-4]) < float(before["Total"][-4])
    for left in (2, 1, 0):
        page.keys("u")
        page.until(lambda left=left: changes(page) == start + left)
    assert page.scores() == before
    assert faults(page) == []


def test_a_refused_study_is_shown_with_the_reason_and_nothing_to_correct(service, browser):
    page = browser()
    page.sign_in(service, "Jane")
    page.open_study(service, service.refused_id)
    assert "must not be scored" in page.text(".standing .refused")
    assert "slices" in page.text(".standing .warned")
    assert "no score" in page.text(".hint")
    assert "Slice 2 / 3" in page.text(".facts:not(.upper)")
    page.keys("\ue013")
    page.until(lambda: "Slice 3 / 3" in page.text(".facts:not(.upper)"))
    page.keys("w", "m", "o", "a", "c", "x", "u", "r", "s", "b", "n", "\ue00c")
    page.until(lambda: "Mediastinum" in [one.text for one in page.all(".tools [aria-pressed=true]")])
    assert not page.all("dialog")
    shown = [one.text for one in page.all("#actions button, .tools button") if one.is_displayed()]
    assert not [text for text in shown if text.split()[0] in ("Sign", "Amend", "Undo", "Redo", "Add", "Cut")]
    for part in (".scores", ".lesionbox", ".assign", "textarea", ".history"):
        assert not [one for one in page.all(part) if one.is_displayed()]
    read = [one for one in faults(page) if "/review" not in one]
    assert read == []
