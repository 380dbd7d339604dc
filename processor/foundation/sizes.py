"""Sizes in bytes: KIB, MIB, GIB and TIB, each 1,024 times the one before."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB
