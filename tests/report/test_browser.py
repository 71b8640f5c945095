"""The page in a real browser: nothing fails, nothing leaves it, all of it can be read and used."""

import os
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.slow

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package, or name the program in the variable CHROMIUM")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, written):
    """Opens the page; when the test is over, no error may have been logged and no request made."""
    contexts, errors, requests = [], [], []

    def visit(width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))

        def decide(route):
            if route.request.url == written[0].as_uri():
                return route.continue_()
            requests.append(route.request.url)
            return route.abort()

        page.route("**/*", decide)
        page.goto(written[0].as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors
    assert not [request for request in requests if not request.startswith(("data:", "blob:"))]


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The accessibility rules' source, from the npm registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip(f"axe-core could not be fetched: {done.stderr[-200:]}")
    return source.read_text()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_does_not_scroll_sideways(visit, width, scheme):
    page = visit(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    lighter = sum(map(int, re.findall(r"\d+", ink)[:3])) > sum(map(int, re.findall(r"\d+", paper)[:3]))
    assert lighter == (scheme == "dark")


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_long_names_stay_in_their_place(visit, width):
    """Grids name settings after their values, which makes names longer than a column."""
    page = visit(width)
    wider = page.evaluate(
        """() => {
            const words = [...document.querySelectorAll(".card li > span, .card .answer > span, .card .behind")];
            for (const element of words) {
                (element.querySelector("strong") ?? element).textContent = "x".repeat(80);
            }
            return words.filter((element) => {
                const column = element.closest("ul, p").getBoundingClientRect();
                return element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline"
                    || element.getBoundingClientRect().right > column.right + 1
                    || column.right > element.closest(".card").getBoundingClientRect().right;
            }).length + (words.length > 3 ? 0 : 1000);
        }"""
    )
    assert wider == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_in_headings_are_broken_and_not_cut_off(visit, width):
    """A model's name, which a grid made, with nothing in it where a line would break by itself."""
    page = visit(width)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    wider = page.evaluate(
        """() => {
            const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, figcaption")];
            for (const heading of headings) heading.textContent = "x".repeat(80);
            return headings.filter((heading) =>
                heading.scrollWidth > heading.clientWidth + 1
                    || heading.getBoundingClientRect().right > heading.parentElement.getBoundingClientRect().right + 1
            ).length + (document.querySelectorAll("details.model > summary > h3").length > 3 ? 0 : 1000);
        }"""
    )
    assert wider == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_accessibility_rules_hold(visit, axe, width, scheme):
    page = visit(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document).then((result) => result.violations)")
    assert not [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found]


def test_every_section_is_there_and_every_figure_has_size_and_text(visit):
    page = visit()
    for name in ("answer", "convergence", "posterior", "gradients", "cost", "details", "provenance"):
        assert page.locator(f"#section-{name} h2").is_visible()
        assert page.locator(f"nav a[href='#section-{name}']").is_visible()
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    figures = page.locator("figure.picture").all()
    assert len(figures) >= 5
    for figure in figures:
        drawing = figure.locator("svg").first
        box = drawing.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 100
        assert drawing.locator("text").count() > 3
        assert len(drawing.get_attribute("aria-label")) > 20
        assert len(figure.locator(".caption").inner_text()) > 20


def column(table, number):
    return [cell.inner_text() for cell in table.locator(f"tbody tr:visible > :nth-child({number})").all()]


def test_tables_sort_by_pointer_and_keyboard(visit):
    table = visit().locator("#all-gradients")
    heads = [text.strip().lower() for text in table.locator("thead th").all_inner_texts()]
    runs = heads.index("run") + 1
    button = table.locator("thead th").nth(runs - 1).locator("button")
    value = f"tbody tr > :nth-child({runs})"
    button.click()
    assert table.locator("thead th").nth(runs - 1).get_attribute("aria-sort") == "ascending"
    rising = [cell.get_attribute("data-value") for cell in table.locator(value).all()]
    present = [float(text) for text in rising if text]
    assert present == sorted(present)
    assert rising[-1] == ""  # what is missing comes last, whichever way
    button.press("Enter")
    assert table.locator("thead th").nth(runs - 1).get_attribute("aria-sort") == "descending"
    falling = [float(text) for cell in table.locator(value).all() if (text := cell.get_attribute("data-value"))]
    assert falling == sorted(falling, reverse=True)


def test_tables_filter_by_words(visit):
    page = visit()
    table = page.locator("#all-gradients")
    everything = table.locator("tbody tr:visible").count()
    page.locator("#all-gradients-filter").fill("tiny FISHER")
    assert table.locator("tbody tr:visible").count() == 1
    assert "fisher_cg" in column(table, 2)
    page.locator("#all-gradients-filter").fill("nothing of the kind")
    assert table.locator("tbody tr:visible").count() == 0
    page.locator("#all-gradients-filter").fill("")
    assert table.locator("tbody tr:visible").count() == everything


def test_tooltips_come_with_the_focus_and_go_with_escape(visit):
    page = visit()
    button = page.locator("#all-gradients thead button").nth(3)
    button.focus()
    assert page.locator("#tip").is_visible()
    assert button.get_attribute("aria-describedby") == "tip"
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_navigation_follows(visit, width):
    page = visit(width)
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    page.locator("#section-gradients").evaluate("(section) => section.scrollIntoView()")
    page.wait_for_selector("nav a[href='#section-gradients'][aria-current]")
    assert page.locator("nav a[aria-current]").count() == 1


def test_the_theme_can_be_switched(visit):
    page = visit()
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(paper) != before
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(paper) == before


def test_a_figure_can_be_taken_away(visit):
    page = visit()
    with page.expect_download() as found:
        page.locator("figure a[data-inline]").first.click()
    text = found.value.path().read_text()
    assert text.startswith("<svg")
    assert "xmlns=" in text


def test_the_page_is_complete_without_scripts(visit):
    page = visit(java_script_enabled=False)
    for name in ("answer", "convergence", "details", "provenance"):
        assert page.locator(f"#section-{name} h2").is_visible()
    assert page.locator("#all-gradients tbody tr").first.is_visible()
    assert page.locator(".theme").count() == 0
    assert page.get_by_text("slds gradient: the machine ran out of memory").first.is_visible()


def test_print_is_a_sane_number_of_pages(visit):
    printed = visit().pdf(format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 5 <= pages <= 25
