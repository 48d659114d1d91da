from __future__ import annotations

from qbert4rec_hf.data.image_download.schedule import Job, Schedule


def schedule_of(*hosts, per_host=2, give_up_after=3):
    schedule = Schedule(per_host, give_up_after)
    for number, host in enumerate(hosts):
        schedule.add(Job(f"{host}{number}", host))
    return schedule


def take_all(schedule, now=0.0):
    jobs = []
    while (job := schedule.take(now)) is not None:
        jobs.append(job)
    return jobs


def names(jobs):
    return [job.url for job in jobs]


def test_hosts_take_turns_within_their_limits():
    schedule = schedule_of(*"aaaaab")
    jobs = take_all(schedule)
    assert names(jobs) == ["a0", "b5", "a1"]
    schedule.finish(jobs[0], host_failed=False)
    assert names(take_all(schedule)) == ["a2"]
    assert len(schedule) == 5


def test_every_job_is_handed_out_once():
    schedule = schedule_of(*"abcabcaacb", per_host=1)
    seen = []
    while len(schedule):
        jobs = take_all(schedule)
        assert len({job.host for job in jobs}) == len(jobs)
        seen += names(jobs)
        for job in jobs:
            schedule.finish(job, host_failed=False)
    assert sorted(seen) == sorted(f"{host}{i}" for i, host in enumerate("abcabcaacb"))


def test_a_retry_waits_without_holding_up_its_host():
    schedule = schedule_of(*"aaa", per_host=1)
    first = schedule.take(0.0)
    schedule.retry(first, 5.0, pause_host=False)
    assert schedule.next_time() == 5.0
    second = schedule.take(0.0)
    assert second.url == "a1"
    schedule.finish(second, host_failed=False)
    # Its time has come: it goes before those that were never tried.
    again = schedule.take(5.0)
    assert again is first and again.attempt == 1
    schedule.finish(again, host_failed=False)
    assert schedule.take(5.0).url == "a2" and schedule.next_time() is None


def test_a_pause_holds_up_the_whole_host_and_no_other():
    schedule = schedule_of(*"aaabb", per_host=2)
    first = schedule.take(0.0)
    schedule.retry(first, 10.0, pause_host=True)
    assert names(take_all(schedule, 1.0)) == ["b3", "b4"]
    assert take_all(schedule, 9.9) == []
    assert schedule.next_time() == 10.0
    assert names(take_all(schedule, 10.0)) == ["a0", "a1"]


def test_a_host_that_fails_in_a_row_is_given_up():
    schedule = schedule_of(*"aaaaaab", per_host=9)
    jobs = take_all(schedule)
    for number, failed in enumerate([True, True, False, True, True]):
        schedule.finish(jobs[0 if number == 0 else number + 1], host_failed=failed)
        assert not schedule.given_up("a")
    schedule.finish(jobs[-1], host_failed=True)
    assert schedule.given_up("a") and not schedule.given_up("b")
