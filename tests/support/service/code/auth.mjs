// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Where the sessions are. The code on files has been removed: see the tag emergency-file-fallback-v1.

export * from './auth_postgresql.mjs'
