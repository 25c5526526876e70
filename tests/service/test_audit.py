import pytest
from sqlalchemy import text

from cacseg.service.audit import BEGINNING


@pytest.fixture
def trail(services):
    with services.database.session() as session:
        for number in range(5):
            services.audit.record(session, "actor", "test", f"subject-{number}", {"number": number})
    return services.audit


def tamper(services, *statements):
    """Change the table as somebody with the file in his hands would."""
    with services.database.session() as session:
        for trigger in ("audit_no_update", "audit_no_delete"):
            session.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
        for statement in statements:
            session.execute(text(statement))


def test_an_untouched_trail_holds(trail):
    verdict = trail.verify()
    assert (verdict.entries, verdict.holds) == (5, True)
    assert trail.verify(verdict.head).holds


def test_an_empty_trail_holds(services):
    verdict = services.audit.verify()
    assert (verdict.entries, verdict.head, verdict.holds) == (0, BEGINNING, True)


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE audit SET detail = '{}' WHERE seq = 2", 2),
        ("UPDATE audit SET digest = previous WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 1", 1),
    ],
)
def test_changes_are_found_where_they_are(services, trail, statement, broken_at):
    tamper(services, statement)
    assert trail.verify().broken_at == broken_at


def test_an_entry_put_in_is_found(services, trail):
    tamper(
        services,
        "UPDATE audit SET seq = 6 WHERE seq = 5",
        "INSERT INTO audit SELECT 5, at, actor, action, subject, detail, previous, digest FROM audit WHERE seq = 4",
    )
    assert trail.verify().broken_at == 5


def test_a_trail_cut_short_is_found_by_a_digest_noted_before(services, trail):
    noted = trail.verify().head
    tamper(services, "DELETE FROM audit WHERE seq > 3")
    assert trail.verify().holds
    assert trail.verify(noted).broken_at == 4


def test_an_entry_stands_exactly_when_its_transaction_does(services, trail):
    def cut_short():
        with services.database.session() as session:
            services.audit.record(session, "actor", "test", "subject")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut_short()
    assert trail.verify().entries == 5
