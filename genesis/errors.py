"""The exception classes that genesis raises beside Python's own."""


class GenesisError(RuntimeError):
    """Base class of the errors that are genesis' own."""


class NoDeviceError(GenesisError):
    """No OpenCL device was found, or none fits what was asked for."""


class KernelError(GenesisError):
    """A kernel failed to compile, to launch or to run."""


class OutOfMemoryError(GenesisError, MemoryError):
    """A device could not hold one more buffer."""


class DeviceIndexError(GenesisError, IndexError):
    """An index in a tensor was out of range.

    The device finds it while it works, so that nothing waits for the check; the error is raised where the host next
    waits for the device (``item()``, ``numpy()``, ``genesis.synchronize()``), or at once with ``GENESIS_SYNC=1``.
    """


class SecondDerivativeError(GenesisError, NotImplementedError):
    """The gradient of a gradient was asked for, and an operation's backward cannot be differentiated."""


class KernelWarning(UserWarning):
    """A kernel is used that failed its check on this device; see ``genesis doctor``."""
