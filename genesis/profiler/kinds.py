"""What can be recorded, what a step can be to a profiler, and schedules of steps."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable, Iterable
from typing import Any


class ProfilerActivity(enum.Enum):
    """What a profiler records: the host's work (``CPU``), or that of the OpenCL devices (``OPENCL``).

    The names that PyTorch has for devices of particular vendors all mean the same as ``OPENCL``: programs that ask for
    ``ProfilerActivity.CUDA`` get the commands of the devices that their tensors are on, CPU devices included.
    """

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5
    OPENCL = 6


class DeviceType(enum.Enum):
    """Where an event took place: on the host (``CPU``) or on an OpenCL device, by whichever of PyTorch's names."""

    CPU = 0
    OPENCL = CUDA = XPU = MTIA = HPU = PrivateUse1 = 1


class ProfilerAction(enum.Enum):
    """What a profiler does in a step.

    ``NONE``: nothing. ``WARMUP``: it gets ready, which takes a moment. ``RECORD``: it records. ``RECORD_AND_SAVE``: it
    records the last step of a cycle, and calls ``on_trace_ready`` after it. ``DEVICE_STOPPED``: never; PyTorch has it.
    """

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


def supported_activities() -> set[ProfilerActivity]:
    """What is recorded unless a profiler is told otherwise.

    Example:
        >>> sorted(activity.name for activity in genesis.profiler.supported_activities())
        ['CPU', 'OPENCL']
    """
    return {ProfilerActivity.CPU, ProfilerActivity.OPENCL}


def checked(activities: Iterable[Any] | None) -> set[ProfilerActivity]:
    """The activities that a profiler was asked for.

    Raises:
        AssertionError: none.
        TypeError: something else than an activity.
        ValueError: one that is given twice.
    """
    if activities is None:
        return supported_activities()
    found: set[ProfilerActivity] = set()
    for item in activities:
        if not isinstance(item, ProfilerActivity):
            raise TypeError(f"activities holds members of ProfilerActivity, not {type(item).__name__}")
        if item in found:
            raise ValueError(f"Activity {item} specified more than once")
        found.add(item)
    if not found:
        raise AssertionError("No valid profiler activities found: give some of " + ", ".join(
            f"ProfilerActivity.{activity.name}" for activity in ProfilerActivity))
    return found


def schedule(*, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
             skip_first_wait: int = 0) -> Callable[[int], ProfilerAction]:
    """A schedule for `profile`: cycles of steps of which some are recorded.

    Args:
        wait: steps at the beginning of a cycle in which nothing is done.
        warmup: steps after them in which the profiler gets ready; the first step of a program is slower than the rest,
            too, and does not belong into a profile.
        active: steps after them that are recorded.
        repeat: how many cycles there are; 0 for as many as there are steps.
        skip_first: steps before the first cycle.
        skip_first_wait: not 0 to leave out the ``wait`` steps of the first cycle.

    Returns:
        A function from the number of a step, from 0, to a `ProfilerAction`.

    Raises:
        AssertionError: a number is negative, or ``active`` is 0; from the function, for a negative step.

    Warns:
        UserWarning: ``warmup`` is 0.

    Example:
        >>> plan = genesis.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
        >>> [plan(step).name for step in range(5)]
        ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    for name, value, least in (("wait", wait, 0), ("warmup", warmup, 0), ("active", active, 1), ("repeat", repeat, 0),
                               ("skip_first", skip_first, 0)):
        if value < least:
            raise AssertionError(f"Invalid profiler schedule arguments: {name} must be at least {least}, not {value}")
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        cycle, place = divmod(step - skip_first + (wait if skip_first_wait else 0), length)
        if (repeat and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action
