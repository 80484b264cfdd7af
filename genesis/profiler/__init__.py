"""Where the time of a program goes: what the host did, and what its devices did, with PyTorch's interface."""

from .annotation import record_function
from .events import EventList, FunctionEvent, FunctionEventAvg
from .kinds import DeviceType, ProfilerAction, ProfilerActivity, schedule, supported_activities
from .session import profile
from .trace import tensorboard_trace_handler

__all__ = [
    "DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "ProfilerAction", "ProfilerActivity", "profile",
    "record_function", "schedule", "supported_activities", "tensorboard_trace_handler",
]
