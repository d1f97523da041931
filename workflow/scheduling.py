"""How often Snakemake looks for jobs that it could start."""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def look_again_once() -> None:
    """Have its scheduler wait for one look at a time.

    Snakemake 9.27 looks a second after each look, and besides whenever a job ends; that look has a
    next one too. After thirty jobs it looks thirty times a second, which takes a quarter of a core
    from the jobs. The timers are threads that its end waits for; these are not.
    """
    JobScheduler._schedule_reevalutation = _schedule_one


def _schedule_one(scheduler: JobScheduler, delay: float) -> None:
    if getattr(scheduler, "_looks_again", False):
        return
    scheduler._looks_again = True

    def look() -> None:
        scheduler._looks_again = False
        scheduler._open_jobs.release()

    timer = threading.Timer(delay, look)
    timer.daemon = True
    timer.start()
