// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// One JSON string a line in: the text of a .env file. One JSON object a line out: what dotenv reads in it.
// Started in the directory whose node_modules holds dotenv.
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')
const readline = require('node:readline')

const { parse } = createRequire(path.join(process.cwd(), 'package.json'))('dotenv')

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(parse(JSON.parse(line))) + '\n')
})
