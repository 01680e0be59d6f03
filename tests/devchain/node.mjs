// The development chain's node: makes the first state from the runtime, and runs a chain on it.
//
//   node node.mjs genesis RUNTIME.wasm GENESIS.json STATE.json
//   node node.mjs start STATE.json PORT MODE BLOCK_TIME_MS
//
// It lies beside `node_modules` when it runs. It listens on the loopback address only, keeps no
// database, and opens no file but those named. `README.md` says what it answers.

import { readFileSync, writeFileSync } from 'node:fs'

// Before the imports that read it: a refused request is told to who made it.
process.env.LOG_LEVEL ??= 'fatal'

const { runTask, setupWithServer, destroyWorker } = await import('@acala-network/chopsticks')
const { compactAddLength, compactStripLength, hexToU8a, stringToU8a, u8aToHex, u8aToString } =
  await import('@polkadot/util')

const HOST = '127.0.0.1'

/** `:code`, where the state has the runtime. */
const CODE = '0x3a636f6465'

/** Calls the runtime on no state; gives its answer, and what it wrote. */
async function call(wasm, name, argument) {
  const nothing = {
    getStorage: async () => undefined,
    getNextKey: async () => undefined,
  }
  const task = {
    wasm,
    calls: [[name, [u8aToHex(argument)]]],
    mockSignatureHost: false,
    allowUnresolvedImports: false,
    runtimeLogLevel: 0,
  }
  const answer = await runTask(task, nothing)
  if (!answer.Call) throw new Error(`${name}: ${JSON.stringify(answer)}`)
  return answer.Call
}

/** Values of `over` in the place of those of `base`. */
function merged(base, over) {
  if (Array.isArray(over) || typeof over !== 'object' || over === null) return over
  const result = { ...base }
  for (const [name, value] of Object.entries(over)) result[name] = merged(base?.[name], value)
  return result
}

async function genesis(wasmPath, configPath, statePath) {
  const wasm = u8aToHex(readFileSync(wasmPath))
  // The runtime's own first state, as `Option<Vec<u8>>`, which must be there.
  const preset = await call(wasm, 'GenesisBuilder_get_preset', Uint8Array.of(0))
  const [, text] = compactStripLength(hexToU8a(preset.result).subarray(1))
  const config = merged(JSON.parse(u8aToString(text)), JSON.parse(readFileSync(configPath, 'utf8')))
  const json = compactAddLength(stringToU8a(JSON.stringify(config)))
  const built = await call(wasm, 'GenesisBuilder_build_state', json)
  if (!built.result.startsWith('0x00')) {
    const [, reason] = compactStripLength(hexToU8a(built.result).subarray(1))
    throw new Error(`${configPath}: ${u8aToString(reason)}`)
  }
  const written = built.storageDiff.filter(([, value]) => value !== null)
  // In the order of keys: the node finds the next key by going through them.
  const top = [...written, [CODE, wasm]].sort(([left], [right]) => (left < right ? -1 : 1))
  const state = {
    name: 'DataForge development chain',
    id: 'dataforge-devchain',
    chainType: 'Development',
    properties: { ss58Format: 42, tokenDecimals: 9, tokenSymbol: 'TAO' },
    genesis: { raw: { top: Object.fromEntries(top) } },
  }
  writeFileSync(statePath, JSON.stringify(state))
  await destroyWorker()
}

async function start(statePath, port, mode, blockTimeMs) {
  const server = await setupWithServer({
    genesis: statePath,
    host: HOST,
    port,
    'build-block-mode': mode,
  })
  if (port !== 0 && !server.addr.endsWith(`:${port}`)) {
    await server.close()
    throw new Error(`port ${port} is in use`)
  }
  process.stdout.write(`${JSON.stringify({ ws: `ws://${server.addr}`, pid: process.pid })}\n`)
  const timer = blockTimeMs > 0 ? setInterval(() => server.chain.newBlock(), blockTimeMs) : undefined
  const stop = async () => {
    clearInterval(timer)
    // What is being made is not waited for for long.
    setTimeout(() => process.exit(0), 1000).unref()
    await server.close()
    process.exit(0)
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

const [command, ...rest] = process.argv.slice(2)
try {
  if (command === 'genesis') await genesis(...rest)
  else if (command === 'start') await start(rest[0], Number(rest[1]), rest[2], Number(rest[3]))
  else throw new Error(`no such command: ${command}`)
} catch (error) {
  process.stderr.write(`error: ${error.message ?? error}\n`)
  process.exit(1)
}
