"""Drafts in either database: one writer wins, nothing is overwritten, what is deleted is gone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cacseg.service.audit import Audit
from cacseg.service.database import Base, Database, Review, Study, Version
from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.review import drafts as of_drafts
from cacseg.service.review.drafts import Drafts
from cacseg.service.review.edit import Edit, Skipped
from cacseg.vessels import Label

EDIT = Edit("assign", (1.0, 2.0, 3.0), Label.RCA, lesion=4, before="LAD")
CUT = Edit("cut", (1.0, 2.0, 3.0), Label.LM, ((0.0, 0.5, 3.0), (9.0, 0.5, 3.0)), one_slice=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system("postgres"))])
def drafts(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    database = Database(url)
    Base.metadata.drop_all(database.engine)
    database.create()
    with database.session() as session:
        session.add(
            Study(
                id="a" * 32,
                study_instance_uid="1.2.3",
                state="scored",
                received_at=0.0,
                last_instance_at=0.0,
                generation=1,
                result_version=1,
                next_version=2,
                source="test",
            )
        )
        session.flush()
        session.add(
            Version(study_id="a" * 32, version=1, kind="automatic", generation=1, author="r", at=0.0, status="scored")
        )
    yield Drafts(database, Audit(database))
    database.close()


def test_edits_come_back_as_they_were(drafts):
    before = drafts.read("a" * 32)
    assert (before.review_id, before.revision, before.base_version) == (None, 0, 1)
    lost = Skipped(replace(EDIT, label=Label.LM), "no lesion there")
    after = drafts.change(before, "Jane", done=[EDIT], undone=[CUT], skipped=[lost])
    again = drafts.read("a" * 32)
    assert again == after
    assert (again.done, again.undone, again.skipped) == ((EDIT,), (CUT,), (lost,))
    assert (again.revision, again.authors) == (1, ("Jane",))


def test_of_many_writers_one_wins(drafts):
    known = drafts.read("a" * 32)

    def write(name):
        try:
            drafts.change(known, name, done=[EDIT])
        except ConflictError:
            return None
        return name

    with ThreadPoolExecutor(8) as pool:
        winners = [name for name in pool.map(write, "ABCDEFGH") if name]
    now = drafts.read("a" * 32)
    assert winners == list(now.authors)
    assert now.revision == 1


def test_whoever_changed_it_last_is_named_last(drafts):
    draft = drafts.read("a" * 32)
    for name in ("Jane", "Ben", "Jane"):
        draft = drafts.change(draft, name, comment=name)
    assert draft.authors == ("Ben", "Jane")
    with pytest.raises(ConflictError, match="changed by Jane meanwhile: it is at revision 3"):
        drafts.change(replace(draft, revision=1), "Ben", comment="late")


def test_a_discarded_draft_makes_room_for_a_new_one(drafts):
    first = drafts.change(drafts.read("a" * 32), "Jane", done=[EDIT])
    after = drafts.discard(first, "Jane")
    assert after.review_id is None
    second = drafts.change(after, "Ben", comment="again")
    assert second.review_id != first.review_id
    with drafts._database.session(write=False) as session:
        assert sorted(row.state for row in session.query(Review)) == ["discarded", "draft"]


def test_a_study_without_a_result_or_being_deleted_has_no_draft(drafts):
    with pytest.raises(NotFoundError):
        drafts.read("b" * 32)
    with drafts._database.session() as session:
        session.get(Study, "a" * 32).result_version = 0
    with pytest.raises(ConflictError, match="no result yet"):
        drafts.read("a" * 32)
    with drafts._database.session() as session:
        session.get(Study, "a" * 32).state = "deleting"
    with pytest.raises(NotFoundError):
        drafts.read("a" * 32)


def test_a_draft_has_an_end(drafts, monkeypatch):
    monkeypatch.setattr(of_drafts, "MOST_EDITS", 1)
    with pytest.raises(ConflictError, match="1 edits already"):
        drafts.change(drafts.read("a" * 32), "Jane", done=[EDIT, EDIT])
