// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Every session out of the database into files, by Baileys' own hand: what any other export is measured by.

import './settings.mjs'
import path from 'node:path'
import { useMultiFileAuthState } from 'baileys/lib/Utils/use-multi-file-auth-state.js'
import * as postgresql from './auth_postgresql.mjs'

postgresql.open()
for (const company of await postgresql.companies()) {
  const from = await postgresql.authState(company)
  const to = await useMultiFileAuthState(path.join(process.env.AUTH_FILES_DIRECTORY, company))
  Object.assign(to.state.creds, from.state.creds)
  await to.saveCreds()
  for (const [type, id] of await postgresql.keyNames(company)) {
    await to.state.keys.set({ [type]: await from.state.keys.get(type, [id]) })
  }
}
process.exit(0)
