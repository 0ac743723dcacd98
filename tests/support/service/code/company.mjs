// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The session of one company: what was read of it, and what a conversation does to it.

import { createHash, randomBytes } from 'node:crypto'
import { canonical, fileName } from './values.mjs'

export class Company {
  /** Load the credentials and every key, each type in one go. */
  static async load (auth, id) {
    const { state, saveCreds } = await auth.authState(id)
    const company = new Company(id, state, saveCreds)
    company.note('creds', '', state.creds)
    const ids = {}
    for (const [type, key] of await auth.keyNames(id)) (ids[type] ??= []).push(key)
    for (const type of Object.keys(ids)) {
      const values = await state.keys.get(type, ids[type])
      for (const key of ids[type]) company.note(type, key, values[key])
    }
    company.loaded = company.digest()
    return company
  }

  constructor (id, state, saveCreds) {
    Object.assign(this, { id, state, saveCreds, lines: new Map(), keys: new Map(), written: 0 })
  }

  get paired () {
    return Boolean(this.state.creds.me?.id)
  }

  /** Remember what a key holds; null for one that is gone. */
  note (type, key, value) {
    const name = type === 'creds' ? 'creds' : fileName(type, key)
    if (value === null || value === undefined) {
      this.lines.delete(name)
      this.keys.delete(name)
      return
    }
    this.lines.set(name, createHash('sha256').update(canonical(value)).digest('hex'))
    this.keys.set(name, [type, key])
  }

  /** One digest over everything, the same for the same content wherever it lies. */
  digest () {
    const hash = createHash('sha256')
    for (const name of [...this.lines.keys()].sort()) hash.update(`${name} ${this.lines.get(name)}\n`)
    return hash.digest('hex')
  }

  summary () {
    const counts = {}
    for (const [type] of this.keys.values()) if (type !== 'creds') counts[type] = (counts[type] ?? 0) + 1
    const me = this.state.creds.me?.id ?? null
    return { me, loaded_digest: this.loaded, digest: this.digest(), keys: counts, written: this.written }
  }

  /** What some messages do: a session's ratchet moves on, a pre-key is used up, a new one and an identity come. */
  async converse () {
    const sessions = this.ids('session')
    const address = sessions[this.written % sessions.length]
    const session = (await this.state.keys.get('session', [address]))[address]
    for (const entry of Object.values(session._sessions)) entry.currentRatchet.rootKey = randomBytes(32).toString('base64')
    await this.set('session', address, session)

    const creds = this.state.creds
    await this.set('pre-key', String(creds.nextPreKeyId), { private: randomBytes(32), public: randomBytes(32) })
    await this.set('pre-key', this.ids('pre-key')[0], null)
    // A Uint8Array, which plain JSON.stringify writes otherwise than a Buffer.
    await this.set('identity-key', address, new Uint8Array(randomBytes(33)))
    creds.nextPreKeyId += 1
    creds.firstUnuploadedPreKeyId += 1
    await this.saveCreds()
    this.note('creds', '', creds)
    this.written += 1
  }

  async set (type, key, value) {
    await this.state.keys.set({ [type]: { [key]: value } })
    this.note(type, key, value)
  }

  ids (wanted) {
    return [...this.keys.values()].filter(([type]) => type === wanted).map(([, key]) => key).sort()
  }
}
