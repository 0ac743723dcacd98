// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The sessions in files: Baileys' own useMultiFileAuthState, one directory a company.

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { useMultiFileAuthState } from 'baileys/lib/Utils/use-multi-file-auth-state.js'
import { KEY_TYPES } from './values.mjs'

export const kind = 'files'

export function open () {}

export async function companies () {
  const entries = await readdir(process.env.AUTH_FILES_DIRECTORY, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name).sort()
}

/** Type and id of every key of a company; the id as the file's name has it, which Baileys finds just as well. */
export async function keyNames (company) {
  const names = await readdir(directory(company))
  return names.flatMap((name) => {
    const type = KEY_TYPES.find((known) => name.startsWith(`${known}-`))
    return type && name.endsWith('.json') ? [[type, name.slice(type.length + 1, -'.json'.length)]] : []
  })
}

export async function authState (company) {
  return await useMultiFileAuthState(directory(company))
}

function directory (company) {
  return path.join(process.env.AUTH_FILES_DIRECTORY, company)
}
