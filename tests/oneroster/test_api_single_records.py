"""A sourcedId may be a pupil's number: a single record that cannot be had is not named."""

from __future__ import annotations

import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.client import create_api_client
from tests.support.servers.scripted_http import Asked, Reply, Time, account, loopback, serving

SAID = b'{"imsx_codeMajor": "failure", "imsx_description": "Marguerite Duval 4711 is locked"}'


@pytest.mark.parametrize(
    ("status", "code"), [(403, "forbidden"), (500, "server-error"), (422, "bad-request"), (429, "server-busy")]
)
@pytest.mark.parametrize("moved", [False, True])
def test_error_repeats_neither_sourcedid_nor_server_text(status: int, code: str, moved: bool) -> None:
    def script(asked: Asked) -> Reply:
        if moved and not asked.target.startswith("/v2/"):
            return Reply(302, b"", {"Location": "/v2/users/u-4711"})
        return Reply(status, SAID)

    time = Time()
    with (
        serving(script) as server,
        create_api_client(
            account(server.url), time.hosts(), loopback, sleep=time.sleep, clock=time, wall=time
        ) as client,
        pytest.raises(Refusal) as caught,
    ):
        client.get("/users/u-4711", {})
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert "/users/…" in found.message
    assert not [word for word in ("4711", "Duval") if word in str(caught.value)]
