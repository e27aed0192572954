/** Secrets at rest: one master key outside the database encrypts what is secret inside it. */

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts and decrypts with the master key. */
export interface Vault {
  /** Short name of the key, kept in the database so that a wrong key is noticed at once. Tells nothing about it. */
  readonly fingerprint: string;
  /** @param place names the row, so that a secret cannot be moved to another one */
  seal(secret: Uint8Array, place: string): Uint8Array;
  /** @throws Error when the bytes were not sealed for this place by this key */
  unseal(sealed: Uint8Array, place: string): Uint8Array;
}

/** A vault with this key, AES-256-GCM. */
export function openVault(key: Uint8Array): Vault {
  return {
    fingerprint: createHash("sha256")
      .update("fediflattr master key")
      .update(key)
      .digest("hex")
      .slice(0, 16),
    seal(secret, place) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place));
      return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    },
    unseal(sealed, place) {
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(Buffer.from(place))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      return Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ]);
    },
  };
}

/**
 * Reads the master key, or makes it when this database never had one.
 *
 * @param known the fingerprint that the database remembers, if it has met a key before
 * @throws Error with a sentence when the file is missing, is no key, or is another database's
 */
export async function openMasterKey(file: string, known: string | undefined): Promise<Vault> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new Error(`the master key ${file} cannot be read`, { cause: error });
  });
  if (text === undefined) {
    if (known !== undefined) {
      throw new Error(
        `the master key ${file} is missing, and this database was made with one: put the file back from your backup (a new key could not read the old secrets)`,
      );
    }
    return openVault(await makeKey(file));
  }
  const key = Buffer.from(text.trim(), "base64url");
  if (key.length !== KEY_BYTES)
    throw new Error(`${file} is no master key: it must hold 32 bytes as base64url`);
  const vault = openVault(key);
  if (known !== undefined && known !== vault.fingerprint) {
    throw new Error(
      `${file} is the master key of another database (${vault.fingerprint}, expected ${known}): name the right one in MASTER_KEY_FILE`,
    );
  }
  return vault;
}

/**
 * Writes a new key aside, waits until it is on the disk, and gives it its name: there is never half a key, and secrets
 * are sealed with it right away.
 */
async function makeKey(file: string): Promise<Uint8Array> {
  const key = randomBytes(KEY_BYTES);
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await rm(draft, { force: true });
  await writeDurably(draft, `${key.toString("base64url")}\n`);
  try {
    await link(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  return key;
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
