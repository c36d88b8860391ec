"""A headless Chromium for tests; they are skipped where there is none."""

import base64
import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
AXE = "axe-core@4.10.3"
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
    "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip


@contextmanager
def browser(width=1500, height=900):
    """A browser with a window so many pixels wide, which notes what it asks for and complains of.

    A driver is found beside Debian's Chromium; selenium is not let to fetch one.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    for switch in SWITCHES:
        options.add_argument(switch)
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield found
    finally:
        found.quit()


def complaints(driver):
    """The errors and warnings of the page's console."""
    return [entry["message"] for entry in driver.get_log("browser")]


def broken(driver):
    """The errors of the page's console alone: TensorBoard has warnings of its own."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]


def requested(driver):
    """The addresses that the page has asked for, without those that hold their own content."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [e for e in events if e["method"] == "Network.requestWillBeSent"]
    addresses = [event["params"]["request"]["url"] for event in sent]
    return [address for address in addresses if not address.startswith(("data:", "chrome:"))]


def screenshot(driver, path, most=8000):
    """The whole page as a picture."""
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most)}
    settings = {"captureBeyondViewport": True, "clip": clip | {"scale": 1}}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", settings)
    path.write_bytes(base64.b64decode(shot["data"]))


@cache
def axe():
    """The script of axe-core; the test is skipped where npm cannot fetch it."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("needs npm")
    with tempfile.TemporaryDirectory() as folder:
        got = subprocess.run(
            [npm, "install", "--prefix", folder, "--no-save", "--ignore-scripts", AXE],
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        if got.returncode:
            pytest.skip("npm cannot fetch axe-core")
        path = Path(folder, "node_modules", "axe-core", "axe.min.js")
        return path.read_text(encoding="utf-8")


def faults_for_readers(page, scheme, width=390):
    """The serious faults that axe-core finds in a page, in a "light" or "dark" scheme."""
    script = axe()
    with browser(width) as driver:
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        driver.get(page.as_uri())
        driver.execute_script(script)
        found = driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((found) => done(found.violations.map("
            "(v) => [v.impact, v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))"
        )
    return [fault for fault in found if fault[0] in ("serious", "critical")]
