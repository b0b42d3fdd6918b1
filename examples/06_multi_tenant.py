"""Several tenants in one store: what one of them asked is never served to another, and each has its own promise."""

from leo_core import LEO, LEOConfig
from leo_core.errors import LEOError
from leo_core.providers.scripted import ScriptedModel

PRICES = {"acme": "It costs 10 euros.", "globex": "It costs 99 euros."}


def reply(request: object) -> str:
    """A back office that knows each tenant's own price."""
    return PRICES[request.tenant]


QUESTION = "What does the small plan cost?"

with LEO(small=ScriptedModel("back-office", replies=reply), config=LEOConfig(require_tenant=True)) as leo:
    for tenant in ("acme", "globex", "acme", "globex"):
        answer = leo.ask(QUESTION, tenant=tenant)
        leo.flush()
        print(f"{tenant}: {answer.text} [{answer.route}]")

    removed = leo.cache.clear("acme")
    print(f"cleared acme: {removed} answer removed; globex keeps {leo.store.count_entries('globex')}")

    try:
        leo.ask(QUESTION)
    except LEOError as error:
        print(f"without a tenant: {type(error).__name__}: {error}")
