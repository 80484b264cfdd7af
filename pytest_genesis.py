"""The pytest plugin of genesis: fixtures for tests of kernels and optimizer rules.

- ``genesis_oclgrind``: the functions of `genesis.testing.oclgrind`; the test is skipped where Oclgrind is missing.
- ``genesis_guarded``: within the test, each buffer of the default device lies between guard bands, which are looked at
  when it ends. The test must keep to the default device.

Apart from the package, so that pytest does not import genesis where no test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def genesis_oclgrind() -> Any:
    """`genesis.testing.oclgrind`, of which ``check(code)`` and ``check_rule(path, scalars)`` are for tests."""
    from genesis.testing import oclgrind

    if oclgrind.library() is None:
        pytest.skip("Oclgrind is not installed (Debian: apt install oclgrind)")
    return oclgrind


@pytest.fixture
def genesis_guarded() -> Iterator[Any]:
    """Guard bands around every buffer; an error at the end of the test if something wrote into one."""
    from genesis.testing import guarded

    with guarded() as pool:
        yield pool
