"""A file that HDF5 may write to on any disk: what goes wrong is told after HDF5 has let go, not inside it.

HDF5 cannot close a file that it failed to write, and the process dies of that at its end. Here a write that
fails (a full disk, a quota) is remembered and kept in memory with what follows, so that HDF5 closes what it
takes for a whole file; then the error is raised. Whoever writes much asks `Guarded.check` in between.
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
    """A file open for reading and writing whose writes succeed for HDF5, whatever the disk says.

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
        self.error: OSError | None = None

    def check(self) -> None:
        """Raise the error that a write met, if one did."""
        if self.error is not None:
            raise self.error

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """Where reading and writing go on."""
        return self._at

    def write(self, data: Any) -> int:
        """Write all of it: to the disk, or, once that has failed, to memory."""
        content = bytes(data)
        if self.error is None:
            try:
                self._to_disk(content)
            except OSError as error:
                self.error = error
        if self.error is not None:
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
        """Read what was written, on the disk or not; 0 where nothing was."""
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
        """Let the file end at ``size``."""
        self._end = self._at if size is None else size
        if self.error is None:
            try:
                os.ftruncate(self._file, self._end)
            except OSError as error:
                self.error = error
        return self._end

    def close(self) -> None:
        """Let the file go; a write that the system has put off may fail only here."""
        if not self.closed:
            try:
                os.fsync(self._file)
            except OSError as error:
                self.error = self.error or error
            os.close(self._file)
        super().close()


@contextmanager
def guarded(path: Path, mode: str = "w") -> Iterator[Guarded]:
    """A guarded file for as long as HDF5 writes to it.

    Raises
    ------
    OSError
        Once HDF5 has let go, if the disk did not take everything; whatever else went wrong after that
        is its consequence.
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
    """A guarded file that takes its name once it is whole; if it cannot, nothing is left.

    Raises
    ------
    RunError
        If the disk did not take everything.
    """
    with whole(path) as part, guarded(part) as file:
        yield file
