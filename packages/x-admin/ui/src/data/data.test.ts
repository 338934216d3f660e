import { describe, expect, test } from "vitest";
import { derOfPem, pemOf } from "./keys.js";
import { readRecord } from "./log.js";
import { networkOf, readMetrics, within } from "./network.js";
import { bytesText, loadBetween, type Figures } from "./performance.js";

describe("a record of the log", () => {
  test("is read", () =>
    expect(readRecord('{"TimeStamp":"2026-01-02T03:04:05.000Z","Severity":"warning","Message":"m","Service":"x-http"}', 7)).toEqual(
      { key: 7, time: "2026-01-02T03:04:05.000Z", severity: "warning", service: "x-http", message: "m" }));
  test("of a severity that is not known shows all the same", () =>
    expect(readRecord('{"TimeStamp":"t","Severity":"notice","Message":"m"}', 0)).toMatchObject({ severity: "info", service: undefined }));
  test.each(["", "{", "null", "[]", '{"error":"no"}', '{"TimeStamp":1,"Severity":"info","Message":"m"}'])("%s is none", (text) => expect(readRecord(text, 0)).toBeUndefined());
});

describe("keys", () => {
  const pem = (label: string, body = "MCgC\nAQA=") => `Bag\n-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
  test.each(["PRIVATE KEY", "EC PRIVATE KEY"])("%s is taken", (label) => expect(derOfPem(pem(label))).toBe("3028020100"));
  test.each([
    ["nothing", "", /no key file/], ["half", "-----BEGIN PRIVATE KEY-----\nMCgC", /no key file/],
    ["the public half", pem("PUBLIC KEY"), /public half/], ["a locked one", pem("ENCRYPTED PRIVATE KEY"), /passphrase/],
    ["an old locked one", pem("EC PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nMCgC"), /passphrase/],
    ["a certificate", pem("CERTIFICATE"), /not a key that signs/], ["a damaged one", pem("PRIVATE KEY", "M"), /damaged/],
  ])("%s is refused", (_, text, why) => expect(() => derOfPem(text)).toThrow(why));
  test("are written as PEM", () => expect(pemOf({ service: "verify-sig", rawData: "3028020100" })).toBe("-----BEGIN PUBLIC KEY-----\nMCgCAQA=\n-----END PUBLIC KEY-----\n"));
});

describe("load", () => {
  const task = (id: number, group: string, user: number, system = 0) =>
    ({ id, group, user: String(user), system: String(system), pageFaults: "0", read: "0", written: "0" });
  const figures = (timestamp: number, total: number, tasks: Figures["tasks"]): Figures => ({
    timestamp: String(timestamp), tasks,
    memory: { database: "0", code: "0", data: "0", wasmMemory: "0", wasmCode: "0", unclassified: "0" },
    transactions: { unprocessed: "0", total: String(total), failed: "0", succeeded: "0", skipped: "0" },
  });
  const before = figures(1_000_000, 5, [task(1, "chain", 100_000), task(2, "query", 0), task(3, "query", 0)]);
  test("is what was used between two looks, by kind of work", () =>
    expect(loadBetween(before, figures(3_000_000, 25, [task(1, "chain", 300_000, 200_000), task(2, "query", 1_000_000), task(3, "query", 600_000), task(4, "zsh", 2000)]))).toEqual({
      groups: [{ name: "Answering pages", share: 0.8 }, { name: "Making blocks", share: 0.2 }, { name: "Other", share: 0.001 }],
      transactionsPerSecond: 10,
    }));
  test("is unknown without time between them, and over a restart", () => {
    expect(loadBetween(before, before)).toBeNull();
    expect(loadBetween(before, figures(500_000, 6, []))).toBeNull();
    expect(loadBetween(before, figures(2_000_000, 0, []))).toBeNull();
  });
});

describe("metrics", () => {
  const text = `# TYPE polis_role stateset
polis_role{polis_role="leader"} 0
polis_role{polis_role="follower"} 1
# TYPE polis_peers gauge
polis_peers 2
polis_head_block 12
polis_push_final_seconds_bucket{le="0.1"} 90
polis_push_final_seconds_bucket{le="0.5"} 98
polis_push_final_seconds_bucket{le="+Inf"} 100
polis_push_final_seconds_count 100
# EOF
`;
  const metrics = readMetrics(text);
  test("are read", () => expect(metrics.get("polis_head_block")).toEqual([{ labels: {}, value: 12 }]));
  test("tell the network", () =>
    expect(networkOf(metrics)).toMatchObject({ role: "follower", head: 12, term: null, peers: 2 }));
  test("tell within what time a share was done", () => {
    expect(within(metrics, "polis_push_final_seconds", 0.5)).toBe("within 100 ms");
    expect(within(metrics, "polis_push_final_seconds", 0.95)).toBe("within 500 ms");
    expect(within(metrics, "polis_push_final_seconds", 0.99)).toBe("longer");
    expect(within(metrics, "polis_push_applied_seconds", 0.5)).toBe("–");
  });
  test("that are cut off are refused", () => expect(() => readMetrics(text.slice(0, -6))).toThrow());
});

test.each([[0, "0 bytes"], [999, "999 bytes"], [1000, "1.0 kB"], [12_345_678, "12.3 MB"], [999_600, "1.0 MB"], [123_456_789_000, "123 GB"]])(
  "%d bytes are %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));
