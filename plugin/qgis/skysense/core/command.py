"""Command lines of skysense."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping


@dataclass(frozen=True)
class Machine:
    """Where and with how much of the machine a run is done; empty means what the command chooses."""

    threads: int = 0
    memory: str = ""
    device: str = ""

    def options(self) -> list[str]:
        options: list[str] = []
        if self.threads:
            options += ["--threads", str(self.threads)]
        if self.memory:
            options += ["--memory", self.memory]
        if self.device:
            options += ["--device", self.device]
        return options


def run(binary: Path, file: Path, params: Mapping[str, str], runs: Path, machine: Machine) -> list[str]:
    """Runs a workflow; it ends when this process does, and is resumed from `runs`."""
    command = [str(binary), "run", str(file), "--json", "--progress", "json", "--with-parent"]
    for name, value in params.items():
        command += ["-p", f"{name}={value}"]
    return command + ["--runs-dir", str(runs)] + machine.options()


def check(binary: Path, files: Iterable[Path]) -> list[str]:
    """Tells mistakes, params and docs of workflow files."""
    return [str(binary), "check", "--json", *(str(file) for file in files)]


def tool(binary: Path, name: str, arguments: str) -> list[str]:
    """Calls a tool with a JSON object."""
    return [str(binary), "tool", name, arguments, "--json", "--progress", "json", "--with-parent"]


def model(binary: Path, verb: str, *arguments: str) -> list[str]:
    """Calls `skysense model VERB`."""
    return [str(binary), "model", verb, *arguments, "--json", "--progress", "json", "--with-parent"]


def version(binary: Path) -> list[str]:
    """Asks for the version."""
    return [str(binary), "--version"]
