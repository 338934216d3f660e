// Who is asking. Everything an app may do follows from the origin of its message, never from its content.
// Source: spec, client C-4 and C-5.

import { accountNumber } from "@polis/client/format";

/** Where this supervisor lives. */
export interface Site {
  protocol: string;
  /** Host and port of supervisor.<root>. */
  host: string;
}

/** The root host, with port, of a supervisor at `site`. */
export function rootOf(site: Site): string {
  return site.host.slice(site.host.indexOf(".") + 1);
}

/**
 * The account of an app by the origin of its message. Undefined for origins outside this network, for the root
 * host and for hosts deeper than one label.
 */
export function accountOfOrigin(origin: string, site: Site): string | undefined {
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return undefined;
  }
  const suffix = `.${rootOf(site)}`;
  if (url.protocol !== site.protocol || !url.host.endsWith(suffix)) return undefined;
  const label = url.host.slice(0, -suffix.length);
  // The number tells a real name from a spelling that only looks like one.
  return /^[a-z0-9-]+$/.test(label) && accountNumber(label) !== 0n ? label : undefined;
}

/** What the rule of framing looks at. */
export interface Framing {
  fromParent: boolean;
  fromTop: boolean;
  /** Whether the top document belongs to the supervisor itself. */
  topIsOwn: boolean;
}

/** An app may speak when it is the page that the person sees, or is framed by the supervisor's own page. */
export function framingAllowed({ fromParent, fromTop, topIsOwn }: Framing): boolean {
  return fromParent && (fromTop || topIsOwn);
}
