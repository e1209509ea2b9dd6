"""What a benchmark says about the machine and its own process."""

from __future__ import annotations

import platform
import resource
from pathlib import Path


def peak() -> int:
    """Largest memory of this process so far, in bytes (Linux counts in kibibytes)."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def processor() -> str:
    """Number and name of the processors, where the system tells them."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
