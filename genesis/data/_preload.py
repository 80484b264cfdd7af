"""What Python's fork server imports when `genesis.data` starts it, so that workers need not."""

import signal
import warnings

from . import worker as worker

# In the server Ctrl-C is blocked, by `interrupts_held`; anywhere else it is not, and nothing happens here. Let it
# through again: other children of the server may want to hear of it.
if hasattr(signal, "pthread_sigmask") and signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets one that came meanwhile
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, handler)
    # Python 3.12 and later. The threads are those of NumPy's BLAS library, which expects to be forked. With
    # `python -W error` the warning would be the server's end.
    warnings.filterwarnings("ignore", r"This process .* is multi-threaded, use of fork", DeprecationWarning)
