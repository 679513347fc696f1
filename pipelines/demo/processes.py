"""Jobs side by side: each in a process of its own with a fixed number of threads, so that figures repeat exactly."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Any

from kg.progress import progress

Report = Callable[[int, int], None]
Job = tuple[Any, ...]
"""A function and its arguments; a function with a parameter `report` is given one to tell its steps."""


def side_by_side(jobs: Mapping[str, Job], *, threads: int = 1, tells: bool = False) -> dict[str, Any]:
    """Run named jobs, as many at once as there are cores, with a progress bar each; returns their results by name.

    When one fails, or the person interrupts, the others are stopped at once; what they keep on disk stays.

    Args:
        threads: of each process.
        tells: the functions take a last argument `report(done, total)`.
    """
    workers = max(1, min(len(jobs), (os.cpu_count() or 1) // threads))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, progress() as display:
        news = manager.Queue()
        bars = {name: display.add_task(name, total=None) for name in jobs}
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            running = {
                name: pool.submit(work, name, job, threads, news if tells else None) for name, job in jobs.items()
            }
            stop = threading.Event()
            follower = threading.Thread(target=follow, args=(news, bars, display, stop), daemon=True)
            follower.start()
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


def work(name: str, job: Job, threads: int, news: Any) -> Any:
    """One job, in its own process."""
    import torch

    os.environ["KEPT_QUIET"] = "1"
    torch.set_num_threads(threads)
    function, *arguments = job
    if news is None:
        return function(*arguments)
    return function(*arguments, lambda done, total: news.put((name, done, total)))


def finish(running: Mapping[str, Future[Any]], done: Callable[[str], None]) -> None:
    """Wait for all; raise the first failure."""
    names = {future: name for name, future in running.items()}
    left = set(names)
    while left:
        finished, left = wait(left, return_when="FIRST_COMPLETED")
        for future in finished:
            future.result()
            done(names[future])


def follow(news: Any, bars: Mapping[str, Any], display: Any, stop: threading.Event) -> None:
    """Move the bars as the jobs tell."""
    while not stop.is_set():
        try:
            name, done, total = news.get(timeout=0.2)
        except queue.Empty:
            continue
        display.update(bars[name], completed=done, total=total)
