"""A Kerberos realm of the tests: a real key distribution centre (MIT Kerberos) on a port of its own, with one account.

Debian has it in krb5-kdc, krb5-admin-server and krb5-user; without them the tests that need it are skipped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

NAME = "EXAMPLE.TEST"
ACCOUNT = f"sync@{NAME}"
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
#: the names of this machine
HOSTS = sorted({"localhost", socket.gethostname(), socket.getfqdn("localhost"), socket.getfqdn()})
PROGRAMS = ("kdb5_util", "krb5kdc", "kadmin.local", "kinit")

CLIENTS = """\
[libdefaults]
 default_realm = {name}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 {name} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
{hosts}
"""
SERVERS = """\
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {name} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
 }}
[logging]
 kdc = FILE:{folder}/kdc.log
"""


class Realm:
    """A realm whose key distribution centre runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.create_server(("127.0.0.1", 0))) as one:
            self._port = int(one.getsockname()[1])
        for file, text in (("krb5.conf", CLIENTS), ("kdc.conf", SERVERS)):
            hosts = "\n".join(f" {host} = {NAME}" for host in HOSTS)
            filled = text.format(name=NAME, port=self._port, folder=folder, hosts=hosts)
            (folder / file).write_text(filled, encoding="utf-8")
        self._run("kdb5_util", "create", "-s", "-P", "master of the tests", "-r", NAME)
        self._kdc: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What clients and services of the realm need, the account's ticket included."""
        return {
            "KRB5_CONFIG": f"{self._folder}/krb5.conf",
            "KRB5_KDC_PROFILE": f"{self._folder}/kdc.conf",
            "KRB5_KTNAME": f"FILE:{self._folder}/service.keytab",
            "KRB5CCNAME": f"FILE:{self._folder}/tickets",
        }

    def start(self) -> None:
        """Let the centre answer."""
        program = shutil.which("krb5kdc", path=SEARCHED)
        assert program is not None
        self._kdc = subprocess.Popen(
            [program, "-n"],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the key distribution centre did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Let it answer no more."""
        if self._kdc is not None:
            self._kdc.terminate()
            self._kdc.wait()
        self._kdc = None

    def serve(self, port: int) -> None:
        """A SQL Server on `localhost` at this port is a service of the realm.

        Microsoft's driver asks the system for the name that `localhost` is short for.
        """
        for host in HOSTS:
            self._with_key(f"MSSQLSvc/{host}:{port}", "service.keytab")

    def get_ticket(self) -> None:
        """The account gets a ticket, as in cron."""
        self._with_key(ACCOUNT, "client.keytab")
        self._run("kinit", "-k", "-t", f"{self._folder}/client.keytab", ACCOUNT)

    def _with_key(self, principal: str, keytab: str) -> None:
        self._run("kadmin.local", "-r", NAME, "addprinc", "-randkey", principal)
        self._run("kadmin.local", "-r", NAME, "ktadd", "-k", f"{self._folder}/{keytab}", principal)

    def _run(self, program: str, *arguments: str) -> None:
        found = shutil.which(program, path=SEARCHED)
        assert found is not None
        done = subprocess.run(
            [found, *arguments], env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


@contextmanager
def realm(folder: Path) -> Iterator[Realm]:
    """A realm that runs, whose account has a ticket, and of which this process is a part; skips where there is none."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=SEARCHED) is None]
    if missing:
        pytest.skip(f"MIT Kerberos is not installed: {', '.join(missing)}")
    made = Realm(folder)
    made.start()
    try:
        made.get_ticket()
        with pytest.MonkeyPatch.context() as environment:
            for name, value in made.environment.items():
                environment.setenv(name, value)
            yield made
    finally:
        made.stop()
