"""The HTTP client for third-party servers: allowed addresses, trusted certificates, and what it never does."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpcore
import httpx
import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.network import http, reach
from reconciler.network.http import create_http_client, get_location
from tests.support.roster_server.tls import Authority, Kind
from tests.support.servers.scripted_http import Asked, Reply, in_turn, loopback, serving


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with create_http_client(loopback) as found:
        yield found


def test_httpx_transport_holds_only_a_pool() -> None:
    """The only private name of httpx in use is the pool, which the checking pool replaces."""
    with httpx.HTTPTransport() as transport:
        assert vars(transport).keys() == {"_pool"}
        assert type(transport._pool) is httpcore.ConnectionPool


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """names(host, first, second, …) makes successive lookups of a host return these addresses; a tuple is several
    at once. Returns the list of names that were looked up."""
    real = socket.getaddrinfo

    def lead(host: str, *to: str | tuple[str, ...]) -> list[str]:
        left, seen = list(to), []

        def looked_up(name: str, port: int, *rest: object, **more: object) -> Sequence[object]:
            if name != host:
                return real(name, port, *rest, **more)  # type: ignore[arg-type]
            seen.append(name)
            found = left.pop(0) if len(left) > 1 else left[0]
            numbers = (found,) if isinstance(found, str) else found
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

        monkeypatch.setattr(reach.socket, "getaddrinfo", looked_up)
        return seen

    return lead


def refusal_of(client: httpx.Client, url: str) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        client.get(url)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, str(diagnostic)


def test_connection_uses_the_checked_address_and_keeps_its_name(names: Callable[..., list[str]]) -> None:
    with serving(lambda _: Reply()) as server, create_http_client(lambda host: host == "sis.example") as client:
        seen = names("sis.example", "127.0.0.1", "10.0.0.1")
        for _ in range(2):
            client.get(f"http://sis.example:{server.server_port}/users")
    assert seen == ["sis.example"]
    assert server.asked[0].headers["host"] == f"sis.example:{server.server_port}"


def test_name_resolving_elsewhere_is_checked_again(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Callable[..., list[str]]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.believed(tmp_path / "ca.pem")))
    closing = Reply(headers={"Connection": "close"})
    with serving(lambda _: closing, authority.context("wrong-host")) as server, create_http_client(loopback) as client:
        seen = names("elsewhere.example", "127.0.0.1", "10.0.0.1")
        url = f"https://elsewhere.example:{server.server_port}/"
        assert client.get(url).status_code == 200
        assert refusal_of(client, url)[0] == "private-host"
    assert len(seen) == 2


def test_one_private_address_among_public_ones_is_refused(
    client: httpx.Client, names: Callable[..., list[str]]
) -> None:
    names("sis.example", ("93.184.215.14", "10.0.0.1"))
    code, text = refusal_of(client, "https://sis.example/")
    assert code == "private-host"
    assert "10.0.0.1" in text
    assert "network.allow" in text


def test_unreachable_address_falls_back_to_the_next(names: Callable[..., list[str]]) -> None:
    with serving(lambda _: Reply()) as server, create_http_client(lambda _: True) as client:
        names("sis.example", ("127.0.0.2", "127.0.0.1"))
        assert client.get(f"http://sis.example:{server.server_port}/").status_code == 200


def test_an_unknown_name_is_refused(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(reach.socket, "getaddrinfo", unknown)
    assert refusal_of(client, "https://sis.example/")[0] == "unknown-host"


def test_plain_http_is_only_for_hosts_that_are_allowed() -> None:
    with serving(lambda _: Reply()) as server, create_http_client(lambda _: False) as client:
        code, text = refusal_of(client, server.url)
    assert code == "plain-http"
    assert "https://" in text
    assert server.asked == []


def test_nobody_listens(client: httpx.Client) -> None:
    with serving(lambda _: Reply()) as server:
        url = server.url
    code, text = refusal_of(client, url)
    assert code == "host-unreachable"
    assert "Connection refused" in text


@pytest.mark.parametrize(
    ("kind", "word"),
    [("expired", "has expired"), ("wrong-host", "is for another host"), ("unknown-issuer", "does not trust")],
)
def test_invalid_certificate_is_refused_in_words(
    kind: Kind, word: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.believed(tmp_path / "ca.pem")))
    with serving(lambda _: Reply(), authority.context(kind)) as server, create_http_client(loopback) as client:
        code, text = refusal_of(client, server.url)
    assert code == "tls-failed"
    assert word in text
    assert "nothing was sent" in text
    assert server.asked == []


def test_certificate_of_a_private_authority_is_trusted(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.context("good")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serving(lambda _: Reply(), context) as server:
        with create_http_client(loopback) as client:
            assert refusal_of(client, server.url)[0] == "tls-failed"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.believed(tmp_path / "ca.pem")))
        with create_http_client(loopback) as client:
            assert client.get(server.url).status_code == 200


def test_certificate_is_checked_by_name_not_address(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Callable[..., list[str]]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.believed(tmp_path / "ca.pem")))
    context, told = authority.context("wrong-host"), []
    context.sni_callback = lambda _, name, __: told.append(name)
    with serving(lambda _: Reply(), context) as server, create_http_client(lambda _: True) as client:
        names("elsewhere.example", "127.0.0.1")
        assert client.get(f"https://elsewhere.example:{server.server_port}/").status_code == 200
    assert told == ["elsewhere.example"]


def test_server_without_tls_differs_from_a_bad_certificate(client: httpx.Client) -> None:
    with serving(lambda _: Reply(raw=b"")) as server:
        code, text = refusal_of(client, server.url.replace("http:", "https:"))
    assert code == "tls-failed"
    assert "Check that the port" in text


def test_connection_ending_in_the_handshake_is_no_certificate_error(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            taken, _ = listener.accept()
            taken.recv(10_000)
            taken.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        code, _ = refusal_of(client, f"https://127.0.0.1:{port}/")
        thread.join(5)
    assert code == "host-unreachable"


def test_authorities_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (None, "no certificate"):
        file = tmp_path / "ca.pem"
        if content:
            file.write_text(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        with pytest.raises(Refusal, match="authorities-unreadable"):
            create_http_client(loopback)


def test_certificates_are_always_checked() -> None:
    context = http.get_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_nothing_of_the_environment_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(lambda _: Reply()) as server, create_http_client(loopback) as client:
        assert client.get(server.url).status_code == 200
    assert "authorization" not in server.asked[0].headers


def test_cookies_are_not_remembered(client: httpx.Client) -> None:
    with serving(lambda _: Reply(headers={"Set-Cookie": "session=1"})) as server:
        for _ in range(2):
            client.get(server.url)
    assert all("cookie" not in asked.headers for asked in server.asked)


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "javascript:alert(1)", "http://[::1", "/x"])
def test_a_redirect_is_an_answer_like_any_other(client: httpx.Client, to: str) -> None:
    with serving(lambda _: Reply(302, headers={"Location": to})) as server:
        response = client.get(server.url)
    assert response.status_code == 302
    assert get_location(response) == to
    assert len(server.asked) == 1


def test_something_can_be_posted(client: httpx.Client) -> None:
    with serving(lambda _: Reply(202)) as server:
        response = client.post(server.url, content=b"held", headers={"X-Signature": "abc"})
    assert response.status_code == 202
    assert (server.asked[0].method, server.asked[0].body) == ("POST", b"held")
    assert server.asked[0].headers["user-agent"].startswith("roster-reconciler/")


def test_failure_after_connecting_is_an_httpx_error() -> None:
    with (
        serving(in_turn(Reply(raw=b""))) as server,
        create_http_client(loopback) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(server.url)

    def late(_: Asked) -> Reply:
        waiting.wait(5)
        return Reply()

    waiting = threading.Event()
    with (
        serving(late) as server,
        create_http_client(loopback, httpx.Timeout(0.05)) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            client.get(server.url)
        waiting.set()
