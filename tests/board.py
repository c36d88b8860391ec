"""TensorBoard as tests use it: started on a folder, and looked at in a browser."""

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

SECONDS = 120  # until something that TensorBoard loads must be there

# All elements, those in shadow trees too, in which parts of TensorBoard are drawn.
EVERYWHERE = """
const everywhere = (root) => [...root.querySelectorAll("*")].flatMap(
  (e) => e.shadowRoot ? [e, ...everywhere(e.shadowRoot)] : [e]);
const isShown = (e) => e.getBoundingClientRect().width > 0
  && getComputedStyle(e).visibility !== "hidden";
const find = (selector) => everywhere(document).filter((e) => e.matches(selector) && isShown(e));
"""


@contextmanager
def tensorboard(folder, said):
    """TensorBoard on a folder -> its address.

    Args:
        said: a file for what it says.
    """
    words = ["--logdir", folder, "--port", "0", "--host", "127.0.0.1", "--reload_interval", "1"]
    with open(said, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *map(str, words)],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield wait_until(lambda: address_in(said.read_text()), process.poll)
    finally:
        process.terminate()
        process.wait(SECONDS)


def address_in(text):
    """The address that TensorBoard says it serves, or None."""
    found = [word for word in text.split() if word.startswith("http://127.0.0.1:")]
    return found[0] if found else None


def asked(address, path):
    """What TensorBoard answers, as JSON."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}{path}", timeout=SECONDS) as answer:
        return json.load(answer)


def wait_until(look, is_over=lambda: None):
    """Look again and again until something is seen -> what that is."""
    until = time.monotonic() + SECONDS
    while not (seen := look()):
        assert is_over() is None, "it has ended"
        assert time.monotonic() < until, f"nothing after {SECONDS} s"
        time.sleep(0.2)
    return seen


def texts(driver, selector):
    """The texts of the elements that a selector finds, wherever they are, and that are shown."""
    script = f"{EVERYWHERE} return find(arguments[0]).map((e) => e.innerText.trim())"
    return [text for text in driver.execute_script(script, selector) if text]


def has(driver, selector, *parts):
    """Wait until the texts of elements hold all parts -> the texts."""

    def look():
        found = texts(driver, selector)
        return all(any(part in text for text in found) for part in parts) and found

    return wait_until(look)
