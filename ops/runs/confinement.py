"""What the processes of this service are kept from: whoever starts one inherits it."""

import mmap


def may_make_code() -> bool:
    """Whether code may be made at run time, as training does; systemd's MemoryDenyWriteExecute forbids it."""
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True
