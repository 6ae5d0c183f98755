"""Who is calling: tokens of the clients file, and development mode."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.model.feed import Feed
from gtgateway.routing.directory import Directory
from gtgateway.security.identity import Clients, Scope, load_clients


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.load()


@pytest.fixture
def clients(directory: Directory) -> Clients:
    return load_clients(packaged("samples", "clients.toml"), directory)


def test_a_token_of_the_file_is_known_by_its_hash(clients: Clients) -> None:
    caller = clients.identify("Bearer sample-odense")
    assert caller is not None
    assert caller.name == "odense-record-system"
    assert caller.scopes == {Scope.RECORDS_RECEIVE, Scope.RECEIPTS_SEND}


def test_an_organisation_includes_the_units_below_it(clients: Clients, directory: Directory) -> None:
    caller = clients.identify("Bearer sample-odense")
    assert caller is not None
    (named,) = caller.acts_for
    assert caller.organisations == directory.subtree(named)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic sample-ouh", "sample-ouh", "Bearer sample-ou", "Bearer " + "x" * 5000],
)
def test_anything_else_is_nobody(clients: Clients, header: str | None) -> None:
    assert clients.identify(header) is None


def test_development_tokens_count_only_in_development_mode(clients: Clients, directory: Directory) -> None:
    header = "Bearer dev:5790000121441"
    assert clients.identify(header) is None
    caller = load_clients(None, directory, development=True).identify(header)
    assert caller is not None
    assert caller.development
    assert "5790000121441" in caller.glns
    assert caller.scopes == set(Scope) - {Scope.OPERATE}


def test_the_operator_acts_for_nobody(clients: Clients, directory: Directory) -> None:
    in_development = load_clients(None, directory, development=True).identify("Bearer dev:operator")
    of_the_file = clients.identify("Bearer sample-operator")
    assert in_development is not None
    assert of_the_file is not None
    for caller in (in_development, of_the_file):
        assert (caller.scopes, caller.organisations, caller.glns) == ({Scope.OPERATE}, frozenset(), frozenset())
    assert clients.identify("Bearer dev:operator") is None


def test_a_development_token_of_an_unknown_number_acts_for_no_organisation(directory: Directory) -> None:
    caller = load_clients(None, directory, development=True).identify("Bearer dev:5790000000005")
    assert caller is not None
    assert caller.organisations == frozenset()


def test_every_fault_of_the_file_is_named_at_once(tmp_path: Path, directory: Directory) -> None:
    digest = hashlib.sha256(b"t").hexdigest()
    file = tmp_path / "clients.toml"
    file.write_text(
        f"""
[[client]]
name = "a"
token_sha256 = "abc"
acts_for = ["gln:0000000000000"]
scopes = ["everything"]
colour = "red"
[[client]]
name = "b"
token_sha256 = "{digest}"
acts_for = ["kommunekode:0461"]
scopes = ["records:receive"]
[[client]]
name = "c"
token_sha256 = "{digest}"
acts_for = ["kommunekode:0461"]
scopes = ["records:receive"]
[[client]]
name = "d"
token_sha256 = "{"0" * 64}"
scopes = ["operate", "check"]
"""
    )
    with pytest.raises(ConfigurationError) as caught:
        load_clients(file, directory)
    for fault in (
        "a: unknown field colour",
        "a: token_sha256",
        "a: unknown scope everything",
        "a: acts_for gln:0000000000000",
        "a: acts for nobody",
        "c: the same token as b",
        "c: b already receives",
        "d: acts for nobody",
    ):
        assert fault in str(caught.value)


@pytest.mark.parametrize("text", ["not toml [", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, directory: Directory, text: str) -> None:
    file = tmp_path / "clients.toml"
    if text:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"clients\.toml"):
        load_clients(file, directory)


SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


def with_webhook(folder: Path, *webhooks: str, scopes: str = '"records:receive"') -> Path:
    file = folder / "clients.toml"
    file.write_text(
        "".join(
            f"""
[[client]]
name = "odense"
token_sha256 = "{number:064x}"
acts_for = ["kommunekode:{"0461" if number == 0 else "0751"}"]
scopes = [{scopes}]
webhook = {webhook}
"""
            for number, webhook in enumerate(webhooks)
        )
    )
    return file


@pytest.mark.parametrize("secret", ['secret_env = "NEWS_SECRET"', 'secret_file = "secret"'])
def test_a_client_may_have_a_webhook(
    tmp_path: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("NEWS_SECRET", SECRET)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    entry = f'{{url = "https://odense.example/news", {secret}, events = ["records", "messages"]}}'
    clients = load_clients(with_webhook(tmp_path, entry, scopes='"records:read", "messages:send"'), directory)
    (caller,) = clients.by_token.values()
    assert caller.webhook is not None
    assert (caller.webhook.url, caller.webhook.secret) == ("https://odense.example/news", SECRET)
    assert caller.webhook.feeds == {Feed.RECORDS, Feed.MESSAGES}
    assert SECRET not in repr(caller)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("1", "is no table"),
        ('{url = "http://odense.example", secret_env = "GOOD", events = ["records"]}', "url: is not https"),
        ('{secret_env = "GOOD", events = ["records"]}', "url: is no http address"),
        ('{url = "https://a.example", events = ["records"]}', "secret_env or secret_file: one of them"),
        ('{url = "https://a.example", secret_env = "NONE", events = ["records"]}', "NONE is not set"),
        ('{url = "https://a.example", secret_env = "SHORT", events = ["records"]}', "has not 24 to 64 bytes"),
        ('{url = "https://a.example", secret_env = "TEXT", events = ["records"]}', "is no base64"),
        ('{url = "https://a.example", secret_env = "GOOD"}', "events: a list of records, messages"),
        ('{url = "https://a.example", secret_env = "GOOD", events = ["news"]}', "events: unknown news"),
        ('{url = "https://a.example", secret_env = "GOOD", events = ["messages"]}', "do not let it read messages"),
        ('{url = "https://a.example", secret_env = "GOOD", events = ["records"], colour = 1}', "unknown field colour"),
    ],
)
def test_every_fault_of_a_webhook_is_named_and_no_secret(
    tmp_path: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch, entry: str, fault: str
) -> None:
    secrets = {"GOOD": SECRET, "SHORT": "whsec_c2hvcnQ=", "TEXT": "not base64!"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_clients(with_webhook(tmp_path, entry), directory)
    assert "odense: webhook: " in str(caught.value)
    assert fault in str(caught.value)
    assert not any(value in str(caught.value) for value in secrets.values())


def test_webhooks_are_told_apart_by_their_clients_names(
    tmp_path: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOD", SECRET)
    entry = '{url = "https://a.example", secret_env = "GOOD", events = ["records"]}'
    with pytest.raises(ConfigurationError, match="odense: a second webhook under this name"):
        load_clients(with_webhook(tmp_path, entry, entry), directory)
