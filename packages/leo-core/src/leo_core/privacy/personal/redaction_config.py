"""Settings of what becomes of personal data in requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from leo_core.errors import ConfigError

__all__ = ["PERSONAL_KINDS", "PersonalDataConfig", "PersonalDataMode"]

PersonalDataMode = Literal["off", "detect", "block", "redact", "reversible"]

PERSONAL_KINDS: Final = ("email", "phone", "iban", "card", "national_id", "ip_address", "secret")
"""What is recognised (:mod:`leo_core.privacy.personal.personal_data`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalDataConfig:
    """What becomes of personal data and secrets in requests.

    Attributes:
        mode: ``"off"``: nothing is looked for. ``"detect"``: counted in the receipt, and left as it is. ``"block"``:
            the request is refused. ``"redact"``: stand-ins such as ``<EMAIL_1>`` take its place for good.
            ``"reversible"``: the same, and in the answer the stand-ins give way to what they stand for.
        kinds: What is looked for.

    Raises:
        ConfigError: There is no such mode or kind.
    """

    mode: PersonalDataMode = "off"
    kinds: tuple[str, ...] = PERSONAL_KINDS

    def __post_init__(self) -> None:
        if self.mode not in get_args(PersonalDataMode):
            message = f"personal_data mode is {self.mode!r}; there are {', '.join(get_args(PersonalDataMode))}"
            raise ConfigError(message)
        unknown = sorted(set(self.kinds) - set(PERSONAL_KINDS))
        if unknown or not self.kinds:
            message = f"kinds of personal data are {self.kinds!r}; give some of {', '.join(PERSONAL_KINDS)}"
            raise ConfigError(message)

    @property
    def covers(self) -> bool:
        """Whether what is found is replaced."""
        return self.mode in ("redact", "reversible")
