"""The settings, and the machine that the program runs on."""

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from config import Settings, SettingsError
from consumers.fetch_rules import HostRules
from likeness.doctor.finding import Finding

DISK_WARN, DISK_FAIL = 1_000_000_000, 100_000_000
"""Bytes free under LIKENESS_HOME below which to warn and to fail."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_checks(settings: Settings, variables: Mapping[str, str]) -> Iterator[Finding]:
    yield sources(variables)
    yield pictures(settings)
    yield disk(settings.home, shutil.disk_usage(_existing(settings.home)).free)
    yield power()


def sources(variables: Mapping[str, str]) -> Finding:
    """Which file and which variables the settings come from; names only."""
    file = variables.get("LIKENESS_CONFIG") or "no file"
    ours = sorted(
        name for name in variables if name.startswith("LIKENESS_") and ("__" in name or name.endswith("HOME"))
    )
    return Finding("settings", "ok", f"The defaults, {file}, and {len(ours)} variables: {', '.join(ours) or 'none'}.")


def pictures(settings: Settings) -> Finding:
    """Where pictures may be fetched from."""
    fetch, name = settings.fetch, "pictures"
    try:
        HostRules(fetch.allowed_hosts, fetch.private_hosts)
    except SettingsError as error:
        return Finding(name, "fail", str(error), "Mend that setting; `likeness run` refuses to start with it.")
    root = fetch.file_root
    if root is not None and not root.is_dir():
        return Finding(name, "fail", f"There is no folder {root}.", "Mount it, or mend fetch.file_root.")
    if root is not None and not os.access(root, os.R_OK | os.X_OK):
        return Finding(name, "fail", f"The folder {root} cannot be read.", f"Let this user read {root}.")
    if root is not None and settings.home.resolve().is_relative_to(root.resolve()):
        mend = "Point fetch.file_root at a folder that holds pictures and nothing else."
        return Finding(name, "warn", f"file:// reaches LIKENESS_HOME, which lies in {root}.", mend)
    if fetch.allowed_buckets and importlib.util.find_spec("s3fs") is None:
        return Finding(name, "fail", "The package that reads s3:// is missing.", "Install likeness with the extra s3.")
    if not (fetch.allowed_hosts or fetch.allowed_buckets or root):
        mend = "Set fetch.allowed_hosts, unless every upload carries its picture inline."
        return Finding(name, "warn", "Only uploads with their picture inline can be screened.", mend)
    said = f"Hosts: {', '.join(fetch.allowed_hosts) or 'none'}; buckets: {', '.join(fetch.allowed_buckets) or 'none'}"
    return Finding(name, "ok", f"{said}; folder: {root or 'none'}.")


def disk(home: Path, free: int) -> Finding:
    """`free`: bytes."""
    said = f"{free / 1e9:,.1f} GB are free for {home}."
    if not os.access(_existing(home), os.W_OK):
        return Finding(
            "disk", "fail", f"{home} cannot be written.", f"Let this user write {home}, or set LIKENESS_HOME."
        )
    if free < DISK_WARN:
        return Finding("disk", "fail" if free < DISK_FAIL else "warn", said, "Make room, or move LIKENESS_HOME.")
    return Finding("disk", "ok", said)


def power() -> Finding:
    """Cores and memory that this process may use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _CGROUP_LIMITS:
        if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
            memory = min(memory, int(text))
    return Finding("machine", "ok", f"{len(os.sched_getaffinity(0))} cores, {memory / 1e9:,.1f} GB of memory.")


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that there is."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
