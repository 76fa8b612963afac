"""A process pool that survives its workers: results in input order, bounded work in flight, a crash costs one unit.

The standard pool is broken for good when a worker dies (a decoder's segfault, the kernel's out-of-memory killer). Here the units
that were in flight are tried again one at a time, each in a process of its own; the one that kills it again is handed back as
:class:`Crashed`, and the rest goes on.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Crashed:
    """The worker that handled a unit died twice."""

    detail: str


def _start_worker(parent: int) -> None:
    """A worker dies with its parent (Linux), even if that is killed outright; SIGTERM ends it at once.

    ``parent`` is the process that asked for it. (In a container that is process 1, which elsewhere adopts orphans.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (AttributeError, OSError):
        pass
    if os.getppid() != parent:
        os._exit(1)


ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Set to 1 for workers: the pool is what runs in parallel. Two workers on two cores, each with a BLAS of two threads, spend
their time waiting for each other."""


def _executor(workers: int) -> ProcessPoolExecutor:
    for name in ONE_THREAD:  # inherited by the workers, read when they import numpy
        os.environ.setdefault(name, "1")
    # spawn: the parent has threads (Arrow, ONNX), so a fork could inherit a held lock.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))


def map_units(fn: Callable[[Any], T], units: Iterable[Any], workers: int) -> Iterator[tuple[Any, T | Crashed]]:
    """Apply ``fn`` to each unit in ``workers`` processes; yield (unit, result) in input order.

    ``workers`` 0 runs in this process (for debugging: no crash isolation). ``fn`` must be importable and its arguments picklable.
    An exception that ``fn`` raises is raised here.
    """
    if workers <= 0:
        for unit in units:
            yield unit, fn(unit)
        return
    pending: deque[tuple[Any, Future[T]]] = deque()
    source = iter(units)
    pool = _executor(workers)
    try:
        exhausted = False
        while True:
            while not exhausted and len(pending) < 2 * workers:
                try:
                    unit = next(source)
                except StopIteration:
                    exhausted = True
                    break
                pending.append((unit, _submit(pool, fn, unit)))
            if not pending:
                pool.shutdown(wait=True)  # waited for, so that the workers' CPU time counts as this process's
                return
            unit, future = pending.popleft()
            try:
                yield unit, future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                again = [unit, *(u for u, _ in pending)]
                pending.clear()
                for one in again:
                    yield one, _alone(fn, one)
                pool = _executor(workers)
    finally:
        _kill(pool)


def _submit(pool: ProcessPoolExecutor, fn: Callable[[Any], Any], unit: Any) -> Future[Any]:
    try:
        return pool.submit(fn, unit)
    except BrokenProcessPool as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def _alone(fn: Callable[[Any], T], unit: Any) -> T | Crashed:
    with _executor(1) as pool:
        try:
            return pool.submit(fn, unit).result()
        except BrokenProcessPool as error:
            return Crashed(f"its worker process died twice ({error})")


def _kill(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        if process.is_alive():
            process.terminate()
