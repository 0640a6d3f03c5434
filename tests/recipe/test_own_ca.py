"""What is laid over a document so that its containers trust a CA of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from warmci.base import trust
from warmci.recipe import own_ca
from warmci.recipe.own_ca import OwnCa

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/etc/warmci/ca.pem"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / trust.PEM).write_text("pem")
    (tmp_path / trust.JKS).write_text("jks")
    return tmp_path


def given(home: Path, ways: tuple[own_ca.Way, ...], **services: Any) -> tuple[dict[str, Any], list[str]]:
    document = {"services": services or {"app": {}}, "configs": {}}
    said = own_ca.give(document, "stack", OwnCa(home, ways))
    return document, said


def test_each_service_has_the_file_and_the_variables(home: Path) -> None:
    document, said = given(home, own_ca.USUAL, app={"environment": {"A": "b"}}, db={})
    for service in document["services"].values():
        assert [item["target"] for item in service["configs"]] == [PATH]
        assert {service["environment"][name] for name in own_ca.VARIABLES} == {PATH}
    assert document["services"]["app"]["environment"]["A"] == "b"
    (config,) = document["configs"].values()
    assert config["file"] == str(home / trust.PEM)
    assert len(said) == 1
    assert "SSL_CERT_FILE" in said[0]


def test_what_a_recipe_sets_itself_stays_and_is_said(home: Path) -> None:
    app = {"environment": {"SSL_CERT_FILE": "/own.pem", "CURL_CA_BUNDLE": None}}
    document, said = given(home, own_ca.USUAL, app=app)
    environment = document["services"]["app"]["environment"]
    assert (environment["SSL_CERT_FILE"], environment["CURL_CA_BUNDLE"]) == ("/own.pem", PATH)
    assert "own CA: app has its own SSL_CERT_FILE" in said


def test_java_gets_a_store_beside_its_own_options(home: Path) -> None:
    document, _ = given(home, ("java",), app={"environment": {"JAVA_TOOL_OPTIONS": "-Xmx1g"}})
    service = document["services"]["app"]
    assert service["environment"] == {"JAVA_TOOL_OPTIONS": "-Xmx1g -Djavax.net.ssl.trustStore=/etc/warmci/ca.jks"}
    assert [item["target"] for item in service["configs"]] == ["/etc/warmci/ca.jks"]


def test_the_systems_own_bundle_is_replaced_where_the_recipe_does_not(home: Path) -> None:
    debian = "/etc/ssl/certs/ca-certificates.crt"
    theirs = {"configs": [{"source": "ca", "target": debian}]}
    document, _ = given(home, ("system",), app={}, own=theirs)
    targets = {name: [item["target"] for item in body["configs"]] for name, body in document["services"].items()}
    assert targets["app"] == [debian, "/etc/pki/tls/certs/ca-bundle.crt"]
    assert targets["own"].count(debian) == 1
    assert "environment" not in document["services"]["app"] or not document["services"]["app"]["environment"]


def test_the_configs_name_is_short_and_of_its_content(home: Path) -> None:
    """Configs cannot be changed: another CA must be another config, or the deployment would be refused."""
    before = given(home, own_ca.USUAL)[0]["configs"]["warmci-pem"]["name"]
    (home / trust.PEM).write_text("another")
    after = given(home, own_ca.USUAL)[0]["configs"]["warmci-pem"]["name"]
    assert before != after
    assert len(after) <= 64
