"""A file to which HDF5 may write on any disk: errors are raised after HDF5 has closed it, not inside.

HDF5 cannot close a file that it failed to write, and then the process crashes at exit. Here a write that
fails (a full disk, a quota) is kept in memory with what follows, so that HDF5 can close the file; then the
error is raised. A caller that writes much calls `Guarded.check` in between.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cortex_sim.runs.files import whole


class Guarded(io.RawIOBase):
    """A file open for reading and writing whose writes succeed for HDF5, even where the disk fails.

    Parameters
    ----------
    path : Path
    mode : {"w", "a"}
        "w" starts a new file, "a" continues the existing one.
    """

    def __init__(self, path: Path, mode: str = "w") -> None:
        super().__init__()
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if mode == "w" else 0) | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o666)
        self._at, self._end = 0, os.fstat(self._file).st_size
        self._unwritten: list[tuple[int, bytes]] = []
        self.failure: OSError | None = None

    def check(self) -> None:
        """Raise the error of a failed write, if any."""
        if self.failure is not None:
            raise self.failure

    def readable(self) -> bool:
        """Always true."""
        return True

    def writable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """The current position."""
        return self._at

    def write(self, data: Any) -> int:
        """Write all bytes: to disk, or to memory once that has failed."""
        content = bytes(data)
        if self.failure is None:
            try:
                self._to_disk(content)
            except OSError as exception:
                self.failure = exception
        if self.failure is not None:
            self._unwritten.append((self._at, content))
        self._at += len(content)
        self._end = max(self._end, self._at)
        return len(content)

    def _to_disk(self, content: bytes) -> None:
        done = 0
        while done < len(content):
            os.lseek(self._file, self._at + done, os.SEEK_SET)
            done += os.write(self._file, content[done:])

    def readinto(self, buffer: Any) -> int:
        """Read what was written, on disk or in memory; 0 elsewhere."""
        count = max(0, min(len(buffer), self._end - self._at))
        os.lseek(self._file, self._at, os.SEEK_SET)
        found = bytearray(os.read(self._file, count).ljust(count, b"\0"))
        for at, content in self._unwritten:
            start, stop = max(at, self._at), min(at + len(content), self._at + count)
            if start < stop:
                found[start - self._at : stop - self._at] = content[start - at : stop - at]
        buffer[:count] = found
        self._at += count
        return count

    def truncate(self, size: int | None = None) -> int:
        """Truncate the file to ``size``."""
        self._end = self._at if size is None else size
        if self.failure is None:
            try:
                os.ftruncate(self._file, self._end)
            except OSError as exception:
                self.failure = exception
        return self._end

    def close(self) -> None:
        """Close the file; a write that the system has delayed may fail only here."""
        if not self.closed:
            try:
                os.fsync(self._file)
            except OSError as exception:
                self.failure = self.failure or exception
            os.close(self._file)
        super().close()


@contextmanager
def guarded(path: Path, mode: str = "w") -> Iterator[Guarded]:
    """A guarded file for as long as HDF5 writes to it.

    Raises
    ------
    OSError
        After HDF5 has closed the file, if not everything could be written, in place of any error that
        followed from that.
    """
    file = Guarded(path, mode)
    try:
        yield file
    except Exception:
        file.close()
        file.check()
        raise
    finally:
        file.close()
    file.check()


@contextmanager
def growing(path: Path) -> Iterator[Guarded]:
    """A guarded file that gets its name once it is complete; otherwise nothing is left behind.

    Raises
    ------
    RunError
        If not everything could be written.
    """
    with whole(path) as part, guarded(part) as file:
        yield file
