// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The three PM2 apps of this checkout.

const common = { cwd: __dirname, autorestart: true, restart_delay: 200, kill_timeout: 10000, merge_logs: true }

module.exports = {
  apps: [
    { name: 'whatsapp', script: 'whatsapp.mjs', ...common },
    { name: 'worker', script: 'worker.mjs', ...common },
    { name: 'api', script: 'api.mjs', ...common }
  ]
}
