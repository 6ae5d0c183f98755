"""The composition root: which archive a setting means."""

from __future__ import annotations

import pytest

from gtgateway.bootstrap import store_from
from gtgateway.errors import ConfigurationError
from gtgateway.settings import Settings
from gtgateway.store.postgres import PostgresStore
from gtgateway.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    "setting, kind",
    [
        ("sqlite:///gateway.db", SqliteStore),
        ("sqlite:////var/lib/gateway.db", SqliteStore),
        ("sqlite:///:memory:", SqliteStore),
        ("postgresql://gateway@db/plans", PostgresStore),
        ("postgresql:///plans?host=/run/postgresql", PostgresStore),
    ],
)
def test_the_archive_of_a_setting(setting: str, kind: type) -> None:
    assert isinstance(store_from(Settings(store=setting)), kind)


@pytest.mark.parametrize("setting", ["mysql://gateway:secret@db/plans", "sqlite:///", "sqlite://x.db", "gateway.db"])
def test_an_archive_that_is_not_known_is_refused_without_showing_a_password(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="use sqlite") as caught:
        store_from(Settings(store=setting))
    assert "secret" not in str(caught.value)
