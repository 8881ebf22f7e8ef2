"""The page in Chromium: every view, wide and narrow, light and dark; accessibility; keys, refusals, a server gone."""

import json
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.serving.browsing import NARROW, WIDE, visit
from tests.serving.fake_api import FakeApi
from tests.serving.fake_content import NAME_PAYLOAD, PAYLOAD, FakeCollection, FakeDocument

pytestmark = pytest.mark.browser
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
VIEWS = {  # address → what stands there once it is loaded
    "#/ask": ".arm-card",
    "#/collections": "table",
    "#/collections/field-notes?q=blue+gasket": ".hits li",
    "#/collections/quickstart": "table",
    "#/runs": ".runs li",
    "#/runs/quickstart": ".canvas svg",
    "#/runs/quickstart/questions": ".question",
    "#/train": ".adapters li",
}


def go(page: Page, address: str) -> None:
    page.evaluate("address => { location.hash = address; }", address.removeprefix("#"))


def measures(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "() => ({room: document.documentElement.clientWidth, needed: document.documentElement.scrollWidth})"
    )
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_view_is_walked_within_the_origin_the_policy_and_the_width(
    browser: Browser, origin: str, width: int, dark: bool
) -> None:
    with visit(browser, origin, width=width, dark=dark) as page:
        for address, content in VIEWS.items():
            go(page, address)
            expect(page.locator(content).first).to_be_visible()
            expect(page.locator("main h1")).to_be_visible()
            expect(page.locator("nav [aria-current=page]")).to_have_count(1)
            seen = measures(page)
            assert seen["needed"] <= seen["room"], address
        background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(22, 23, 26)") is dark


@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (WIDE, True), (NARROW, False)])
def test_axe_finds_nothing_serious(browser: Browser, api: FakeApi, origin: str, width: int, dark: bool) -> None:
    curve = [{"step": step, "loss": 3 / step} for step in range(1, 20)]
    api.training |= {"state": "running", "adapter": "reader", "step": 19, "steps": 40, "seconds": 9.0, "loss": curve}
    with visit(browser, origin, width=width, dark=dark, bypass_csp=True) as page:
        page.evaluate(AXE)
        for address, content in VIEWS.items():
            go(page, address)
            expect(page.locator(content).first).to_be_visible()
            open_all(page)
            assert_accessible(page, address)
        go(page, "#/ask")
        page.get_by_label("Question").fill("How often is the seal changed?")
        page.keyboard.press("Enter")
        expect(page.locator(".thumb")).to_have_count(4)
        page.locator(".thumb").first.click()
        assert_accessible(page, "answers")
        page.locator("button.cite").first.click()
        expect(page.locator("dialog mark")).to_be_visible()
        assert_accessible(page, "passage")


def open_all(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('main details').forEach((one) => { one.open = true; })")


def assert_accessible(page: Page, where: str) -> None:
    violations = page.evaluate("() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    told = [
        (one["impact"], one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"][:300])
        for one in violations
        if one["impact"] in ("serious", "critical", "moderate")
    ]
    assert not told, (where, json.dumps(told, indent=1))


def test_back_returns_and_the_focus_follows_the_page(browser: Browser, origin: str) -> None:
    with visit(browser, origin, "#/runs") as page:
        page.get_by_role("link", name="quickstart").click()
        expect(page.locator("h1")).to_have_text("quickstart")
        expect(page.locator("h1")).to_be_focused()
        assert page.title() == "quickstart · workbench"
        page.go_back()
        expect(page.locator("h1")).to_have_text("Runs")
        expect(page.locator("h1")).to_be_focused()
        go(page, "#/nowhere")
        expect(page.locator("h1")).to_have_text("No such page")


def test_the_colour_scheme_is_switched_and_kept(browser: Browser, origin: str) -> None:
    with visit(browser, origin, "#/train") as page:
        button = page.locator("#theme")
        for name in ("Auto", "Light", "Dark"):
            expect(button).to_have_text(name)
            if name != "Dark":
                button.click()
        page.reload()
        expect(button).to_have_text("Dark")
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 26)"


def test_a_key_is_asked_for_kept_in_the_tab_and_forgotten(browser: Browser, api: FakeApi, origin: str) -> None:
    api.key = "wbk_right"
    with visit(browser, origin, "#/collections", refusals=True) as page:
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Key").fill("wbk_wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("does not know this key")
        dialog.get_by_label("Key").fill("wbk_right")
        dialog.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="field-notes")).to_be_visible()
        expect(dialog).to_have_count(0)
        kept = page.evaluate(
            "() => [Object.values({...sessionStorage}), Object.values({...localStorage}), location.href]"
        )
        assert kept[0] == ["wbk_right"]
        assert "wbk" not in json.dumps(kept[1:])
        assert page.context.cookies() == []
        page.get_by_role("button", name="Sign out").click()
        expect(dialog).to_be_visible()
        assert page.evaluate("() => sessionStorage.length") == 0
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Enter a key")).to_be_visible()


def test_a_late_refusal_of_no_key_is_not_taken_for_one_of_the_new(browser: Browser, api: FakeApi, origin: str) -> None:
    api.key = "wbk_right"
    held: list[Route] = []
    ask = "() => { import('/page/api.js').then(({ getJson }) => getJson('/v1/runs')).catch(() => {}); }"
    with visit(browser, origin, refusals=True) as page:
        page.get_by_role("dialog").get_by_label("Key").fill("wbk_right")
        page.route("**/v1/runs", lambda route: held.append(route))  # noqa: PLW0108 - a method has no attributes
        with page.expect_request("**/v1/runs"):
            page.evaluate(ask)
        page.keyboard.press("Enter")
        expect(page.locator(".arm-card")).to_have_count(2)
        with page.expect_response("**/v1/runs") as late:
            held[0].continue_()
        assert late.value.status == 401
        page.wait_for_timeout(200)
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_refusal_says_when_to_come_again_and_an_error_what_it_is(browser: Browser, api: FakeApi, origin: str) -> None:
    api.fail("GET", "/v1/collections", 429, "600 requests a minute are the most for one key", Retry_After="1")
    with visit(browser, origin, "#/collections", refusals=True) as page:
        expect(page.get_by_role("alert")).to_contain_text("600 requests a minute")
        expect(page.get_by_role("button", name="Try again in 1 s")).to_be_disabled()
        api.failures.clear()
        page.get_by_role("button", name="Try again", exact=True).click()
        expect(page.get_by_role("link", name="field-notes")).to_be_visible()
        api.fail("GET", "/v1/runs", 500, "")
        go(page, "#/runs")
        expect(page.get_by_role("alert")).to_contain_text("error (500)")


def test_a_server_that_goes_is_told_and_the_page_goes_on_when_it_is_back(browser: Browser, origin: str) -> None:
    with visit(browser, origin, "#/collections", refusals=True) as page:
        expect(page.get_by_role("link", name="archive")).to_be_visible()
        page.context.set_offline(True)
        go(page, "#/runs")
        expect(page.locator("#banner")).to_contain_text("cannot be reached")
        expect(page.locator("#health")).to_have_text("offline")
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        page.context.set_offline(False)
        expect(page.locator(".runs li")).to_have_count(1)
        expect(page.locator("#banner")).to_be_empty()


def test_what_is_empty_says_so_and_what_to_do(browser: Browser, api: FakeApi, origin: str) -> None:
    api.collections, api.runs, api.models, api.keys = {}, {}, [], []
    with visit(browser, origin) as page:
        for address, words in {
            "#/ask": "No model to ask",
            "#/collections": "No collection yet",
            "#/runs": "No run yet",
            "#/train": "No adapter",
        }.items():
            go(page, address)
            expect(page.locator("main")).to_contain_text(words)


def test_a_slow_server_is_waited_for_aloud(browser: Browser, origin: str) -> None:
    with visit(browser, origin, "#/train") as page:
        page.route("**/v1/runs", lambda route: None)  # never answered
        go(page, "#/runs")
        expect(page.get_by_text("Loading runs…")).to_be_visible()
        go(page, "#/collections")
        expect(page.get_by_role("link", name="archive")).to_be_visible()


def test_what_strangers_wrote_stays_text(browser: Browser, api: FakeApi, origin: str) -> None:
    make_hostile(api)
    with visit(browser, origin, "#/ask") as page:
        page.get_by_label("Question").fill(PAYLOAD)
        page.locator(".arm-card").last.get_by_label("Passages from").select_option(NAME_PAYLOAD)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".answer").last).to_contain_text(PAYLOAD)
        page.locator(".below button.source").first.click()
        expect(page.get_by_role("dialog")).to_contain_text(NAME_PAYLOAD)
        for address in (
            "#/collections",
            f"#/collections/{NAME_PAYLOAD}?q=x",
            "#/runs",
            f"#/runs/{NAME_PAYLOAD}",
            f"#/runs/{NAME_PAYLOAD}/questions",
            "#/train",
            f"#/{NAME_PAYLOAD}",
        ):
            go(page, address)
            if not address.startswith("#/<"):
                expect(page.locator("main")).to_contain_text(NAME_PAYLOAD)
            open_all(page)
            assert page.evaluate("() => document.querySelectorAll('main img, main script, main iframe').length") == 0
            assert page.evaluate("() => window.owned") is None


def make_hostile(api: FakeApi) -> None:
    """Put markup into everything that somebody other than this project writes."""
    hostile = FakeCollection(NAME_PAYLOAD)
    text = f"{PAYLOAD} seal gasket bolts"
    hostile.documents = {NAME_PAYLOAD: FakeDocument(NAME_PAYLOAD, PAYLOAD, text, {NAME_PAYLOAD: PAYLOAD})}
    api.collections = {NAME_PAYLOAD: hostile}
    api.models = [one | {"id": f"{one['kind']} {NAME_PAYLOAD}", "adapter": PAYLOAD} for one in api.models[:3]]
    api.answers = {False: PAYLOAD, True: f"**{PAYLOAD}** [1]\n\n```\n{PAYLOAD}\n```\n- {PAYLOAD}\n\n`{PAYLOAD}`"}
    api.keys = [{"id": "k", "name": NAME_PAYLOAD, "roles": {PAYLOAD: PAYLOAD}, "created": PAYLOAD}]
    api.training |= {"state": "failed", "adapter": NAME_PAYLOAD, "message": PAYLOAD}
    run = json.loads(json.dumps(api.runs["quickstart"]).replace("rag_reader", NAME_PAYLOAD))
    run["decision"]["recommendation"] |= {"sentence": NAME_PAYLOAD, "reasons": [PAYLOAD], "cautions": [PAYLOAD]}
    api.runs = {NAME_PAYLOAD: run}
    question = api.questions[1] | {"text": NAME_PAYLOAD, "kind": PAYLOAD, "answers": [PAYLOAD]}
    passage = {"document_id": PAYLOAD, "start": 0, "end": 1, "text": PAYLOAD}
    question["arms"] = {PAYLOAD: {"answer": PAYLOAD, "f1": 1.0, "seconds": 0.1, "passages": [passage]}}
    api.questions = [question]
