"""The page in a real Chromium: search, click, recommend, add, and what goes wrong."""

from __future__ import annotations

import logging
import os
import shutil

import pytest

pytest.importorskip("gradio", reason="the Space needs gradio: pip install gradio")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="a browser test needs playwright: pip install playwright"
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
PHONE, DESKTOP = (375, 812), (1280, 900)
# Gradio ends its event streams itself, which a browser counts as failed requests, and says this
# whenever a file is chosen.
NOISE = "Method not implemented."


@pytest.fixture(scope="module")
def address(shop):
    from storefront.serve import serve

    logging.getLogger("httpx").setLevel(logging.WARNING)
    server, local, _ = serve(shop, "127.0.0.1", None, prevent_thread_lock=True, quiet=True)
    yield local
    from gradio import close_all

    close_all(verbose=False)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        path = CHROMIUM or started.chromium.executable_path
        if not os.path.exists(path):
            pytest.skip("no Chromium here: playwright install chromium, or set CHROMIUM")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """Opens the page as a new visitor; afterwards nothing may have gone wrong in the browser."""
    contexts, said = [], []

    def opened(size=DESKTOP, query="", scheme="light"):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append((message.type, message.text)))
        page.on("pageerror", lambda error: said.append(("error", str(error))))
        page.on(
            "request",
            lambda request: (
                said.append(("elsewhere", request.url))
                if not request.url.startswith((address, "data:", "blob:"))
                else None
            ),
        )
        page.goto(f"{address}{query}")
        page.wait_for_selector("#q-ranking .q-ranking")
        return page

    yield opened
    harm = [page.evaluate("window.harm") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert not any(harm)
    assert [entry for entry in said if entry[1] != NOISE and entry[0] != "log"] == []


def history(page) -> list[str]:
    return [text.strip() for text in page.locator("#q-history .q-name > bdi").all_inner_texts()]


def focused(page) -> str:
    return page.evaluate("document.activeElement.dataset.key || document.activeElement.tagName")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_search_click_recommend_and_why(visit, shop, size):
    page = visit(size)
    assert "Popular items" in page.inner_text("#q-ranking")
    page.get_by_label("Search the catalogue").fill("rope")
    page.keyboard.press("Enter")
    page.wait_for_selector("#q-found >> text=2 items")
    page.click('#q-found [data-value="item-3"]')
    page.wait_for_selector("#q-ranking >> text=Top 10")
    assert history(page) == ["${window.harm = 1} rope"]
    page.click('#q-found [data-value="item-4"]')
    page.wait_for_selector("#q-history >> text=2 items")
    ranked = shop.recommender.recommend(["item-3", "item-4"], top_k=10)
    rows = page.locator("#q-ranking .q-what")
    assert [row.get_attribute("data-value") for row in rows.all()] == [i.item_id for i in ranked]
    # The first one is open; another one opens in its place.
    rows.nth(3).click()
    page.wait_for_selector("#q-ranking >> text=Place 4 of 10")
    assert "{{constructor}} rope" in page.inner_text("#q-ranking .q-effects")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_history_is_moved_and_cleared_by_keyboard(visit):
    page = visit(query="?history=item-1,item-7,item-8")
    page.wait_for_selector("#q-history >> text=3 items")
    page.focus('[data-key="later::0"]')
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.dataset.key === 'later::1'")
    assert history(page) == ["map", "blue lamp", "cup & saucer"]
    page.keyboard.press("Enter")
    # At the end it can only go back.
    page.wait_for_function("document.activeElement.dataset.key === 'earlier::2'")
    page.focus('[data-key="remove::0"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("#q-history >> text=2 items")
    assert history(page) == ["cup & saucer", "blue lamp"] and focused(page) == "remove::0"
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_selector("#q-history >> text=It is empty")
    assert "Popular items" in page.inner_text("#q-ranking") and focused(page) == "H2"


def test_tab_leads_from_the_search_to_what_was_found(visit):
    page = visit()
    page.get_by_label("Search the catalogue").press_sequentially("rope")
    page.wait_for_selector("#q-found >> text=2 items")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    key = focused(page)
    assert key.startswith("add:found:")
    page.keyboard.press("Enter")
    page.wait_for_selector("#q-history >> text=1 item")
    assert focused(page) == key


def test_a_semantic_id_opens_the_tree(visit, shop):
    page = visit(PHONE, "?history=item-1")
    page.wait_for_selector("#q-history >> text=1 item")
    page.locator("#q-ranking button.q-sid").first.click()
    page.wait_for_selector("#q-tree .q-grid")
    assert page.get_by_role("tab", name="Code tree").get_attribute("aria-selected") == "true"
    page.locator("#q-tree .q-step").first.click()
    page.wait_for_selector("#q-tree .q-grid", state="detached")
    group = max(shop.recommender.code_tree.groups(), key=lambda group: group.num_items)
    page.click(f'#q-tree .q-branch[data-value="{group.text}"]')
    page.wait_for_selector(f"#q-tree >> text={group.num_items} items here")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_new_item_is_coded_and_seen_by_nobody_else(visit, shop, tmp_path, size):
    page = visit(size)
    page.get_by_role("tab", name="New item").click()
    page.get_by_role("button", name="Show its semantic ID").click()
    page.wait_for_selector("#q-preview >> text=Write a title or a text")
    page.get_by_label("Title").fill("red lamp")
    page.get_by_label("Description").fill("a thing for rope")
    page.get_by_role("button", name="Show its semantic ID").click()
    page.wait_for_selector("#q-preview >> text=Nearest by semantic ID")
    said = page.locator("#q-preview button.q-sid").get_attribute("data-value")
    wanted = [{"item_id": "x", "title": "red lamp", "text": ["a thing for rope"]}]
    assert said == shop.recommender.preview_items(wanted)[0].semantic_id
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    page.set_input_files("#q-picture input[type=file]", broken)
    page.wait_for_selector("#q-picture >> text=broken")
    page.get_by_role("button", name="Show its semantic ID").click()
    page.wait_for_selector("#q-preview >> text=cannot be read as a picture")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert len(shop) == len(shop.recommender.items) == 12
    other = visit()
    assert "12 items" in other.inner_text("#q-header")


def test_what_goes_wrong_is_said_in_words(visit):
    page = visit(query="?history=item-1,nowhere")
    page.wait_for_selector("#q-history >> text=“nowhere” is not in this catalogue")
    assert history(page) == ["blue lamp"]
    page.get_by_label("Search the catalogue").fill("<img src=x onerror='window.harm=1'>${1}")
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_selector("#q-found >> text=Nothing here is called")
    # A page that was left open, or a browser that asks for anything.
    page.evaluate("document.querySelector('#q-ranking .q-tool').dataset.value = 'gone'")
    page.locator("#q-ranking .q-tool").first.click()
    page.wait_for_selector("#q-history >> text=“gone” is not in this catalogue")
    assert history(page) == ["blue lamp"]


def test_visitors_do_not_see_each_other(visit):
    one, two = visit(), visit()
    one.locator("#q-found .q-item").first.click()
    one.wait_for_selector("#q-history >> text=1 item")
    two.get_by_label("Search the catalogue").fill("map")
    two.keyboard.press("Enter")
    two.wait_for_selector("#q-found >> text=1 item")
    assert "It is empty" in two.inner_text("#q-history")


def test_light_and_dark(visit):
    page = visit(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("#q-ranking .q-ranking")
    page.wait_for_function(f"{ground} === '{light}'")
