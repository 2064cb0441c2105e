"""struct sysinfo of sysinfo(2)."""

from struct import Struct
from typing import Final

SYSINFO_SIZE: Final = 112
SI_LOAD_SHIFT: Final = 16
_SYSINFO: Final = Struct("<q3Q6QHxx4xQQI4x")


def pack_sysinfo(
    uptime_s: int,
    loads: tuple[int, int, int],
    total_ram: int,
    free_ram: int,
    shared_ram: int,
    buffer_ram: int,
    processes: int,
) -> bytes:
    """Return a struct sysinfo without swap; sizes in bytes, loads shifted by SI_LOAD_SHIFT."""
    return _SYSINFO.pack(
        uptime_s,
        loads[0],
        loads[1],
        loads[2],
        total_ram,
        free_ram,
        shared_ram,
        buffer_ram,
        0,  # swap
        0,
        processes & 0xFFFF,
        0,  # high memory
        0,
        1,  # mem_unit
    )
