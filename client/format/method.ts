// Method numbers: a name compressed by a 17-bit order-1 arithmetic coder, or hashed when it does not fit.
// Source: spec, data formats §4.

const letters = "eaiotnrslcuhdpmygbfwvkzxqj";
const digitsAs = "eaiotnrslc";
const denominator = 32767;
const word = 4294967296; // arithmetic is modulo 2^32
const rangeMax = 131071;
const hashedBit = 1n << 56n;

// Cumulative frequencies; the row is the previous symbol, 0 being the start.
export const methodModel: readonly (readonly number[])[] = [
  [0, 0, 1956, 4146, 6063, 7423, 9305, 10276, 11226, 13687, 14907, 16131, 17056, 18369, 19922, 21644, 23210, 24604, 25065, 26398, 28475, 30408, 31395, 31725, 32367, 32402, 32623, 32767],
  [0, 4880, 5243, 6669, 7714, 8472, 9634, 11619, 15233, 16738, 18031, 18650, 18993, 20913, 22653, 25217, 25802, 26404, 26589, 28244, 29312, 31398, 31845, 32080, 32183, 32478, 32695, 32767],
  [0, 1737, 2901, 3020, 3666, 3734, 8543, 12634, 15523, 17208, 21367, 22949, 23407, 24602, 25562, 26470, 28001, 28323, 29045, 30727, 31040, 31251, 32084, 32387, 32496, 32598, 32745, 32767],
  [0, 1420, 3454, 4922, 5132, 6751, 9959, 13993, 14547, 18653, 20482, 23055, 23598, 23956, 25067, 25566, 27966, 27973, 28483, 29334, 29844, 30620, 31685, 31882, 32375, 32425, 32757, 32767],
  [0, 4209, 5209, 5503, 5994, 6779, 9809, 13734, 16394, 17728, 20734, 21636, 23733, 24071, 24785, 26194, 28482, 28566, 29403, 30186, 30894, 31383, 32100, 32294, 32382, 32531, 32744, 32767],
  [0, 6157, 9213, 10380, 13294, 15931, 16600, 16829, 17987, 18142, 18574, 18667, 19055, 21787, 22406, 24449, 24772, 25604, 25663, 29173, 30781, 31791, 31995, 32219, 32350, 32610, 32748, 32767],
  [0, 4891, 8913, 10772, 13035, 15218, 19118, 19893, 20080, 21202, 22114, 23568, 23895, 24392, 26546, 26760, 27744, 28021, 30534, 31037, 31376, 31650, 32250, 32490, 32548, 32565, 32709, 32767],
  [0, 4689, 9532, 12839, 16144, 19335, 21427, 21880, 22583, 23728, 24811, 25404, 25957, 26777, 27443, 28035, 29213, 30179, 30481, 31447, 31666, 31782, 32303, 32484, 32510, 32511, 32751, 32767],
  [0, 5750, 9495, 10402, 12127, 13082, 19468, 19684, 19710, 21681, 23775, 24600, 25576, 26982, 27084, 27953, 30214, 30492, 30515, 30947, 31019, 31446, 31709, 31847, 31884, 31884, 32761, 32767],
  [0, 1827, 5418, 7243, 11598, 13806, 14484, 14972, 15432, 15532, 16785, 16863, 17441, 18465, 19298, 23066, 24626, 26449, 26523, 27067, 29601, 31460, 31683, 32257, 32266, 32312, 32318, 32767],
  [0, 3085, 6902, 11386, 13498, 18692, 21202, 21246, 22818, 22950, 23980, 24484, 25962, 30168, 30176, 30181, 30391, 31287, 31288, 31293, 31294, 31297, 31592, 32703, 32712, 32712, 32767, 32767],
  [0, 1460, 2488, 3382, 4190, 4382, 7997, 13589, 16710, 21209, 25118, 26178, 26204, 26432, 27181, 28387, 30216, 30257, 30864, 31867, 32177, 32219, 32374, 32455, 32551, 32617, 32754, 32767],
  [0, 3497, 9469, 11581, 13649, 15750, 19606, 19858, 20362, 20409, 23728, 23738, 24110, 26020, 26170, 26284, 28241, 29240, 29247, 29296, 29442, 29819, 30442, 30559, 30604, 30604, 32763, 32767],
  [0, 7725, 13656, 15552, 18212, 19436, 22322, 22566, 23251, 23443, 26247, 26267, 26704, 26809, 27460, 27622, 29567, 30839, 30969, 31225, 31379, 31448, 32114, 32127, 32143, 32143, 32739, 32767],
  [0, 3654, 6677, 7904, 9941, 12843, 16232, 16550, 19915, 20300, 22842, 22898, 23406, 25127, 25246, 25931, 27743, 28101, 28153, 28321, 29252, 31975, 32243, 32396, 32480, 32494, 32721, 32767],
  [0, 2259, 4242, 6358, 8676, 10453, 10663, 11361, 12343, 12503, 13022, 13049, 13568, 15061, 16673, 21204, 22114, 23775, 23801, 26743, 28089, 29382, 31518, 31992, 32482, 32634, 32711, 32767],
  [0, 8569, 10926, 11269, 11458, 12219, 15419, 15811, 16168, 19632, 21864, 22233, 22272, 23584, 23897, 24563, 27086, 27677, 27838, 30347, 30897, 31720, 32305, 32316, 32374, 32410, 32766, 32767],
  [0, 5421, 10228, 13261, 16435, 18453, 18538, 19596, 22477, 22749, 25180, 25189, 26615, 28325, 28370, 28391, 28704, 29610, 30232, 30341, 30376, 30446, 32750, 32760, 32764, 32764, 32765, 32767],
  [0, 3536, 8233, 9248, 10667, 11916, 16198, 16366, 17262, 17620, 22341, 22384, 23103, 23432, 24178, 24653, 27955, 28446, 28462, 29156, 29914, 30860, 31440, 31618, 31718, 31718, 32711, 32767],
  [0, 6957, 8777, 9282, 11114, 12083, 14679, 14746, 15172, 16789, 19423, 19431, 20076, 20456, 21353, 21603, 22831, 23934, 24047, 24077, 26986, 30996, 32258, 32271, 32421, 32421, 32764, 32767],
  [0, 4391, 7270, 8148, 9018, 9499, 14426, 14654, 14752, 18571, 23671, 23681, 23696, 24591, 24714, 24801, 27775, 27825, 27830, 30016, 30215, 30862, 31659, 31682, 31823, 31824, 32740, 32767],
  [0, 508, 5145, 6952, 9251, 10376, 10985, 11140, 11725, 11743, 12502, 12513, 12662, 15602, 17187, 22455, 22627, 23556, 23562, 26519, 30666, 32564, 32574, 32641, 32646, 32708, 32730, 32767],
  [0, 2561, 9484, 10526, 12712, 13144, 24077, 24752, 24913, 25311, 29557, 29584, 29814, 30171, 30199, 30250, 31654, 31986, 32003, 32134, 32255, 32412, 32625, 32686, 32687, 32687, 32751, 32767],
  [0, 1902, 10556, 12815, 13501, 14918, 18520, 18600, 18633, 21631, 26209, 26218, 26391, 26794, 26889, 27833, 30807, 31246, 31254, 31774, 32060, 32183, 32247, 32252, 32655, 32655, 32756, 32767],
  [0, 3478, 6497, 8308, 12600, 13818, 17038, 17122, 17152, 17528, 20748, 21906, 22255, 22599, 22677, 24481, 25735, 28777, 28815, 28891, 29073, 31075, 31424, 31433, 31485, 31485, 32764, 32767],
  [0, 17596, 18281, 18455, 19256, 19875, 20521, 20599, 20949, 21038, 21413, 21416, 23479, 24932, 25804, 26610, 28270, 29555, 29557, 30312, 31584, 32451, 32516, 32525, 32623, 32701, 32703, 32767],
  [0, 392, 8308, 10995, 11504, 13348, 22180, 22194, 22231, 22248, 23981, 23981, 26646, 26978, 27000, 27014, 30409, 30435, 30435, 30457, 30474, 30503, 30697, 30704, 30818, 30818, 31861, 32767],
];

/**
 * The number of a method name as nodes and C++ services number it; with `rust`, as services of the Rust SDK number their
 * own names, which differs for some long ones. Names print back in lower case.
 */
export function methodNumber(name: string, rules: "chain" | "rust" = "chain"): bigint {
  if (name === "") return 0n;
  if (name.startsWith("#")) return name.length === 17 ? fromHashText(name) : rules === "rust" ? 0n : (1n << 64n) - 1n;
  const symbols: number[] = [];
  for (const byte of new TextEncoder().encode(name)) {
    const symbol = symbolOf(String.fromCharCode(byte).toLowerCase());
    if (symbol === 0) return 0n;
    symbols.push(symbol);
  }
  const compressed = compress([...symbols, 0], rules === "rust");
  return compressed !== 0n ? compressed : seahash(new TextEncoder().encode(name)) | hashedBit;
}

/** The name of a method number; `#` and sixteen letters when it was hashed. */
export function methodName(value: bigint): string {
  if (value === 0n) return "";
  if (value & hashedBit) {
    let text = "#";
    for (let k = 0n; k < 16n; k++) text += letters[Number((value >> (4n * k)) & 15n)];
    return text;
  }
  return decompress(value);
}

export function symbolOf(character: string): number {
  if (character >= "0" && character <= "9") return letters.indexOf(digitsAs[Number(character)]!) + 1;
  return (character === "_" ? letters.indexOf("q") : letters.indexOf(character)) + 1;
}

function fromHashText(text: string): bigint {
  let value = 0n;
  for (let k = 0; k < 16; k++) {
    const nibble = BigInt((symbolOf(text[k + 1]!.toLowerCase()) - 1) & 255);
    value |= nibble << BigInt(4 * k);
  }
  return BigInt.asUintN(64, value);
}

/** Returns 0n when the symbols do not fit into 63 bits. */
function compress(symbols: readonly number[], rust: boolean): bigint {
  let low = 0;
  let high = rangeMax;
  let pending = 0;
  let put = 0;
  let full = false;
  let out = 0n;
  let partial = 0;
  let partialBits = 0;
  let bytes = 0;

  const putBit = (bit: boolean): void => {
    if (bit && put === 63) {
      out = 0n;
      full = true;
      return;
    }
    put += 1;
    partial = (partial << 1) | (bit ? 1 : 0);
    partialBits += 1;
    if (partialBits === 8) {
      if (!full) {
        out |= BigInt(partial & 255) << BigInt(8 * bytes);
        bytes += 1;
        if (bytes === 8) full = true;
      }
      partial = 0;
      partialBits = 0;
    }
  };
  const emit = (bit: boolean): void => {
    putBit(bit);
    for (; pending > 0; pending--) putBit(!bit);
  };

  let previous = 0;
  let consumed = 0;
  for (const symbol of symbols) {
    if (full) break;
    const row = methodModel[previous]!;
    const range = (high - low + 1 + word) % word;
    high = (low + Math.floor(((range * row[symbol + 1]!) % word) / denominator) - 1 + word) % word;
    low = (low + Math.floor(((range * row[symbol]!) % word) / denominator)) % word;
    previous = symbol;
    consumed += 1;
    while (!full) {
      if (high < 65536) emit(false);
      else if (low >= 65536) emit(true);
      else if (low >= 32768 && high < 98304) {
        pending += 1;
        low -= 32768;
        high -= 32768;
      } else break;
      high = (2 * high + 1) % 131072;
      low = (2 * low) % 131072;
    }
  }
  pending += 1;
  emit(low >= 32768);
  if (partialBits > 0 && full && rust) return 0n;
  if (partialBits > 0 && !full) out |= BigInt((partial << (8 - partialBits)) & 255) << BigInt(8 * bytes);
  return rust || consumed === symbols.length ? out : 0n;
}

function decompress(value: bigint): string {
  const bitsTotal = 80;
  let consumed = 0;
  const nextBit = (): number => {
    const at = consumed++;
    const byte = at < 64 ? Number((value >> BigInt(8 * (at >> 3))) & 255n) : 0;
    return (byte >> (7 - (at & 7))) & 1;
  };
  let code = 0;
  for (let i = 0; i < 17; i++) code = code * 2 + nextBit();
  let low = 0;
  let high = rangeMax;
  let previous = 0;
  let name = "";
  while (consumed < bitsTotal) {
    const row = methodModel[previous]!;
    const range = (high - low + 1 + word) % word;
    if (range === 0) break;
    const scaled = Math.floor(((((code - low + 1 + word) % word) * denominator - 1 + word) % word) / range);
    const symbol = row.findIndex((_, c) => c < 27 && scaled < row[c + 1]!);
    if (symbol <= 0) break;
    name += letters[symbol - 1];
    high = (low + Math.floor(((range * row[symbol + 1]!) % word) / denominator) - 1 + word) % word;
    low = (low + Math.floor(((range * row[symbol]!) % word) / denominator)) % word;
    previous = symbol;
    while (consumed < bitsTotal) {
      if (high < 65536) {
        // Both halves agree on a zero.
      } else if (low >= 65536) {
        low -= 65536;
        high -= 65536;
        code -= 65536;
      } else if (low >= 32768 && high < 98304) {
        low -= 32768;
        high -= 32768;
        code -= 32768;
      } else break;
      low = 2 * low;
      high = 2 * high + 1;
      code = 2 * code + nextBit();
    }
  }
  return name;
}

function seahash(bytes: Uint8Array): bigint {
  const mask = (1n << 64n) - 1n;
  const diffuse = (x: bigint): bigint => {
    const multiplier = 0x6eed0e9da4d94a4fn;
    let y = (x * multiplier) & mask;
    y ^= (y >> 32n) >> (y >> 60n);
    return (y * multiplier) & mask;
  };
  const state = [0x16f11fe89b0d677cn, 0xb480a793d8e6c86cn, 0x6fe2e5aaf078ebc9n, 0x14f994a4c5259381n];
  for (let chunk = 0; chunk * 8 < bytes.length; chunk++) {
    let lane = 0n;
    for (let i = 0; i < 8; i++) lane |= BigInt(bytes[chunk * 8 + i] ?? 0) << BigInt(8 * i);
    state[chunk % 4] = diffuse(state[chunk % 4]! ^ lane);
  }
  return diffuse(state[0]! ^ state[1]! ^ state[2]! ^ state[3]! ^ BigInt(bytes.length));
}
