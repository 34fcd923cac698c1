"""An open wire to the target is told, an encrypted or a local one is not."""

from __future__ import annotations

from pathlib import Path

from tests.harness import Proxy
from tests.samples import Shop


def test_encrypted_connections_and_local_ones_need_no_word(shop: Shop) -> None:
    finished = shop.ready("data").workplace.run("data")
    assert finished.code == 0, finished.text
    assert "Not encrypted" not in finished.text


def test_an_open_wire_to_the_target_is_told(shop: Shop) -> None:
    own = shop.workplace.environment
    with Proxy(Path(own["PGHOST"]) / f".s.PGSQL.{own['PGPORT']}") as target:
        # An address of this machine that says nothing of it.
        workplace = shop.ready("data").workplace.with_settings(PGHOST="0.0.0.0", PGPORT=str(target.port))
        loaded = workplace.run("data")
        assert loaded.code == 0, loaded.text
        assert "Not encrypted: the connections to the target (PGSSLMODE). " in loaded.out
        assert "use --then-verify" in loaded.out
        compared = workplace.run("data", "--verify")
    assert compared.code == 0, compared.text
    assert "does not notice a bit that is flipped on the way.\n" in compared.out
