"""Patterns of passages that speak to the model that reads them; see ``injection_signals``."""

from __future__ import annotations

import re

__all__ = ["PATTERNS"]

_DROP = r"""
    (?<!no\ )(?<!not\ )(?<!n't\ )(?<!se\ )(?:ignor\w*|disregard\w*|forget\w*|neglect|overr[io]d\w*|discard\w*
    |bypass|cancel|erase
    |set\ aside|pay\ no\ attention\ to|vergiss|missachte|oublie\w*|olvid\w*|dimentica|esque[çc]a|vergeet|negeer
    |zignoruj
    |zapomnij)
"""
_EARLIER = r"""
    (?:previous|prior|earlier|above|before|initial|original|old|preceding|everything|first|your|vorherig\w*
    |bisherig\w*
    |zuvor|pr[ée]c[ée]dent\w*|ci-dessus|anterior\w*|antes|acima|eerder\w*|hiervoor|poprzedni\w*)
"""
_ORDERS = r"""
    (?:instructions?|directions?|rules|orders|guidelines?|prompts?|polic(?:y|ies)|told|system\ message|context
    |messages?
    |content\ filters?|safety|user's\ question|the\ question|the\ page|the\ task|assignment|current\ request
    |anweisungen
    |regeln|gesagt|consignes|instrucciones|dicho|istruzioni|regole|instru[çc][õo]es|regras|instructies|gezegd
    |instrukcje)
"""
_MACHINE = r"""
    \b(?:a\.?i\.?|ki|ia|llms?|(?:large\ )?(?:language|ai)\ models?|sprachmodelle?n?|mod[eè]les?\ de\ langage
    |modelos?\ de\ lenguaje|assistant|asistente|assistente|assistent|chatbots?|agent|summari[sz]er|model)\b
"""

_SOURCES = {
    "drops_orders": rf"""
        \b{_DROP}\b[^.!?\n]{{0,40}}?\b{_EARLIER}\b[^.!?\n]{{0,20}}\b{_ORDERS}\b
        | \b{_DROP}\b[^.!?\n]{{0,30}}?\b{_ORDERS}\b
        | \b{_DROP}\ (?:everything|all|whatever|todo|alles|tout|esqueça\ tudo)\b[^.!?\n]{{0,30}}\b(?:before|above
        |told|zuvor|antes)
        | \b(?:no\ longer|do\ not|stop|not)\ (?:have\ to\ |need\ to\ )?(?:apply|obey|follow|continue)\b
          [^.!?\n]{{0,20}}\b(?:prompt|rules|polic\w+|task|instructions)\b
        | \bsupersede\w*[^.!?\n]{{0,30}}\binstruction | \b(?:rules|guidelines)\b[^.!?\n]{{0,30}}\b(?:suspended
        |no\ longer)\b
        | (?:忽略|无视|忘记)[^。]{{0,8}}(?:指令|指示|规则|说明) | (?:指示|指令|命令)[^。]{{0,6}}(?:無視|忘れ)
        | (?:игнорируй|забудь|не\ обращай\ внимания)[^.]{{0,30}}(?:инструкци|правил|говорили|раньше)
        | تجاهل[^.]{{0,20}}(?:التعليمات|الأوامر) | निर्देश[^।]{{0,14}}(?:अनदेखा|भूल)
        | (?:지시|명령)\S*[^.]{{0,8}}(?:무시|잊) | talimatları\ yok\ say
    """,
    "new_orders": r"""
        \b(?:new|real|actual|only|updated?|following)\b[^.!?\n]{0,20}
          \b(?:instructions?|task|goal|rules|request|system\ message|policy|guidelines)\b
        | \b(?:neue|nouvelle|nueva)\ (?:aufgabe|t[âa]che|tarea) | from\ (?:now|here|this\ point)\ on | ab\ jetzt
        | a\ partir\ de\ ahora | da\ questo\ momento | voortaan | 从现在起 | 今から | теперь
    """,
    "role": r"""
        \byou(?:r\ name\ is|\ are|\ have\ been)\ (?:now\ (?:an?|the|dan|in|free|no)\b|an?\ (?:ai|unrestricted
        |admin\w*|helpful)
          |upgraded|dan\b)
        | \bact\ as\ (?:an?|if|the)\b | \bpretend\ (?:that\ )?(?:you|to\ be)\b | \bplay\ the\ (?:part|role)\ of\b
        | \bassume\ the\ (?:identity|role)\b | stay\ in\ character | developer\ mode | \bimagine\ you\ (?:have|are)\b
        | du\ bist\ jetzt | tu\ es\ maintenant | eres\ un | sei\ un\ assistente | 你现在是 | あなたは今
        | ты\ ассистент
        | (?:without|no)\ (?:any\ )?(?:content\ policy|ethical|restrictions|limits|disclaimers) | \bunrestricted\b
        | ohne\ einschr | sans\ aucune\ limite | sin\ restricciones | senza\ filtri | 没有任何限制 | 制限のない
        | без\ ограничений
    """,
    "forged_turn": r"""
        <\|?(?:im_start|im_end|system|endoftext)\|?> | \[/?INST\] | <</?SYS>>
        | ^\s*\#+\ ?(?:instruction|response|system)\s*: | ^\s*(?:system|assistant|human|user)\s*:
        | </?(?:context|system|document|tool_result)> | "role"\s*:\s*"system" | ={3,}\ ?(?:end|new)
        | end\ of\ document
    """,
    "machine": _MACHINE,
    "addresses_machine": rf"""
        \b(?:attention|note\ (?:to|for)|to|as|if\ you\ are|hinweis\ an|message\ aux|si\ eres|dear)[ ]
          (?:an?\ |the\ |any\ |all\ |un\ )?(?:\w+\ )?{_MACHINE}
        | {_MACHINE}[^.!?\n]{{0,25}}\b(?:must|should|shall|are\ required)\b
        | (?:^|[.!>\[(-]\s*){_MACHINE}\s?[:,] | {_MACHINE}\ (?:that|who|which)\ read
        | \b(?:assistant|agent|model),\ (?!a\b)\w+
    """,
    "your_prompt": r"""
        \b(?:your|dein\w*|ton|tu|tuo|seu|je|sw[oó]j|sv?oy)\b[^.!?\n]{0,20}
          \b(?:system\ ?prompts?|prompt|system\ message|configuration|instructions|mensaje\ de\ sistema
          |systeemprompt|systemowy)
        | \byou\ were\ (?:given|configured|told) | (?:your|first)\ instructions | deinen\ systemprompt
        | ton\ prompt\ syst[èe]me | tuo\ prompt\ di\ sistema | seu\ prompt\ de\ sistema | 你的系统提示
        | あなたのシステムプロンプト
        | 시스템\ 프롬프트를 | موجه\ النظام\ الخاص\ بك | свой\ системн\w+\ промпт
    """,
    "demands_secrets": r"""
        \b(?:reveal|disclose|print|output|show|repeat|include|reproduce|list|paste|post|send|gib|montre
        |r[ée]v[èe]le|muestra
          |rivela|mostre|toon|ujawnij|покажи)\b[^.!?\n]{0,60}
          \b(?:prompt|passwords?|api[\ -]?keys?|secrets?|secret\ key|instructions|credentials|configuration
          |confidential
          |environment\ variables|everything\ above|history|notes|systemprompt|systeemprompt|sistema|claves|has[łl]o)
    """,
    "secrecy": r"""
        \b(?:do\ not|don['’]t|never|without)\ (?:\w+\ )?(?:tell|mention|inform\w*|reveal|say|highlight|comment)\w*
        | \b(?:silently|quietly)\b | \bkeep\ th(?:is|ese)\b[^.!?\n]{0,20}\bsecret | must\ not\ learn
        | deny\ that\ they
        | hide\ the\ warnings | erwähne[^.]{0,40}nicht | ne\ (?:dis|mentionne)\w*\ pas
        | no\ (?:le\ )?(?:menciones|digas)
        | n[ãa]o\ (?:conte|mencione) | 不要告诉
    """,
    "to_the_user": r"""
        \b(?:tell|say\ to|convince|inform)\ (?:the\ |every\ |all\ )?(?:user|customer|reader|visitor)s?\b
        | \b(?:the\ user|dem\ nutzer|dem\ kunden|l'utilisateur|al\ usuario|ao\ usu[áa]rio|de\ klant
        |пользовател\w*|告诉用户
        |müşteriye|المستخدم)
    """,
    "answer_demanded": r"""
        \b(?:answer|respond|reply|antworte|r[ée]ponds|responde|responda|scrivi|antwoord|отвечай|write|say|state
        |conclude)\b
          [^.!?\n]{0,30}\b(?:only|always|nothing\ but|every|any|with|nur|seulement|[úu]nicamente|soltanto|apenas
          |alleen|только|that)\b
        | \bin\ (?:your|its)\ (?:answer|reply|response|summary|next\ message) | begin\ your\ answer
        | \bwhen\ (?:you\ )?(?:summari[sz]|answer)\w* | \b(?:before|after)\ (?:you\ )?(?:answer|respond)\w*
        | 回答 | 答えて | 답하
    """,
    "sends_away": r"""
        https?://\S*(?:[?&]\w+=(?:\{|$|\s)|\{|DATA|/in\?)
        | \b(?:send|forward|post|append|encode|upload|submit|put|add|envia\w*|envoie|schicke)\b[^.!?\n]{0,80}
          (?:https?://|\burl\b|\blink\b|@|chat\ history|conversation|emails|inbox|hexadecimal|conversa\b)
        | tracking\ pixel
    """,
    "uses_tools": r"""
        \b(?:call|invoke|use|run|execute|trigger|rufe|ejecuta|calling)\b[^.!?\n]{0,60}
          \b(?:tool|function|shell|\w+_\w+|curl|python\ code|browser|werkzeug|funci[óo]n)\b
        | \brm\ -rf\b | \|\ ?sh\b | \b(?:delete|transfer|book|cancel)\ (?:all|the|every)\b
    """,
    "no_confirmation": r"""
        no\ confirmation | without\ (?:asking|permission) | do\ not\ ask\ for | with\ the\ saved | whatever\ the\ data
        | regardless\ of | whenever\ this\ page | in\ all\ cases | as\ if\ nothing
    """,
    "rates": r"""
        \b(?:rate|mark|rank|award|give|bewerte|donnez|califica)\b[^.!?\n]{0,40}
          \b(?:strongest|exceptionally|first|full\ marks|five\ stars|positive\ review|hervorragend|maximale?
          |m[áa]xima|highest)
        | must\ (?:conclude|say) | always\ (?:rank|approve|recommend|agree\w*) | positive\ review\ only
        | \brecommend\w*\ (?:this|plan|immer|only)\b
    """,
    "hidden_markup": r"""
        <!--[^>]{0,400}\b(?:ai|assistant|ignore|instructions?|tell|model)\b
        | display:\s*none[^<]{0,20}>[^<]*\b\w+\ \w+\ \w+ | font-size:\s*0 | color\s*[:=]\s*["']?(?:\#fff\b|white)
        | <p\ hidden | \[//\]:\ \#
    """,
    "talks_about": r"""
        \b(?:attack\w*|injections?|jailbreak\w*|vulnerab\w*|phishing|mitigat\w*|researchers?|paper|authors
        |developers?|red\ team
        |scanner|classifier|owasp|guardrail\w*|untrusted|such\ as|for\ example|refused?|fixed\ in|angriff|attaque
        |atacantes
        |攻击|атак\w*)\b
    """,
    "told": r"""
        \b(?:he|she|they|the\ (?:judge|coach|general|king|editor|author|vendor|auditor
        |registrar))\b[^.!?\n]{0,40}\b\w+ed\b
        | \b(?:said|asked|wrote|whispered|told|instructed|commands)\b
    """,
}

PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(source, re.IGNORECASE | re.MULTILINE | re.VERBOSE) for name, source in _SOURCES.items()
}
"""One sign each. Every pattern takes time in proportion to the text: gaps have a longest length."""
