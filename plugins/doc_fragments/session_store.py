# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that say where the sessions stand in the database, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  source:
    description:
      - Name of the database in messages, status, metrics, manifests and the fence. The default is the database's own
        name. Give the same name everywhere.
    type: str
  layout:
    description:
      - Where the sessions stand, as far as it differs from the default layout. Its keys are those below; any other is
        refused.
      - C(schema) (V(public)), the schema of the tables.
      - C(auth_table) (V(whatsapp_auth)), the table of the credentials, one row for each session. Null where the
        credentials are the row V(creds) among the keys.
      - C(keys_table) (V(whatsapp_keys)), the table of the keys.
      - C(tenant_column) (V(company_id)), the column of both that names the session.
      - C(creds_column) (V(creds)), the column of C(auth_table) that holds the credentials.
      - C(type_column) (V(key_type)), the column of the type of a key, such as V(pre-key).
      - C(id_column) (V(key_id)), the column of the id of a key.
      - C(value_column) (V(value)), the column of its value. It may be of the type C(jsonb), C(json) or C(text).
      - C(created_column) (V(created_at)), C(updated_column) (V(updated_at)) and C(expires_column) (V(expires_at)), columns
        of times; null for one that the table of the keys lacks.
      - C(ids) (V(separate)), what C(id_column) holds. V(separate), the id alone. V(combined), C(<type>-<id>), without a
        C(type_column). V(tenant_combined), C(<session>:<type>-<id>), without C(auth_table) and C(tenant_column) either.
      - C(tenant_separator) (V(:)), what stands between session and type with C(ids) V(tenant_combined).
      - C(escaped_ids) (V(false)), whether ids are spelt as in Baileys' file names, C(/) as C(__) and C(:) as C(-).
      - C(double_stringified) (V(false)), whether a value is a JSON string that holds JSON text. Credentials that are such
        a string are recognised anyway.
    type: dict
    default: {}
"""
