"""The exception classes that genesis raises beside Python's own."""


class GenesisError(RuntimeError):
    """Base class of the errors that are genesis' own."""


class NoDeviceError(GenesisError):
    """No OpenCL device was found, or none fits what was asked for."""


class KernelError(GenesisError):
    """A kernel failed to compile, to launch or to run."""


class OutOfMemoryError(GenesisError, MemoryError):
    """A device could not hold one more buffer."""


class KernelWarning(UserWarning):
    """A kernel is used that failed its check on this device; see ``genesis doctor``."""
