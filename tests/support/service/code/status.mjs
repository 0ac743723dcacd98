// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What a process says of itself: a file that a test reads, whole at every moment.

import { execFileSync } from 'node:child_process'
import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const SHOWN = ['USE_REPOSITORY_PATTERN', 'USE_DATABASE_AUTH_STATE', 'USE_LEGACY_SUPABASE', 'AUTH_FILES_DIRECTORY']
const directory = process.env.STATUS_DIRECTORY

export function self () {
  return {
    pid: process.pid,
    commit: execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname }).trim(),
    code: import.meta.dirname,
    cwd: process.cwd(),
    env: Object.fromEntries(SHOWN.map((name) => [name, process.env[name] ?? null])),
    started: new Date().toISOString()
  }
}

export function write (app, status) {
  const file = path.join(directory, `${app}.json`)
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(status, null, 1))
  renameSync(`${file}.${process.pid}`, file)
}

/** Whether a test has asked for this, by a file of that name. */
export function asked (name) {
  return readdirSync(path.join(directory, 'control')).includes(name)
}
