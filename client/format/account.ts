// Account numbers: the rank of a name among all allowed names, times 256, plus the subaccount.
// Source: spec, data formats §3.

const alphabet = "-0123456789abcdefghijklmnopqrstuvwxyz";
const lengthMax = 10;
const symbols = 36;
const baseMax = 4655369993624388;

// plain[i]: number of tails of at most i characters after a character other than a hyphen;
// hyphen[i]: the same after a hyphen.
const plain: number[] = [1];
const hyphen: number[] = [0];
for (let i = 1; i < lengthMax; i++) {
  hyphen.push(symbols * plain[i - 1]!);
  plain.push(hyphen[i - 1]! + hyphen[i]! + 1);
}

/** The number of an account name; 0n when the name is not allowed. Upper case reads as lower case. */
export function accountNumber(name: string): bigint {
  let base = name;
  let sub = 0;
  const split = name.search(/[+/]/);
  if (split >= 0) {
    const suffix = name.slice(split + 1);
    if (!/^[0-9]*$/.test(suffix)) return 0n;
    sub = Number(suffix === "" ? "0" : suffix);
    if (sub > 255) return 0n;
    base = name.slice(0, split);
  }
  const rank = baseRank(base.toLowerCase());
  return rank === undefined ? 0n : BigInt(rank) * 256n + BigInt(sub);
}

/** The name of an account number; "" for numbers that name nobody. */
export function accountName(value: bigint): string {
  const sub = Number(value & 255n);
  const suffix = sub === 0 ? "" : `+${sub}`;
  let rest = Number(value >> 8n);
  if (rest > baseMax) return suffix;
  let name = "";
  let room = lengthMax;
  let hyphenAllowed = false;
  let mayEnd = true;
  while (rest !== 0 || !mayEnd) {
    if (mayEnd) rest -= 1;
    let index = 1;
    if (hyphenAllowed) {
      if (rest >= hyphen[room - 1]!) rest -= hyphen[room - 1]!;
      else index = 0;
    }
    index += Math.floor(rest / plain[room - 1]!);
    rest %= plain[room - 1]!;
    name += alphabet[index];
    mayEnd = hyphenAllowed = index !== 0;
    room -= 1;
  }
  return name + suffix;
}

/** Whether `name` is written exactly as the chain would write it, and names somebody. */
export function isAccountName(name: string): boolean {
  const value = accountNumber(name);
  return value !== 0n && accountName(value) === name;
}

function baseRank(name: string): number | undefined {
  let rank = 0;
  let room = lengthMax;
  let hyphenAllowed = false;
  let mayEnd = true;
  for (const character of name) {
    const index = alphabet.indexOf(character);
    if (room === 0 || index < 0 || (index === 0 && !hyphenAllowed)) return undefined;
    if (mayEnd) rank += 1;
    if (index > 0) {
      rank += (index - 1) * plain[room - 1]!;
      if (hyphenAllowed) rank += hyphen[room - 1]!;
    }
    mayEnd = hyphenAllowed = index !== 0;
    room -= 1;
  }
  return mayEnd ? rank : undefined;
}
