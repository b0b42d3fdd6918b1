"""Chinese and Japanese, which are written without spaces: each character is a word, but for phrases of one meaning."""

from __future__ import annotations

import re

__all__ = ["IDEOGRAPH", "read_characters"]

IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_PHRASES = {
    "怎么样": "如何", "怎么": "如何", "怎样": "如何", "什么时候": "何时", "几时": "何时", "哪儿": "何处",
    "哪里": "何处", "在哪": "何处", "为什么": "为何", "谁": "谁", "多少钱": "价钱", "什么价格": "价钱",
    "价格": "价钱", "请问": "", "您": "你", "今日": "今天", "明日": "明天", "昨日": "昨天",
    "早上": "上午", "早晨": "上午", "晚上": "晚间",
    "夜里": "晚间", "怎麼": "如何", "どうやって": "如何",
    "どのように": "如何", "どうすれば": "如何",
    "いつ": "何時", "どこ": "何処", "なぜ": "何故", "どうして": "何故", "だれ": "誰", "なに": "何", "なん": "何",
    "いくら": "値段", "教えてください": "", "教えて": "", "ください": "", "でしょうか": "", "ですか": "",
    "ますか": "ます",
}  # fmt: skip
"""Phrases of one meaning; an empty one says nothing of its own. The longest wins."""
_PARTICLES = frozenset("的吗呢啊吧了は が を の に で と も か ね よ".replace(" ", ""))
_PHRASE = re.compile("|".join(sorted(_PHRASES, key=len, reverse=True)))


def read_characters(token: str) -> list[str]:
    """The characters of a run without spaces, phrases folded and particles left out."""
    folded = _PHRASE.sub(lambda match: _PHRASES[match[0]], token)
    return [character for character in folded if character not in _PARTICLES]
