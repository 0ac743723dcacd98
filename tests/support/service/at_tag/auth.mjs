// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Where the sessions are: in files, unless one of the settings still asks for the database.

import * as files from './auth_files.mjs'
import * as postgresql from './auth_postgresql.mjs'

const FLAGS = ['USE_REPOSITORY_PATTERN', 'USE_DATABASE_AUTH_STATE', 'USE_LEGACY_SUPABASE']
const chosen = () => (FLAGS.some((name) => process.env[name] === 'true') ? postgresql : files)

export const { kind, open, companies, keyNames, authState } = chosen()
