// Verifies score proofs by dataforge_verifier.wasm, in a browser or in Node.
//
//     const verify = await load(bytesOfTheModule);
//     verify([proof])                              signature and structure
//     verify([proof, spec, lock])                  ... and what the spec asks for
//     verify([proof, spec, lock, benchmark])       ... and that the metrics follow from the rows
//     verify([part])                               that a proof commits to the part
//
// Files are Uint8Arrays. The answer is { holds: true, digest, signer, ... } or
// { holds: false, reason }. From a shell: node verifier.mjs MODULE FILE ...

export async function load(bytes) {
  const module = await WebAssembly.compile(bytes);
  return (files) => {
    // A fresh instance each time: nothing is left of the one before.
    const { memory, input, verify } = new WebAssembly.Instance(module, {}).exports;
    for (const file of files) {
      const at = input(file.length);
      if (at === 0) return { holds: false, reason: "a file is too large, or one too many" };
      new Uint8Array(memory.buffer, at, file.length).set(file);
    }
    const at = verify();
    const length = new DataView(memory.buffer).getUint32(at, true);
    return JSON.parse(new TextDecoder().decode(new Uint8Array(memory.buffer, at + 4, length)));
  };
}

if (globalThis.process?.argv[1]?.endsWith("verifier.mjs")) {
  const { readFileSync } = await import("node:fs");
  const [module, ...files] = process.argv.slice(2).map((path) => readFileSync(path));
  const answer = (await load(module))(files);
  console.log(JSON.stringify(answer));
  process.exitCode = answer.holds ? 0 : 1;
}
