// Times in the protocol's JSON. Source: spec, data formats §5.

import { FormatError } from "./bytes.js";

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d*))?(Z|[+\-−]\d{2}(?::?\d{2})?)$/;

/** Microseconds since 1970 of a time such as 2026-01-31T12:00:00.5Z. Throws FormatError. */
export function parseTime(text: string): bigint {
  const found = pattern.exec(text);
  if (!found) throw new FormatError("not a time");
  const [, year, month, day, hour, minute, second, fraction = "", zone = "Z"] = found;
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(midnight);
  if (Number(year) < 100) date.setUTCFullYear(Number(year));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) throw new FormatError("no such day");
  const seconds = second === "60" ? 59 : Number(second);
  const nextDay = hour === "24" && minute === "00" && second === "00" && /^0*$/.test(fraction.slice(0, 9));
  if ((Number(hour) > 23 && !nextDay) || Number(minute) > 59 || seconds > 59) throw new FormatError("no such time");
  const whole = BigInt(date.getTime() / 1000) + BigInt(Number(hour) * 3600 + Number(minute) * 60 + seconds);
  const micros = BigInt((fraction + "000000").slice(0, 6));
  return (whole - zoneSeconds(zone)) * 1000000n + micros;
}

/** The year is printed modulo 10,000. */
export function formatSeconds(seconds: bigint): string {
  const days = floorDivide(seconds, 86400n);
  const rest = Number(seconds - days * 86400n);
  const two = (value: number): string => String(value).padStart(2, "0");
  // The calendar repeats every 400 years, which no Date has trouble with.
  const era = floorDivide(days, 146097n);
  const date = new Date(Number(days - era * 146097n) * 86400000);
  const year = (((date.getUTCFullYear() + Number(era % 25n) * 400) % 10000) + 10000) % 10000;
  const day = `${String(year).padStart(4, "0")}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  return `${day}T${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}Z`;
}

export function formatMicroseconds(microseconds: bigint): string {
  const seconds = floorDivide(microseconds, 1000000n);
  const rest = microseconds - seconds * 1000000n;
  return formatSeconds(seconds).slice(0, 19) + "." + rest.toString().padStart(6, "0") + "Z";
}

function zoneSeconds(zone: string): bigint {
  if (zone === "Z") return 0n;
  const negative = zone[0] !== "+";
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || "0");
  if (hours > 14 || minutes > 59 || (negative && hours === 0 && minutes === 0)) throw new FormatError("no such time zone");
  return BigInt((negative ? -1 : 1) * (hours * 3600 + minutes * 60));
}

export function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value % divisor < 0n ? quotient - 1n : quotient;
}
