// Encodings of keys. Source: spec, data formats §7.1.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, FormatError, fromBase64, fromHex, toBase64 } from "./bytes.js";

/** What stands before the point, uncompressed and compressed. */
const curves = [
  ["3059301306072A8648CE3D020106082A8648CE3D030107034200", "3039301306072A8648CE3D020106082A8648CE3D030107032200"], // P-256
  ["3056301006072A8648CE3D020106052B8104000A034200", "3036301006072A8648CE3D020106052B8104000A032200"], // secp256k1
].map(([long, short]) => ({ long: fromHex(long!), short: fromHex(short!) }));

/** The SubjectPublicKeyInfo with the other encoding of the same point: compressed from uncompressed. */
export function compressSpki(spki: Uint8Array): Uint8Array<ArrayBuffer> {
  for (const { long, short } of curves) {
    const start = long.length;
    if (spki.length !== start + 65 || !long.every((byte, i) => spki[i] === byte) || spki[start] !== 4) continue;
    const parity = spki[start + 64]! & 1;
    return concat(short, Uint8Array.of(2 + parity), spki.subarray(start + 1, start + 33));
  }
  throw new FormatError("not an uncompressed public key of P-256 or secp256k1");
}

/** Fingerprint of a public key: the hash of its SubjectPublicKeyInfo. */
export function keyFingerprint(spki: Uint8Array): Uint8Array {
  return sha256(spki);
}

export function toPem(label: "PUBLIC KEY" | "PRIVATE KEY", der: Uint8Array): string {
  const lines = toBase64(der).replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** The DER inside a PEM text. Throws FormatError when there is none with that label. */
export function fromPem(label: "PUBLIC KEY" | "PRIVATE KEY", pem: string): Uint8Array<ArrayBuffer> {
  const found = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(pem);
  if (!found) throw new FormatError(`not a ${label} in PEM`);
  return fromBase64(found[1]!.replace(/\s/g, ""));
}
