"""Spends under a budget from a process of its own.

``python spending.py spend STORE COUNT`` asks so many questions and prints what came of them as JSON;
``python spending.py hang STORE`` prints a line when its member is called, and never ends.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from leo_core import LEO, Budget, LEOConfig
from leo_core.errors import BudgetExceededError
from leo_core.providers.scripted import ScriptedModel

COST, LIMIT = 0.0007, 0.035
CONFIG = LEOConfig(budgets=(Budget(limit_usd=LIMIT, period="total"),), reservation_ttl_s=60.0)


def spend(store, count):
    member = ScriptedModel("parrot", replies=lambda request: request.question, cost=COST)

    def ask(number):
        try:
            return leo.ask(f"question {number}?", cache=False).usage.cost_usd
        except BudgetExceededError as error:
            return str(error)

    with LEO(small=member, store=store, config=CONFIG) as leo, ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(count)))
    errors = sorted({each for each in outcomes if isinstance(each, str)})
    answered = sum(not isinstance(each, str) for each in outcomes)
    sys.stdout.write(json.dumps({"answered": answered, "calls": member.calls, "errors": errors}))


def hang(store):
    def reply(request):
        sys.stdout.write("called\n")
        sys.stdout.flush()
        threading.Event().wait()

    with LEO(small=ScriptedModel("parrot", replies=reply, cost=COST), store=store, config=CONFIG) as leo:
        leo.ask("Hello?")


if __name__ == "__main__":
    if sys.argv[1] == "spend":
        spend(sys.argv[2], int(sys.argv[3]))
    else:
        hang(sys.argv[2])
