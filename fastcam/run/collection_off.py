"""Imported by a fork server before what it loads: that stays, and isn't looked through for garbage
on the way, which takes a tenth of the time; what is loaded last turns the collector on again."""

from __future__ import annotations

import gc

gc.disable()
