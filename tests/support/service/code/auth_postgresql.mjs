// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The sessions in PostgreSQL: Baileys' auth state on the two tables, written with plain JSON.stringify.

import pg from 'pg'
import { initAuthCreds } from 'baileys/lib/Utils/auth-utils.js'
import { asBaileysHoldsIt, revive } from './values.mjs'

let pool

export const kind = 'postgresql'

export function open () {
  pool = new pg.Pool({
    host: process.env.POSTGRES_HOST,
    port: Number(process.env.POSTGRES_PORT),
    database: process.env.POSTGRES_DATABASE,
    user: process.env.POSTGRES_USER,
    password: process.env.POSTGRES_PASSWORD,
    max: 5,
    connectionTimeoutMillis: 2000
  })
  // An idle connection that breaks must not end the process.
  pool.on('error', () => {})
}

export async function companies () {
  const found = await pool.query('SELECT company_id FROM whatsapp_auth ORDER BY company_id')
  return found.rows.map((row) => row.company_id)
}

/** Type and id of every key of a company. */
export async function keyNames (company) {
  const found = await pool.query('SELECT key_type, key_id FROM whatsapp_keys WHERE company_id = $1', [company])
  return found.rows.map((row) => [row.key_type, row.key_id])
}

export async function authState (company) {
  const found = await pool.query('SELECT creds FROM whatsapp_auth WHERE company_id = $1', [company])
  const creds = found.rows.length ? revive(found.rows[0].creds) : initAuthCreds()
  return { state: { creds, keys: { get: get(company), set: set(company) } }, saveCreds: () => saveCreds(company, creds) }
}

function get (company) {
  return async (type, ids) => {
    const found = await pool.query(
      'SELECT key_id, value FROM whatsapp_keys WHERE company_id = $1 AND key_type = $2 AND key_id = ANY ($3)',
      [company, type, ids]
    )
    return Object.fromEntries(found.rows.map((row) => [row.key_id, asBaileysHoldsIt(type, revive(row.value))]))
  }
}

function set (company) {
  return async (data) => {
    for (const [type, entries] of Object.entries(data)) {
      for (const [id, value] of Object.entries(entries)) {
        if (value) {
          await pool.query(
            `INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES ($1, $2, $3, $4)
             ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = EXCLUDED.value`,
            [company, type, id, JSON.stringify(value)]
          )
        } else {
          await pool.query(
            'DELETE FROM whatsapp_keys WHERE company_id = $1 AND key_type = $2 AND key_id = $3', [company, type, id]
          )
        }
      }
    }
  }
}

async function saveCreds (company, creds) {
  await pool.query(
    `INSERT INTO whatsapp_auth (company_id, creds) VALUES ($1, $2)
     ON CONFLICT (company_id) DO UPDATE SET creds = EXCLUDED.creds`,
    [company, JSON.stringify(creds)]
  )
}
