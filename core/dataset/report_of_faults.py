"""What a validator found: faults, each with the file that has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MOST = 1000  # faults that are kept with their text; more are counted


@dataclass(frozen=True)
class Fault:
    """`file`: relative to the dataset, empty for the whole; `text`: one sentence on what is wrong."""

    file: str
    text: str


@dataclass
class Report:
    """`format`: that was checked for; `n_files`, `n_samples`: looked at; `faults`: the first `MOST` of `n_faults`."""

    format: str
    n_files: int = 0
    n_samples: int = 0
    faults: list[Fault] = field(default_factory=list)
    n_faults: int = 0

    def add(self, file: str, text: str) -> None:
        """Put down a fault."""
        self.n_faults += 1
        if len(self.faults) < MOST:
            self.faults.append(Fault(file, text))

    def check(self, holds: Any, file: str, text: str) -> bool:
        """Put down a fault unless something holds; returns whether it does."""
        if not holds:
            self.add(file, text)
        return bool(holds)

    @property
    def is_valid(self) -> bool:
        """Whether there is no fault."""
        return not self.n_faults

    def text(self) -> str:
        """For people: one line a kind of fault with the first file that has it, then the verdict."""
        by_text: Counter = Counter(fault.text for fault in self.faults)
        first = {}
        for fault in self.faults:
            first.setdefault(fault.text, fault.file)
        lines = [
            f"{first[text] or 'dataset'}: {text}" + (f" (and {count - 1} more files)" if count > 1 else "")
            for text, count in by_text.items()
        ]
        verdict = "no fault" if self.is_valid else f"{self.n_faults} faults"
        return "\n".join(
            [*lines, f"{self.format}: {self.n_files} files, {self.n_samples} samples, {verdict}."]
        )
