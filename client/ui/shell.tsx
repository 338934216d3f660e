import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { getSupervisor, siblingUrl } from "../common/index.js";
import { Avatar, Button } from "./parts.js";
import { useTask } from "./task.js";
import type { User } from "./user.js";

export interface NavItem {
  label: string;
  href: string;
  current: boolean;
}

export interface ShellProps {
  /** The app's name beside the brand; none on the homepage. */
  title?: string;
  nav?: NavItem[];
  /** What stands at the right end of the bar. */
  end?: ReactNode;
  children: ReactNode;
}

/** The frame of every app: brand, the app's name and pages, and who is acting. */
export function Shell({ title, nav, end, children }: ShellProps) {
  return (
    <div className="shell">
      <a className="skip" href="#main">Skip to content</a>
      <header className="shell-head">
        <div className="shell-bar">
          <a className="brand" href={siblingUrl(null, "homepage", "/")} aria-label="Polis, homepage">
            <Logo />
            <span className={title ? "wide-only" : ""}>Polis</span>
          </a>
          {title ? <span className="crumb nowrap">{title}</span> : null}
          {nav ? (
            <nav aria-label="Pages">
              {nav.map((item) => (
                <a key={item.href} href={item.href} aria-current={item.current ? "page" : undefined}>{item.label}</a>
              ))}
            </nav>
          ) : null}
          <div className="end">{end}</div>
        </div>
      </header>
      <main id="main" className="shell-main" tabIndex={-1}>{children}</main>
      <footer className="shell-foot">
        <span>Served from the chain, by the people who run it.</span>
        <a href={siblingUrl(null, "accounts", "/")}>Your accounts</a>
        <a href={siblingUrl(null, "explorer", "/")}>Explorer</a>
      </footer>
    </div>
  );
}

export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="currentColor" aria-hidden="true">
      <path d="M12 2 2.5 7.2V9h19V7.2zM4.5 11h3v7h-3zM10.5 11h3v7h-3zM16.5 11h3v7h-3zM2.5 19.5h19V22h-19z" />
    </svg>
  );
}

export interface AccountMenuProps {
  user: User;
  /** Called after the person disconnected. */
  onChange: () => void;
}

/** Who acts in this app; choosing is the one question that a person is ever asked. */
export function AccountMenu({ user, onChange }: AccountMenuProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const connect = useTask(() => getSupervisor().connect());
  const logout = useTask(async () => {
    await getSupervisor().logout();
    setOpen(false);
    onChange();
  });

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>(".menu-list button")?.focus();
    const onDown = (event: PointerEvent): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", onDown);
    return () => document.removeEventListener("pointerdown", onDown);
  }, [open]);

  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape" && open) {
      setOpen(false);
      opener.current?.focus();
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const items = [...(root.current?.querySelectorAll<HTMLElement>(".menu-list a, .menu-list button") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    event.preventDefault();
    items[(at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length]?.focus();
  };

  if (user.state === "loading") return <span className="skeleton" style={{ width: "7rem" }} aria-hidden="true" />;
  if (user.state !== "connected")
    return (
      <Button kind="primary" small busy={connect.running} onClick={() => void connect.run()}>
        Choose account
      </Button>
    );
  return (
    <div className="menu" ref={root} onKeyDown={onKey}>
      <button ref={opener} type="button" className="button small" aria-expanded={open} aria-haspopup="true" onClick={() => setOpen(!open)}>
        <Avatar name={user.account} size={24} />
        <span className="name">{user.account}</span>
      </button>
      {open ? (
        <div className="menu-list">
          <button type="button" onClick={() => void connect.run()}>Use another account</button>
          <a href={siblingUrl(null, "accounts", "/")}>Your accounts</a>
          <button type="button" onClick={() => void logout.run()}>Disconnect here</button>
        </div>
      ) : null}
    </div>
  );
}
