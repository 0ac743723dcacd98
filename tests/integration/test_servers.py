from __future__ import annotations
import psycopg2


def test_a(server18, make_database):
    db = make_database(server18)
    assert db.execute("select current_user, current_database()") == [(db.user, db.name)]


def test_tls(tls_server, certificates, make_database):
    db = make_database(tls_server)
    c = db.connect(sslmode="verify-full", sslrootcert=str(certificates.ca))
    assert c.info.ssl_in_use
    c.close()


def test_16(server16, embedded18, make_database):
    assert make_database(server16).execute("select 1") == [(1,)]
    assert make_database(embedded18).execute("select 1") == [(1,)]


def test_store(server18, make_session_store):
    for i in range(5):
        db = make_session_store(server18)
        assert db.execute("select count(*) from whatsapp_keys") == [(1647,)]
