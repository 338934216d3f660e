import type { ReactNode } from "react";
import { Card, Empty, Failed, Loading, type Live } from "@polis/client/ui";

export interface ViewProps<T> {
  live: Live<T>;
  /** What to say when there is no such thing. */
  missing: string;
  children: (data: T) => ReactNode;
}

/** A page about one thing: loading, missing, failed or there. */
export function View<T>({ live: { data, error, refresh }, missing, children }: ViewProps<T>) {
  if (data !== undefined) return <>{children(data)}</>;
  if (error?.status === 404 || error?.status === 400)
    return <Card><Empty heading="h1" title={missing} action={<a className="button" href="/">Newest blocks</a>}>It may not be in a block yet, or the address is mistyped.</Empty></Card>;
  if (error) return <Card><Failed message={error.message} retry={refresh} /></Card>;
  return <Card flush><Loading /></Card>;
}
