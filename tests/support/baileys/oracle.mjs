// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Baileys' own useMultiFileAuthState, one JSON object a line in and out. Started in the directory whose node_modules
// holds baileys.
//
//   {"do": "read", "directory": ..., "keys": {type: [id, ...]}}        -> {"creds": ..., "keys": {type: {id: value}}}
//   {"do": "write", "directory": ..., "keys": {type: {id: value}}, "creds": {...}}  -> {}; null removes a key
//
// Bytes are {"$bytes": "<hex>"} both ways, so that no spelling of BufferJSON's is taken for another.
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const installed = createRequire(path.join(process.cwd(), 'package.json')).resolve('baileys')
const { proto, useMultiFileAuthState } = await import(pathToFileURL(installed).href)

const plain = (value) => {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') }
  if (value instanceof proto.Message.AppStateSyncKeyData) {
    return plain(proto.Message.AppStateSyncKeyData.toObject(value, { longs: String }))
  }
  if (Array.isArray(value)) return value.map(plain)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
  }
  return value
}

const live = (value) => {
  if (Array.isArray(value)) return value.map(live)
  if (value !== null && typeof value === 'object') {
    if (typeof value.$bytes === 'string') return Buffer.from(value.$bytes, 'hex')
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, live(member)]))
  }
  return value
}

const answer = async (question) => {
  const { state, saveCreds } = await useMultiFileAuthState(question.directory)
  if (question.do === 'write') {
    await state.keys.set(live(question.keys ?? {}))
    if (question.creds) {
      Object.assign(state.creds, live(question.creds))
      await saveCreds()
    }
    return {}
  }
  const keys = {}
  for (const [type, ids] of Object.entries(question.keys)) keys[type] = await state.keys.get(type, ids)
  return { creds: plain(state.creds), keys: plain(keys) }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n')
}
