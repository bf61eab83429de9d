"""Places for work that needs a core."""

from __future__ import annotations

import asyncio

import pytest

from ragbot.web.slots import NoSlotError, Slots


def test_no_more_than_may_work_side_by_side_and_nobody_waits_beyond_the_limit() -> None:
    async def crowd() -> tuple[int, int, list[int]]:
        slots, working, most, order = Slots(2, 3), 0, 0, list[int]()

        async def work(number: int) -> None:
            nonlocal working, most
            async with slots.hold():
                working += 1
                most = max(most, working)
                await asyncio.sleep(0)
                order.append(number)
                working -= 1

        outcomes = await asyncio.gather(*(work(number) for number in range(8)), return_exceptions=True)
        async with slots.hold():
            assert not slots.is_full
        return most, sum(isinstance(one, NoSlotError) for one in outcomes), order

    most, refused, order = asyncio.run(crowd())
    assert (most, refused, order) == (2, 3, [0, 1, 2, 3, 4])


def test_a_place_is_given_back_where_the_work_fails_or_is_given_up() -> None:
    async def failing() -> None:
        slots = Slots(1, 1)
        for _ in range(5):
            with pytest.raises(RuntimeError):
                async with slots.hold():
                    raise RuntimeError
        held = asyncio.create_task(_forever(slots))
        waiting = asyncio.create_task(_forever(slots))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert slots.is_full
        for task in (waiting, held):
            task.cancel()
        await asyncio.gather(held, waiting, return_exceptions=True)
        async with slots.hold():
            pass

    asyncio.run(asyncio.wait_for(failing(), 10))


async def _forever(slots: Slots) -> None:
    async with slots.hold():
        await asyncio.Event().wait()


def test_who_waits_outside_comes_in_one_by_one_and_not_for_ever() -> None:
    async def crowd() -> None:
        slots, order = Slots(1, 9), list[int]()

        async def come(number: int) -> None:
            await slots.wait_outside("one", 1, 3, 3, 30)
            async with slots.hold():
                order.append(number)
                await asyncio.sleep(0)

        outcomes = await asyncio.gather(*(come(number) for number in range(5)), return_exceptions=True)
        assert [isinstance(one, NoSlotError) for one in outcomes] == [False, False, False, True, True]
        assert order == [0, 1, 2]
        async with slots.hold():
            with pytest.raises(NoSlotError):
                await slots.wait_outside("one", 1, 3, 3, 0.01)

    asyncio.run(asyncio.wait_for(crowd(), 20))


def test_one_cannot_fill_all_places_outside() -> None:
    async def crowd() -> tuple[list[object], object]:
        slots = Slots(1, 9)
        async with slots.hold():
            many = [asyncio.create_task(slots.wait_outside("one", 1, 10, 2, 0.3)) for _ in range(4)]
            other = asyncio.create_task(slots.wait_outside("other", 1, 10, 2, 30))
            outcomes = await asyncio.gather(*many, return_exceptions=True)
        return list(outcomes), await other

    outcomes, other = asyncio.run(asyncio.wait_for(crowd(), 20))
    assert [isinstance(one, NoSlotError) for one in outcomes[2:]] == [True, True] and other is None
