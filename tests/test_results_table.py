"""The table of docs/RESULTS.md: what of it stays when rows are written."""

import importlib

import pytest

from tests.conftest import ROOT


@pytest.fixture
def reproduce(monkeypatch, tmp_path):
    """benchmarks/reproduce.py, its page in a folder of the test."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("reproduce")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "RESULTS.md")
    return module


def row_of(config, score):
    return [config, "", "report", "train mse", f"**{score}**", *["1"] * 8]


def written(reproduce, config, score):
    """The page after a row of a config was written."""
    reproduce.write_rows(config, [row_of(config, score)])
    return reproduce.RESULTS.read_text()


BELOW = "\n## What they show\n\n| other | table |\n|---|---|\n| a | b |\n\nThe end.\n"


@pytest.mark.parametrize("below", ["", "\nOne line", BELOW, BELOW + "| x |\n"])
def test_a_row_takes_its_place_and_all_else_stays(reproduce, below):
    written(reproduce, "eyes_ae", 1)
    before = written(reproduce, "mnist_ae", 2)
    reproduce.RESULTS.write_text(before + below)
    after = written(reproduce, "eyes_ae", 3)
    assert after == before.replace("**1**", "**3**") + below
    assert written(reproduce, "wafer_ae", 4).replace(line_of("wafer_ae", 4), "") == after


def line_of(config, score):
    return f"| {' | '.join(row_of(config, score))} |\n"


def test_a_page_whose_last_line_does_not_end_keeps_its_rows_once(reproduce):
    page = written(reproduce, "eyes_ae", 1)
    reproduce.RESULTS.write_text(page.removesuffix("\n"))
    assert written(reproduce, "eyes_ae", 1) == page


def test_the_row_of_a_config_that_is_run_no_more_stays(reproduce):
    page = written(reproduce, "eyes_ae", 1) + line_of("an_older_one", 2)
    reproduce.RESULTS.write_text(page)
    assert written(reproduce, "eyes_ae", 1) == page


def test_text_without_a_table_stays_below_the_new_one(reproduce):
    reproduce.RESULTS.write_text(reproduce.OPENING + "\nA note.\n")
    page = written(reproduce, "eyes_ae", 1)
    assert page.endswith(line_of("eyes_ae", 1) + "\nA note.\n")
    assert page.count(reproduce.OPENING) == 1


def test_the_page_that_is_there_is_read_whole(reproduce):
    page = (ROOT / "docs" / "RESULTS.md").read_text()
    reproduce.RESULTS.write_text(page)
    row = next(line for line in page.splitlines() if line.startswith("| eyes_ae |"))
    reproduce.write_rows("eyes_ae", [row[2:-2].split(" | ")])
    assert reproduce.RESULTS.read_text() == page
