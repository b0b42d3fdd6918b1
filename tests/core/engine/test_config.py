from __future__ import annotations

import dataclasses
import json

import pytest

from leo_core.config import LEOConfig
from leo_core.errors import ConfigError


@pytest.mark.parametrize(
    "settings", [{"audit_rate": 1.1}, {"audit_rate": -0.1}, {"max_prompt_chars": 0}, {"background_capacity": 0}]
)
def test_settings_out_of_range_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        LEOConfig(**settings)


def test_presets_differ_where_they_say():
    balanced, economy = LEOConfig.preset("balanced"), LEOConfig.preset("economy")
    verified, private = LEOConfig.preset("verified"), LEOConfig.preset("private")
    assert balanced == LEOConfig()
    assert economy.route.loss_usd < balanced.route.loss_usd < verified.route.loss_usd
    assert verified.receipts.required
    shares = [each.cache.max_wrong_hits for each in (verified, balanced, economy)]
    assert shares == sorted(shares)
    assert (verified.cache.max_wrong_hits, verified.consensus.on_abstain) == (0.0, "raise")
    assert (private.privacy.mode, private.personal_data.mode) == ("sealed_local", "reversible")
    assert dataclasses.replace(private, privacy=None, personal_data=balanced.personal_data) == balanced
    with pytest.raises(ConfigError, match="did you mean 'economy'\\? There are economy, balanced, verified, private"):
        LEOConfig.preset("econmy")
    with pytest.raises(ConfigError, match="there are economy, balanced, verified, private"):
        LEOConfig.preset("fast")


def test_settings_are_plain_values():
    assert json.loads(json.dumps(LEOConfig().to_dict()))["audit_rate"] == 0.0
