"""The screen, in a real browser, with the demo running."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

import crowd
import processes
from browser import Browser
from daemon import PROGRAM, Daemon, run

pytestmark = pytest.mark.once
# Where the pictures for the README go, when they are wanted.
PICTURES = os.environ.get("TIDEMARK_PICTURES")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Its address, once the stuck group is seen."""
    url = f"http://127.0.0.1:{processes.free_port()}"
    process = processes.start(
        [PROGRAM, "demo", "--listen", url.removeprefix("http://")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("demo"))},
    )
    try:
        processes.wait_until(lambda: has_stories(get(f"{url}/")), 300, "the demo's stories")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except OSError:
        return b""


def has_stories(page):
    return b">skewed<" in page and b">stuck<" in page


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def keep(browser, name):
    if PICTURES:
        browser.screenshot(Path(PICTURES) / f"{name}.png")


def rows(browser):
    """[(verdict, group)] of the rows that can be seen."""
    return browser.evaluate(
        "[...document.querySelectorAll('.groups tbody tr')].filter(r => r.offsetHeight > 0)"
        ".map(r => [r.cells[0].textContent, r.cells[1].querySelector('a').textContent])"
    )


def fits(browser):
    return browser.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_groups_are_shown_worst_first(demo, browser):
    browser.open(f"{demo}/")
    shown = rows(browser)
    order = [*crowd.CONDITIONS, "ok", "idle"]
    places = [order.index(verdict) for verdict, _ in shown]
    assert places == sorted(places)
    assert ["stuck", "mailer"] in shown and len(shown) == 13
    assert "has not moved from offset" in browser.evaluate("document.body.textContent")
    assert fits(browser)
    keep(browser, "groups")
    assert browser.complaints == []


def test_it_stays_fresh_and_keeps_ones_place(demo, browser):
    """The page asks again each second; the focus and what was typed stay."""
    browser.open(f"{demo}/")
    first = browser.evaluate("document.querySelector('.sources').outerHTML + document.querySelector('.groups').textContent")
    browser.press("/")
    for letter in "mail":
        browser.press(letter)
    processes.wait_until(lambda: rows(browser) == [["stuck", "mailer"]], what="the one group")
    processes.wait_until(
        lambda: browser.evaluate("document.querySelector('.sources').outerHTML + document.querySelector('.groups').textContent") != first,
        what="fresh numbers",
    )
    assert browser.evaluate("document.activeElement.id + document.activeElement.value") == "filtermail"
    assert rows(browser) == [["stuck", "mailer"]]


def test_a_group_has_a_page_of_its_own(demo, browser):
    browser.open(f"{demo}/groups/mailer?cluster=demo")
    text = browser.evaluate("document.body.innerText")
    for part in ("stuck", "To do:", "Topic emails", "What happened", "Where messages can be lost", "session.timeout.ms"):
        assert part in text, part
    assert browser.evaluate("document.querySelectorAll('svg.chart path').length") == 2
    assert browser.evaluate("document.querySelector('svg.chart path').getBoundingClientRect().width") > 100
    assert fits(browser)
    keep(browser, "group")
    assert browser.complaints == []


def test_the_ledger_names_the_places_of_loss(demo, browser):
    browser.open(f"{demo}/ledger")

    def names_them():
        text = browser.evaluate("document.body.innerText")
        return all(part in text for part in ("warehouse", "lost", "kept for 1d 0h, shorter than the recovery window of 3d 0h"))

    processes.wait_until(names_them, what="the places of loss")
    assert fits(browser)
    keep(browser, "ledger")


PAGES = ["/", "/groups/mailer", "/groups/notifications", "/ledger"]


@pytest.mark.parametrize("path", PAGES)
def test_it_fits_a_phone_in_the_dark(demo, browser, path):
    browser.open(f"{demo}{path}", width=375, height=812, dark=True)
    assert fits(browser)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 23, 29)"
    if path == "/":
        keep(browser, "phone")


@pytest.mark.parametrize("width", [320, 800, 1181, 1920])
def test_it_fits_every_width(demo, browser, width):
    for path in PAGES:
        browser.open(f"{demo}{path}", width=width)
        assert fits(browser), path


# WCAG 2.1, 1.4.3: the contrast of each text with what is behind it; the smallest, and where that is.
CONTRAST = """(() => {
  const parse = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  const linear = (part) => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let least = [99, ""];
  for (const element of document.querySelectorAll("body *")) {
    if (!element.offsetHeight || ![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least[0]) least = [contrast, element.outerHTML.slice(0, 200)];
  }
  return least;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_of_it_can_be_read(demo, browser, dark):
    """Contrast by WCAG AA."""
    for path in PAGES:
        browser.open(f"{demo}{path}", dark=dark)
        contrast, where = browser.evaluate(CONTRAST)
        assert contrast >= 4.5, where


def test_the_keyboard_suffices(demo, browser):
    """From link to link by Tab, each with a ring around it; a group is opened by Enter."""
    browser.open(f"{demo}/")
    seen = []
    for _ in range(12):
        browser.press("Tab")
        seen.append(browser.evaluate("[document.activeElement.tagName, document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"))
    assert all(ring == "solid" for _, _, ring in seen), seen
    assert [text for tag, text, _ in seen if tag == "A"][:4] == ["Tidemark", "Groups", "Loss ledger", "Metrics"]
    assert ["INPUT", "", "solid"] in seen and seen[-1][0] == "A", seen
    browser.press("Enter")
    processes.wait_until(lambda: "To do:" in browser.evaluate("document.body.innerText"), what="the group's page")
    assert seen[-1][1] in browser.evaluate("document.querySelector('h1').textContent")


def test_it_says_everything_without_scripts(demo, browser):
    """The filter is a form."""
    browser.open(f"{demo}/?q=mail", scripts=False)
    page = get(f"{demo}/?q=mail").decode()
    assert "<b class=v>stuck</b>" in page and ">mailer</a>" in page and ">billing</a>" not in page
    assert "http-equiv=refresh" in page


def test_it_says_why_a_source_is_down(tmp_path, browser):
    """Nothing listens on the broker's port; a store that was there is moved away."""
    store = tmp_path / "store"
    assert run("log", "create", str(store), "orders")[0] == 0
    assert run("log", "commit", str(store), "billing", "orders", "0", "0")[0] == 0
    far = f"127.0.0.1:{processes.free_port()}"
    with Daemon("--kafka", f"far={far}", "--timeout", "500ms") as daemon:
        # A poll that was short of time knows no more than that.
        processes.wait_until(lambda: b"Connection refused" in get(f"{daemon.url}/"), what="the reason why the source is down")
        browser.open(f"{daemon.url}/")

        def says_why():
            text = browser.evaluate("document.body.innerText")
            return all(part in text for part in ("down", "Connection refused", "Nothing is shown of it", "Nothing is known of any group"))

        processes.wait_until(says_why, what="the reason on the screen")
    with Daemon("--logstore", f"near={store}") as daemon:
        processes.wait_until(lambda: b">billing<" in get(f"{daemon.url}/"), what="the group")
        store.rename(tmp_path / "moved")
        processes.wait_until(lambda: b">down<" in get(f"{daemon.url}/"), what="the source that is down")
        browser.open(f"{daemon.url}/")
        text = browser.evaluate("document.body.innerText")
        assert "No such file or directory" in text and "as old as that" in text and "billing" in text
        sources = json.loads(get(f"{daemon.url}/api/v1/groups"))["sources"]
        assert "No such file or directory" in sources[0]["reason"]


def test_it_says_when_tidemark_no_longer_answers(tmp_path, browser):
    with Daemon("--kafka", f"127.0.0.1:{processes.free_port()}", poll_interval="1s") as daemon:
        browser.open(f"{daemon.url}/")
        assert "not polled yet" in browser.evaluate("document.body.innerText") or "down" in browser.evaluate("document.body.innerText")
    processes.wait_until(
        lambda: "No answer from Tidemark" in browser.evaluate("document.body.innerText"), what="the notice"
    )


def test_hostile_names_stay_text(tmp_path, browser):
    """A group is named like markup, with quotes, a slash and what would end an address."""
    name = "<img src=x onerror=alert(1)>\"'&/?#%41 é"
    store = str(tmp_path / "store")
    for arguments in (["create", store, "orders"], ["commit", store, name, "orders", "0", "0"]):
        code, output, errors = run("log", *arguments)
        assert code == 0, errors
    with Daemon("--logstore", store, poll_interval="1s") as daemon:
        daemon.page_when(lambda page: page.family("kafka_consumergroup_lag"))
        browser.open(f"{daemon.url}/")
        assert [row[1] for row in rows(browser)] == [name]
        assert browser.evaluate("document.images.length") == 0
        browser.evaluate("document.querySelector('.groups a').click()")
        processes.wait_until(lambda: browser.evaluate("document.querySelector('h1')?.firstChild.textContent") == name, what="the group")
        assert browser.complaints == []


def test_names_of_every_kind_leave_the_page_in_order(tmp_path, browser):
    """One turns the direction of writing around, one is written from right to left, one is very long, one wide."""
    names = ["evil\u202egnp.exe", "\u0645\u062c\u0645\u0648\u0639\u0629 42", "x" * 3000, "\u6d88\u8d39\u8005\u7ec4 \U0001f41f"]
    store = str(tmp_path / "store")
    assert run("log", "create", store, "orders")[0] == 0
    for name in names:
        assert run("log", "commit", store, name, "orders", "0", "0")[0] == 0
    with Daemon("--logstore", store, poll_interval="1s") as daemon:
        daemon.page_when(lambda page: len(page.family("kafka_consumergroup_lag")) == len(names))
        for width in (375, 1300):
            browser.open(f"{daemon.url}/", width=width)
            assert fits(browser)
            assert {row[1] for row in rows(browser)} == {"evil\\u{202e}gnp.exe", *names[1:]}
            assert browser.evaluate("Math.max(...[...document.querySelectorAll('.groups tbody tr')].map(r => r.offsetHeight))") < 500
            for path in (f"/groups/{'x' * 3000}", "/ledger"):
                browser.open(f"{daemon.url}{path}", width=width)
                assert fits(browser), path


def test_members_with_long_names_fit_a_phone(tmp_path, browser):
    """Two members for one partition: one has it, the other is idle. They gave themselves names without an end."""
    store = str(tmp_path / "store")
    assert run("log", "create", store, "orders")[0] == 0
    names = {"consumer-of-orders-" * 40, "\u6d88\u8d39\u8005" * 100}
    reader = Path(PROGRAM).parent / "tests/scenarios/logstore_reader"
    with contextlib.ExitStack() as members:
        for name in names:
            member = processes.start([reader, store, "billing", "orders", f"client_id={name}"], stdout=subprocess.DEVNULL)
            members.callback(member.wait, 60)
            members.callback(member.terminate)
        with Daemon("--logstore", store, poll_interval="1s") as daemon:
            daemon.page_when(lambda page: page.get_int("kafka_consumergroup_idle_members", cluster="default", consumergroup="billing") == 1)
            for width in (375, 1300):
                browser.open(f"{daemon.url}/groups/billing", width=width)
                assert fits(browser)
                shown = browser.evaluate("[...document.querySelectorAll('.members tbody tr')].map(r => [...r.cells].map(c => c.innerText))")
                assert {row[0] for row in shown} == names
                assert sorted(row[2] for row in shown) == ["1", "none: idle"]
                assert browser.evaluate("Math.max(...[...document.querySelectorAll('.members tbody tr')].map(r => r.offsetHeight))") < 300
            assert browser.complaints == []


def test_a_thousand_groups(tmp_path, browser):
    store = str(tmp_path / "store")
    assert run("log", "create", store, "orders")[0] == 0
    names = "".join(f"group-{number}\n" for number in range(1000))
    script = f'while read -r name; do "{PROGRAM}" log commit "{store}" "$name" orders 0 0 --fsync never || exit 1; done'
    done = subprocess.run(["bash", "-c", script], input=names.encode(), stdout=subprocess.DEVNULL, timeout=400)
    assert done.returncode == 0
    with Daemon("--logstore", store, poll_interval="1s") as daemon:
        daemon.page_when(lambda page: len(page.family("kafka_consumergroup_members")) == 1000)
        browser.open(f"{daemon.url}/")
        assert len(rows(browser)) == 1000
        assert fits(browser)
