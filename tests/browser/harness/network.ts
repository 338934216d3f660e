// A network to test against: a real node in a folder of its own, or the stand-in.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MockNode } from "./mock_node.js";

export const repository = fileURLToPath(new URL("../../..", import.meta.url));

export interface Network {
  /** Address of the root host. */
  url: string;
  /** A link with which accounts can be made. */
  invitation: string;
  /** A link with which another device administers the node, once. Absent: not a node of our own. */
  adminLink?: string;
  stop: () => Promise<void>;
}

const startTimeoutMs = 90_000;

/** Why no network can be started here; undefined when one can. */
export function unavailable(): string | undefined {
  if (process.env["POLIS_MOCK"] || process.env["POLIS_INVITATION"]) return undefined;
  if (!existsSync(binary())) return "build/release/bin/polis is not built";
  return existsSync(packageFolder()) && readdirSync(packageFolder()).some((name) => name.endsWith(".psi")) ? undefined : "no package is built";
}

const packageFolder = (): string => join(repository, "build/release/share/polis/packages");
const binary = (): string => process.env["POLIS_BINARY"] ?? join(repository, "build/release/bin/polis");

/**
 * POLIS_INVITATION=LINK uses the network of that link, which runs already; POLIS_MOCK=1 the stand-in;
 * else a node of build/release (or POLIS_BINARY) is started and booted.
 */
export async function startNetwork(): Promise<Network> {
  const given = process.env["POLIS_INVITATION"];
  if (given) {
    const link = new URL(given);
    return { url: `${link.protocol}//${link.host.slice(link.host.indexOf(".") + 1)}`, invitation: given, stop: async () => undefined };
  }
  if (process.env["POLIS_MOCK"]) {
    const mock = new MockNode(repository);
    return { ...(await mock.start()), stop: () => mock.stop() };
  }
  return startNode();
}

export interface NodeOptions {
  /** Serve over HTTPS, with a wildcard certificate of its own. */
  tls?: boolean;
  /** Leave the making of the chain to the administration page. */
  unbooted?: boolean;
}

/** A real node in a folder of its own. */
export async function startNode({ tls = false, unbooted = false }: NodeOptions = {}): Promise<Network> {
  const folder = mkdtempSync(join(tmpdir(), "polis-browser-"));
  const scheme = tls ? "https" : "http";
  const options = ["--producer", "prod", "--host", "polis.localhost", "--listen", `${tls ? "https://" : ""}127.0.0.1:0`];
  if (!unbooted) options.push("--boot");
  if (tls) options.push(...makeCertificate(folder));
  const child = spawn(binary(), ["node", join(folder, "chain"), ...options], {
    env: { ...process.env, PSIBASE_DATADIR: process.env["PSIBASE_DATADIR"] ?? join(repository, "build/release/share/polis") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const collect = (part: Buffer): void => {
    log = (log + part.toString()).slice(-100_000);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const stop = async (): Promise<void> => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const invitation = /https?:\/\/accounts\.\S+\/invite\?token=[A-Za-z0-9_=%-]+/.exec(log)?.[0];
    const port = /Polis is ready\S*[^\n]*localhost:(\d+)\//.exec(log)?.[1];
    const adminLink = /https?:\/\/x-admin\.\S+\/#token=[0-9a-f]+/i.exec(log)?.[0];
    if (port && adminLink && (invitation || unbooted))
      return { url: `${scheme}://polis.localhost:${port}`, invitation: invitation ?? "", adminLink, stop };
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`The node did not come up. The end of its log:\n${log.slice(-4000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A self-signed wildcard certificate, and the options that name it. */
function makeCertificate(folder: string): string[] {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=polis.localhost",
    "-addext", "subjectAltName=DNS:polis.localhost,DNS:*.polis.localhost", "-keyout", key, "-out", cert,
  ], { stdio: "ignore" });
  return ["--tls-cert", cert, "--tls-key", key];
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
    child.once("exit", () => {
      clearTimeout(force);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
