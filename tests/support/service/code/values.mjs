// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Values as Baileys holds them in memory, out of what plain JSON.stringify left of them, and in one form to compare.

// The parts of Baileys that are needed, not the whole: a service that starts in half the time makes for quicker tests.
import { proto } from 'baileys/WAProto/index.js'
import { BufferJSON } from 'baileys/lib/Utils/generics.js'

// Longest first: "sender-key" is the beginning of "sender-key-memory".
export const KEY_TYPES = [
  'app-state-sync-version', 'app-state-sync-key', 'sender-key-memory', 'identity-key', 'lid-mapping', 'device-list',
  'sender-key', 'pre-key', 'tctoken', 'session'
]

/** Bytes out of each of the three forms that the database holds them in. */
export function revive (value) {
  if (Array.isArray(value)) return value.map(revive)
  if (value === null || typeof value !== 'object') return value
  if (value.type === 'Buffer' && Array.isArray(value.data)) return Buffer.from(value.data)
  if (value.type === 'Buffer' && typeof value.data === 'string') return Buffer.from(value.data, 'base64')
  const keys = Object.keys(value)
  if (keys.length > 0 && keys.every((key, index) => key === String(index) && isByte(value[key]))) {
    return Buffer.from(Object.values(value))
  }
  return Object.fromEntries(keys.map((key) => [key, revive(value[key])]))
}

/** What Baileys makes of a key of this type. */
export function asBaileysHoldsIt (type, value) {
  return type === 'app-state-sync-key' && value ? proto.Message.AppStateSyncKeyData.fromObject(value) : value
}

/** One text for one value, wherever it came from. */
export function canonical (value) {
  return JSON.stringify(sorted(JSON.parse(JSON.stringify(value, BufferJSON.replacer))))
}

/** The name Baileys gives the file of a key. */
export function fileName (type, id) {
  return `${type}-${id}`.replace(/\//g, '__').replace(/:/g, '-')
}

function isByte (value) {
  return Number.isInteger(value) && value >= 0 && value <= 255
}

function sorted (value) {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
}
