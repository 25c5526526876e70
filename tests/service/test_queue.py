import pytest

from cacseg.service.database import Job, Study
from cacseg.service.errors import LeaseLostError
from cacseg.service.queue import Queue


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def study_id(services):
    with services.database.session() as session:
        row = Study(study_instance_uid="1.2", received_at=1.0, last_instance_at=1.0, source="test")
        session.add(row)
        session.flush()
        return row.id


@pytest.fixture
def queue(services, clock):
    return lambda owner="one": Queue(services.database, owner, lease_s=60.0, clock=clock)


def test_a_key_is_queued_once_even_when_done(queue, study_id):
    first = queue()
    assert first.enqueue("score", study_id, "key", {"generation": 1})
    assert not first.enqueue("score", study_id, "key", {"generation": 2})
    job = first.take(["score"])
    assert job.payload == {"generation": 1}
    first.done(job)
    assert not first.enqueue("score", study_id, "key")
    assert first.take(["score"]) is None


def test_jobs_come_in_the_order_of_their_time_and_kind(queue, study_id, clock):
    one = queue()
    one.enqueue("score", study_id, "later", not_before=clock.now + 5)
    one.enqueue("score", study_id, "second", not_before=clock.now - 1)
    one.enqueue("score", study_id, "first", not_before=clock.now - 2)
    one.enqueue("send", study_id, "other", not_before=clock.now - 9)
    assert [one.take(["score"]).key, one.take(["score"]).key, one.take(["score"])] == ["first", "second", None]
    clock.now += 5
    assert one.take(["score"]).key == "later"
    assert one.take(["send"]).key == "other"


def test_a_silent_owner_loses_its_job_and_cannot_finish_it(queue, study_id, clock):
    one, two = queue("one"), queue("two")
    one.enqueue("score", study_id, "key")
    held = one.take(["score"])
    clock.now += 59
    assert two.take(["score"]) is None
    clock.now += 2
    taken = two.take(["score"])
    assert (taken.key, taken.attempts) == ("key", 2)
    for late in (lambda: one.done(held), lambda: one.renew(held), lambda: one.failed(held, "x", None)):
        with pytest.raises(LeaseLostError, match="key"):
            late()
    two.done(taken)


def test_the_same_owner_taking_twice_cannot_finish_the_first_take(queue, study_id, clock):
    one = queue()
    one.enqueue("score", study_id, "key")
    first = one.take(["score"])
    clock.now += 61
    second = one.take(["score"])
    with pytest.raises(LeaseLostError):
        one.done(first)
    one.done(second)


def test_a_renewed_lease_is_kept(queue, study_id, clock):
    one, two = queue("one"), queue("two")
    one.enqueue("score", study_id, "key")
    job = one.take(["score"])
    for _ in range(3):
        clock.now += 50
        one.renew(job)
        assert two.take(["score"]) is None
    one.done(job)


def test_a_failed_job_comes_back_at_its_time_or_never(queue, study_id, clock, services):
    one = queue()
    one.enqueue("send", study_id, "key")
    one.failed(one.take(["send"]), "archive down", clock.now + 30)
    assert one.take(["send"]) is None
    clock.now += 31
    job = one.take(["send"])
    assert (job.attempts, job.error) == (2, "archive down")
    one.failed(job, "archive gone", None)
    clock.now += 10**6
    assert one.take(["send"]) is None
    with services.database.session(write=False) as session:
        assert session.get(Job, job.id).state == "failed"


def test_done_in_a_transaction_that_fails_is_not_done(queue, study_id, clock, services):
    one = queue()
    one.enqueue("score", study_id, "key")
    job = one.take(["score"])

    def cut_short():
        with services.database.session() as session:
            one.done(job, session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut_short()
    clock.now += 61
    assert one.take(["score"]).key == "key"


def test_a_job_whose_owners_keep_dying_is_given_up(queue, study_id, clock):
    one = queue()
    one.enqueue("score", study_id, "poison")
    for _ in range(3):
        assert one.abandon("score", 3) == ()
        assert one.take(["score"]).key == "poison"
        clock.now += 61
    assert [job.key for job in one.abandon("score", 3)] == ["poison"]
    assert one.take(["score"]) is None


def test_notes_in_the_payload_survive_the_owner(queue, study_id, clock, services):
    one, two = queue("one"), queue("two")
    one.enqueue("score", study_id, "key", {"generation": 1})
    job = one.take(["score"])
    with services.database.session() as session:
        one.keep(session, job, version=4)
    clock.now += 61
    assert two.take(["score"]).payload == {"generation": 1, "version": 4}
