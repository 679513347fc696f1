"""Probe tasks by name; importing this package registers them all."""

from __future__ import annotations

from kept.probing.tasks import concepts, facts, pictures, swap
from kept.probing.tasks.base import TASKS, Task

__all__ = ["TASKS", "Task", "concepts", "facts", "pictures", "swap"]
