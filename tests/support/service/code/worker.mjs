// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Another app of the same checkout, which has nothing to do with the sessions.

import './settings.mjs'
import { self, write } from './status.mjs'

write('worker', self())
console.log(JSON.stringify({ level: 30, msg: 'worker runs', ...self() }))
setInterval(() => {}, 60000)
