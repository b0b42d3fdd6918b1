"""Signs that a text speaks to the model that reads it, and not to a person.

The patterns are of how such passages are built (an order to drop earlier orders, a role, a forged turn, a demand for
secrets, an address that data is to be sent to, hidden text), in the languages that the labelled set has. No sign decides
by itself: text about injections has many of them, mostly quoted or told.
"""

from __future__ import annotations

import math
import re
import unicodedata

__all__ = ["SIGNALS", "read_signals", "reveal_hidden"]

_FLAGS = re.IGNORECASE
_DROP = (
    r"ignor\w*|disregard\w*|forget\w*|neglect|overr[io]d\w*|discard\w*|bypass|cancel|erase|set aside|pay no attention to"
    r"|vergiss|missachte|oublie\w*|olvid\w*|dimentica|esque[çc]a|vergeet|negeer|zignoruj|zapomnij|yok say\w*"
)
_EARLIER = (
    r"previous|prior|earlier|above|before|initial|original|old|preceding|everything|first|current|rules?|instructions?|"
    r"vorherig\w*|bisherig\w*|zuvor|pr[ée]c[ée]dent\w*|ci-dessus|anterior\w*|antes|precedent\w*|acima|eerder\w*|hiervoor|"
    r"poprzedni\w*|[öo]nceki"
)
_ORDERS = (
    r"instructions?|directions?|rules?|orders?|guidelines?|prompts?|polic(?:y|ies)|told|context|messages?|task|assignment|"
    r"requests?|said|filters?|question|system|anweisungen|regeln|gesagt|consignes|instrucciones|dicho|istruzioni|regole|"
    r"instru[çc][õo]es|regras|instructies|gezegd|instrukcje|talimatlar\w*"
)
_DROP_FOREIGN = (
    r"(?:忽略|无视|忘记)[^。]{0,8}(?:指令|指示|规则|说明)|(?:指示|指令|命令)[^。]{0,6}(?:無視|忘れ)"
    r"|(?:игнорируй|забудь|не обращай внимания)[^.]{0,30}(?:инструкци|правил|говорили|раньше)"
    r"|تجاهل[^.]{0,20}(?:التعليمات|الأوامر)|निर्देश\w*[^।]{0,10}(?:अनदेखा|भूल)|(?:지시|명령)\S*[^.]{0,8}(?:무시|잊)"
    r"|talimatları yok say"
)
_MACHINE = (
    r"\b(?:a\.?i\.?|ki|ia|llms?|(?:large )?(?:language|ai) models?|sprachmodelle?n?|mod[eè]les? de langage|modelos? de lenguaje"
    r"|assistant|asistente|assistente|assistent|chatbots?|agent|summari[sz]er|model)\b"
)
_QUOTED = re.compile(r"[\"“„«「『]([^\"“”„«»「」『』\n]{3,200})[\"”“»」』]|“([^”]{3,200})”")
_ZERO_WIDTH = re.compile("[\u200b\u2060\u2061-\u2064\ufeff\u00ad]")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BETWEEN = re.compile(r"\b(?:\w ){5,}\w\b")
_BASE64 = re.compile(r"(?<![\w/+:;,])[A-Za-z0-9+/]{32,}={0,2}(?![\w/+])")
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(r"\b(?=\w*[a-z])(?=\w*[013457])[a-z013457]{4,}\b", _FLAGS)

PATTERNS: dict[str, re.Pattern[str]] = {
    "drops_orders": re.compile(
        rf"\b(?:{_DROP})\b[^.!?\n]{{0,40}}?\b(?:{_EARLIER})\b[^.!?\n]{{0,30}}"
        rf"|\b(?:{_DROP})\b[^.!?\n]{{0,40}}?\b(?:{_ORDERS})\b"
        rf"|(?:no longer|not|stop) (?:have to |need to )?(?:apply|obey|follow|continue)\b[^.!?\n]{{0,40}}"
        rf"|supersede\w*|{_DROP_FOREIGN}",
        _FLAGS,
    ),
    "new_orders": re.compile(
        r"\b(?:new|real|actual|only|updated?|following)\b[^.!?\n]{0,20}\b(?:instructions?|task|goal|rules|request|"
        r"system message|policy|guidelines)\b|\b(?:neue|nouvelle|nueva) (?:aufgabe|t[âa]che|tarea)|from (?:now|here|this "
        r"point) on|ab jetzt|a partir de ahora|da questo momento|voortaan|从现在起|今から|teraz|теперь",
        _FLAGS,
    ),
    "role": re.compile(
        r"\byou(?:r name is| are| have been) (?:now|an? (?:ai|unrestricted|admin\w*|helpful)|upgraded|dan\b)|\bact as\b|"
        r"\bpretend (?:that )?(?:you|to be)|\bplay the (?:part|role) of|\bassume the (?:identity|role)|stay in character|"
        r"\bdeveloper mode|\bimagine you (?:have|are)|du bist jetzt|tu es maintenant|eres un|sei un assistente|"
        r"你现在是|あなたは今|ты ассистент|without (?:content policy|any restrictions|restrictions|limits|disclaimers)|"
        r"no (?:limits|restrictions|ethical)|unrestricted|ohne einschr|sans aucune limite|sin restricciones|senza filtri|"
        r"没有任何限制|制限のない|без ограничений",
        _FLAGS,
    ),
    "forged_turn": re.compile(
        r"<\|?(?:im_start|im_end|system|endoftext)\|?>|\[/?INST\]|<</?SYS>>|^\s*#+ ?(?:instruction|response|system)\b"
        r"|(?:^|\n)\s*(?:system|assistant|human|user)\s*:|^\s*system:|</?(?:context|system|document|tool_result)>"
        r"|\"role\"\s*:\s*\"system\"|={3,} ?(?:end|new)|end of (?:document|context)",
        _FLAGS | re.MULTILINE,
    ),
    "machine": re.compile(_MACHINE, _FLAGS),
    "addresses_machine": re.compile(
        rf"(?:\b(?:attention|note (?:to|for)|to|as|if you are|hinweis an|message aux|si eres|dear)\s+(?:an? |the |any |all )?"
        rf"(?:\w+ )?{_MACHINE})|{_MACHINE}[^.!?\n]{{0,25}}(?:\bmust\b|\bshould\b|\bshall\b|\bare required\b)|"
        rf"(?:^|[.!>\[(-]\s*){_MACHINE}\s?[:,]|{_MACHINE} (?:that|who|which) read\w*|(?:assistant|agent|model), (?!a\b)\w+",
        _FLAGS | re.MULTILINE,
    ),
    "your_prompt": re.compile(
        r"\b(?:your|dein\w*|ton|tu|tuo|seu|je|sw[oó]j|sv?oy|sistem)\b[^.!?\n]{0,20}\b(?:system ?prompts?|prompt|system message"
        r"|configuration|instructions|mensaje de sistema|systeemprompt|systemowy)|first instructions|systemprompt|"
        r"prompt syst[èe]me|prompt di sistema|prompt de sistema|系统提示|システムプロンプト|시스템 프롬프트|موجه النظام|"
        r"системн\w+ промпт",
        _FLAGS,
    ),
    "demands_secrets": re.compile(
        r"\b(?:reveal|disclose|print|output|show|repeat|include|reproduce|list|paste|post|send|gib|montre|r[ée]v[èe]le|"
        r"muestra|rivela|mostre|toon|ujawnij|покажи)\b[^.!?\n]{0,60}\b(?:prompt|passwords?|api[ -]?keys?|secrets?|key|"
        r"instructions|credentials|configuration|confidential|environment variables|everything above|history|notes|"
        r"systemprompt|systeemprompt|sistema|claves|has[łl]o|files that you)",
        _FLAGS,
    ),
    "secrecy": re.compile(
        r"\b(?:do not|don['’]t|never|without)\b[^.!?\n]{0,12}\b(?:tell\w*|mention\w*|inform\w*|reveal\w*|say|highlight|comment)\b"
        r"[^.!?\n]{0,30}|\bsilently\b|\bquietly\b|\bkeep (?:this|these)\b[^.!?\n]{0,20}\bsecret|must not learn|deny that they|"
        r"hide the|erwähne[^.]{0,40}nicht|ne (?:dis|mentionne)\w* pas|no (?:le )?(?:menciones|digas)|n[ãa]o (?:conte|mencione)|"
        r"不要告诉",
        _FLAGS,
    ),
    "to_the_user": re.compile(
        r"\b(?:tell|say to|convince|recommend to|inform) (?:the |every |all )?(?:user|customer|reader|visitor)s?\b|"
        r"\b(?:the user|nutzer|kunden|utilisateur|al usuario|ao usu[áa]rio|de klant|пользовател\w*|用户|müşteriye|المستخدم)\b",
        _FLAGS,
    ),
    "answer_demanded": re.compile(
        r"\b(?:answer|respond|reply|antworte|r[ée]ponds|responde|responda|scrivi|antwoord|отвечай|write|say|state|conclude)\b"
        r"[^.!?\n]{0,30}\b(?:only|always|nothing but|every|any|with|nur|seulement|[úu]nicamente|soltanto|apenas|alleen|только|that)\b"
        r"|in (?:your|its) (?:answer|reply|response|summary|next message)|begin your answer|when (?:you )?(?:summari[sz]|answer)\w*"
        r"|(?:before|after) (?:you )?(?:answer|respond)\w*|回答|答えて|답하",
        _FLAGS,
    ),
    "sends_away": re.compile(
        r"https?://\S*(?:[?&]\w+=(?:\{|$|\s)|\{|DATA|/in\?)|\b(?:send|forward|post|append|encode|upload|submit|put|add|envia\w*|"
        r"envoie|schicke)\b[^.!?\n]{0,80}(?:https?://|\burl\b|\blink\b|@|chat history|conversation|emails?\b|inbox|hexadecimal|"
        r"conversa\b)|tracking pixel",
        _FLAGS,
    ),
    "uses_tools": re.compile(
        r"\b(?:call|invoke|use|run|execute|trigger|rufe|ejecuta|calling)\b[^.!?\n]{0,40}\b(?:tool|function|shell|\w+_\w+|curl|"
        r"python code|browser|werkzeug|funci[óo]n)\b|\brm -rf\b|\| ?sh\b|\b(?:delete|transfer|book|cancel) (?:all|the|every)\b",
        _FLAGS,
    ),
    "no_confirmation": re.compile(
        r"no confirmation|without (?:asking|permission)|do not ask for|with the saved|whatever the data|regardless of|"
        r"whenever this page|in all cases|as if nothing",
        _FLAGS,
    ),
    "rates": re.compile(
        r"\b(?:rate|mark|rank|award|give|bewerte|donnez|califica)\b[^.!?\n]{0,40}\b(?:strongest|exceptionally|first|full marks|"
        r"five stars|positive review|hervorragend|maximale?|m[áa]xima|best|highest)|must (?:conclude|say)|always (?:rank|approve|"
        r"recommend|agree\w*)|recommend\w* (?:this|plan|acme|our|immer|the)|positive review only|end with",
        _FLAGS,
    ),
    "hidden_markup": re.compile(
        r"<!--[^>]{0,400}\b(?:ai|assistant|ignore|instructions?|tell|model)\b|display:\s*none[^<]{0,20}>[^<]*\b\w+ \w+ \w+|"
        r"font-size:\s*0|color\s*[:=]\s*[\"']?(?:#fff\b|white)|<p hidden|\[//\]: #",
        _FLAGS,
    ),
    "talks_about": re.compile(
        r"\b(?:attack\w*|injections?|jailbreak\w*|vulnerab\w*|phishing|mitigat\w*|researchers?|paper|authors|developers?|red team"
        r"|scanner|classifier|owasp|guardrail\w*|untrusted|such as|for example|refused?|fixed in|angriff|attaque|atacantes|攻击|атак\w*)"
        r"\b",
        _FLAGS,
    ),
    "told": re.compile(
        r"\b(?:he|she|they|the (?:judge|coach|general|king|editor|author|vendor|plugin|auditor|registrar))\b[^.!?\n]{0,40}\b\w+ed\b|"
        r"\b(?:said|asked|wrote|whispered|told|instructed|commands)\b",
        _FLAGS,
    ),
}
"""One sign each; searched in the text as a reader of characters would see it, hidden ones revealed."""

SIGNALS = (
    *PATTERNS,
    *(f"{name}_quoted" for name in ("drops_orders", "role", "your_prompt", "answer_demanded")),
    "hidden_characters",
    "hidden_orders",
    "encoded",
    "imperatives",
    "signs",
)
"""Names of the signals, in order."""

_QUOTABLE = ("drops_orders", "role", "your_prompt", "answer_demanded", "demands_secrets", "secrecy", "rates", "to_the_user")
_STRONG = (
    "drops_orders", "role", "forged_turn", "addresses_machine", "your_prompt", "demands_secrets", "secrecy",
    "answer_demanded", "sends_away", "uses_tools", "no_confirmation", "rates", "hidden_markup",
)  # fmt: skip
_IMPERATIVE = re.compile(
    r"(?:^|[.!?:;]\s+|\bplease |\band |\bthen )(?:answer|reply|respond|say|tell|write|print|send|call|ignore|forget|reveal|"
    r"output|repeat|include|append|add|use|follow|obey|begin|proceed|list|show|translate|conclude|recommend|give|make|stop|"
    r"continue|keep|do not|never|always|render|load|invoke|execute|set)\b",
    _FLAGS,
)


def reveal_hidden(text: str) -> tuple[str, int]:
    """The text with what is hidden in it in plain sight, and how many characters hid it.

    Invisible characters inside words, tag characters (U+E0020 and on, which spell ASCII), text turned around by bidirectional
    marks, spaced-out and figure-for-letter spelling. The joiners of emoji and of Persian and Indic scripts hide nothing.
    """
    plain = unicodedata.normalize("NFKC", text)
    hidden = len(_ZERO_WIDTH.findall(plain)) + sum(len(found) for found in _TAGS.findall(plain))
    plain = _ZERO_WIDTH.sub("", plain)
    plain = _TAGS.sub(lambda match: " " + "".join(chr(ord(each) - 0xE0000) for each in match[0]), plain)
    if _TURNED.search(plain):
        hidden += len(_TURNED.findall(plain))
        plain = re.sub("[\u202d\u202e]([^\u202c]*)\u202c?", lambda match: match[1] + " " + match[1][::-1], plain)
        plain = _TURNED.sub("", plain)
    spaced = _BETWEEN.search(plain)
    if spaced:
        hidden += 1
        words = re.sub(r" {2,}", "\x00", plain).split("\x00")
        joined = (word.replace(" ", "") if _BETWEEN.fullmatch(word.strip()) else word for word in words)
        plain = f"{plain} {' '.join(joined)} {plain[spaced.start() : spaced.end()].replace(' ', '')}"
    figures = _LEET_WORD.findall(plain)
    if len(figures) > 1:
        hidden += 1
        plain = f"{plain} {plain.translate(_LEET)}"
    return plain, hidden


def read_signals(text: str) -> dict[str, float]:
    """The signals of a passage by name; counts are log(1 + n)."""
    plain, hidden = reveal_hidden(text)
    quoted = " \n ".join(next(part for part in found if part) for found in _QUOTED.findall(plain))
    outside = _QUOTED.sub(" ", plain)
    found = {
        name: math.log1p(len(pattern.findall(outside if name in _QUOTABLE else plain)))
        for name, pattern in PATTERNS.items()
    }
    before = {name for name in _STRONG if PATTERNS[name].search(text)}
    encoded = [part for part in _BASE64.findall(plain) if re.search(r"[a-z]", part) and re.search(r"[A-Z]", part)]
    return found | {
        "drops_orders_quoted": float(PATTERNS["drops_orders"].search(quoted) is not None),
        "role_quoted": float(PATTERNS["role"].search(quoted) is not None),
        "your_prompt_quoted": float(PATTERNS["your_prompt"].search(quoted) is not None),
        "answer_demanded_quoted": float(PATTERNS["answer_demanded"].search(quoted) is not None),
        "hidden_characters": math.log1p(hidden),
        "hidden_orders": float(hidden > 0 and any(found[name] > 0.0 and name not in before for name in _STRONG)),
        "encoded": float(bool(encoded) or "rot13" in plain.lower()),
        "imperatives": math.log1p(len(_IMPERATIVE.findall(outside))),
        "signs": math.log1p(sum(found[name] > 0.0 for name in _STRONG)),
    }
