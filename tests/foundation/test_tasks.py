"""Background tasks: no failure is lost, not even one that looks like a cancellation (processor.foundation.tasks)."""

import asyncio

import pytest

from processor.foundation.tasks import CancelledByNobody, end_task, is_being_cancelled, watched_task


async def for_ever() -> None:
    await asyncio.Event().wait()


async def as_aiokafka_when_a_connection_closes() -> None:
    """What is waited for is cancelled, and nobody cancelled who waits."""
    answer = asyncio.get_running_loop().create_future()
    answer.cancel()
    await answer


async def test_a_failure_is_told() -> None:
    failures: list[BaseException] = []

    async def fail() -> None:
        raise ValueError("broken")

    await asyncio.wait({watched_task(fail(), failures.append)})

    assert [repr(failure) for failure in failures] == ["ValueError('broken')"]


async def test_a_task_that_was_told_to_end_has_not_failed() -> None:
    failures: list[BaseException] = []
    task = watched_task(for_ever(), failures.append)
    await asyncio.sleep(0)

    await end_task(task)

    assert task.cancelled()
    assert not failures


async def test_a_task_that_ends_as_if_cancelled_although_nobody_asked_has_failed() -> None:
    failures: list[BaseException] = []

    await asyncio.wait({watched_task(as_aiokafka_when_a_connection_closes(), failures.append)})

    assert [type(failure) for failure in failures] == [CancelledByNobody]


async def test_a_task_can_tell_its_own_cancellation_from_that_of_what_it_waits_for() -> None:
    told: list[bool] = []

    async def tell(work: asyncio.Future[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            told.append(is_being_cancelled())

    await asyncio.create_task(tell(asyncio.ensure_future(as_aiokafka_when_a_connection_closes())))
    task = asyncio.create_task(tell(asyncio.ensure_future(for_ever())))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert told == [False, True]


async def test_a_time_out_that_passed_is_no_cancellation() -> None:
    async def late() -> bool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await for_ever()
        return is_being_cancelled()

    assert not await asyncio.create_task(late())
