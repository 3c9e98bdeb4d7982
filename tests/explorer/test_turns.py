import asyncio
import threading

import pytest

from jaxlatent.explorer.turns import StaleRequestError, Turns


def test_of_what_a_tab_waits_for_only_the_newest_is_done():
    """What is under way is finished; other tabs, other kinds and those without a tab are not concerned."""
    done, gate = [], threading.Event()

    def work(name):
        if name == "first":
            gate.wait(30)
        done.append(name)
        return name

    async def all_of_them():
        turns = Turns()
        asked = [
            ("a", "face", "first"),
            ("a", "face", "stale"),
            ("b", "face", "other tab"),
            ("a", "faces", "other kind"),
            ("", "face", "no tab 1"),
            ("", "face", "no tab 2"),
            ("a", "face", "stale too"),
            ("a", "face", "newest"),
        ]
        tasks = [
            asyncio.create_task(turns.take(tab, kind, lambda name=name: work(name)))
            for tab, kind, name in asked
        ]
        await asyncio.sleep(0.05)
        gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert turns._newest == {}
        return answers

    answers = asyncio.run(all_of_them())
    assert done == ["first", "other tab", "other kind", "no tab 1", "no tab 2", "newest"]
    assert [type(answer) for answer in answers] == [
        str,
        StaleRequestError,
        *[str] * 4,
        StaleRequestError,
        str,
    ]


def test_one_at_a_time_and_errors_reach_who_asked():
    running = []

    def work(i):
        running.append(i)
        assert len(running) == 1
        running.remove(i)
        if i == 3:
            raise ValueError("three")
        return i

    async def all_of_them():
        turns = Turns()
        tasks = [turns.take(f"tab {i}", "face", lambda i=i: work(i)) for i in range(9)]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert turns._newest == {}
        return answers

    answers = asyncio.run(all_of_them())
    assert isinstance(answers[3], ValueError)
    assert [answer for i, answer in enumerate(answers) if i != 3] == [0, 1, 2, 4, 5, 6, 7, 8]


def test_who_goes_away_while_waiting_leaves_nothing_behind():
    async def all_of_them():
        turns, gate = Turns(), threading.Event()
        first = asyncio.create_task(turns.take("a", "face", lambda: gate.wait(30)))
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(turns.take("a", "face", lambda: None))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        assert await first
        assert await turns.take("a", "face", lambda: 5) == 5
        assert turns._newest == {}

    asyncio.run(all_of_them())
