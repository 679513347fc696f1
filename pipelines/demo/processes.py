"""Jobs side by side: each in a process of its own with a fixed number of threads, so that figures repeat exactly."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Any

from kg.progress import progress

Report = Callable[[int, int], None]
Job = tuple[Any, ...]
"""A function and its arguments."""

News = Any
"""A queue of (job, done, total) between processes."""

_news: News = None


def side_by_side(jobs: Mapping[str, Job], *, threads: int = 1, tells: bool = False) -> dict[str, Any]:
    """Run named jobs, as many at once as there are cores, with a progress bar each; returns their results by name.

    When one fails, or the person interrupts, the others are stopped at once; when this process dies, so do they. What
    they keep on disk stays.

    Args:
        threads: of each process.
        tells: the functions take a last argument `report(done, total)`.
    """
    workers = max(1, min(len(jobs), (os.cpu_count() or 1) // threads))
    context = multiprocessing.get_context("spawn")
    news, stop = context.Queue(), threading.Event()
    setup = (os.getpid(), threads, news)
    with (
        progress() as display,
        ProcessPoolExecutor(workers, mp_context=context, initializer=begin, initargs=setup) as pool,
    ):
        bars = {name: display.add_task(name, total=None) for name in jobs}
        follower = threading.Thread(target=follow, args=(news, bars, display, stop), daemon=True)
        follower.start()
        running = {name: pool.submit(work, name, job, tells) for name, job in jobs.items()}
        try:
            finish(running, lambda name: display.update(bars[name], total=1, completed=1))
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            stop.set()
            follower.join()
    return {name: future.result() for name, future in running.items()}


def begin(parent: int, threads: int, news: News) -> None:
    """Prepare a worker: quiet, with its threads, and gone when its parent is."""
    import torch

    global _news
    _news = news
    os.environ["KEPT_QUIET"] = "1"
    torch.set_num_threads(threads)
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()


def leave_with(parent: int) -> None:
    """End this process when its parent is gone, so that no orphan writes where a resumed run does."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def work(name: str, job: Job, tells: bool) -> Any:
    """One job, in a worker."""
    function, *arguments = job
    if not tells:
        return function(*arguments)
    return function(*arguments, lambda done, total: _news.put((name, done, total)))


def finish(running: Mapping[str, Future[Any]], done: Callable[[str], None]) -> None:
    """Wait for all; raise the first failure."""
    names = {future: name for name, future in running.items()}
    left = set(names)
    while left:
        finished, left = wait(left, return_when="FIRST_COMPLETED")
        for future in finished:
            future.result()
            done(names[future])


def follow(news: News, bars: Mapping[str, Any], display: Any, stop: threading.Event) -> None:
    """Move the bars as the jobs tell."""
    while not stop.is_set():
        try:
            name, done, total = news.get(timeout=0.2)
        except queue.Empty:
            continue
        display.update(bars[name], completed=done, total=total)
