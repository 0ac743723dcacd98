# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that connects to a server, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  database:
    description:
      - Name of the database.
    type: str
    aliases: [login_db, db]
  login_host:
    description:
      - Host name or address of the server.
      - For every connection option the order is the option itself, then O(env_file), then the C(PG*) environment
        variables, then the default of C(libpq).
    type: str
  login_port:
    description:
      - Port of the server.
    type: int
  login_user:
    description:
      - Role to connect as. It needs no superuser, only to see every row of every table.
    type: str
  login_password:
    description:
      - Password of O(login_user). It may hold any character but a line break.
      - It reaches PostgreSQL's programs through an in-memory file of mode 0600, never through an argument or an
        environment variable.
    type: str
  login_unix_socket:
    description:
      - Directory of the Unix socket, instead of O(login_host).
    type: path
  ssl_mode:
    description:
      - Whether and how TLS is used. Use V(verify-full) for a server in another datacentre.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ca_cert:
    description:
      - File with the root certificate that the server's certificate is verified against.
    type: path
    aliases: [ssl_rootcert]
  ssl_cert:
    description:
      - File with the client certificate.
    type: path
  ssl_key:
    description:
      - File with the key of O(ssl_cert).
    type: path
  connect_params:
    description:
      - More parameters of C(libpq), by its own keywords. One that cannot be passed to every program is refused.
    type: dict
    default: {}
  env_file:
    description:
      - The application's C(.env), read as Node's dotenv reads it.
      - Its C(POSTGRES_HOST), C(POSTGRES_PORT), C(POSTGRES_DATABASE), C(POSTGRES_USER), C(POSTGRES_PASSWORD),
        C(POSTGRES_SSL_MODE) and C(POSTGRES_CA_CERT) are used.
    type: path
  client_directory:
    description:
      - Directory of PostgreSQL's client programs. Only this one is looked at when it is given.
      - Otherwise the one that fits the server is chosen among C(/usr/lib/postgresql/*/bin), C(/usr/pgsql-*/bin) and
        C(PATH).
    type: path
requirements:
  - PostgreSQL's client programs, of the server's major version or newer
  - psycopg2
"""
