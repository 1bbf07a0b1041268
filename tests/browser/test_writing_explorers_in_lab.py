"""Explorers of lessons 13 and 14 in a real JupyterLab: loss by token under the pointer, the sampling bench, a chat."""

import pytest

from tests.browser.test_token_explorers_in_lab import PICTURE, open_and_run, shoot, wait_for_title

pytestmark = pytest.mark.browser

TOKEN_LOSS = """
from lessons_lib.views.token_loss import Seen, TokenLoss

def read(text):
    words = text.split()
    rest = [Seen(word, float(len(word)), 2, (("the", 0.75), (word, 0.001))) for word in words[1:]]
    return [Seen(words[0]), *rest]

TokenLoss(read, "a kite falls on it", focus=4)
"""
BENCH = """
import torch
from types import SimpleNamespace
from lessons_lib.views.sampling_bench import Bench, SamplingBench

class Table:
    config = SimpleNamespace(vocab_size=4, context_length=100)

    def new_cache(self):
        return Cache()

    def __call__(self, ids, *, cache):
        cache.n += ids.shape[1]
        return torch.tensor([[0.0, 1.0, 2.0, 3.0]]).expand(*ids.shape, 4)

class Cache:
    n = 0

    def __len__(self):
        return self.n

words = ["<b>", "kite", "$x$", "it"]
bench = Bench(Table(), lambda text: [1], lambda ids: " ".join(words[i] for i in ids), prompt="a kite")
SamplingBench({"table": bench}, max_new_tokens=5)
"""
CHAT = """
from lessons_lib.views.chat import ChatExplorer

ChatExplorer({"echo": lambda conversation, temperature: conversation[-1][1].upper()}, opening=["a kite"])
"""
TOKEN = ".lessons-losses button"


def test_a_token_shows_what_was_expected_and_a_typed_text_is_read(lab, context):
    page = open_and_run(lab, context, "loss.ipynb", TOKEN_LOSS)
    alerts = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    view, words = page.locator(".lessons-tokens"), page.locator(".lessons-tokens p")
    page.locator(TOKEN).nth(4).wait_for()
    assert words.inner_text().startswith("“it”: loss 2.00 nats")
    shoot(page, "token_loss")
    page.locator(TOKEN).nth(1).hover()
    assert words.inner_text().startswith("“kite”: loss 4.00 nats")
    assert view.locator(".lessons-guess span").all_inner_texts() == ["75.0%", "0.10%"]
    words.hover()
    assert words.inner_text().startswith("“it”: loss 2.00"), "leaving shows the kept token again"
    page.locator(TOKEN).nth(1).click()
    page.keyboard.press("ArrowRight")
    assert words.inner_text().startswith("“falls”: loss 5.00"), "JupyterLab did not take the key for itself"

    box = page.locator(".widget-text input")
    box.fill("see <img/src=x/onerror=alert(1)> now")
    box.press("Enter")
    page.wait_for_function("document.querySelectorAll('.lessons-losses button').length === 3")
    assert page.locator(TOKEN).nth(1).inner_text().startswith("<img/src=x/onerror=alert(1)>")
    assert page.locator(".lessons-tokens img").count() == 0 and alerts == []
    box.fill(" ")
    box.press("Enter")
    page.wait_for_function("document.querySelectorAll('.lessons-losses button').length === 0")
    assert words.inner_text() == "Type a text, then press Enter."


def test_the_button_draws_and_a_slider_takes_the_text_away(lab, context):
    page = open_and_run(lab, context, "bench.ipynb", BENCH)
    page.locator(PICTURE).wait_for()
    first = wait_for_title(page, "4 of 4 tokens are allowed")
    page.get_by_role("button", name="sample").click()
    drawn = wait_for_title(page, "It wrote:")
    assert drawn != first
    page.get_by_role("button", name="sample").click()
    page.wait_for_function(
        "before => document.querySelector('img.widget-image').title !== before",
        arg=page.locator(PICTURE).get_attribute("title"),
    )
    shoot(page, "bench")
    page.get_by_role("slider").nth(1).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    wait_for_title(page, "1 of 4 tokens are allowed")
    assert "It wrote:" not in page.locator(PICTURE).get_attribute("title")


def test_a_message_is_answered_and_never_read_as_markup(lab, context):
    page = open_and_run(lab, context, "chat.ipynb", CHAT)
    said = page.locator(".widget-html")
    page.wait_for_function("document.querySelector('.widget-html').innerText.includes('A KITE')")
    box = page.locator(".widget-text input")
    box.fill("see <b>bold</b>")
    box.press("Enter")
    page.wait_for_function("document.querySelector('.widget-html').innerText.includes('SEE <B>BOLD</B>')")
    assert said.locator("b:has-text('bold')").count() == 0 and box.input_value() == ""
    shoot(page, "chat")
    page.get_by_role("button", name="New chat").click()
    page.wait_for_function("!document.querySelector('.widget-html').innerText.includes('KITE')")
