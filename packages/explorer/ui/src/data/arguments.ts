import { useMemo } from "react";
import { siblingUrl } from "@polis/client/common";
import { Codec, fromHex, methodNumber, type Json, type ServiceSchema } from "@polis/client/format";
import { useLive } from "@polis/client/ui";

const textMax = 400;

export interface Arguments {
  /** The method as its service writes it. */
  spelling: string;
  /** Names and values; undefined when the service has published no schema that fits. */
  values: [string, string][] | undefined;
}

/** An action's arguments, read by the schema that its service has published. */
export function useArguments({ service, method, rawData }: { service: string; method: string; rawData: string }): Arguments {
  const schema = useLive<ServiceSchema>(siblingUrl(null, "packages", `/schema?service=${encodeURIComponent(service)}`)).data;
  return useMemo(() => {
    const number = methodNumber(method);
    const spelling = schema && Object.keys(schema.actions).find((name) => methodNumber(name) === number);
    if (!spelling) return { spelling: method, values: undefined };
    try {
      const value = new Codec(schema.types).unpack(schema.actions[spelling]!.params, fromHex(rawData));
      const values = typeof value === "object" && value !== null ? Object.entries(value).map(([name, v]): [string, string] => [name, text(v)]) : undefined;
      return { spelling, values };
    } catch {
      return { spelling, values: undefined };
    }
  }, [schema, method, rawData]);
}

function text(value: Json): string {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const entries = Object.entries(value);
    // A wrapper of one value reads as that value.
    if (entries.length === 1) return text(entries[0]![1]);
  }
  const whole = value === null ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return whole.length > textMax ? `${whole.slice(0, textMax)}… (${whole.length} characters)` : whole;
}
