import { useCallback, useEffect, useState } from "react";

export interface Loaded<T> {
  data: T | undefined;
  error: string | undefined;
  reload: () => void;
}

/** Runs `load` once, and again on `reload`. `load` must not change between renders. */
export function useLoaded<T>(load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: string }>({});
  const reload = useCallback(() => {
    load()
      .then((data) => setState({ data }))
      .catch((error: unknown) => setState({ error: error instanceof Error ? error.message : "That did not load." }));
  }, [load]);
  useEffect(reload, [reload]);
  return { data: state.data, error: state.error, reload };
}
