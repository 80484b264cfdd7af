"""The playground in a real browser: it moves, it takes keys and touch, and it shows what the devices compute."""

from itertools import pairwise

import browser as chromium
import numpy as np
import pytest

import genesis
from genesis.optim import OPTIMIZERS

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "-")]

# The surfaces' gradients, written anew.
GRADIENTS = {
    "bowl": lambda x, y, k: (x, k * y),
    "turned": lambda x, y, k: ((x + y) / 2 + k * (x - y) / 2, (x + y) / 2 - k * (x - y) / 2),
    "rosenbrock": lambda x, y, k: (2 * x - 2 + 400 * x ** 3 - 400 * x * y, 200 * y - 200 * x * x),
    "beale": lambda x, y, k: (
        sum(2 * (c - x + x * y ** n) * (y ** n - 1) for n, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
        sum(2 * (c - x + x * y ** n) * n * x * y ** (n - 1) for n, c in ((1, 1.5), (2, 2.25), (3, 2.625)))),
    "saddle": lambda x, y, k: (x, y ** 3 - y),
}


def run(page, change, step):
    """Change the race's state, run to a step, and return the racers' ways."""
    return page.evaluate("""([change, step]) => {
        playground.race.use({ ...playground.race.state, ...change });
        playground.race.to(step);
        return playground.race.racers.map(({ racer }) => racer.path);
    }""", [change, step])


@pytest.mark.parametrize("surface", list(GRADIENTS))
def test_playground_shows_what_the_device_computes(visit, surface):
    page = visit(f"playground.html#on={surface}")
    names = page.evaluate("Object.keys(playground.RULES)")
    assert set(names) <= set(OPTIMIZERS)
    assert len(names) >= 4
    paths = run(page, {"racers": [{"name": name, "settings": {"lr": 1e-3}} for name in names]}, 60)
    k = page.evaluate("playground.race.state.parameter")
    for name, path in zip(names, paths, strict=True):
        assert len(path) == 61
        theta = genesis.tensor(np.array(path[0], np.float32), requires_grad=True)
        optimizer = OPTIMIZERS[name]([theta], lr=1e-3)
        for here, there in pairwise(path):
            # The gradient where the playground is, so that differences in rounding do not grow.
            theta.grad = genesis.tensor(np.array(GRADIENTS[surface](*here, k), np.float32))
            optimizer.step()
            np.testing.assert_allclose(theta.detach().numpy(), there, rtol=2e-5, atol=2e-5, err_msg=name)
        assert path[-1] != path[0]


def test_race_moves_by_itself(visit):
    page = visit("playground.html", reduced_motion="no-preference")
    page.wait_for_function("playground.race.step > 10")
    picture = "document.querySelector('#playground-app canvas').toDataURL()"
    first = page.evaluate(picture)
    page.wait_for_function("playground.race.step > 30")
    assert page.evaluate(picture) != first


def test_race_of_the_home_page_moves(visit):
    page = visit("index.html", reduced_motion="no-preference")
    page.wait_for_function("playground.race.step > 10")


def test_buttons(visit):
    page = visit("playground.html")
    step = "playground.race.step"
    assert page.evaluate(step) == 0                              # motion is not wanted
    page.get_by_role("button", name="Step").click()
    assert page.evaluate(step) == 1
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("playground.race.step > 5")
    page.get_by_role("button", name="Pause").click()
    stood = page.evaluate(step)
    page.wait_for_timeout(200)
    assert page.evaluate(step) == stood
    page.get_by_role("button", name="Reset").click()
    assert page.evaluate(step) == 0
    page.evaluate("playground.race.to(395)")
    page.locator("#playground-app canvas").first.focus()
    page.keyboard.press("Space")
    page.wait_for_function("playground.race.step === 400")
    page.get_by_role("button", name="Play").wait_for()              # nothing plays any more
    page.get_by_role("button", name="Start over").click()
    assert page.evaluate(step) == 0
    assert "from=-1.4_1.8" in page.url


def test_keys_move_the_start_and_the_address_follows(visit):
    page = visit("playground.html")
    start = page.evaluate("playground.race.state.start")
    page.locator("#playground-app canvas").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    x, y = page.evaluate("playground.race.state.start")
    assert x > start[0]
    assert y > start[1]
    shared = page.url.partition("/playground.html")[2]
    other = visit(f"playground.html{shared}")
    np.testing.assert_allclose(other.evaluate("playground.race.state.start"), [x, y], rtol=1e-5)
    assert other.evaluate("playground.race.state.racers") == page.evaluate("playground.race.state.racers")


def test_touch_drops_the_start(visit):
    page = visit("playground.html", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    before = page.evaluate("playground.race.state.start")
    page.locator("#playground-app canvas").first.tap(position={"x": 200, "y": 60})
    after = page.evaluate("playground.race.state.start")
    assert after != before
    assert abs(after[0]) < 3
    page.wait_for_function("playground.race.step > 3")


def test_best_rates_are_better(visit):
    page = visit("playground.html#on=rosenbrock")
    lowest = "playground.race.to(400), playground.race.racers.map(({ racer }) => racer.at(400).loss)"
    before = page.evaluate(lowest)
    page.get_by_role("button", name="Best rates").click()
    after = page.evaluate(lowest)
    assert sum(a <= b * 1.5 for a, b in zip(after, before)) == len(before)
    assert min(after) < min(before)


def test_settings_change_the_race(visit):
    page = visit("playground.html")
    page.locator("#race-surface").select_option("saddle")
    assert page.evaluate("playground.race.state.surface") == "saddle"
    assert "on=saddle" in page.url
    count = page.evaluate("playground.race.racers.length")
    page.get_by_label("Add an optimizer").select_option("adamw")
    assert page.evaluate("playground.race.racers.length") == count + 1
    page.get_by_role("button", name="Remove SGD", exact=True).click()
    assert page.evaluate("playground.race.racers.length") == count
    page.locator("summary").first.click()
    page.get_by_label("SGD: momentum").first.fill("0.5")
    page.keyboard.press("Enter")
    assert page.evaluate("playground.race.state.racers[0].settings.momentum") == 0.5


@pytest.mark.parametrize("address", ["on=nothing&r=none", "r=adam~lr:x~betas:1", "from=a_b&k=9e99&noise=-3&steps=1e9",
                                     "r=__proto__~lr:1", "on=constructor"])
def test_addresses_that_make_no_sense_are_survived(visit, address):
    page = visit(f"playground.html#{address}")
    assert page.evaluate("playground.race.racers.length") >= 1
    assert page.evaluate("playground.race.state.length") <= 5000
    assert all(np.isfinite(page.evaluate("playground.race.state.start")))
