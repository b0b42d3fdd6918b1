"""Spellings of one English word: British and American, abbreviated, with or without accents and hyphens."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from leo_core.stages.cache.guards.thesaurus import are_related, is_known

__all__ = ["are_spellings"]

_RULES = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"(?<=.{3})is(?=(?:e|ed|er|ing|ation|ations)?$)", "iz"),
        (r"(?<=.{2})ys(?=(?:e|ed|er|ing)?$)", "yz"),
        (r"(?<=.{2})our", "or"),
        (r"(?<=[bcdfghkptv])re$", "er"),
        (r"(?<=.{3})ogue?$", "og"),
        (r"(?<=.)[ao]e(?=.{3})", "e"),
        (r"^[ao]e(?=.{3})", "e"),
        (r"sulph", "sulf"),
        (r"(?<=.{2})ence?$", "ens"),
        (r"(?<=.{2})ense?$", "ens"),
        (r"(?<=.{3})mme?$", "m"),
        (r"ph", "f"),
        (r"([a-z])\1", r"\1"),
    )
)
_SHORTEST = 4
_SHORT_FORMS: dict[str, frozenset[str]] = {}
for _entry in """
temp:temperature mt:mount,mountain st:street,saint ave:avenue rd:road dr:doctor,drive prof:professor dept:department
govt:government univ:university uni:university intl:international natl:national assn:association bldg:building
apt:apartment appt:appointment approx:approximately,about avg:average max:maximum min:minimum qty:quantity amt:amount
acct:account addr:address admin:administrator,administration app:application config:configuration spec:specification
specs:specifications info:information docs:documentation,documents doc:document repo:repository param:parameter
params:parameters arg:argument args:arguments func:function var:variable vars:variables lib:library libs:libraries
dir:directory env:environment dev:development,developer prod:production auth:authentication,authorization db:database
msg:message pwd:password pic:picture pics:pictures vid:video photo:photograph photos:photographs ad:advertisement
ads:advertisements exam:examination lab:laboratory gym:gymnasium fridge:refrigerator flu:influenza physio:physiotherapy
veg:vegetable,vegetables veggies:vegetables vet:veterinarian bike:bicycle tv:television phone:telephone mic:microphone
sig:significant fig:figure figs:figures eq:equation vol:volume ed:edition pg:page pp:pages ch:chapter para:paragraph
sec:section fn:function no:number num:number nr:number vs:versus re:regarding incl:including excl:excluding
est:estimated misc:miscellaneous pop:population hq:headquarters temp:temporary ref:reference,referee stats:statistics
limo:limousine rhino:rhinoceros hippo:hippopotamus croc:crocodile memo:memorandum promo:promotion demo:demonstration
intro:introduction rehab:rehabilitation congrats:congratulations prep:preparation,prepare tech:technology
uke:ukulele sax:saxophone cello:violoncello piano:pianoforte mayo:mayonnaise caps:capitals ref:referee
k8s:kubernetes js:javascript ts:typescript py:python postgres:postgresql mongo:mongodb golang:go tf:tensorflow
win:windows osx:macos gh:github vm:virtualmachine os:operatingsystem cert:certificate certs:certificates
conf:conference,configuration diff:difference calc:calculation,calculate medication:medicine meds:medication,medicines
pharma:pharmaceutical carbs:carbohydrates dino:dinosaur dorm:dormitory grad:graduate undergrad:undergraduate
sub:submarine,substitute combo:combination condo:condominium decaf:decaffeinated deli:delicatessen limo:limousine
pls:please thru:through tho:though nite:night lite:light donut:doughnut plow:plough gray:grey tire:tyre tires:tyres
curb:kerb cozy:cosy mold:mould jail:gaol pajamas:pyjamas mustache:moustache check:cheque skeptic:sceptic ax:axe
aluminum:aluminium yogurt:yoghurt draft:draught story:storey maneuver:manoeuvre artifact:artefact program:programme
spelt:spelled learnt:learned burnt:burned dreamt:dreamed leapt:leaped smelt:smelled spilt:spilled
""".split():  # noqa: SIM905 - words read better as a text
    _short, _long = _entry.split(":")
    _SHORT_FORMS[_short] = _SHORT_FORMS.get(_short, frozenset()) | frozenset(_long.split(","))


def are_spellings(one: str, two: str) -> bool:
    """Whether two words, or their stems, are one word in two spellings."""
    if _abbreviates(one, two) or _abbreviates(two, one):
        return True
    return _plain(one) == _plain(two) and (are_related(one, two) or not (is_known(one) and is_known(two)))


def _abbreviates(short: str, long: str) -> bool:
    """Whether one of the words that a short form stands for is the word, whose ending its stem may have lost."""
    return any(
        full == long or (len(long) >= _SHORTEST and full.startswith(long) and len(full) - len(long) <= 2)  # noqa: PLR2004 - "ed", "es", "e"
        for full in _SHORT_FORMS.get(short, ())
    )


@lru_cache(maxsize=1 << 13)
def _plain(word: str) -> str:
    """A word without what the spellings of one word differ in."""
    plain = word
    if not word.isascii():
        plain = "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))
    if len(plain) < _SHORTEST or not plain.isalpha():
        return plain
    for pattern, spelling in _RULES:
        plain = pattern.sub(spelling, plain)
    return plain.removesuffix("e")
