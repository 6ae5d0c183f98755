from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import trustme

from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.model.delivery import Endpoint
from gtgateway.routing.directory import Directory
from gtgateway.routing.endpoints import EndpointEntry, endpoint_of, tls_context

SECRET = "hemmeligt-ord"


def made(folder: Path, **fields: object) -> Endpoint:
    found = endpoint_of(EndpointEntry.model_validate({"id": "a", "url": "https://eksempel.dk/in"} | fields), folder)
    assert isinstance(found, Endpoint), found
    return found


def faults(folder: Path, **fields: object) -> list[str]:
    found = endpoint_of(EndpointEntry.model_validate({"id": "a", "url": "https://eksempel.dk/in"} | fields), folder)
    assert isinstance(found, list)
    return found


def test_what_is_stated_is_what_is_used(tmp_path: Path) -> None:
    found = made(tmp_path, concurrency=7, rate=2.5, timeout=12, fhir_xml=True)
    assert found == Endpoint("a", "https://eksempel.dk/in", concurrency=7, rate=2.5, timeout=12, fhir_xml=True)
    assert made(tmp_path) == Endpoint("a", "https://eksempel.dk/in")


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEER_TOKEN", SECRET)
    (tmp_path / "secret").write_text(f"{SECRET}\n", "utf-8")
    assert made(tmp_path, bearer_env="PEER_TOKEN").bearer == SECRET
    assert made(tmp_path, bearer_file="secret").bearer == SECRET
    oauth = {"token_url": "https://eksempel.dk/token", "client_id": "gtgateway", "scope": "plans"}
    found = made(tmp_path, client_secret_file="secret", **oauth)
    assert (found.token_url, found.client_id, found.client_secret, found.scope) == (
        "https://eksempel.dk/token",
        "gtgateway",
        SECRET,
        "plans",
    )
    assert made(tmp_path, client_secret_env="PEER_TOKEN", **oauth).client_secret == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://eksempel.dk/in", "is not https"),
        ("http://10.0.0.7/in", "is not https"),
        ("ftp://eksempel.dk/in", "is no http address"),
        ("https:///in", "is no http address"),
        ("https://eksempel.dk/a b", "is no http address"),
        ("https://løbenummer.dk/in", "is no http address"),
        ("https://eksempel.dk:port/in", "is no address"),
        ("https://[::1/in", "is no address"),
        ("https://user:word@eksempel.dk/in", "has a user, a password or a fragment"),
        ("https://eksempel.dk/in#there", "has a user, a password or a fragment"),
    ],
)
def test_addresses_that_cannot_be_used(tmp_path: Path, url: str, fault: str) -> None:
    assert faults(tmp_path, url=url) == [f"a: url: {fault}"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/in", "http://localhost/in", "http://[::1]:80/in"])
def test_this_machine_may_be_called_without_tls(tmp_path: Path, url: str) -> None:
    assert made(tmp_path, url=url).url == url
    assert tls_context(made(tmp_path, url=url)) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"bearer_env": "NOT_THERE"}, ["bearer_env: the variable NOT_THERE is not set"]),
        ({"bearer_file": "not-there"}, ["bearer_file: not-there cannot be read"]),
        ({"bearer_file": "empty"}, ["bearer_file: empty is empty"]),
        (
            {"bearer_env": "GTGATEWAY_TOKEN"},
            [
                "bearer_env: GTGATEWAY_TOKEN would be taken for a setting",
                "bearer_env: the variable GTGATEWAY_TOKEN is not set",
            ],
        ),
        ({"bearer_env": "PEER_TOKEN", "bearer_file": "full"}, ["bearer_env and bearer_file: one of them"]),
        (
            {"token_url": "https://eksempel.dk/token"},
            ["lacks client_id and client_secret_env or client_secret_file"],
        ),
        ({"client_id": "x", "client_secret_env": "PEER_TOKEN"}, ["lacks token_url"]),
        ({"scope": "x"}, ["scope: only with token_url"]),
        (
            {
                "token_url": "http://eksempel.dk/token",
                "client_id": "x",
                "client_secret_env": "PEER_TOKEN",
                "bearer_env": "PEER_TOKEN",
            },
            ["token_url: is not https", "token_url and a fixed token: one of them"],
        ),
        ({"key": "full"}, ["key: without a certificate"]),
        (
            {"certificate": "not-there"},
            ["certificate, key or authorities cannot be used (No such file or directory)"],
        ),
        ({"authorities": "full"}, ["certificate, key or authorities cannot be used (NO_CERTIFICATE_OR_CRL_FOUND)"]),
    ],
)
def test_every_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], expected: list[str]
) -> None:
    monkeypatch.setenv("PEER_TOKEN", SECRET)
    (tmp_path / "empty").write_text("\n", "utf-8")
    (tmp_path / "full").write_text(SECRET, "utf-8")
    assert faults(tmp_path, **fields) == [f"a: {each}" for each in expected]


def test_certificates_are_tried_when_the_directory_is_read(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours, others = authority.issue_cert("gateway.eksempel.dk"), authority.issue_cert("other.eksempel.dk")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    ours.private_key_pem.write_to_path(tmp_path / "own.key")
    others.private_key_pem.write_to_path(tmp_path / "other.key")
    found = made(tmp_path, certificate="own.pem", key="own.key", authorities="ca.pem")
    assert (found.certificate, found.key) == (tmp_path / "own.pem", tmp_path / "own.key")
    assert tls_context(found) is not None
    assert faults(tmp_path, certificate="own.pem", key="other.key") == [
        "a: certificate, key or authorities cannot be used (KEY_VALUES_MISMATCH)"
    ]


def test_faults_of_end_points_are_named_with_those_of_the_directory(tmp_path: Path) -> None:
    organisation = {"id": "house", "kind": "hospital", "name": "House", "endpoint": "nowhere"}
    endpoints: list[dict[str, object]] = [
        {"id": "a", "url": "http://eksempel.dk/"},
        {"id": "b", "url": "https://eksempel.dk/", "default_for": "vans"},
        {"id": "c", "url": "https://eksempel.dk/", "default_for": "vans", "concurrency": 0, "colour": "blue"},
        {"id": "d", "url": "https://eksempel.dk/", "default_for": "vans"},
        {"id": "d", "url": "https://eksempel.dk/"},
    ]
    tables = [("organisations", organisation), *(("endpoints", each) for each in endpoints)]
    lines = [
        line
        for table, row in tables
        for line in (f"[[{table}]]", *(f"{name} = {json.dumps(value)}" for name, value in row.items()))
    ]
    (tmp_path / "directory.toml").write_text("\n".join(lines), "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        Directory.load(tmp_path / "directory.toml")
    for fault in (
        "directory.toml, a: url: is not https",
        "directory.toml, c: concurrency: Input should be greater than or equal to 1",
        "directory.toml, c: colour: Extra inputs are not permitted",
        "d: the id is used for 2 end-points",
        "b and d: only one end-point can be the default for vans",
        "house: endpoint nowhere is not in the directory",
    ):
        assert fault in raised.value.detail


def test_the_example_in_the_sample_directory_is_right() -> None:
    lines = packaged("samples", "directory", "endpoints.toml").read_text("utf-8").splitlines()
    example = tomllib.loads("\n".join(line.removeprefix("#") for line in lines[lines.index("# [[endpoints]]") :]))
    entries = [EndpointEntry.model_validate(each) for each in example["endpoints"]]
    assert [(each.id, each.default_for) for each in entries] == [
        ("vans-operator", "vans"),
        ("hospital-fhir", None),
        ("municipality", None),
    ]
