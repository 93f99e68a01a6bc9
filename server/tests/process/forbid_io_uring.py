"""Runs a command for which io_uring's system calls fail, as in a container that forbids them.

forbid_io_uring.py ERRNO COMMAND [ARGUMENT..]
"""
import ctypes
import os
import struct
import sys

# Filter for io_uring_setup, io_uring_enter, io_uring_register: 425 to 427 on every architecture.
LOAD, AT_LEAST, ABOVE, RETURN = 0x20, 0x35, 0x25, 0x06
FAIL, ALLOW = 0x00050000 | int(sys.argv[1]), 0x7FFF0000
PROGRAM = [(LOAD, 0, 0, 0), (AT_LEAST, 0, 2, 425), (ABOVE, 1, 0, 427), (RETURN, 0, 0, FAIL), (RETURN, 0, 0, ALLOW)]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in PROGRAM))
program = Filter(len(PROGRAM), ctypes.addressof(code))
for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))]:
    if libc.prctl(*arguments) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
