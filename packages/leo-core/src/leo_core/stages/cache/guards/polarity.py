"""Negation and antonyms must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.order import is_converse
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.stages.cache.guards.words import Words

__all__ = ["NEGATORS", "find_antonyms", "find_negation_conflict", "find_opposites", "is_negated"]

NEGATORS = frozenset(
    """not no never without none nobody nothing nowhere neither nor cannot cant dont wont doesnt didnt isnt arent wasnt
    werent shouldnt couldnt wouldnt havent hasnt hadnt aint non hardly barely lack lacks lacking unless""".split()  # noqa: SIM905 - words read better as a text
)
_IDIOMS = (
    ("or", "not"),
    ("not", "only"),
    ("no", "matter"),
    ("why", "not"),
    ("no", "doubt"),
    ("not", "just"),
    ("nothing", "but"),
)

_PAIRS = """
safe:unsafe,dangerous,hazardous,risky legal:illegal,unlawful possible:impossible
allow:forbid,ban,prohibit,deny,block,prevent enable:disable,deactivate activate:deactivate,disable
open:close,shut,closed start:stop,end,finish,quit begin:end,finish,stop increase:decrease,reduce,lower,shrink,cut
raise:lower,reduce,decrease grow:shrink,decline rise:fall,drop,decline gain:lose,loss win:lose,loss buy:sell
purchase:sell borrow:lend hire:fire import:export upload:download send:receive push:pull accept:reject,decline,refuse
approve:reject,decline,deny,refuse love:hate like:dislike,hate good:bad,evil,poor best:worst better:worse
positive:negative advantage:disadvantage,drawback pro:con pros:cons benefit:drawback,harm,risk strength:weakness
strong:weak hot:cold warm:cool,cold fast:slow quick:slow early:late old:young,new new:old,used ancient:modern
rich:poor cheap:expensive,costly cheapest:dearest,expensive,priciest easy:hard,difficult simple:complex,complicated
light:heavy,dark bright:dark,dim big:small,little,tiny large:small,little,tiny long:short tall:short
wide:narrow thick:thin
deep:shallow high:low full:empty hard:soft wet:dry clean:dirty loud:quiet happy:sad,unhappy healthy:sick,unhealthy,ill
alive:dead live:die birth:death born:die,died friend:enemy true:false right:wrong,left correct:wrong,incorrect
left:right top:bottom up:down upper:lower inside:outside indoor:outdoor internal:external inner:outer public:private
front:back,rear north:south east:west northern:southern eastern:western male:female man:woman men:women boy:girl
husband:wife father:mother son:daughter brother:sister uncle:aunt king:queen add:remove,subtract,delete
insert:remove,delete include:exclude,omit attach:detach install:uninstall,remove connect:disconnect lock:unlock
encrypt:decrypt encode:decode compress:decompress,extract load:unload pack:unpack zip:unzip mount:unmount
subscribe:unsubscribe follow:unfollow login:logout sign-in:sign-out create:delete,destroy,remove
build:destroy,demolish save:spend,delete,waste earn:spend deposit:withdraw,withdrawal credit:debit income:expense
asset:liability profit:loss supply:demand optimist:pessimist win:defeat victory:defeat attack:defend,defense war:peace
hope:despair success:failure succeed:fail pass:fail appear:disappear,vanish arrive:depart,leave enter:exit,leave
come:go remember:forget teach:learn question:answer ask:answer show:hide visible:invisible,hidden present:absent,past
presence:absence future:past permanent:temporary always:never,sometimes everyone:nobody everything:nothing
everywhere:nowhere all:none major:minor majority:minority senior:junior superior:inferior maximum:minimum max:min
maximize:minimize maximise:minimise minimum:maximum most:least,fewest more:less,fewer greater:less,lesser,smaller
higher:lower bigger:smaller larger:smaller longer:shorter older:younger,newer faster:slower stronger:weaker
taller:shorter richer:poorer cheaper:dearer,pricier easier:harder earlier:later highest:lowest biggest:smallest
largest:smallest longest:shortest oldest:youngest,newest fastest:slowest tallest:shortest richest:poorest
strongest:weakest easiest:hardest earliest:latest greatest:least above:below,under,beneath over:under before:after
prior:after,following since:until first:last,final next:previous,last,prior former:latter upstairs:downstairs
forward:backward,back forwards:backwards ascending:descending clockwise:counterclockwise,anticlockwise even:odd
prime:composite vertical:horizontal concave:convex acid:alkaline,base,basic acute:chronic,obtuse benign:malignant
hyper:hypo hypertension:hypotension hyperglycemia:hypoglycemia arteries:veins artery:vein inhale:exhale
expand:contract,shrink freeze:melt,thaw,unfreeze boil:freeze absorb:emit attract:repel input:output read:write
client:server frontend:backend synchronous:asynchronous sync:async static:dynamic mutable:immutable abstract:concrete
virtual:physical online:offline wired:wireless manual:automatic front-end:back-end serial:parallel
domestic:foreign,international local:global,remote urban:rural liberal:conservative guilty:innocent innocence:guilt
plaintiff:defendant employer:employee teacher:student doctor:patient landlord:tenant buyer:seller lender:borrower
host:guest parent:child predator:prey vegetarian:meat employed:unemployed married:single,divorced,unmarried
marry:divorce with:without including:excluding,except include:except sunrise:sunset dawn:dusk ceiling:floor
immigrant:emigrant immigration:emigration introvert:extrovert theist:atheist quantity:quality opaque:transparent
fake:real,genuine artificial:natural natural:artificial,synthetic raw:cooked fresh:stale,rotten sweet:bitter,sour
tight:loose rough:smooth sharp:blunt,dull brave:cowardly generous:selfish,stingy polite:rude lend:borrow
give:take,receive win:lose gained:lost optional:mandatory,required,compulsory voluntary:mandatory,compulsory free:paid
prepaid:postpaid fixed:variable,floating long-term:short-term active:inactive,passive passive:active bull:bear
bullish:bearish sell:buy dry:wet cause:cure,prevent treat:cause encourage:discourage agree:disagree trust:distrust
expensive:cheaper,cheapest cheap:dearer
unable:can respect:disrespect agree:refuse proceed:cancel continue:stop,cancel confirm:cancel
"""
_IRREGULAR = """
begin:began,begun build:built buy:bought come:came fall:fell,fallen forbid:forbade,forbidden forget:forgot,forgotten
freeze:froze,frozen give:gave,given go:went,gone grow:grew,grown hide:hid,hidden lend:lent lose:lost rise:rose,risen
sell:sold send:sent shrink:shrank,shrunk spend:spent take:took,taken teach:taught win:won withdraw:withdrew,withdrawn
write:wrote,written
"""
"""Forms of verbs above that their stem does not show."""
_EXCEPTIONS = frozenset({"able", "side", "form", "vest", "come", "tend", "press", "port", "pose", "valuable", "less"})
_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "de", "anti", "mis")
_SHORTEST_ROOT = 4
_NONE: frozenset[str] = frozenset()


def _read_table(text: str) -> Iterator[tuple[str, list[str]]]:
    """Words with what stands behind their colon."""
    for entry in text.split():
        word, others = entry.split(":")
        yield word, others.split(",")


def _read_pairs() -> dict[str, frozenset[str]]:
    forms = dict(_read_table(_IRREGULAR))
    table: dict[str, set[str]] = {}
    for word, others in _read_table(_PAIRS):
        for other in others:
            for one in (word, stem(word), *forms.get(word, ())):
                for two in (other, stem(other), *forms.get(other, ())):
                    table.setdefault(one, set()).add(two)
                    table.setdefault(two, set()).add(one)
    return {word: frozenset(found) for word, found in table.items()}


_ANTONYMS = _read_pairs()


def is_negated(words: Words) -> bool:
    """Whether the text holds an odd number of negations, idioms such as "or not" aside."""
    return _count_negations(words) % 2 == 1


def find_negation_conflict(*, a: bool, b: bool) -> str | None:
    """Reason in words, or ``None`` when both or neither are negated."""
    if a == b:
        return None
    return "negation differs: negated, not negated" if a else "negation differs: not negated, negated"


def find_antonyms(a: Words, b: Words, opposites: tuple[str, str] | None) -> str | None:
    """Reason in words when one text has a word where the other has its opposite, as :func:`find_opposites` says."""
    if opposites is None or is_converse(a, b, *opposites):
        return None
    return f"opposites: {opposites[0]}, {opposites[1]}"


def find_opposites(a: Words, b: Words) -> tuple[str, str] | None:
    """A word of each text that is the opposite of the other."""
    only_a, only_b = a.bag - b.bag, b.bag - a.bag
    if not only_a or not only_b:
        return None
    for word in only_a:
        root = stem(word)
        opposites = _ANTONYMS.get(word, _NONE) | _ANTONYMS.get(root, _NONE)
        if not opposites:
            continue
        found = opposites & only_b
        if not found and root not in b.stems:
            found = opposites & {stem(other) for other in only_b} - a.stems
        if found:
            return word, min(found)
    return _find_prefixed(only_a, only_b)


def _find_prefixed(only_a: frozenset[str], only_b: frozenset[str]) -> tuple[str, str] | None:
    """Opposites by prefix: "connected" and "disconnected"."""
    for longer, shorter, a_first in ((only_a, only_b, False), (only_b, only_a, True)):
        for word in longer:
            if not word.startswith(_NEGATIVE_PREFIXES):
                continue
            for prefix in _NEGATIVE_PREFIXES:
                root = word.removeprefix(prefix)
                if len(root) < _SHORTEST_ROOT or root == word or root not in shorter:
                    continue
                if root not in _EXCEPTIONS or (root == "able" and prefix == "un"):
                    return (root, word) if a_first else (word, root)
    return None


def _count_negations(words: Words) -> int:
    tokens = words.lower
    if words.bag.isdisjoint(NEGATORS) and not any(token.endswith("n't") for token in tokens):
        return 0
    count = 0
    for at, token in enumerate(tokens):
        if token in NEGATORS or token.endswith("n't"):
            before = tokens[at - 1] if at else ""
            after = tokens[at + 1] if at + 1 < len(tokens) else ""
            if (before, token) not in _IDIOMS and (token, after) not in _IDIOMS:
                count += 1
    return count
