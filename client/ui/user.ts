import { useCallback, useEffect, useState } from "react";
import { getSupervisor } from "../common/index.js";

export type User =
  | { state: "loading" }
  | { state: "none" }
  | { state: "failed"; message: string }
  | { state: "connected"; account: string };

/** The account that this app acts for. */
export function useUser(): { user: User; reload: () => void } {
  const [user, setUser] = useState<User>({ state: "loading" });
  const reload = useCallback(() => {
    getSupervisor()
      .currentUser()
      .then((account) => setUser(account === null ? { state: "none" } : { state: "connected", account }))
      .catch((error: unknown) => setUser({ state: "failed", message: error instanceof Error ? error.message : String(error) }));
  }, []);
  useEffect(() => {
    reload();
    // Another tab may have changed it, and a page from the back-forward cache is old.
    const onShow = (event: PageTransitionEvent): void => {
      if (event.persisted) reload();
    };
    window.addEventListener("pageshow", onShow);
    window.addEventListener("focus", reload);
    return () => {
      window.removeEventListener("pageshow", onShow);
      window.removeEventListener("focus", reload);
    };
  }, [reload]);
  return { user, reload };
}
