"""Kerberos as a server takes it: whose ticket a client shows, by the system's GSSAPI.

The keys of the service are in the keytab that KRB5_KTNAME names. Source: RFC 2744, "Generic Security Service API
Version 2: C-bindings", gss_accept_sec_context, gss_display_name.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

LIBRARY = "libgssapi_krb5.so.2"
COMPLETE = 0


class _Buffer(ctypes.Structure):
    _fields_ = [("length", ctypes.c_size_t), ("value", ctypes.c_void_p)]


@cache
def _library() -> Any:
    return ctypes.CDLL(LIBRARY)


def shown_principal(token: bytes) -> str | None:
    """The account, like `sync@EXAMPLE.TEST`, whose ticket for this service a client shows; None without one.

    A client that waits for more than one answer is not understood.
    """
    gss = _library()
    minor, context, name = ctypes.c_uint32(), ctypes.c_void_p(), ctypes.c_void_p()
    kept = ctypes.create_string_buffer(token, len(token))
    given, answer, text = _Buffer(len(token), ctypes.addressof(kept)), _Buffer(), _Buffer()
    # The rest is of no interest: credentials by default, no channel bindings, mechanism, flags, time, delegation.
    code = gss.gss_accept_sec_context(
        ctypes.byref(minor), ctypes.byref(context), None, ctypes.byref(given), None, ctypes.byref(name), None,
        ctypes.byref(answer), None, None, None,
    )  # fmt: skip
    try:
        if code != COMPLETE or gss.gss_display_name(ctypes.byref(minor), name, ctypes.byref(text), None) != COMPLETE:
            return None
        return ctypes.string_at(text.value, text.length).decode() if text.value else None
    finally:
        for buffer in (answer, text):
            gss.gss_release_buffer(ctypes.byref(minor), ctypes.byref(buffer))
        gss.gss_release_name(ctypes.byref(minor), ctypes.byref(name))
        gss.gss_delete_sec_context(ctypes.byref(minor), ctypes.byref(context), None)
