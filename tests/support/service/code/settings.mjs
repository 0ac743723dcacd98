// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The .env of the working directory, which overrides nothing that the process was started with. Imported first.

import dotenv from 'dotenv'

dotenv.config({ quiet: true })
