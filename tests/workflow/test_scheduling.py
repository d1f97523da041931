"""The scheduler's next look at what could be started is waited for once."""

import threading
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

import scheduling

DELAY = 0.02


def looks(scheduler: SimpleNamespace) -> int:
    """How many follow five requests that come at once."""
    for _ in range(5):
        JobScheduler._schedule_reevalutation(scheduler, DELAY)
    found = 0
    while scheduler._open_jobs.acquire(timeout=20 * DELAY):
        found += 1
    return found


def test_requests_that_come_at_once_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0))
    # Where this fails, Snakemake has learnt it, and the module can go.
    assert looks(scheduler) == 5
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", None)
    scheduling.look_again_once()
    assert looks(scheduler) == 1
    # And the next request is heard.
    assert looks(scheduler) == 1


def test_the_end_of_a_run_does_not_wait_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", None)
    scheduling.look_again_once()
    before = set(threading.enumerate())
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0))
    JobScheduler._schedule_reevalutation(scheduler, 3600)
    waiting = set(threading.enumerate()) - before
    assert waiting and all(thread.daemon for thread in waiting)
