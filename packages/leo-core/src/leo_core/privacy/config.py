"""Settings of the privacy layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from leo_core.errors import ConfigError
from leo_core.privacy.keys.key_rotation import RotationPolicy  # noqa: TC001 - pydantic reads the types of settings

__all__ = ["PrivacyConfig", "PrivacyMode", "pick_privacy"]

PrivacyMode = Literal["sealed_local", "query_private", "fully_encrypted"]

_MODES: tuple[str, ...] = get_args(PrivacyMode)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyConfig:
    """How the store is kept from knowing what is in it.

    Attributes:
        mode: ``"sealed_local"``: everything is sealed and searched on the client. ``"query_private"``: an index server
            that knows the vectors searches for an encrypted query. ``"fully_encrypted"``: it knows neither.
        keys: Folder of the keyrings; by default beside the store, made when it is not there.
        kek: Wraps the keyrings: a :class:`leo_core.privacy.keys.kek.KekProvider`, or its name, such as
            ``"vault:transit/leo"`` (:func:`leo_core.storage.kek_names.open_kek`); by default a key in a file of that
            folder, made when it is not there. Then whoever has the folder reads the store, so that it protects only
            where the two are kept apart.
        rotation: When keys are rotated; by default as :class:`leo_core.privacy.keys.key_rotation.RotationPolicy` says.
        index: For the two modes with an index server: its client (:class:`leo_core.ports.PrivateIndex`), or a function
            that makes it of the store's keyrings (:class:`leo_core.storage.keyrings.Keyrings`).
        index_bytes: Memory for opened vectors in ``"sealed_local"``, in bytes, at least 1.
    """

    mode: PrivacyMode = "sealed_local"
    keys: str | Path | None = None
    kek: Any = field(default=None, repr=False)
    rotation: RotationPolicy | None = None
    index: Any = field(default=None, repr=False)
    index_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ConfigError: Names the setting, its value and what is understood.
        """
        if self.mode not in _MODES:
            message = f"privacy mode {self.mode!r} is unknown; there are {', '.join(_MODES)}"
            raise ConfigError(message)
        if self.mode == "sealed_local" and self.index is not None:
            message = "sealed_local searches on the client and takes no index; give another mode, or no index"
            raise ConfigError(message)
        if self.mode != "sealed_local" and self.index is None:
            message = f"{self.mode} needs an index: give the client of an index server, or a function that makes it"
            raise ConfigError(message)
        if self.keys is not None and not isinstance(self.keys, str | Path):
            message = f"PrivacyConfig.keys is a folder, not {type(self.keys).__name__}"
            raise ConfigError(message)
        if self.index_bytes < 1:
            message = f"PrivacyConfig.index_bytes is {self.index_bytes!r}; it is a number of bytes from 1"
            raise ConfigError(message)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, without the objects among them: an index, and a KEK that is not named."""
        return {
            "mode": self.mode,
            "keys": None if self.keys is None else str(self.keys),
            "kek": self.kek if isinstance(self.kek, str) else None,
            "rotation": None if self.rotation is None else asdict(self.rotation),
            "index_bytes": self.index_bytes,
        }


def pick_privacy(given: PrivacyConfig | str | None) -> PrivacyConfig | None:
    """The settings from the name of a mode, or as they are.

    Raises:
        ConfigError: It is neither.
    """
    if given is None or isinstance(given, PrivacyConfig):
        return given
    if isinstance(given, str):
        return PrivacyConfig(mode=cast("PrivacyMode", given))  # which refuses names of no mode
    message = f"privacy is the name of a mode or a PrivacyConfig, not {type(given).__name__}"
    raise ConfigError(message)
