// Versions of packages and the patterns that dependencies name. Source: spec, data formats §8.

export interface Version {
  major: bigint;
  minor: bigint;
  patch: bigint;
  /** Empty for a release. */
  prerelease: string;
  build: string;
}

const numberMax = (1n << 64n) - 1n;
const nestingMax = 64;

/** Undefined when the text is no version. */
export function parseVersion(text: string): Version | undefined {
  const reader = new Reader(text);
  const found = reader.version();
  return found && found.given === 3 && reader.rest === "" ? found.version : undefined;
}

/** Precedence of Semantic Versioning: negative, zero or positive; builds do not count. */
export function compareVersions(a: Version, b: Version): number {
  return order(a.major, b.major) || order(a.minor, b.minor) || order(a.patch, b.patch) || comparePrereleases(a.prerelease, b.prerelease);
}

/** Whether the version fits the pattern; undefined when that is malformed. */
export function matchesVersion(pattern: string, version: Version): boolean | undefined {
  try {
    const reader = new Reader(pattern);
    const result = all(reader, version, 0);
    reader.skipSpace();
    return reader.rest === "" ? result : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

class Malformed extends Error {}

/** A version of which only the first components may be given; none for the star. */
interface Pattern {
  given: number;
  version: Version;
}

class Reader {
  constructor(public rest: string) {}

  skipSpace(): void {
    this.rest = this.rest.replace(/^[ \t]+/, "");
  }
  take(token: string): boolean {
    if (!this.rest.startsWith(token)) return false;
    this.rest = this.rest.slice(token.length);
    return true;
  }
  token(token: string): boolean {
    this.skipSpace();
    return this.take(token);
  }
  version(): Pattern | undefined {
    const parts: bigint[] = [];
    do {
      const digits = /^[0-9]+/.exec(this.rest)?.[0];
      if (digits === undefined || (digits.length > 1 && digits.startsWith("0")) || BigInt(digits) > numberMax) return undefined;
      parts.push(BigInt(digits));
      this.rest = this.rest.slice(digits.length);
    } while (parts.length < 3 && this.take("."));
    const version: Version = { major: parts[0]!, minor: parts[1] ?? 0n, patch: parts[2] ?? 0n, prerelease: "", build: "" };
    if (parts.length === 3) {
      if (this.take("-")) {
        version.prerelease = this.#identifiers();
        if (version.prerelease.split(".").some((part) => part === "" || /^0[0-9]+$/.test(part))) return undefined;
      }
      if (this.take("+")) {
        version.build = this.#identifiers();
        if (version.build.split(".").includes("")) return undefined;
      }
    }
    return { given: parts.length, version };
  }
  #identifiers(): string {
    const found = /^[0-9A-Za-z.-]*/.exec(this.rest)![0];
    this.rest = this.rest.slice(found.length);
    return found;
  }
}

function all(reader: Reader, version: Version, depth: number): boolean {
  let result = either(reader, version, depth);
  while (reader.token(",")) result = either(reader, version, depth) && result;
  return result;
}

function either(reader: Reader, version: Version, depth: number): boolean {
  let result = both(reader, version, depth);
  while (reader.token("||")) result = both(reader, version, depth) || result;
  return result;
}

function both(reader: Reader, version: Version, depth: number): boolean {
  let result = base(reader, version, depth);
  while (reader.token("&&")) result = base(reader, version, depth) && result;
  return result;
}

function base(reader: Reader, version: Version, depth: number): boolean {
  if (depth > nestingMax) throw new Malformed();
  if (reader.token("(")) {
    const result = all(reader, version, depth + 1);
    if (!reader.token(")")) throw new Malformed();
    return result;
  }
  const operator = ["<=", ">=", "!=", "=", "<", ">", "^", "~"].find((op) => reader.token(op)) ?? "^";
  reader.skipSpace();
  const star: Pattern = { given: 0, version: { major: 0n, minor: 0n, patch: 0n, prerelease: "", build: "" } };
  const pattern = reader.take("*") ? star : reader.version();
  if (!pattern) throw new Malformed();
  const difference = compareTo(pattern, version);
  switch (operator) {
    case "=":
      return difference === 0;
    case "!=":
      return difference !== 0;
    case "<":
      return difference < 0;
    case "<=":
      return difference <= 0;
    case ">":
      return difference > 0;
    case ">=":
      return difference >= 0;
    default:
      return isCompatible(pattern, version, operator === "~");
  }
}

/** Compares the given components only. */
function compareTo({ given, version: wanted }: Pattern, version: Version): number {
  if (given === 3) return compareVersions(version, wanted);
  return (given >= 1 ? order(version.major, wanted.major) : 0) || (given >= 2 ? order(version.minor, wanted.minor) : 0);
}

function isCompatible(pattern: Pattern, version: Version, close: boolean): boolean {
  const { given, version: wanted } = pattern;
  if (version.prerelease !== "") return given === 3 && version.prerelease === wanted.prerelease && compareTo(pattern, version) === 0;
  if (given === 0) return true;
  if (version.major !== wanted.major || compareTo(pattern, version) < 0) return false;
  const sameMinor = given < 2 || version.minor === wanted.minor;
  if ((close || version.major === 0n) && !sameMinor) return false;
  return !(version.major === 0n && version.minor === 0n && given === 3 && version.patch !== wanted.patch);
}

function comparePrereleases(a: string, b: string): number {
  if (a === "" || b === "") return order(a === "" ? 1 : 0, b === "" ? 1 : 0);
  const [left, right] = [a.split("."), b.split(".")];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = compareIdentifiers(left[i]!, right[i]!);
    if (difference !== 0) return difference;
  }
  return order(left.length, right.length);
}

function compareIdentifiers(a: string, b: string): number {
  const [numericA, numericB] = [/^[0-9]+$/.test(a), /^[0-9]+$/.test(b)];
  if (numericA !== numericB) return numericA ? -1 : 1;
  return (numericA && order(a.length, b.length)) || order(a, b);
}

function order<T extends bigint | number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
