import pytest
from sqlalchemy import select

from cacseg.errors import UsageError
from cacseg.service.access import COOKIE, CSRF_HEADER, RIGHTS, Access
from cacseg.service.database import AuditEntry, Token
from cacseg.service.errors import NotFoundError, UnauthenticatedError


@pytest.fixture
def access(services):
    return services.access


def test_a_token_gives_its_owner_and_rights(access):
    actor = access.actor_of_token(access.add("CT room 2", "send,read", "test"))
    assert (actor.name, actor.role, actor.rights) == ("CT room 2", "send,read", {"send", "read"})


def test_roles_are_separate_sets():
    assert RIGHTS["send"] == {"send"}
    assert "send" not in RIGHTS["review"]
    assert RIGHTS["admin"] == {"send", "read", "review", "admin"}


def test_secrets_are_not_kept(access, services):
    token = access.add("name", "read", "test")
    secret = token.rsplit("_", 1)[1]
    with services.database.session(write=False) as session:
        kept = " ".join(
            str(vars(row)) for row in [*session.scalars(select(Token)), *session.scalars(select(AuditEntry))]
        )
    assert secret not in kept


def test_forged_tokens_are_refused(access):
    token = access.add("name", "admin", "test")
    prefix, identifier, secret = token.split("_")
    forged = [
        "",
        "cacseg",
        token[:-1],
        token + "0",
        token.upper(),
        f"{prefix}_{identifier}_{'0' * 64}",
        f"{prefix}_{'0' * 12}_{secret}",
        f"{prefix}_{identifier}_{secret[::-1]}",
        f"{prefix}_{identifier}' OR 1=1 --_{secret}",
        "cacseg_\x00_",
    ]
    for each in forged:
        with pytest.raises(UnauthenticatedError):
            access.actor_of_token(each)
    assert access.actor_of_token(token).name == "name"


def test_revoked_tokens_end_with_their_sessions(access):
    token = access.add("name", "read", "test")
    session = access.sign_in(token, 1.0)
    assert access.signed_in(session.cookie).actor.name == "name"
    access.revoke(session.actor.token_id, "test")
    for refused in (lambda: access.actor_of_token(token), lambda: access.signed_in(session.cookie)):
        with pytest.raises(UnauthenticatedError):
            refused()
    with pytest.raises(NotFoundError):
        access.revoke(session.actor.token_id, "test")


def test_sessions_end_by_time_and_by_signing_out(services):
    now = [1000.0]
    access = Access(services.database, clock=lambda: now[0])
    token = access.add("name", "read", "test")
    first, second = access.sign_in(token, 1.0), access.sign_in(token, 1.0)
    access.sign_out(first.cookie)
    access.sign_out("never was")
    with pytest.raises(UnauthenticatedError):
        access.signed_in(first.cookie)
    now[0] += 3599
    assert access.signed_in(second.cookie).csrf == second.csrf
    now[0] += 2
    with pytest.raises(UnauthenticatedError):
        access.signed_in(second.cookie)


@pytest.mark.parametrize(
    ("name", "role"), [("x", "root"), ("x", ""), ("", "read"), ("x" * 129, "read"), ("x", "read,")]
)
def test_roles_and_names_are_checked(access, name, role):
    with pytest.raises(UsageError):
        access.add(name, role, "test")


NEEDED = [
    ("send", "post", "/api/studies"),
    ("read", "get", "/api/studies"),
    ("read", "get", f"/api/studies/{'0' * 32}"),
    ("read", "get", f"/api/studies/{'0' * 32}/result"),
    ("read", "get", f"/api/studies/{'0' * 32}/files"),
    ("read", "get", f"/api/studies/{'0' * 32}/files/result.json"),
    ("admin", "post", f"/api/studies/{'0' * 32}/rescore"),
    ("admin", "delete", f"/api/studies/{'0' * 32}"),
    ("admin", "get", "/api/audit"),
    ("admin", "get", "/api/tokens"),
    ("admin", "post", "/api/tokens"),
    ("admin", "delete", f"/api/tokens/{'0' * 12}"),
]


def test_every_route_asks_for_its_right(client, house):
    tokens = {role: house.access.add(role, role, "test") for role in RIGHTS}
    for right, method, path in NEEDED:
        assert client.request(method, path, headers={"Authorization": ""}).status_code == 401, path
        for role, token in tokens.items():
            status = client.request(method, path, headers={"Authorization": f"Bearer {token}"}).status_code
            assert (status == 403) == (right not in RIGHTS[role]), (path, role, status)


def test_a_browser_signs_in_and_repeats_the_value(client, house):
    token = house.access.add("reader", "admin", "test")
    del client.headers["Authorization"]
    answer = client.post("/api/session", json={"token": token})
    cookie = answer.headers["set-cookie"]
    assert COOKIE in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in cookie
    assert client.get("/api/session").json()["csrf"] == answer.json()["csrf"]
    assert client.get("/api/tokens").status_code == 200
    new = {"name": "x", "role": "read"}
    assert client.post("/api/tokens", json=new).status_code == 403
    assert client.post("/api/tokens", json=new, headers={CSRF_HEADER: "wrong"}).status_code == 403
    assert client.post("/api/tokens", json=new, headers={CSRF_HEADER: answer.json()["csrf"]}).status_code == 201
    assert client.delete("/api/session").status_code == 204
    assert client.get("/api/session").status_code == 401


def test_a_wrong_token_does_not_sign_in(client):
    assert client.post("/api/session", json={"token": "cacseg_x"}).status_code == 401


def test_a_cookie_over_tls_stays_on_tls(client, house):
    token = house.access.add("reader", "read", "test")
    client.base_url = "https://testserver"
    assert "Secure" in client.post("/api/session", json={"token": token}).headers["set-cookie"]


def test_tokens_by_rest(client):
    made = client.post("/api/tokens", json={"name": "CT", "role": "send"}).json()["token"]
    listed = client.get("/api/tokens").json()
    assert [(row["name"], row["role"]) for row in listed] == [("administrator", "admin"), ("CT", "send")]
    assert made.split("_")[2] not in str(listed)
    assert client.delete(f"/api/tokens/{made.split('_')[1]}").status_code == 204
    assert client.get("/api/tokens").json()[1]["revoked_at"] is not None
    assert client.post("/api/tokens", json={"name": "x", "role": "king"}).status_code == 422
