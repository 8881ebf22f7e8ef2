"""The page on the real server over the tiny experiment: one walk through all it does, with nothing faked."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.serving.browsing import visit
from tests.serving.conftest import Running

pytestmark = pytest.mark.browser
TEXT = "🔧🔧 Notes 🧰\n\nThe seal of the pump is changed every 900 hours 🟦.\n"
PASSAGE = "every 900 hours 🟦."


def file(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def make_collection(page: Page, name: str) -> None:
    page.locator("form.inline").get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)


def test_a_collection_is_filled_searched_asked_and_dropped(browser: Browser, served: Running) -> None:
    with visit(browser, served.url, "#/collections", refusals=True) as page:
        expect(page.get_by_text("read-only, of the run")).to_be_visible()
        make_collection(page, "notes")
        page.get_by_label("Metadata of these files").fill("year: 2024")
        files = [file("pump.md", TEXT), file("setup.exe", "x"), file("large.txt", "word " * 2_000_000)]
        page.get_by_label("Choose files").set_input_files(files)
        rows = page.locator(".uploads li")
        expect(rows.nth(0)).to_contain_text("Added")
        expect(rows.nth(1)).to_contain_text(".exe")
        expect(rows.nth(2)).to_have_class("failed")
        expect(rows.nth(2)).not_to_contain_text("still running?")
        page.get_by_label("Search for").fill("seal of the pump")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".hits mark").first).to_be_visible()
        page.locator(".hits button").first.click()
        expect(page.locator("dialog mark")).to_contain_text(PASSAGE)
        expect(page.locator("dialog .warning")).to_have_count(0)
        page.keyboard.press("Escape")
        page.goto(f"{served.url}/#/ask")
        card = page.locator(".arm-card").first
        card.get_by_label("Passages from").select_option("notes")
        page.get_by_label("Question").fill("How often is the seal changed?")
        page.keyboard.press("Enter")
        expect(card.locator(".thumb")).to_have_count(2)
        expect(card.locator(".figures")).to_contain_text("tokens")
        card.locator("button.source").first.click()
        expect(page.locator("dialog mark")).to_contain_text(PASSAGE)
        expect(page.locator("dialog .warning")).to_have_count(0)
        page.keyboard.press("Escape")
        card.locator(".thumb").first.click()
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Thank you, kept.")).to_be_visible()
        page.goto(f"{served.url}/#/collections/notes")
        page.get_by_role("button", name=re.compile("^Delete .*pump")).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No documents yet")).to_be_visible()
        page.get_by_role("button", name="Drop this collection…").click()
        page.get_by_label("Type notes to confirm").fill("notes")
        page.get_by_role("button", name="Drop it").click()
        expect(page.locator("h1")).to_have_text("Collections")
        expect(page.get_by_role("link", name="notes", exact=True)).to_have_count(0)


def test_every_arm_answers(browser: Browser, served: Running) -> None:
    with visit(browser, served.url) as page:
        options = page.locator(".arm-card").first.get_by_label("Model or arm").locator("option:not([disabled])")
        expect(options).not_to_have_count(0)
        names = [str(option.get_attribute("value")) for option in options.all()]
        page.get_by_label("Question").fill("What colour is the Arvo gauge?")
        for name in names:
            card = page.locator(".arm-card").first
            card.get_by_label("Model or arm").select_option(name)
            page.get_by_role("button", name="Ask", exact=True).click()
            expect(page.get_by_role("button", name="Stop all")).to_be_hidden()
            expect(card.locator(".thumb"), name).to_have_count(2)
            assert page.get_by_role("alert").count() == 0


def test_a_run_its_questions_and_its_report(browser: Browser, served: Running) -> None:
    with visit(browser, served.url, "#/runs") as page:
        page.get_by_role("link", name="tiny").click()
        expect(page.get_by_role("region", name="Scores, All questions").locator("tbody tr").first).to_be_visible()
        expect(page.locator(".canvas svg").first).to_be_visible()
        expect(page.locator(".verdict")).not_to_be_empty()
        with served.client() as client:
            report = client.get(str(page.get_by_role("link", name="Full report").get_attribute("href")))
        assert report.status_code == 200
        assert "sandbox" in report.headers["Content-Security-Policy"]
        page.get_by_role("link", name="Question by question").click()
        page.locator(".question summary").first.click()
        expect(page.locator(".question article").first).to_be_visible()


def test_an_adapter_is_trained_while_one_looks(browser: Browser, served: Running) -> None:
    with visit(browser, served.url, "#/train") as page:
        page.set_default_timeout(60_000)
        first = page.locator(".adapters button").first
        first.click()
        expect(page.locator(".training .status")).to_have_text(re.compile("Training|Trained"))
        expect(page.locator(".training .status")).to_have_text("Trained", timeout=120_000)


def test_the_first_key_closes_the_server_and_opens_it_again(browser: Browser, served: Running) -> None:
    with visit(browser, served.url, "#/collections", refusals=True) as page:
        page.get_by_text("Make a key").click()
        page.get_by_label("For whom").fill("ilse")
        page.get_by_label("Role", exact=True).select_option("admin")
        page.get_by_role("button", name="Make the key").click()
        secret = page.get_by_role("dialog").get_by_label("Key").input_value()
        expect(page.get_by_role("dialog")).to_contain_text("sign in with one next")
        page.keyboard.press("Escape")
        page.get_by_role("dialog").get_by_label("Key").fill(secret)
        page.keyboard.press("Enter")
        expect(page.get_by_role("cell", name="*: admin")).to_be_visible()
        page.get_by_role("button", name="Revoke ilse").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text(re.compile("does not know this key|asks for a key"))
