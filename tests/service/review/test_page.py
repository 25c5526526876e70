"""The files of the page: nothing foreign, nothing that could run from a DICOM tag, words and colours of the toolkit."""

import re
from pathlib import Path

import pytest

from cacseg.result import NOT_A_DEVICE
from cacseg.service import page
from cacseg.vessels import COLOUR_RGB

WEB = page.web_files()
SCRIPTS = [name for name in WEB if name.endswith(".js")]


def test_the_page_is_served_with_a_policy_that_lets_nothing_foreign_in(untouched):
    client = untouched.client("Rita")
    answer = client.get("/", headers={"Authorization": ""})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in WEB:
        part = client.get(f"/page/{name}")
        assert part.status_code == 200
        assert part.content == WEB[name].read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpage.py", "%2e%2e/page.py", "....//page.py", "index.html%00.js"])
def test_only_listed_files_are_given(untouched, name):
    assert untouched.client("Rita").get(f"/page/{name}").status_code == 404


def test_the_notice_stands_in_the_page_itself():
    assert NOT_A_DEVICE in WEB["index.html"].read_text()


def test_colours_are_those_of_the_toolkit():
    text = WEB["vessels.js"].read_text()
    found = {int(value): colour for value, colour in re.findall(r'value: (\d),.*?colour: "#([0-9a-f]{6})"', text)}
    assert {value: colour for value, colour in found.items() if value} == {
        int(label): "".join(f"{part:02x}" for part in rgb) for label, rgb in COLOUR_RGB.items()
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_writes_markup_or_evaluates_text(name):
    text = WEB[name].read_text()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "http:",
        "https:",
    ):
        assert forbidden not in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_imports_lead_to_files_of_the_page(name):
    for target in re.findall(r'from "([^"]+)"', WEB[name].read_text()):
        assert Path(target).name in WEB


def test_everything_the_index_names_is_there():
    named = re.findall(r'(?:src|href)="/page/([^"]+)"', WEB["index.html"].read_text())
    assert set(named) <= set(WEB)
    assert "main.js" in named


def test_every_part_of_the_index_can_be_reached_by_name():
    text = WEB["index.html"].read_text()
    assert re.search(r'<main id="content" tabindex="-1">', text)
    for role in ('role="status"', 'role="alert"', 'role="note"', 'lang="en"'):
        assert role in text
