"""Irregular verbs of English."""

from __future__ import annotations

__all__ = ["PRESENT_OF"]

_PAST = """
arise:arose awake:awoke bear:bore beat:beat become:became begin:began bend:bent bind:bound bite:bit bleed:bled blow:blew
break:broke breed:bred bring:brought build:built burn:burnt buy:bought catch:caught choose:chose cling:clung come:came
creep:crept deal:dealt dig:dug draw:drew dream:dreamt drink:drank drive:drove dwell:dwelt eat:ate fall:fell feed:fed
feel:felt fight:fought find:found flee:fled fling:flung fly:flew forbid:forbade forget:forgot forgive:forgave
freeze:froze get:got give:gave go:went grind:ground grow:grew hang:hung have:had hear:heard hide:hid hold:held
keep:kept kneel:knelt know:knew lay:laid lead:led lean:leant learn:learnt leave:left lend:lent lie:lay light:lit
lose:lost make:made mean:meant meet:met mistake:mistook overcome:overcame oversee:oversaw overtake:overtook pay:paid
prove:proved ride:rode ring:rang rise:rose run:ran say:said see:saw seek:sought sell:sold send:sent sew:sewed
shake:shook shed:shed shine:shone shoot:shot show:showed shrink:shrank sing:sang sink:sank sit:sat sleep:slept
slide:slid sling:slung sow:sowed speak:spoke spend:spent spin:spun spring:sprang stand:stood steal:stole stick:stuck
sting:stung stink:stank stride:strode strike:struck strive:strove swear:swore sweep:swept swim:swam swing:swung
take:took teach:taught tear:tore tell:told think:thought throw:threw undergo:underwent understand:understood
undertake:undertook wake:woke wear:wore weave:wove weep:wept win:won wind:wound withdraw:withdrew withstand:withstood
write:wrote
"""
PRESENT_OF = {past: verb for verb, past in (entry.split(":") for entry in _PAST.split())}
"""The verb of each form in the past."""
