"""Collections, Runs and Train in Chromium: adding, finding, deleting, keys; a run down to its questions; a training."""

import re
from itertools import combinations

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.serving.browsing import visit
from tests.serving.fake_api import FakeApi
from tests.serving.fake_content import SEAL
from workbench.decision import Alarm

pytestmark = pytest.mark.browser
NOTES = "#/collections/field-notes"


def file(name: str, text: str = "The seal is changed every year.") -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def upload_row(page: Page, name: str) -> Locator:
    return page.locator(".uploads li", has_text=name)


def test_a_collection_is_made_filled_searched_and_dropped(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, "#/collections", refusals=True) as page:
        name = page.locator("form.inline").get_by_label("Name")
        name.fill("archive")
        page.keyboard.press("Enter")
        expect(page.get_by_text("there is a collection 'archive' already")).to_be_visible()
        name.fill("new one")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("new one")
        expect(page.get_by_text("No documents yet")).to_be_visible()
        page.get_by_label("Metadata of these files").fill("year: 2024\ntags: [a, b]\ndraft: true")
        page.get_by_label("Choose files").set_input_files([file("a ü.md"), file("b.txt"), file("setup.exe")])
        expect(upload_row(page, "a ü.md")).to_contain_text("Added: 1 chunk")
        expect(upload_row(page, "b.txt")).to_contain_text("Added: 1 chunk")
        expect(upload_row(page, "setup.exe")).to_contain_text("no reader for .exe; there are readers for .md")
        expect(page.locator(".lead")).to_contain_text("2 documents")
        held = api.collections["new one"].documents
        assert held["a ü.md"].metadata == {"year": 2024, "tags": ["a", "b"], "draft": True}
        page.get_by_label("Search for").fill("seal")
        page.keyboard.press("Enter")
        expect(page.locator(".hits mark").first).to_have_text("seal")
        page.get_by_role("button", name="Delete b.txt").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert "b.txt" in held
        page.get_by_role("button", name="Delete b.txt").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("Deleted b.txt.")).to_be_visible()
        expect(page.get_by_role("region", name="Documents")).to_be_focused()
        expect(page.locator(".lead")).to_contain_text("1 document ")
        assert "b.txt" not in held
        page.get_by_role("button", name="Drop this collection…").click()
        confirm = page.get_by_role("dialog").get_by_role("button", name="Drop it")
        page.get_by_label("Type new one to confirm").fill("new on")
        expect(confirm).to_be_disabled()
        page.keyboard.type("e")
        confirm.click()
        expect(page.locator("h1")).to_have_text("Collections")
        assert "new one" not in api.collections


def test_files_are_dropped_with_the_mouse(browser: Browser, api: FakeApi, origin: str) -> None:
    drop = """node => {
        const data = new DataTransfer();
        for (const name of ["one.md", "two.md"]) data.items.add(new File(["text"], name));
        for (const kind of ["dragover", "drop"]) {
            node.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        }
    }"""
    with visit(browser, origin, NOTES) as page:
        page.locator(".zone").evaluate(drop)
        expect(page.locator(".uploads .done")).to_have_count(2)
        assert {"one.md", "two.md"} <= set(api.collections["field-notes"].documents)


def test_an_upload_is_cancelled_and_sent_again(browser: Browser, api: FakeApi, origin: str) -> None:
    api.index_seconds = 30
    with visit(browser, origin, NOTES) as page:
        page.get_by_label("Choose files").set_input_files([file(f"{number}.md") for number in range(3)])
        expect(upload_row(page, "0.md")).to_contain_text("Reading and indexing…")
        expect(upload_row(page, "2.md")).to_contain_text("Waiting")  # two at once
        for number in (2, 1, 0):
            page.get_by_role("button", name=f"Cancel {number}.md").click()
        expect(page.locator(".uploads .off")).to_have_count(3)
        expect(upload_row(page, "0.md")).to_contain_text("may have added it")
        api.index_seconds = 0
        page.get_by_role("button", name="Again 2.md").click()
        expect(upload_row(page, "2.md")).to_contain_text("Added")  # the third was never sent before
        page.get_by_label("Choose files").set_input_files([file("2.md")])
        expect(upload_row(page, "2.md").last).to_contain_text("Replaced")


def test_text_is_pasted_and_wrong_metadata_is_named(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, NOTES) as page:
        page.get_by_text("Paste text instead").click()
        paste = page.locator(".paste")
        paste.get_by_label("Text", exact=True).fill("🔧 pasted")
        paste.get_by_label("Title").fill("A note")
        paste.get_by_label("Metadata").fill("no colon here")
        paste.get_by_role("button", name="Add text").click()
        expect(paste).to_contain_text("Line 1 of the metadata is “no colon here”")
        paste.get_by_label("Metadata").fill("url: a:b\nn: -2.5")
        paste.get_by_role("button", name="Add text").click()
        expect(paste).to_contain_text("Added as A note")
        made = api.collections["field-notes"].documents["A note"]
        assert (made.text, made.metadata) == ("🔧 pasted", {"url": "a:b", "n": -2.5})


def test_a_hit_opens_where_it_stands(browser: Browser, origin: str) -> None:
    with visit(browser, origin, f"{NOTES}?q=blue+gasket") as page:
        expect(page.locator(".hits mark")).to_have_text(["blue", "gasket"])
        page.locator(".hits").get_by_role("button", name="notes/pump-p7.md").click()
        expect(page.locator("dialog mark")).to_have_text(SEAL)
        page.keyboard.press("Escape")
        page.locator("tbody th").get_by_role("button", name="notes/pump-p7.md").click()
        expect(page.locator("dialog .text")).to_contain_text("the condenser is dead")
        assert page.locator("dialog mark").count() == 0
        page.go_back()
        expect(page.locator("dialog")).to_have_count(0)


def test_documents_come_a_page_at_a_time(browser: Browser, origin: str) -> None:
    with visit(browser, origin, "#/collections/archive") as page:
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(50)
        page.get_by_role("button", name="Next").click()
        expect(rows.first).to_contain_text("scans/050.txt")
        page.get_by_role("button", name="Next").click()
        expect(rows).to_have_count(20)
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        page.get_by_role("button", name="Previous").click()
        expect(rows.first).to_contain_text("scans/050.txt")
        assert page.get_by_role("button", name="Drop this collection…").count() == 0  # its role is write


def test_what_may_not_be_changed_shows_no_controls(browser: Browser, api: FakeApi, origin: str) -> None:
    api.roles = {"field-notes": "read"}
    api.collections["field-notes"].role = "read"
    with visit(browser, origin, "#/collections") as page:
        expect(page.get_by_role("link", name="field-notes")).to_be_visible()
        assert page.get_by_role("heading", name=re.compile("Keys|New collection")).count() == 0
        for name in ("field-notes", "quickstart"):
            page.goto(f"{origin}/#/collections/{name}")
            expect(page.locator("tbody tr").first).to_be_visible()
            expect(page.locator(".lead .tag")).to_contain_text("read-only")
            assert page.get_by_role("button", name=re.compile("Delete|Drop|Add")).count() == 0
            assert page.locator("input[type=file]").count() == 0
        for address in ("#/runs", "#/train"):
            page.goto(f"{origin}/{address}")
            expect(page.locator("main")).to_contain_text("For administrators")


def test_a_key_is_made_shown_once_and_revoked(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, "#/collections") as page:
        page.get_by_text("Make a key").click()
        page.get_by_label("For whom").fill("reading room")
        page.get_by_label("Collection", exact=True).select_option("archive")
        page.get_by_role("button", name="+ role for another collection").click()
        page.get_by_label("Role", exact=True).nth(1).select_option("write")
        page.get_by_role("button", name="Make the key").click()
        expect(page.get_by_role("dialog").get_by_label("Key")).to_have_value("wbk_7Qm2x9")
        assert api.keys[1]["roles"] == {"archive": "read", "*": "write"}
        page.get_by_role("dialog").get_by_role("button", name="Copy").click()
        expect(page.get_by_role("dialog").get_by_role("status")).to_have_text(re.compile("Copied|Selected"))
        page.keyboard.press("Escape")
        assert page.locator("body").evaluate("node => node.outerHTML.includes('wbk_7Qm2x9')") is False
        page.get_by_role("button", name="Revoke reading room").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_text("Revoked reading room.")).to_be_visible()
        assert [key["name"] for key in api.keys] == ["ilse"]


def test_a_run_begins_with_its_verdict_and_shows_every_arm(browser: Browser, api: FakeApi, origin: str) -> None:
    summary = api.runs["quickstart"]["summary"]
    with visit(browser, origin, "#/runs") as page:
        sentence = "Take rag_reader: F1 68.0, 18.0 points above rag_lora, the next best."
        expect(page.locator(".sentence")).to_have_text(sentence)
        page.get_by_role("link", name="quickstart").click()
        expect(page.locator(".verdict")).to_have_text(sentence)
        scores = page.get_by_role("region", name="Scores, All questions")
        expect(scores.locator("tbody tr")).to_have_count(6)
        best = scores.locator("tr.recommended")
        f1 = summary["arms"]["rag_reader"]["f1"]
        expect(best).to_contain_text(f"{100 * f1['mean']:.1f}[{100 * f1['low']:.1f}, {100 * f1['high']:.1f}]")
        expect(scores.locator("tr.control th")).to_have_text("rag_oracle")
        page.get_by_label("New documents").check()
        scores = page.get_by_role("region", name="Scores, New documents")
        f1 = summary["splits"]["new"]["arms"]["lora"]["f1"]
        expect(scores.locator("tr", has_text="lora").nth(0)).to_contain_text(f"{100 * f1['mean']:.1f}[")
        quality = page.get_by_role("img", name=re.compile("^Quality by arm"))
        expect(quality.locator("circle")).to_have_count(6)
        dots = quality.evaluate(
            "node => [...node.querySelectorAll('circle')].map((dot) => Number(dot.getAttribute('cx')))"
        )
        means = [summary["splits"]["new"]["arms"][arm]["f1"]["mean"] for arm in summary["arms"]]
        assert sorted(range(6), key=dots.__getitem__) == sorted(range(6), key=means.__getitem__)
        expect(page.get_by_role("img", name=re.compile("^Quality against")).locator("circle")).to_have_count(5)
        expect(page.get_by_role("link", name="Full report")).to_have_attribute("href", "/v1/runs/quickstart/report")


def test_alarms_that_refuse_stand_apart_from_cautions(browser: Browser, api: FakeApi, origin: str) -> None:
    alarms = [Alarm(guard=f"g{n}", severity="warn", message=f"caution {n}") for n in range(3)]
    alarms.append(Alarm(guard="leak", severity="refuse", message="answers stand in the training rows"))
    api.runs["quickstart"]["decision"]["alarms"] = [alarm.model_dump() for alarm in alarms]
    with visit(browser, origin, "#/runs/quickstart") as page:
        expect(page.locator(".warning.refuse")).to_have_text("answers stand in the training rows")
        expect(page.locator("div.warning > p")).to_have_text("caution 0")
        page.get_by_text("and 3 more cautions").click()
        expect(page.locator("div.warning li")).to_have_text(["caution 1", "caution 2", "One training seed."])


def test_names_in_a_plot_do_not_lie_on_each_other(browser: Browser, api: FakeApi, origin: str) -> None:
    for arm in api.runs["quickstart"]["summary"]["arms"].values():
        arm["f1"] = {"mean": 0.0, "low": 0.0, "high": 0.2, "n": 9}
    for place, costs in enumerate(api.runs["quickstart"]["decision"]["costs"]):
        costs["seconds_p50"] = 0.03 + 0.001 * place
    boxes = (
        "node => [...node.querySelectorAll('text.name, text.tick')].map((one) => one.getBoundingClientRect().toJSON())"
    )
    with visit(browser, origin, "#/runs/quickstart", width=360) as page:
        plot = page.get_by_role("img", name=re.compile("^Quality against"))
        expect(plot.locator("circle")).to_have_count(5)
        found = plot.evaluate(boxes)
        for one, other in combinations(found, 2):
            across = min(one["right"], other["right"]) - max(one["left"], other["left"])
            along = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
            assert across < 1 or along < 4, (one, other)  # a line's box is taller than its letters


def test_a_run_without_a_verdict_is_shown_with_what_there_is(browser: Browser, api: FakeApi, origin: str) -> None:
    api.runs["quickstart"] |= {"decision": None, "training": None}
    with visit(browser, origin, "#/runs/quickstart") as page:
        expect(page.locator(".verdict")).to_have_text("There is no verdict yet.")
        expect(page.get_by_role("region", name="Scores, All questions").locator("tbody tr")).to_have_count(6)


def test_the_report_is_saved_where_a_link_could_not_carry_the_key(browser: Browser, api: FakeApi, origin: str) -> None:
    api.key = "wbk_right"
    with visit(browser, origin, "#/runs/quickstart", refusals=True) as page:
        page.get_by_role("dialog").get_by_label("Key").fill("wbk_right")
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save the full report").click()
        assert download.value.suggested_filename == "quickstart-report.html"
        assert "The report." in download.value.path().read_text(encoding="utf-8")


def test_questions_open_to_answers_side_by_side(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, "#/runs/quickstart") as page:
        page.get_by_role("link", name="Question by question").click()
        expect(page.locator(".question")).to_have_count(20)
        page.locator(".question summary").nth(1).focus()
        page.keyboard.press("Enter")
        cards = page.locator(".question").nth(1).locator("article")
        expect(cards).to_have_count(6)
        given = api.questions[1]["arms"]["rag"]
        expect(cards.nth(1)).to_contain_text(given["answer"])
        cards.nth(1).get_by_text("2 passages").click()
        expect(cards.nth(1).locator("li")).to_have_count(2)
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("21–40 of 120")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("1–20 of 120")).to_be_visible()


def test_a_training_is_started_watched_and_stopped(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, "#/train") as page:
        expect(page.locator(".adapters li")).to_have_count(2)
        page.get_by_role("button", name="Train reader").click()
        expect(page.get_by_text("0 of 120")).to_be_visible()
        api.training |= {"step": 40, "loss": [{"step": step, "loss": 3 / step} for step in range(1, 41)]}
        api.training |= {"held_out": [{"step": 0, "loss": 3.1}, {"step": 40, "loss": 0.9}]}
        expect(page.get_by_text("40 of 120")).to_be_visible()
        expect(page.locator(".canvas polyline")).to_have_count(2)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".training .status")).to_contain_text("what was done is kept")
        page.get_by_role("button", name="Go on with reader").click()
        expect(page.locator(".training .status")).to_have_text("Training")
        api.training |= {"state": "failed", "message": "the loss is not finite at step 41; lower learning_rate"}
        expect(page.locator(".training .warning")).to_contain_text("lower learning_rate")


def test_a_training_is_not_asked_after_while_nobody_looks(browser: Browser, api: FakeApi, origin: str) -> None:
    api.training |= {"state": "running", "adapter": "reader", "step": 1, "steps": 9}
    asked: list[str] = []
    with visit(browser, origin, "#/train") as page:
        expect(page.get_by_text("1 of 9")).to_be_visible()
        page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        page.wait_for_timeout(2500)
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(2500)
        assert not [url for url in asked if "training" in url]
        page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
        page.wait_for_timeout(300)
        assert [url for url in asked if "training" in url]
