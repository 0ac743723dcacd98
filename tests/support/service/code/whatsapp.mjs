// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The WhatsApp service without WhatsApp: it loads credentials and every key of each company through Baileys' auth
// state, logs as Baileys does, and from then on now and then writes what a conversation would.

import './settings.mjs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as auth from './auth.mjs'
import { Company } from './company.mjs'
import { asked, self, write } from './status.mjs'

const WRITE_MS = Number(process.env.WRITE_MS ?? 200)
// To read every key of a hundred companies takes a minute, which a benchmark of something else need not wait for.
const MOST_COMPANIES = Number(process.env.MOST_COMPANIES ?? Infinity)
const POLL_MS = 20

const status = { ...self(), auth: auth.kind, connected: false, writes: 0, write_errors: 0, companies: {} }
let leaving = false
// PM2 asks a process to leave by SIGINT. A write that has begun is finished first.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { leaving = true })

function log (message, more = {}, level = 30) {
  console.log(JSON.stringify({ level, time: Date.now(), class: 'baileys', ...more, msg: message }))
}

async function connect (companies) {
  log('connected to WA')
  if (asked('crash')) throw new Error('crash was asked for')
  for (const company of companies.filter((one) => !one.paired)) {
    log('connection update', { company: company.id, qr: '2@not-paired' })
  }
  if (asked('logged-out')) {
    log('connection errored', { statusCode: 401, connection: 'close', reason: 'loggedOut' }, 50)
    return false
  }
  while (asked('hold-connection') && !leaving) await sleep(POLL_MS)
  for (const company of companies.filter((one) => one.paired)) {
    log('opened connection to WA', { company: company.id })
    log('connection update', { company: company.id, connection: 'open' })
  }
  return companies.every((one) => one.paired)
}

async function converse (companies) {
  let due = Date.now() + WRITE_MS
  while (!leaving) {
    if (Date.now() >= due && !asked('hold-writes')) {
      due = Date.now() + WRITE_MS
      try {
        for (const company of companies) await company.converse()
        status.writes += 1
      } catch (error) {
        status.write_errors += 1
        log('failed to store keys', { error: error.message }, 50)
      }
      tell(companies)
    }
    await sleep(POLL_MS)
  }
}

function tell (companies) {
  for (const company of companies) status.companies[company.id] = company.summary()
  write('whatsapp', status)
}

try {
  auth.open()
  const companies = []
  for (const id of (await auth.companies()).slice(0, MOST_COMPANIES)) companies.push(await Company.load(auth, id))
  tell(companies)
  status.connected = await connect(companies)
  tell(companies)
  if (status.connected) await converse(companies)
  while (!leaving) await sleep(POLL_MS)
  process.exit(0)
} catch (error) {
  log('the service ends', { error: error.message }, 60)
  process.exit(1)
}
