"""Verify a receipt offline, with the public key alone; a changed copy is refused, and so is another answer."""

import json

from leo_core import LEO, verify_receipt
from leo_core.errors import ReceiptError
from leo_core.providers.extractive import ExtractiveModel


def attempt(what: str, receipt: object, key: str, **more: object) -> None:
    """Verify, and print what came of it."""
    try:
        verify_receipt(receipt, public_key=key, **more)
    except ReceiptError as error:
        print(f"{what}: refused ({error.check}): {error}")
    else:
        print(f"{what}: valid")


with LEO(small=ExtractiveModel()) as leo:
    answer = leo.ask(
        "Context: Water boils at 100 degrees at sea level.\n\nQuestion: At how many degrees does water boil?"
    )
    document = json.dumps(dict(answer.receipt.document))  # what you would store or send
    key = leo.public_key

attempt("the receipt as it was exported", json.loads(document), key)
attempt("held against its answer", answer.receipt, key, contents={"answer": answer.text})
attempt("held against another answer", answer.receipt, key, contents={"answer": "Water boils at 90 degrees."})

changed = json.loads(document)
payload = changed["envelope"]["payload"]
changed["envelope"]["payload"] = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
attempt("a copy with one changed character", changed, key)
