"""The composition root: which archive a setting means, and what does not hold together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gtgateway.bootstrap import store_from, tools_from
from gtgateway.data import packaged
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


def test_a_list_of_providers_that_no_order_knows_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    shutil.copytree(packaged("samples", "directory"), directory)
    lists = directory / "agreements.toml"
    lists.write_text(lists.read_text("utf-8").replace('kept_by = "KL"', 'kept_by = "K.L."'), "utf-8")
    with pytest.raises(ConfigurationError, match=r"no order knows the list of K\.L\.\."):
        tools_from(Settings(directory=directory))
