"""The Ask page in Chromium: streaming, stopping, citations at the right characters, feedback, all of it by keyboard."""

import json
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.serving.browsing import visit
from tests.serving.fake_api import CLOSED_BOOK, FakeApi
from tests.serving.fake_content import BOLTS, PUMP, SEAL

pytestmark = pytest.mark.browser
NOTES = "#/ask?q=How+often%3F&arm=smollm2-135m-instruct%7Cfield-notes"
QUESTION = "How often is the seal of the P-7 changed?"


def focused(page: Page) -> str:
    found: str = page.evaluate(
        "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return found


def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"no Tab leads to {name!r}; the last is {focused(page)!r}")


def test_ask_by_keyboard_alone(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin) as page:
        expect(page.locator(".arm-card")).to_have_count(2)
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.id") == "main"
        assert page.evaluate("() => location.hash") in ("", "#/ask")
        tab_to(page, "Question")
        page.keyboard.type("first line")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("second line")
        page.keyboard.press("Enter")
        expect(page.locator(".thumb")).to_have_count(4)
        assert api.asked[0]["messages"] == [{"role": "user", "content": "first line\nsecond line"}]
        expect(page.locator("#announcer")).to_contain_text("answered in")
        tab_to(page, "[1] doc-2")
        page.keyboard.press("Enter")
        expect(page.locator("dialog mark")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        assert focused(page).startswith("[1] doc-2")
        tab_to(page, "Bad answer by rag")
        page.keyboard.press("Enter")
        page.keyboard.type("Every 900 hours.")
        tab_to(page, "Send")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Thank you, kept.")).to_be_visible()
        assert api.feedback == [{"response_id": "chatcmpl-2", "rating": -1, "correction": "Every 900 hours."}]
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


def test_a_citation_marks_its_characters_behind_emoji(browser: Browser, origin: str) -> None:
    with visit(browser, origin, NOTES) as page:
        page.get_by_role("button", name="Ask", exact=True).click()
        for number, passage in ((1, SEAL), (2, BOLTS)):
            page.locator("button.cite", has_text=f"[{number}]").first.click()
            mark = page.locator("dialog mark")
            expect(mark).to_have_text(passage)
            expect(mark).to_be_in_viewport()
            text = page.locator("dialog .text")
            assert text.evaluate("node => node.textContent") == PUMP
            expect(page.locator("dialog .warning")).to_have_count(0)
            page.keyboard.press("Escape")
        expect(page.locator(".answer")).to_contain_text("[the manual](https://example.invalid/x) too [9]")
        assert page.locator(".answer a, .answer img").count() == 0


def test_a_document_that_changed_since_is_told(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, NOTES, refusals=True) as page:
        page.get_by_role("button", name="Ask", exact=True).click()
        cite = page.locator("button.cite").first
        expect(cite).to_be_visible()
        api.collections["field-notes"].documents["notes/pump-p7.md"].text = "🔧 " + PUMP
        cite.click()
        expect(page.locator("dialog .warning")).to_contain_text("has changed")
        page.keyboard.press("Escape")
        del api.collections["field-notes"].documents["notes/pump-p7.md"]
        cite.click()
        expect(page.locator("dialog")).to_contain_text("may have been deleted")
        expect(page.locator("dialog blockquote")).to_have_text(SEAL)


def test_four_arms_side_by_side_each_asked_for_what_was_chosen(browser: Browser, api: FakeApi, origin: str) -> None:
    with visit(browser, origin, width=1600) as page:
        add = page.get_by_role("button", name="+ Compare with another arm")
        add.click()
        add.click()
        expect(add).to_be_hidden()
        cards = page.locator(".arm-card")
        cards.nth(2).get_by_label("Model or arm").select_option("closed_book")
        cards.nth(2).get_by_label("Passages from").select_option("field-notes")
        cards.nth(3).get_by_label("Model or arm").select_option("routed")
        assert cards.nth(0).locator("option", has_text="reader").first.is_disabled()
        page.get_by_text("Settings").click()
        page.get_by_label("Passages in the prompt").fill("7")
        page.get_by_label("Only documents where").fill("year >= 2020")
        page.get_by_label("Most tokens").fill("40")
        page.get_by_label("Question").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".thumb")).to_have_count(8)
        tops = [card.bounding_box() for card in cards.all()]
        assert len({round(box["y"]) for box in tops if box}) == 1
        by_model = {(body["model"], body.get("rag")): body for body in api.asked}
        common = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40, "stream": True}
        common |= {"stream_options": {"include_usage": True}}
        passages = {"rag": 1, "rag_collection": "field-notes", "rag_depth": 7, "rag_filter": "year >= 2020"}
        assert by_model["smollm2-135m-instruct", 0] == common | {"model": "smollm2-135m-instruct", "rag": 0}
        assert by_model["closed_book", 1] == common | {"model": "closed_book"} | passages
        assert by_model["rag", None] == common | {"model": "rag"}
        expect(cards.nth(3)).to_contain_text("Routed to rag: the passages found are near the question")
        figures = cards.nth(2).locator(".figures")
        for name in ("first token", "total", "retrieval", "412 + ", "tokens/s"):
            expect(figures).to_contain_text(name)
        link = page.url
    with visit(browser, origin, link.removeprefix(origin + "/")) as page:
        expect(page.locator(".arm-card")).to_have_count(4)
        expect(page.get_by_label("Question")).to_have_value(QUESTION)
        expect(page.locator(".arm-card").nth(2).get_by_label("Passages from")).to_have_value("field-notes")
        assert len(api.asked) == 4  # a link fills in, it does not ask


def test_one_arm_is_stopped_then_all(browser: Browser, api: FakeApi, origin: str) -> None:
    api.piece_seconds = 0.2
    with visit(browser, origin) as page:
        page.get_by_label("Question").fill(QUESTION)
        page.keyboard.press("Enter")
        cards = page.locator(".arm-card")
        expect(cards.nth(1).locator(".answer")).to_contain_text("Change")
        cards.nth(1).get_by_role("button", name="Stop").click()
        expect(cards.nth(1).locator(".answer")).to_contain_text("Stopped.")
        expect(cards.nth(0)).to_have_class("arm-card running")
        page.get_by_label("Question").focus()
        page.keyboard.press("Escape")
        expect(cards.nth(0).locator(".answer")).to_contain_text("Stopped.")
        expect(page.get_by_role("button", name="Stop all")).to_be_hidden()
        for _ in range(50):
            if api.hung_up == 2:
                break
            page.wait_for_timeout(50)
        assert api.hung_up == 2  # the server, too, was told


def test_a_question_typed_before_the_models_came_is_asked(browser: Browser, api: FakeApi, origin: str) -> None:
    held: list[Route] = []
    with visit(browser, origin, "#/runs") as page:
        page.route("**/v1/models", lambda route: held.append(route))  # noqa: PLW0108 - a method has no attributes
        page.get_by_role("link", name="Ask").click()
        page.get_by_label("Question").fill(QUESTION)
        page.keyboard.press("Enter")
        assert api.asked == []
        held[0].continue_()
        expect(page.locator(".thumb")).to_have_count(4)
        assert len(api.asked) == 2


def test_answers_go_on_while_another_page_is_looked_at(browser: Browser, api: FakeApi, origin: str) -> None:
    api.piece_seconds = 0.02
    with visit(browser, origin) as page:
        page.get_by_label("Question").fill(QUESTION)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Runs").click()
        expect(page.locator("h1")).to_have_text("Runs")
        page.go_back()
        expect(page.locator(".answer").first).to_have_text(CLOSED_BOOK.replace("**", ""))
        expect(page.get_by_label("Question")).to_have_value(QUESTION)


def test_a_full_server_says_when_to_ask_again(browser: Browser, api: FakeApi, origin: str) -> None:
    api.fail("POST", "/v1/chat", 429, "64 requests wait already, the most this server takes on", Retry_After="1")
    with visit(browser, origin, refusals=True) as page:
        page.get_by_label("Question").fill(QUESTION)
        page.keyboard.press("Enter")
        card = page.locator(".arm-card").first
        expect(card).to_contain_text("64 requests wait")
        expect(card.get_by_role("button", name="Try again in 1 s")).to_be_disabled()
        api.failures.clear()
        card.get_by_role("button", name="Try again", exact=True).focus()
        page.keyboard.press("Enter")
        expect(card.locator(".thumb")).to_have_count(2)
        expect(card.locator(".answer")).to_be_focused()  # not the top of the page


def test_an_answer_that_breaks_off_keeps_what_came(browser: Browser, origin: str) -> None:
    begun = {"id": "c", "choices": [{"index": 0, "delta": {"content": "It began"}, "finish_reason": None}]}
    ends = {
        "the connection before it was complete": "",
        "the engine stopped": 'data: {"error": {"message": "the engine stopped"}}\n\n',
    }
    for words, rest in ends.items():
        with visit(browser, origin, NOTES) as page:
            body = f"data: {json.dumps(begun)}\n\n{rest}"
            page.route("**/v1/chat/completions", partial(Route.fulfill, body=body))
            page.get_by_role("button", name="Ask", exact=True).click()
            expect(page.locator(".answer")).to_contain_text("It began")
            expect(page.get_by_role("alert")).to_contain_text(words)


EVENTS = (
    'data: {"a": 1}\r\n\r\n: comment\r\rdata: two\ndata: lines 🧪\n\nevent: x\nid: 1\ndata:bare\n\ndata: unfinished'
)


def test_events_are_read_however_the_network_cuts_them(browser: Browser, origin: str) -> None:
    read = """async ([bytes, size]) => {
        const { readEvents } = await import("/page/stream.js");
        const body = new ReadableStream({ start(controller) {
            for (let at = 0; at < bytes.length; at += size) {
                controller.enqueue(new Uint8Array(bytes.slice(at, at + size)));
            }
            controller.close();
        }});
        const found = [];
        for await (const data of readEvents(body)) found.push(data);
        return found;
    }"""
    with visit(browser, origin) as page:
        for size in (1, 2, 3, 7, 1000):
            found = page.evaluate(read, [list(EVENTS.encode()), size])
            assert found == ['{"a": 1}', "two\nlines 🧪", "bare"]


TEXTS = ("", "plain", "🔧🔧 Pump", "👩🏽‍🔧 a\u0301 漢字 𝔘𝔫𝔦", "a🟦b🧪c")


def test_spans_are_cut_where_python_cuts_them(browser: Browser, origin: str) -> None:
    cut = """async ([text, start, end]) => {
        const { cut, length } = await import("/page/offsets.js");
        return [...cut(text, start, end), length(text)];
    }"""
    with visit(browser, origin) as page:
        for text in TEXTS:
            for start in range(len(text) + 1):
                for end in range(start, len(text) + 2):
                    expected: list[Any] = [text[:start], text[start:end], text[end:], len(text)]
                    assert page.evaluate(cut, [text, start, end]) == expected, (text, start, end)


def test_markdown_makes_lists_code_and_paragraphs_and_nothing_else(browser: Browser, origin: str) -> None:
    written = (
        "# Title\nA **bold** and `a <b>` line\nnext\n\n3. three\n4. four\n   goes on\n\n"
        "- x\n\n```py\n<i>1</i>\n[1]\n```\n"
        "[link](https://example.invalid) ![i](x) <b>no</b> **open [1]"
    )
    draw = """async (text) => {
        const { render } = await import("/page/markdown.js");
        const place = document.createElement("div");
        const cite = (number) => Object.assign(document.createElement("u"), { textContent: `<${number}>` });
        place.append(...render(text, cite));
        return place.innerHTML;
    }"""
    expected = (
        '<p class="heading">Title</p><p>A <strong>bold</strong> and <code>a &lt;b&gt;</code> line<br>next</p>'
        '<ol start="3"><li>three</li><li>four goes on</li></ol><ul><li>x</li></ul>'
        '<pre tabindex="0"><code>&lt;i&gt;1&lt;/i&gt;\n[1]</code></pre>'
        "<p>[link](https://example.invalid) ![i](x) &lt;b&gt;no&lt;/b&gt; **open <u>&lt;1&gt;</u></p>"
    )
    with visit(browser, origin) as page:
        assert page.evaluate(draw, written) == expected
