"""Trainings that an exception stops where they keep something of themselves."""

from __future__ import annotations

from graphmatch.train_keeper import Keeper


class StopError(Exception):
    pass


def stop_and_go_on(monkeypatch, start, calls):
    """Start a training once for each number, to be stopped at that call of a writing method.

    Returns how many of the starts were stopped; 0 stops none.
    """
    left = [0]

    def stops(function):
        def call(self, *arguments, **options):
            left[0] -= 1
            if not left[0]:
                raise StopError
            return function(self, *arguments, **options)

        return call

    for name in ("settle", "_save", "_keep"):
        monkeypatch.setattr(Keeper, name, stops(getattr(Keeper, name)))
    stopped = 0
    for number in calls:
        left[0] = number
        try:
            start()
        except StopError:
            stopped += 1
    return stopped
