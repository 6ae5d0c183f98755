"""Settings: one frozen object, every fault named at once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gtgateway.errors import ConfigurationError
from gtgateway.settings import Settings, load_settings


def test_variables_become_fields() -> None:
    settings = load_settings(
        {"GTGATEWAY_MAX_BODY": "1000", "GTGATEWAY_CLOSED_BY_CUSTOM": "12-24, 05-01", "PATH": "/bin"}
    )
    assert settings.max_body == 1000
    assert settings.closed_by_custom == ("12-24", "05-01")


def test_the_command_line_wins() -> None:
    assert load_settings({"GTGATEWAY_STORE": "sqlite:///a"}, store="sqlite:///b").store == "sqlite:///b"


def test_every_unknown_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"GTGATEWAY_A, GTGATEWAY_B"):
        load_settings({"GTGATEWAY_B": "", "GTGATEWAY_A": "", "GTGATEWAY_STORE": "sqlite:///x"})


def test_every_impossible_value_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"GTGATEWAY_MAX_BODY": "-1", "GTGATEWAY_XSD_MODE": "maybe"})
    assert "GTGATEWAY_MAX_BODY" in str(caught.value)
    assert "GTGATEWAY_XSD_MODE" in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().max_body = 1  # type: ignore[misc]


def test_the_token_of_commands_that_call_a_gateway_is_no_setting() -> None:
    assert load_settings({"GTGATEWAY_TOKEN": "x"}) == load_settings({})
