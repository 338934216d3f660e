import { useCallback, useRef, useState } from "react";
import { RedirectError } from "../common/index.js";

export interface Task<Args extends unknown[]> {
  running: boolean;
  /** A sentence for the person. */
  error: string | undefined;
  run: (...args: Args) => Promise<boolean>;
  clearError: () => void;
}

/** Something that a person starts: one at a time, with its failure kept to be shown. */
export function useTask<Args extends unknown[]>(work: (...args: Args) => Promise<void>): Task<Args> {
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<string>();
  const busy = useRef(false);
  const newest = useRef(work);
  newest.current = work;

  const run = useCallback(async (...args: Args) => {
    if (busy.current) return false;
    busy.current = true;
    setRunning(true);
    setError(undefined);
    let leaving = false;
    try {
      await newest.current(...args);
      return true;
    } catch (reason) {
      leaving = reason instanceof RedirectError;
      if (!leaving) setError(reason instanceof Error ? reason.message : "That did not work.");
      return false;
    } finally {
      // While the page is being left, the button stays as it is.
      if (!leaving) {
        busy.current = false;
        setRunning(false);
      }
    }
  }, []);

  const clearError = useCallback(() => setError(undefined), []);
  return { running, error, run, clearError };
}
