"""A KEK in a PKCS #11 module, in SoftHSM as Debian ships it (``apt-get install softhsm2``)."""

from __future__ import annotations

import builtins
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leo_core.errors import ConfigError, KekError, KekUnavailableError, MissingExtraError
from leo_core.privacy.keys.kek_pkcs11 import Pkcs11Kek
from leo_core.storage.kek_names import open_kek, open_pkcs11_kek
from tests.contracts.kek import KEY, PLACE, KekContract

LIBRARIES = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
]
LIBRARY = next((path for path in LIBRARIES if Path(path).is_file()), "")
PIN = "5678-secret"

pytestmark = pytest.mark.skipif(
    not (LIBRARY and shutil.which("softhsm2-util")),
    reason="SoftHSM is not installed: apt-get install softhsm2 (.ci/run does so where it is root)",
)


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A fresh token for this file; the module reads the variable once, when its library is first loaded."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "leo", "--so-pin", "1234", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for label in ("kek", "other"):
        Pkcs11Kek(library=LIBRARY, token="leo", key=label, pin=PIN, make=True).close()
    yield "leo"
    if before is None:
        os.environ.pop("SOFTHSM2_CONF", None)
    else:
        os.environ["SOFTHSM2_CONF"] = before


def make(token="leo", **more):
    return Pkcs11Kek(**{"library": LIBRARY, "token": token, "key": "kek", "pin": PIN, **more})


@pytest.fixture
def kek(token):
    kek = make()
    yield kek
    kek.close()


class TestPkcs11Kek(KekContract):
    @pytest.fixture
    def same(self, kek):
        return make()

    @pytest.fixture
    def other(self, kek):
        return make(key="other")


def test_the_key_does_not_leave_the_module(kek):
    import pkcs11

    key = kek._key
    assert key[pkcs11.Attribute.SENSITIVE]
    assert not key[pkcs11.Attribute.EXTRACTABLE]
    assert key[pkcs11.Attribute.VALUE_LEN] == 32
    with pytest.raises(pkcs11.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]


def test_another_process_unwraps_it(kek):
    wrapped = kek.wrap(KEY, aad=PLACE)
    code = (
        "import sys; from leo_core.privacy.keys.kek_pkcs11 import Pkcs11Kek\n"
        "kek = Pkcs11Kek(library=sys.argv[1], token='leo', key='kek', pin=sys.stdin.readline().strip())\n"
        "print(kek.unwrap(bytes.fromhex(sys.argv[2]), aad=bytes.fromhex(sys.argv[3])).hex())"
    )
    command = [sys.executable, "-c", code, LIBRARY, wrapped.hex(), PLACE.hex()]
    done = subprocess.run(command, input=PIN, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == KEY.hex()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token": "nobody"}, "has no token 'nobody'"),
        ({"key": "nothing"}, "no AES key 'nothing'"),
        ({"pin": "0000-wrong"}, "refuses the PIN: PinIncorrect"),
        ({"library": "/nowhere/lib.so"}, "'/nowhere/lib.so' cannot be used"),
    ],
)
def test_what_is_not_there_is_named(token, arguments, message):
    with pytest.raises(KekError, match=message) as refused:
        make(**arguments)
    assert arguments.get("pin", PIN) not in str(refused.value)


@pytest.mark.parametrize("name", ["library", "token", "pin"])
def test_an_empty_argument_is_named(token, name):
    with pytest.raises(ConfigError, match="is empty"):
        make(**{name: ""})


def test_a_key_that_is_there_is_not_made_again(kek):
    with pytest.raises(ConfigError, match="a key 'kek' already"):
        make(make=True)
    assert kek.unwrap(kek.wrap(KEY, aad=PLACE), aad=PLACE) == KEY


def test_what_was_closed_says_so(token):
    first, second = make(), make()
    wrapped = first.wrap(KEY, aad=PLACE)
    second.close()
    assert first.unwrap(wrapped, aad=PLACE) == KEY, "it came later and had no login of its own"
    third = make()
    first.close()
    first.close()
    with pytest.raises(KekError, match="was closed"):
        first.unwrap(wrapped, aad=PLACE)
    with pytest.raises(KekUnavailableError, match="not there now"):
        third.unwrap(wrapped, aad=PLACE)


def test_after_a_fork_it_has_to_be_made_anew(kek):
    wrapped, pid = kek.wrap(KEY, aad=PLACE), os.getpid()
    try:
        kek._pid = pid + 1
        with pytest.raises(KekError, match="forked"):
            kek.unwrap(wrapped, aad=PLACE)
    finally:
        kek._pid = pid


def test_by_its_uri(kek, tmp_path, monkeypatch):
    wrapped = kek.wrap(KEY, aad=PLACE)
    uri = f"pkcs11:token=leo;object=kek?module-path={LIBRARY}"
    monkeypatch.delenv("LEO_PKCS11_PIN", raising=False)
    with pytest.raises(KekError, match="LEO_PKCS11_PIN, which is not set"):
        open_kek(uri)
    monkeypatch.setenv("LEO_PKCS11_PIN", PIN)
    assert open_kek(uri).unwrap(wrapped, aad=PLACE) == KEY
    monkeypatch.delenv("LEO_PKCS11_PIN")
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    assert open_kek(f"{uri}&pin-source=file:{pin}").unwrap(wrapped, aad=PLACE) == KEY
    pin.chmod(0o644)
    with pytest.raises(KekError, match="chmod 600"):
        open_kek(f"{uri}&pin-source={pin}")
    pin.chmod(0o600)
    uri = f"pkcs11:object=made%2Dhere;token=leo;type=secret-key?module-path={LIBRARY}&pin-source={pin}"
    made = open_pkcs11_kek(uri, make=True)
    assert made.kid.startswith("pkcs11:leo/made-here/")


def test_a_missing_library_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "pkcs11":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"leo-core\[pkcs11\]"):
        make()
