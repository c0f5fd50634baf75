"""Progress: shown where there is somebody to see it, never of short work, and honest about what is left."""

import io

import pytest

from cortex_sim.runs import progress
from cortex_sim.runs.progress import Bar, Lines, Notebook, Terminal, bar, place_for, remaining


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


class Place:
    def __init__(self):
        self.seen = []

    def show(self, *at):
        self.seen.append(at)

    def close(self, *at):
        self.seen.append(("end", *at))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_work_of_less_than_half_a_second_shows_nothing(clock):
    place = Place()
    made = Bar(10, "trials", place)
    for _ in range(10):
        clock.now += 0.04
        made.advance(1, "arm one")
    made.close()
    assert place.seen == []


def test_longer_work_shows_what_is_left_and_what_it_took(clock):
    place = Place()
    made = Bar(10, "trials", place)
    clock.now += 8.0
    made.advance(4, "arm one")
    clock.now += 12.0
    made.update(10)
    made.close()
    assert place.seen == [
        (4, "arm one", "12 s left"),
        (10, "arm one", "0 s left"),
        ("end", 10, "arm one", "20.0 s"),
    ]


def test_what_was_done_before_does_not_count_as_speed(clock):
    place = Place()
    made = Bar(100, "trials", place)
    made.skip(90, "arm one")
    clock.now += 5.0
    made.advance(5)
    assert place.seen[-1] == (95, "arm one", "5 s left")


@pytest.mark.parametrize(
    "done, to_do, seconds, said",
    [(0, 5, 1.0, "time left unknown"), (1, 10, 60.0, "10 min left"), (1, 10, 3600.0, "10.0 h left")],
)
def test_time_left(done, to_do, seconds, said):
    assert remaining(done, to_do, seconds) == said


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_terminal_log_or_notebook(monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", io.StringIO())
    assert isinstance(place_for(3, "trials"), Lines)
    monkeypatch.setattr(progress.sys, "stderr", Screen())
    assert isinstance(place_for(3, "trials"), Terminal)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    assert isinstance(place_for(3, "trials"), Notebook)


def test_a_log_gets_a_line_a_minute(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", log)
    with bar(4, "presentations") as made:
        for _ in range(4):
            clock.now += 40.0
            made.advance(1, "arm cut")
    assert log.getvalue().splitlines() == [
        "cortex-sim: arm cut, 2 of 4 presentations, 80 s left",
        "cortex-sim: arm cut, 4 of 4 presentations, 0 s left",
    ]


def test_a_terminal_gets_a_bar_that_vanishes(clock, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(progress.sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with bar(4, "presentations") as made:
        clock.now += 1.0
        made.advance(2, "arm cut")
    assert "arm cut" in screen.getvalue()
    assert "2/4" in screen.getvalue() and "presentations" in screen.getvalue()


def test_nothing_is_shown_where_none_is_wanted(clock, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(progress.sys, "stderr", screen)
    with bar(2, "trials", wanted=False) as made:
        clock.now += 100.0
        made.advance(1, "x")
    assert screen.getvalue() == ""


def test_ended_by_an_error_too(clock):
    place = Place()
    with pytest.raises(ZeroDivisionError), bar(2, "trials") as made:
        made._place = place
        clock.now += 1.0
        made.advance(1, "arm one")
        raise ZeroDivisionError
    assert place.seen[-1] == ("end", 1, "arm one", "1.0 s")
