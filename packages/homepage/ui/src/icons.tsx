import type { ReactNode } from "react";

const line = (path: ReactNode): ReactNode => (
  <svg width="26" height="26" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
    {path}
  </svg>
);

/** One mark an app, drawn in the same weight. */
export const icons: Record<string, ReactNode> = {
  tokens: line(<><ellipse cx="12" cy="6.5" rx="7.5" ry="3.2" /><path d="M4.5 6.5v5.3c0 1.8 3.4 3.2 7.5 3.2s7.5-1.4 7.5-3.2V6.5M4.5 12v5.3c0 1.8 3.4 3.2 7.5 3.2s7.5-1.4 7.5-3.2V12" /></>),
  explorer: line(<><circle cx="10.5" cy="10.5" r="6" /><path d="m15 15 5 5M8 10.5h5M10.5 8v5" /></>),
  accounts: line(<><circle cx="12" cy="8" r="3.6" /><path d="M4.8 20c.6-3.8 3.5-6 7.2-6s6.6 2.2 7.2 6" /></>),
  "faucet-tok": line(<><path d="M12 3.5c3.2 4 5.5 6.9 5.5 10a5.5 5.5 0 0 1-11 0c0-3.1 2.3-6 5.5-10z" /><path d="M9.5 14.2a2.6 2.6 0 0 0 2.5 2.4" /></>),
};
