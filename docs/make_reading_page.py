"""Make the pictures of docs/reading-page.md and measure the page: ``python docs/make_reading_page.py``.

Scores digital patients of full size, serves them, and leads a headless Chromium through a review. Needs chromium and
chromedriver (Debian: chromium, chromium-driver) and the extras serve and dev. Prints what it measured.
"""

import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

from cacseg.data.phantom import digital_patient, write_study
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.worker import Worker

FOLDER = Path(__file__).parent / "reading-page"
SEEDS = {7: 420.0, 11: 60.0, 12: 0.0, 13: 1300.0, 14: 180.0}
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--window-size=1440,987", "--force-device-scale-factor=1"),
)
SERVE = """
import sys, uvicorn
from cacseg.service.app import make_app
from cacseg.service.settings import Settings
uvicorn.run(make_app(Settings(data=sys.argv[1], workers=0, port=int(sys.argv[2]))), port=int(sys.argv[2]), log_config=None)
"""
PORT = 8137
FRAMES = """
const done = arguments[0];
const canvas = document.querySelector("canvas");
const first = Number(canvas.dataset.frames);
const begun = performance.now();
let calls = 0;
const step = () => {
  const key = Math.floor(calls++ / 40) % 2 ? "ArrowUp" : "ArrowDown";
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const seconds = (performance.now() - begun) / 1000;
  if (seconds < 4) requestAnimationFrame(step);
  else done((Number(canvas.dataset.frames) - first) / seconds);
};
requestAnimationFrame(step);
"""


def main() -> None:
    """Score, serve, look, measure."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "service"
        study, token = score(folder, data)
        server = subprocess.Popen([sys.executable, "-c", SERVE, str(data), str(PORT)], env={**os.environ})
        try:
            measured = review(folder, study, token)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    print(json.dumps(measured, indent=1))


def score(folder: Path, data: Path) -> tuple[str, str]:
    """Take the digital patients in and score them; give the study to open and a reviewer's token."""
    house = Services.of(Settings(data=data, workers=0))
    first = ""
    size = {"slices": 57, "matrix": 512, "increment_mm": 3.0, "slice_thickness_mm": 3.0}
    patients = [digital_patient(seed, "gated", target_agatston=score, **size) for seed, score in SEEDS.items()]
    for number, scan in enumerate([*patients, digital_patient(15, "contrast")]):
        path = write_study(scan, folder / str(number), extras=False)
        files = [one for one in sorted(path.rglob("*")) if one.is_file() and one.read_bytes()[128:132] == b"DICM"]
        study = house.inbox.put_all(files, "docs", "docs").stored[0].study_id
        house.inbox.complete(study)
        first = first or study
    worker = Worker(house.settings, house.database, "docs")
    while worker.run_once():
        pass
    token = house.access.add("Dr Jane Roe", "review", "docs")
    house.database.close()
    return first, token


class Browser:
    """A browser with somebody at its keys."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def one(self, selector: str):
        """Wait for an element."""
        for _ in range(1500):
            found = self.driver.find_elements("css selector", selector)
            if found:
                return found[0]
            time.sleep(0.02)
        raise SystemExit(f"{selector} did not come.")

    def keys(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.one("body").send_keys(key)
            time.sleep(0.15)

    def picture(self, name: str) -> None:
        """Keep what is seen."""
        time.sleep(0.5)
        shot = Image.open(io.BytesIO(self.driver.get_screenshot_as_png()))
        shot.convert("RGB").save(FOLDER / f"{name}.png", optimize=True)

    def theme(self, name: str) -> None:
        """Choose light or dark."""
        self.driver.execute_script("document.documentElement.dataset.theme = arguments[0]", name)


def review(folder: Path, study: str, token: str) -> dict[str, float]:
    """Lead the browser through a review; give the measurements."""
    browser = Browser(folder / "profile")
    driver = browser.driver
    try:
        sign_in(browser, token)
        browser.picture("work-list")
        measured = {"first open, s": open_study(browser, study)}
        driver.get(f"http://127.0.0.1:{PORT}/")
        browser.one(".worklist tbody a")
        measured["open again, s"] = open_study(browser, study)
        measured["frames a second"] = round(driver.execute_async_script(FRAMES), 1)
        measured |= edits(browser)
        corrections(browser)
        measured["sign, s"] = signature(browser)
    finally:
        driver.quit()
    return measured


def sign_in(browser: Browser, token: str) -> None:
    """Sign in, as soon as the server answers."""
    for _ in range(200):
        try:
            browser.driver.get(f"http://127.0.0.1:{PORT}/")
            break
        except Exception:
            time.sleep(0.1)
    browser.theme("light")
    browser.one("input[name=token]").send_keys(token, "\n")
    browser.one(".worklist tbody a")


def open_study(browser: Browser, study: str) -> float:
    """Open a study; give the seconds until its picture stands."""
    begun = time.perf_counter()
    browser.driver.execute_script("location.hash = arguments[0]", f"#/study/{study}")
    browser.one("canvas[data-ready]")
    return round(time.perf_counter() - begun, 2)


def edits(browser: Browser) -> dict[str, float]:
    """Move a lesion back and forth; give the milliseconds from key to new table."""
    browser.keys("n")
    spent = []
    for number in range(20):
        browser.driver.execute_script(
            "document.querySelector('[aria-label=Scores]').removeAttribute('data-latency-ms')"
        )
        browser.one("body").send_keys("43"[number % 2])
        spent.append(float(browser.one("[data-latency-ms]").get_attribute("data-latency-ms")))
    for _ in range(20):
        browser.keys("u")
    return {"edit, median ms": round(statistics.median(spent), 1), "edit, slowest ms": round(max(spent), 1)}


def corrections(browser: Browser) -> None:
    """Show an assignment, a cut and a slab."""
    browser.picture("study")
    rows = "return [...document.querySelectorAll('tr[data-lesion]:not(.outside)')]"
    largest = f"{rows}.sort((a, b) => b.children[3].innerText - a.children[3].innerText)[0]"
    browser.driver.execute_script(largest).click()
    browser.keys(*"+" * 7)
    browser.driver.execute_script(largest).click()
    browser.theme("dark")
    browser.keys("c")
    canvas = browser.one("canvas")
    drag = ActionChains(browser.driver).move_to_element_with_offset(canvas, -120, -50).click_and_hold()
    drag.move_by_offset(240, 90).release().perform()
    browser.picture("cut")
    browser.keys("3")
    time.sleep(0.5)
    browser.keys("0", "\ue00c", "n", "x", "+", "+")
    browser.one(".lesions .gone").click()
    browser.driver.execute_script("document.querySelector('.history').open = true")
    browser.picture("corrected")
    browser.keys("m", "m", "\ue00c")
    browser.picture("slab")
    browser.keys("m", "m", "?")
    browser.picture("keys")
    browser.one("dialog button").click()
    browser.theme("light")


def signature(browser: Browser) -> float:
    """Sign; give the seconds it took."""
    browser.keys("s")
    browser.one("dialog input[name=name]").send_keys("Jane Roe")
    browser.one("dialog input[name=role_title]").send_keys("Radiologist")
    browser.picture("sign")
    browser.one("dialog .primary").click()
    begun = time.perf_counter()
    browser.one(".signed")
    spent = round(time.perf_counter() - begun, 2)
    browser.picture("signed")
    return spent


if __name__ == "__main__":
    main()
