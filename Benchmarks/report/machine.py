"""What machine this is, for the head of what was measured on it."""

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version as installed
from pathlib import Path


def output_of(*command):
    """What a command prints, without the line's end; `unknown` when it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def package(name):
    """The version of a Debian package."""
    return output_of("dpkg-query", "-W", "-f", "${Version}", name)


def module(name):
    """The version of a Python package."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return "unknown"


def about():
    """The machine, the commit and the time."""
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(), "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "huge_pages": Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().split("[")[1].split("]")[0],
        "commit": output_of("git", "rev-parse", "--short", "HEAD"),
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
