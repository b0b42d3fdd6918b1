"""Pairs of opposites, with the forms of their words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ANTONYMS"]

_PAIRS = """
safe:unsafe,dangerous,hazardous,risky legal:illegal,unlawful possible:impossible
allow:forbid,ban,prohibit,deny,block,prevent,disallow permit:forbid,ban,prohibit,disallow
enable:disable,deactivate activate:deactivate,disable
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
usual:abnormal,atypical,unusual normal:abnormal,atypical,unusual typical:abnormal,atypical,unusual
tight:loose rough:smooth sharp:blunt,dull brave:cowardly generous:selfish,stingy polite:rude lend:borrow
give:take,receive win:lose gained:lost optional:mandatory,required,compulsory voluntary:mandatory,compulsory free:paid
prepaid:postpaid fixed:variable,floating long-term:short-term active:inactive,passive passive:active bull:bear
bullish:bearish sell:buy dry:wet cause:cure,prevent treat:cause encourage:discourage agree:disagree trust:distrust
expensive:cheaper,cheapest cheap:dearer
wild:captive,tame,domesticated,cultivated,farmed stiff:flexible,pliable,bendy rigid:flexible flexible:inflexible
solid:liquid,hollow,gaseous liquid:solid,gas hollow:solid calm:rough,stormy,nervous awake:asleep asleep:awake
outgoing:incoming,shy inbound:outbound incoming:outgoing inward:outward onshore:offshore
upstream:downstream uphill:downhill overweight:underweight overestimate:underestimate overcooked:undercooked
overpaid:underpaid overpriced:underpriced overexposed:underexposed overfed:underfed undercharge:overcharge
nocturnal:diurnal deciduous:evergreen annual:perennial herbivore:carnivore oral:written literate:illiterate
verbal:nonverbal monolingual:bilingual vacant:occupied occupied:vacant,free sober:drunk guilty:acquitted
convict:acquit acquit:convict convicted:acquitted arrest:release catch:release,drop throw:catch fill:empty,drain
drain:fill tighten:loosen,slacken strengthen:weaken lengthen:shorten widen:narrow deepen:fill,lighten brighten:darken
lighten:darken soften:harden thicken:thin sharpen:blunt,dull moisten:dry sweeten:sour dampen:dry inflate:deflate
inflation:deflation ascend:descend ascent:descent climb:descend sink:float float:sink rising:falling,setting
waxing:waning accelerate:decelerate,brake praise:criticise,criticize,blame compliment:insult
reward:punish,penalty punish:reward forgive:blame,resent bless:curse obey:disobey honest:dishonest
patient:impatient polite:impolite mature:immature formal:informal,casual regular:irregular rational:irrational
organic:inorganic,conventional edible:inedible,poisonous toxic:nontoxic,harmless harmful:harmless,harmless
poisonous:edible,harmless fertile:infertile,barren frequent:infrequent,rare common:rare,uncommon rare:common,frequent
scarce:plentiful,abundant plenty:shortage surplus:shortage,deficit deficit:surplus excess:shortage
creditor:debtor payer:payee trustor:trustee sender:recipient,receiver,addressee
seller:buyer supplier:customer lessor:lessee mentor:mentee interviewer:interviewee trainer:trainee coach:player
author:reader speaker:listener,audience winner:loser victor:loser hero:villain bride:groom
nephew:niece prince:princess duke:duchess actor:actress waiter:waitress hen:rooster bull:cow ram:ewe stallion:mare
widow:widower bachelor:spinster grandmother:grandfather grandson:granddaughter stepmother:stepfather
godmother:godfather godson:goddaughter sir:madam gentleman:lady lad:lass sons:daughters
heaven:hell angel:devil blessing:curse virtue:vice comedy:tragedy fiction:nonfiction fact:fiction,opinion
truth:lie,lies wisdom:folly courage:cowardice joy:sorrow,grief pleasure:pain beauty:ugliness beautiful:ugly
pretty:ugly handsome:ugly attractive:repulsive,unattractive clever:stupid,dumb smart:stupid,dumb
bright:dull,dark,dim interesting:boring,dull exciting:boring fun:boring busy:idle,free lazy:diligent,hardworking
careful:careless useful:useless helpful:unhelpful hopeful:hopeless painful:painless powerful:powerless
harmless:harmful thoughtful:thoughtless tasteful:tasteless colourful:colourless colorful:colorless cordless:corded
stainless:stained seedless:seeded sleeveless:sleeved unsweetened:sweetened
salted:unsalted ripe:unripe,overripe mild:spicy,severe,strong spicy:mild,bland salty:sweet,bland crunchy:soft,soggy
crisp:soggy tender:tough lean:fatty,fat fatty:lean skimmed:whole roasted:raw boiled:raw,fried vegan:meat
greasy:dry oily:dry damp:dry humid:dry,arid arid:humid rainy:sunny,dry sunny:cloudy,rainy,overcast cloudy:sunny,clear
windy:calm summer:winter day:night daytime:nighttime daylight:darkness sunlight:moonlight morning:evening
weekday:weekend punctual:late overdue:early beginner:expert,advanced,pro
amateur:professional novice:expert expert:novice,beginner,layman basic:advanced introductory:advanced
elementary:advanced primary:secondary freshman:senior undergraduate:postgraduate,graduate permanent:temporary,interim
temporary:permanent
salaried:freelance,hourly wholesale:retail retail:wholesale bulk:single gross:net
pretax:posttax nominal:real inclusive:exclusive included:excluded,extra refundable:nonrefundable
taxable:exempt,nontaxable exempt:liable,taxable deductible:nondeductible insured:uninsured secured:unsecured
guaranteed:unsecured upfront:arrears overdraft:surplus appreciate:depreciate appreciation:depreciation
upgrade:downgrade promote:demote promotion:demotion recruit:dismiss resign:join retire:start nominate:reject
elect:oust invade:withdraw,liberate conquer:surrender surrender:fight advance:retreat retreat:advance arrive:depart
landing:takeoff embark:disembark board:disembark departure:arrival departures:arrivals
entrance:exit entry:exit checkin:checkout inflow:outflow inlet:outlet intake:output,exhaust
evaporate:condense evaporation:condensation melting:freezing solidify:melt dissolve:precipitate oxidize:reduce
oxidation:reduction anode:cathode proton:electron cation:anion convex:concave diverge:converge
divergent:convergent multiply:divide multiplication:division integrate:differentiate integral:derivative
numerator:denominator dividend:divisor addition:subtraction plus:minus real:imaginary
finite:infinite bounded:unbounded linear:nonlinear symmetric:asymmetric continuous:discrete,discontinuous
analog:digital analogue:digital hardware:software uppercase:lowercase capital:lowercase whitelist:blacklist
allowlist:blocklist blacklist:whitelist mute:unmute silence:ring freeze:unfreeze,thaw pin:unpin tag:untag fold:unfold
wrap:unwrap plug:unplug dress:undress cover:uncover,expose reveal:conceal,hide expose:conceal,cover veil:unveil
tie:untie button:unbutton fasten:unfasten,loosen stick:unstick,peel assemble:disassemble,dismantle merge:split
split:merge,join separate:combine,join combine:separate join:leave,separate unite:divide divide:unite,multiply
gather:scatter scatter:gather collect:distribute centralised:decentralised centralized:decentralized
monarchy:republic democracy:dictatorship leftwing:rightwing federal:state civil:criminal,military civilian:military
soldier:civilian
acquitted:convicted innocent:guilty defence:prosecution,attack defense:prosecution,attack prosecutor:defender
prosecution:defence,defense testator:heir bride:groom ally:enemy foe:friend stranger:friend
hypothermia:hyperthermia dilate:constrict systolic:diastolic afferent:efferent dominant:recessive extinct:extant,living
endangered:thriving invasive:native native:foreign,invasive,introduced indigenous:foreign
freshwater:saltwater,marine saltwater:freshwater maternal:paternal motherhood:fatherhood maternity:paternity
anterior:posterior dorsal:ventral proximal:distal superficial:deep caffeinated:decaf,decaffeinated
alcoholic:nonalcoholic hardback:paperback hardcover:paperback landscape:portrait foreground:background
acoustic:electric indoor:outdoor,outdoors indoors:outdoors overhead:underfoot underground:overground,aboveground
underwater:surface tame:wild feral:domesticated domesticated:wild,feral
grant:deny,refuse shed:keep
can:unable respect:disrespect agree:refuse proceed:cancel continue:stop,cancel confirm:cancel
"""
_IRREGULAR = """
begin:began,begun build:built fall:fell,fallen forbid:forbade,forbidden forget:forgot,forgotten freeze:froze,frozen
grow:grew,grown hide:hid,hidden lose:lost rise:rose,risen shrink:shrank,shrunk spend:spent win:won
withdraw:withdrew,withdrawn write:wrote,written
"""
"""Forms of verbs above that their stem does not show."""
_GRADED = """
stiff calm mild lean tender tough crisp damp rainy sunny cloudy windy spicy salty ripe busy lazy ugly pretty clever
bright dull smart dim loud quiet soft hard wet dry clean dirty happy sad tight loose rough smooth sharp blunt brave
sweet sour fresh stale warm cool hot cold deep shallow wide narrow thick thin high low rich poor cheap dear
"""
"""Adjectives above whose comparatives are opposites too."""
_LONGEST_COMPARED = 7


def _read_table(text: str) -> Iterator[tuple[str, list[str]]]:
    """Words with what stands behind their colon."""
    for entry in text.split():
        word, others = entry.split(":")
        yield word, others.split(",")


def _compare_forms(word: str) -> tuple[str, ...]:
    """Comparative and superlative of a short adjective: "stiffer", "stiffest"."""
    if not word.isalpha() or len(word) > _LONGEST_COMPARED:
        return ()
    if word.endswith("y"):
        return f"{word[:-1]}ier", f"{word[:-1]}iest"
    root = word.removesuffix("e")
    doubled = root + root[-1] if re.fullmatch(r"[^aeiou]+[aeiou][bdgmnpt]", root) else root
    return f"{doubled}er", f"{doubled}est"


def _root_of(word: str) -> str:
    """The stem; the word itself where its "ly" is no ending: "costly" is not "cost"."""
    return word if word.endswith("ly") else stem(word)


def _read_pairs() -> dict[str, frozenset[str]]:
    forms = {word: tuple(others) for word, others in _read_table(_IRREGULAR)}
    for word in _GRADED.split():
        forms[word] = (*forms.get(word, ()), *_compare_forms(word))
    table: dict[str, set[str]] = {}
    for word, others in _read_table(_PAIRS):
        for other in others:
            for one in (word, _root_of(word), *forms.get(word, ())):
                for two in (other, _root_of(other), *forms.get(other, ())):
                    table.setdefault(one, set()).add(two)
                    table.setdefault(two, set()).add(one)
    return {word: frozenset(found) for word, found in table.items()}


ANTONYMS = _read_pairs()
"""The opposites of each word, and of its stem and irregular forms."""
