// Copyright (c) 2026, baileys.resilience contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Baileys' own signal repository on both sides of a conversation, one JSON object a line in and out. Started in the
// directory whose node_modules holds baileys.
//
//   {"do": "talk"}                         -> {"creds": text, "keys": {type: {id: text}}}
//     Alice and Bob exchange messages, directly and in a group; the answer is all that Bob has stored, as JSON texts.
//   {"do": "resume", "creds", "keys"}      -> {case: {"text": ...} | {"error": ...}}
//     Bob starts again with these keys and nothing else, and everybody goes on writing.
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const installed = createRequire(path.join(process.cwd(), 'package.json')).resolve('baileys')
const { addTransactionCapability, BufferJSON, Curve, DEFAULT_CONNECTION_CONFIG, generateSignalPubKey, initAuthCreds } =
  await import(pathToFileURL(installed).href)

const GROUP = '120363000000000001@g.us'
const silent = { child: () => silent, trace() {}, debug() {}, info() {}, warn() {}, error() {} }

const store = (texts) => ({
  get: async (type, ids) => {
    const found = {}
    for (const id of ids) {
      const text = texts[type]?.[id]
      if (text !== undefined) found[id] = JSON.parse(text, BufferJSON.reviver)
    }
    return found
  },
  set: async (data) => {
    for (const [type, values] of Object.entries(data)) {
      texts[type] ??= {}
      for (const [id, value] of Object.entries(values)) {
        if (value === null) delete texts[type][id]
        else texts[type][id] = JSON.stringify(value, BufferJSON.replacer)
      }
    }
  },
})

const party = (pn, lid, creds, texts) => {
  const options = { maxCommitRetries: 1, delayBetweenTriesMs: 1 }
  const keys = addTransactionCapability(store(texts), silent, options)
  const signal = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds, keys }, silent)
  return { pn, lid, creds, texts, keys, signal }
}

const newcomer = (pn, lid) => {
  const creds = { ...initAuthCreds(), me: { id: pn, lid } }
  return party(pn, lid, creds, {})
}

// What WhatsApp hands out of Bob to whoever writes to him for the first time.
const bundle = async (whom, preKeyId) => {
  const { [preKeyId]: preKey } = await whom.keys.get('pre-key', [String(preKeyId)])
  const { signedPreKey, signedIdentityKey, registrationId } = whom.creds
  return {
    registrationId,
    identityKey: generateSignalPubKey(signedIdentityKey.public),
    signedPreKey: {
      keyId: signedPreKey.keyId,
      publicKey: generateSignalPubKey(signedPreKey.keyPair.public),
      signature: signedPreKey.signature,
    },
    preKey: { keyId: preKeyId, publicKey: generateSignalPubKey(preKey.public) },
  }
}

const send = (from, to, text) => from.signal.encryptMessage({ jid: to, data: Buffer.from(text) })
const receive = async (by, from, { type, ciphertext }) =>
  Buffer.from(await by.signal.decryptMessage({ jid: from, type, ciphertext })).toString()

// As Baileys' own sending does it: who is not remembered to have the sender key is sent it first.
const sendToGroup = async (from, to, text) => {
  const { ciphertext, senderKeyDistributionMessage } = await from.signal.encryptGroupMessage({
    group: GROUP,
    meId: from.lid,
    data: Buffer.from(text),
  })
  const { [GROUP]: memory = {} } = await from.keys.get('sender-key-memory', [GROUP])
  if (!memory[to.lid]) {
    await to.signal.processSenderKeyDistributionMessage({
      authorJid: from.lid,
      item: { groupId: GROUP, axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage },
    })
    await from.keys.set({ 'sender-key-memory': { [GROUP]: { ...memory, [to.lid]: true } } })
  }
  return ciphertext
}
const receiveFromGroup = async (by, from, msg) =>
  Buffer.from(await by.signal.decryptGroupMessage({ group: GROUP, authorJid: from.lid, msg })).toString()

const alice = newcomer('4915100000002@s.whatsapp.net', '200000000000002@lid')
const carol = newcomer('4915100000003@s.whatsapp.net', '300000000000003@lid')
let bob = newcomer('4915100000001:7@s.whatsapp.net', '100000000000001:7@lid')
let firstContact

const talk = async () => {
  const preKeys = Object.fromEntries([1, 2, 3, 4].map((id) => [id, Curve.generateKeyPair()]))
  await bob.keys.set({
    'pre-key': preKeys,
    'device-list': { [alice.pn.split('@')[0]]: ['0'] },
    tctoken: { [alice.lid]: { token: Buffer.from([4, 1, 2]), timestamp: String(Math.floor(Date.now() / 1000) - 90 * 86400) } },
  })
  // Bob knows Alice by her phone number; what he stores of her stands under her LID.
  await bob.signal.lidMapping.storeLIDPNMappings([{ lid: alice.lid, pn: alice.pn }])
  firstContact = await bundle(bob, 2)
  await alice.signal.injectE2ESession({ jid: bob.lid, session: await bundle(bob, 1) })
  await receive(bob, alice.pn, await send(alice, bob.lid, 'hello'))
  await receive(alice, bob.lid, await send(bob, alice.pn, 'hello yourself'))
  await receive(bob, alice.pn, await send(alice, bob.lid, 'how are you?'))
  await receiveFromGroup(bob, alice, await sendToGroup(alice, bob, 'hello all'))
  await receiveFromGroup(alice, bob, await sendToGroup(bob, alice, 'hello all from me'))
  return { creds: JSON.stringify(bob.creds, BufferJSON.replacer), keys: bob.texts }
}

const attempt = async (work) => {
  try {
    return { text: await work() }
  } catch (error) {
    return { error: error.message }
  }
}

const resume = async ({ creds, keys }) => {
  bob = party(bob.pn, bob.lid, JSON.parse(creds, BufferJSON.reviver), keys)
  const found = {}
  found.direct = await attempt(async () => receive(bob, alice.pn, await send(alice, bob.lid, 'still there?')))
  found.answer = await attempt(async () => receive(alice, bob.lid, await send(bob, alice.pn, 'still here')))
  found.group = await attempt(async () => receiveFromGroup(bob, alice, await sendToGroup(alice, bob, 'anybody?')))
  found.toGroup = await attempt(async () => receiveFromGroup(alice, bob, await sendToGroup(bob, alice, 'me')))
  found.firstContact = await attempt(async () => {
    await carol.signal.injectE2ESession({ jid: bob.lid, session: firstContact })
    return receive(bob, carol.lid, await send(carol, bob.lid, 'we have not met'))
  })
  return found
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  process.stdout.write(JSON.stringify(question.do === 'talk' ? await talk() : await resume(question)) + '\n')
}
