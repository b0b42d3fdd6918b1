"""From settings to a wired LEO: the only place that knows concrete classes."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from leo_core.engine.plan import Plan
from leo_core.engine.world import SystemClock, World
from leo_core.errors import ConfigError, LEOError, ReceiptError, SigningKeyError, StoreUnavailableError
from leo_core.ports import Model, PrivateIndex, Store
from leo_core.records import Usage
from leo_core.stages.cache.identity import canonical_bytes
from leo_core.stages.consensus.presumption import presume_from_prices
from leo_core.stages.risk.examples import fit_categories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from leo_core.config import LEOConfig
    from leo_core.ports import AnswerComparator, Clock, Embedder, Journal, Ledger, Listener, ReceiptLog
    from leo_core.privacy.config import PrivacyConfig
    from leo_core.records import Answer, Message, Request
    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.receipt.config import ReceiptConfig
    from leo_core.stages.receipt.keys import PublicKey, SigningKey
    from leo_core.storage.database import Database
    from leo_core.storage.keyrings import Keyrings
    from leo_core.storage.private_store import PrivateStore
    from leo_core.storage.sealed_rows import SealedRows
    from leo_core.storage.sealed_store import SealedStore
    from leo_core.storage.sealing import SealKey

__all__ = ["load_pair_model", "make_plan", "make_world", "open_parts", "pick_member", "presume"]

_log = logging.getLogger("leo_core")


def pick_member(given: str | Model | None) -> Model | None:
    """A member from its name, such as ``"openai:gpt-5-mini"``, or as it is.

    Raises:
        ConfigError: It is neither; the message says what is understood.
    """
    if given is None or isinstance(given, Model):
        return given
    if isinstance(given, str):
        from leo_core.providers.names import resolve_model  # noqa: PLC0415 - providers load when they are used

        return resolve_model(given)
    message = f"a member is a name like 'openai:gpt-5-mini' or a Model, not {type(given).__name__}"
    raise ConfigError(message)


def pick_jury(given: Sequence[str | Model], known: Sequence[Model | None]) -> tuple[Model, ...]:
    """The jury; a name that small or large already has means that very member, ``NAME*5`` five samples of one.

    Raises:
        ConfigError: A member is not understood, or the number of samples is out of range.
    """
    by_id = {member.id: member for member in known if member is not None}
    return tuple(member for item in given for member in _pick_members(item, by_id))


def _pick_members(item: str | Model, known: Mapping[str, Model]) -> tuple[Model, ...]:
    if not isinstance(item, str):
        return (_must(pick_member(item)),)
    name, star, count = item.rpartition("*")
    if not star or not count.isascii() or not count.isdigit():
        return (known.get(item) or _must(pick_member(item)),)
    from leo_core.providers.sampled import samples_of  # noqa: PLC0415 - providers load when they are used

    return samples_of(known.get(name) or _must(pick_member(name)), int(count[:4]))


def _must(member: Model | None) -> Model:
    if member is None:
        message = "the jury holds None; leave it out"
        raise ConfigError(message)
    return member


def pick_embedder(given: str | Embedder | None, config: LEOConfig) -> Embedder:
    """The embedder: a name, an object, or the one that the settings name."""
    from leo_core.stages.embed.load import build_embedder, load_embedder  # noqa: PLC0415 - loads numba

    if given is None:
        return build_embedder(config.embed)
    return load_embedder(given) if isinstance(given, str) else given


def load_pair_model() -> PairModel:
    """P(same answer | two questions): the shipped pair model, with the shipped embedder to compare words.

    ``load_pair_model().probability(a, b)`` gives float64 ``(n,)`` for two lists of n questions.
    """
    from leo_core.stages.cache import pair  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.stages.embed.load import load_static  # noqa: PLC0415 - loads numba

    return pair.load_pair_model(load_static())


def open_parts(
    store: str | Path | Store,
    signing_key: SigningKey | str | Path | None,
    config: LEOConfig,
    *,
    seal_key: str | Path | None = None,
) -> tuple[SealedStore | PrivateStore, ReceiptLog | None, SigningKey | None]:
    """Store, log and key. A path means one SQLite file for all, with the keys beside it (mode 0600).

    So does a ``SqliteStore`` in a file. A Chroma with a home keeps receipts and keys in files there. Beside any other
    store the receipts are kept in memory.
    """
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - loads numpy
    from leo_core.storage.sealed_store import SealedStore  # noqa: PLC0415 - loads numpy

    kept = _open_store(store.inner if isinstance(store, SealedStore | PrivateStore) else store)
    try:
        if isinstance(store, PrivateStore):
            guarded: SealedStore | PrivateStore = store
        elif config.privacy is not None:
            guarded = _open_privately(kept, config.privacy, seal_key)
        elif isinstance(store, SealedStore) and seal_key is None:
            guarded = SealedStore(kept, store.key)
        else:
            guarded = SealedStore(kept, find_seal_key(kept, seal_key))
        rows = guarded.rows if isinstance(guarded, PrivateStore) else None
        log, key = _open_log(kept, signing_key, config.receipts, rows)
    except LEOError:
        kept.close()
        raise
    return guarded, log, key


def _open_privately(kept: Store, settings: PrivacyConfig, seal_key: str | Path | None) -> PrivateStore:
    """The store that learns nothing, with its keyrings: beside its file, where they are nowhere else."""
    from leo_core.storage.kek_names import open_kek  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.keyrings import KEYS_SUFFIX, Keyrings  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - loads numpy

    if seal_key is not None:
        message = "seal_key has no use with privacy: what is sealed for privacy needs no other seal; leave it out"
        raise ConfigError(message)
    database = find_database(kept)
    keys = settings.keys
    if keys is None and database is not None:
        keys = database.path + KEYS_SUFFIX
    if keys is not None:
        kek = open_kek(settings.kek) if isinstance(settings.kek, str) else settings.kek
        rings = Keyrings.in_folder(keys, kek=kek, policy=settings.rotation)
    elif _is_lasting(kept):
        message = f"{kept!r} has no folder for keys: give PrivacyConfig(keys=FOLDER), or an address with ?home=FOLDER"
        raise ConfigError(message)
    else:
        rings = Keyrings.in_memory(policy=settings.rotation)
    return PrivateStore(kept, rings, index=_pick_index(settings, rings), index_bytes=settings.index_bytes)


def _pick_index(settings: PrivacyConfig, rings: Keyrings) -> PrivateIndex | None:
    """The index of the mode; ``None`` for opened vectors in memory."""
    given = settings.index
    index = given if given is None or isinstance(given, PrivateIndex) or not callable(given) else given(rings)
    if getattr(index, "mode", settings.mode) != settings.mode:
        message = f"privacy mode {settings.mode!r} and an index of mode {index.mode!r}: give both the same"
        raise ConfigError(message)
    if index is None or isinstance(index, PrivateIndex):
        return index
    message = f"PrivacyConfig.index is a PrivateIndex or a function that makes one, not {type(given).__name__}"
    raise ConfigError(message)


def _is_lasting(store: Store) -> bool:
    """Whether what the store holds outlives this process."""
    from leo_core.storage.in_memory import InMemoryStore  # noqa: PLC0415 - only what a LEO is made of is loaded

    path = getattr(getattr(store, "address", None), "path", None)
    database = getattr(store, "database", None)
    return not isinstance(store, InMemoryStore) and path != ":memory:" and not getattr(database, "in_memory", False)


def find_database(store: Store) -> Database | None:
    """The file of a store, where it has one."""
    from leo_core.storage.database import Database  # noqa: PLC0415 - only what a LEO is made of is loaded

    database = getattr(store, "database", None)
    return database if isinstance(database, Database) and not database.in_memory else None


def find_seal_key(store: Store, given: str | Path | None = None) -> SealKey:
    """The key that a store's entries are sealed with: in the given file, or where the store's ``seal_secret`` says.

    Of a store that does not say, nobody but this object ever knows the entries again.
    """
    from leo_core.storage.keyfile import load_or_create_seal_key  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.sealing import SealKey  # noqa: PLC0415 - loads cryptography

    secret = Path(given).expanduser() if given is not None else getattr(store, "seal_secret", None)
    if isinstance(secret, Path):
        return load_or_create_seal_key(secret)
    return SealKey(secret) if isinstance(secret, bytes) else SealKey.generate()


def _open_store(store: str | Path | Store) -> Store:
    from leo_core.storage.chroma_client import is_chroma  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.storage.in_memory import InMemoryStore  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.storage.sqlite import SqliteStore  # noqa: PLC0415 - only what a LEO is made of is loaded

    if is_chroma(store):
        return _open_chroma(str(store))
    if isinstance(store, str | Path):
        return InMemoryStore() if str(store) == ":memory:" else SqliteStore(Path(store).expanduser())
    if not callable(getattr(store, "open_for", None)):
        message = f"a store is a path, ':memory:' or a Store, not {type(store).__name__}"
        raise ConfigError(message)
    return store


def _open_log(
    store: Store, signing_key: SigningKey | str | Path | None, settings: ReceiptConfig, rows: SealedRows | None
) -> tuple[ReceiptLog | None, SigningKey | None]:
    """The log, in the store's file where it has one, and its key."""
    from leo_core.stages.receipt.keys import SigningKey  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.storage.keyfile import load_or_create_key  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.storage.receipt_log import InMemoryReceiptLog  # noqa: PLC0415 - only what a LEO is made of is loaded

    key_file = Path(signing_key) if isinstance(signing_key, str | Path) else None
    key = load_or_create_key(key_file) if key_file is not None else cast("SigningKey | None", signing_key)
    if not settings.enabled:
        return None, None
    database = find_database(store)
    if database is not None:
        return _open_file_log(database, key, key_file, settings, rows)
    key = key or SigningKey.generate()
    return InMemoryReceiptLog(key, settings.origin), key


def _open_chroma(address: str) -> Store:
    from leo_core.storage.chroma import ChromaStore  # noqa: PLC0415 - loaded when it is used

    store = ChromaStore(address)
    if store.database is None and store.address.path is None:
        _log.warning("%s has no ?home=FOLDER: receipts and keys of this process end with it", store.address)
    return store


def _open_file_log(
    database: Database, key: SigningKey | None, key_file: Path | None, settings: ReceiptConfig, rows: SealedRows | None
) -> tuple[ReceiptLog, SigningKey]:
    """The log in a store's file, with the key beside it."""
    from leo_core.stages.receipt.rotation import trace  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.storage.keyfile import load_handovers, load_or_create_key  # noqa: PLC0415 - as above
    from leo_core.storage.receipt_log import SqliteReceiptLog  # noqa: PLC0415 - only what a LEO is made of is loaded

    path = Path(database.path)
    beside = path.with_name(path.name + ".key")
    key = key or load_or_create_key(beside)
    earlier = trace(key.public, load_handovers(key_file or beside)).keys
    log = SqliteReceiptLog(
        database,
        key,
        settings.origin,
        earlier_keys=earlier,
        clock_tolerance_s=settings.clock_tolerance_s,
        rows=rows,
    )
    _check_signer(log, key, earlier, path)
    return log, key


def _check_signer(log: ReceiptLog, key: SigningKey, earlier: Sequence[PublicKey], path: Path) -> None:
    """A log that neither this key nor one that led to it signed is not continued: nobody could audit it any more."""
    from leo_core.stages.receipt.checkpoint import read_checkpoint  # noqa: PLC0415 - only what a LEO is made of is loaded
    from leo_core.stages.receipt.keys import Keyset  # noqa: PLC0415 - only what a LEO is made of is loaded

    if not log.size():
        return
    try:
        read_checkpoint(log.checkpoint()).verify(Keyset((key.public, *earlier)))
    except ReceiptError as error:
        message = (
            f"the receipts in {str(path)!r} were not signed with the key {key.id}: "
            "give the key file that signed them as signing_key, or choose another store"
        )
        raise SigningKeyError(message) from error


def presume(config: LEOConfig, members: Iterable[Model | None]) -> LEOConfig:
    """The settings with what the members' prices let presume of them."""
    million = Usage(input_tokens=0, output_tokens=1_000_000)
    prices = {member.id: member.price(million) for member in members if member is not None}
    return replace(config, consensus=presume_from_prices(config.consensus, prices))


def make_plan(
    small: Model | None,
    large: Model | None,
    jury: tuple[Model, ...],
    config: LEOConfig,
    *,
    audits: bool,
    lifetime: Callable[[Request, Message], float | None] | None = None,
    embedder: Embedder | None = None,
) -> Plan:
    """The plan: members in their roles, policies, and the fingerprint that goes into every key.

    The user's own categories are fitted with the vectors of the embedder; without one there are none.
    """
    members = {
        "small": None if small is None else dict(small.fingerprint),
        "large": None if large is None else dict(large.fingerprint),
        "jury": [dict(member.fingerprint) for member in jury],
    }
    settings = config.to_dict()
    policy = {
        "settings_sha256": hashlib.sha256(_canonical(settings)).hexdigest(),
        "members_sha256": hashlib.sha256(_canonical(members)).hexdigest(),
    }
    return Plan(
        config=config,
        small=small,
        large=large,
        jury=jury,
        fingerprint=canonical_bytes(members),
        policy=policy,
        pair_model=load_pair_model(),
        audits=audits,
        categories=()
        if embedder is None
        else fit_categories(config.risk.categories, embedder.embed, embedder.fingerprint),
        lifetime=lifetime,
    )


def make_world(
    *,
    store: SealedStore | PrivateStore,
    log: ReceiptLog | None,
    embedder: Embedder,
    config: LEOConfig,
    listeners: Sequence[Listener],
    checker: Callable[[Request, Answer], bool | None] | None,
    comparator: AnswerComparator,
    seed: int | None,
    clock: Clock | None,
) -> World:
    """The world of a LEO. ``seed=None`` draws from the system's secure source.

    A store whose server does not answer is one that is out, like later.
    """
    outage: StoreUnavailableError | None = None
    try:
        store.open_for(embedder.fingerprint)
    except StoreUnavailableError as error:
        outage = error
    except LEOError:
        store.close()
        raise
    world = World(
        store=store,
        log=log,
        journal=open_journal(store),
        ledger=open_ledger(store),
        embedder=embedder,
        config=config,
        clock=clock or SystemClock(),
        chance=random.SystemRandom() if seed is None else random.Random(seed),  # noqa: S311 - seeded on request
        listeners=listeners,
        leases=store.leases,
        checker=checker,
        comparator=comparator,
        tidy=database.checkpoint_if_due if (database := find_database(store.inner)) is not None else lambda: None,
    )
    if outage is not None:
        world.guard.note("open_for", outage)
    return world


def open_journal(store: SealedStore | PrivateStore) -> Journal:
    """The journal in the store's file; in memory where it has none."""
    from leo_core.storage.journal import InMemoryJournal, SqliteJournal  # noqa: PLC0415 - only what a LEO is made of
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - as above
    from leo_core.storage.sealed_journal import SealedJournal  # noqa: PLC0415 - as above

    database = find_database(store.inner)
    if database is None:
        return InMemoryJournal()
    journal = SqliteJournal(database)
    return SealedJournal(journal, store.rows) if isinstance(store, PrivateStore) else journal


def open_ledger(store: Store) -> Ledger:
    """The ledger of budgets in the store's file; in memory where it has none."""
    from leo_core.storage.ledger import InMemoryLedger, SqliteLedger  # noqa: PLC0415 - only what a LEO is made of
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - as above
    from leo_core.storage.sealed_ledger import SealedLedger  # noqa: PLC0415 - as above
    from leo_core.storage.sqlite import SqliteStore  # noqa: PLC0415 - as above

    database = find_database(getattr(store, "inner", store))
    if database is None:
        return InMemoryLedger()
    ledger = SqliteLedger(database)
    return SealedLedger(ledger, SqliteStore(database), store.rows) if isinstance(store, PrivateStore) else ledger


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
