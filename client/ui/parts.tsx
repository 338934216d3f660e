import { useEffect, useId, useState, type ButtonHTMLAttributes, type InputHTMLAttributes, type ReactNode } from "react";
import { useNow } from "./live.js";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "primary" | "plain" | "quiet" | "danger";
  small?: boolean;
  wide?: boolean;
  /** Work is under way: the button shows it and cannot be pressed. */
  busy?: boolean;
}

export function Button({ kind = "plain", small = false, wide = false, busy = false, children, disabled, type = "button", ...rest }: ButtonProps) {
  const classes = ["button", kind, small ? "small" : "", wide ? "wide" : ""].filter(Boolean).join(" ");
  return (
    <button {...rest} type={type} className={classes} disabled={disabled === true || busy} aria-busy={busy || undefined}>
      {busy ? <span className="spinner" aria-hidden="true" /> : null}
      {children}
    </button>
  );
}

export interface CardProps {
  title?: string;
  /** Beside the title. */
  aside?: ReactNode;
  /** Content reaches the card's edges, as lists do. */
  flush?: boolean;
  children: ReactNode;
}

export function Card({ title, aside, flush = false, children }: CardProps) {
  const id = useId();
  return (
    <section className={flush ? "card flush" : "card"} aria-labelledby={title ? id : undefined}>
      {title ? (
        <header>
          <h2 id={id}>{title}</h2>
          {aside}
        </header>
      ) : null}
      {children}
    </section>
  );
}

export interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** Shown inside the input's right end. */
  suffix?: string;
}

export function Field({ label, hint, error, suffix, ...input }: FieldProps) {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  const control = (
    <input {...input} id={id} className="input" aria-invalid={error ? true : undefined} aria-describedby={described || undefined} />
  );
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {suffix ? (
        <div className="affix">
          {control}
          <span aria-hidden="true">{suffix}</span>
        </div>
      ) : control}
      {hint ? <p id={`${id}-hint`} className="hint">{hint}</p> : null}
      {error ? <p id={`${id}-error`} className="error" role="alert">{error}</p> : null}
    </div>
  );
}

export interface ToggleProps {
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
}

export function Toggle({ checked, disabled = false, onChange, children }: ToggleProps) {
  return (
    <label className="toggle">
      <input type="checkbox" role="switch" checked={checked} disabled={disabled} onChange={(event) => onChange(event.target.checked)} />
      <span>{children}</span>
    </label>
  );
}

export function Notice({ kind = "info", children, action }: { kind?: "info" | "bad" | "warn"; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={kind === "info" ? "notice" : `notice ${kind}`} role={kind === "bad" ? "alert" : undefined}>
      <div>{children}</div>
      {action}
    </div>
  );
}

/** Whether what is shown follows the node. */
export function LiveBadge({ error }: { error: unknown }) {
  return error ? <span className="badge warn">Not reachable</span> : <span className="badge good live">Live</span>;
}

export interface StateViewProps {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  icon?: ReactNode;
  /** `h1` when this is all that the page says. */
  heading?: "h1" | "h2";
}

/** Nothing to show, and what to do about it. */
export function Empty({ title, children, action, icon, heading: Heading = "h2" }: StateViewProps) {
  return (
    <div className="state">
      {icon}
      <Heading>{title}</Heading>
      {children ? <p>{children}</p> : null}
      {action}
    </div>
  );
}

export function Failed({ message, retry }: { message: string; retry: () => void }) {
  return (
    <div className="state" role="alert">
      <h2>That did not load</h2>
      <p>{message}</p>
      <Button onClick={retry}>Try again</Button>
    </div>
  );
}

/** Lines in the shape of the list that is on its way. */
export function Loading({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div role="status">
      <span className="visually-hidden">{label}</span>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className="item" aria-hidden="true">
          <span className="skeleton" style={{ width: 34, height: 34, borderRadius: "50%" }} />
          <span className="grow stack" style={{ gap: "0.45rem" }}>
            <span className="skeleton" style={{ width: `${62 - i * 9}%` }} />
            <span className="skeleton" style={{ width: `${36 - i * 4}%`, height: "0.8em" }} />
          </span>
        </div>
      ))}
    </div>
  );
}

/** A round mark whose colours follow from the name, so that a face is recognised before it is read. */
export function Avatar({ name, size = 36 }: { name: string; size?: number }) {
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 16777619) >>> 0;
  const hue = hash % 360;
  return (
    <span
      className="avatar"
      aria-hidden="true"
      style={{
        width: size,
        height: size,
        fontSize: size * 0.42,
        fontWeight: 640,
        color: "#fff",
        background: `linear-gradient(140deg, hsl(${hue} 46% 46%), hsl(${(hue + 48) % 360} 52% 34%))`,
      }}
    >
      {(name[0] ?? "?").toUpperCase()}
    </span>
  );
}

/** "12 s ago", with the full time for whoever asks. */
export function Ago({ time }: { time: string | number }) {
  const now = useNow(1000);
  const at = new Date(time);
  return (
    <time dateTime={Number.isNaN(at.getTime()) ? undefined : at.toISOString()} title={at.toLocaleString()} className="nowrap">
      {ago(now - at.getTime())}
    </time>
  );
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** A long identifier: its ends are shown, the whole can be copied. */
export function Id({ value, href, whole = false }: { value: string; href?: string; whole?: boolean }) {
  const text = whole || value.length <= 20 ? value : `${value.slice(0, 8)}…${value.slice(-8)}`;
  return (
    <span className="id">
      {href ? <a className="mono" href={href} title={value}>{text}</a> : <span className={`mono${whole ? " break" : ""}`} title={value}>{text}</span>}
      <Copy value={value} />
    </span>
  );
}

export function Copy({ value }: { value: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (): void => {
    navigator.clipboard?.writeText(value).then(() => setCopied(true), () => undefined);
  };
  return (
    <button type="button" className="icon-button" onClick={copy} aria-label={copied ? "Copied" : "Copy"} title={copied ? "Copied" : "Copy"}>
      <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
        {copied ? <path d="m3 8.5 3.2 3L13 4.5" /> : <path d="M5.5 5.5V3.2c0-.7.5-1.2 1.2-1.2h6.1c.7 0 1.2.5 1.2 1.2v6.1c0 .7-.5 1.2-1.2 1.2h-2.3M3.2 5.5h6.1c.7 0 1.2.5 1.2 1.2v6.1c0 .7-.5 1.2-1.2 1.2H3.2c-.7 0-1.2-.5-1.2-1.2V6.7c0-.7.5-1.2 1.2-1.2z" />}
      </svg>
    </button>
  );
}

/** A short message that comes and goes, read out to those who cannot see it. */
export function Toast({ message, onDone }: { message: string | undefined; onDone: () => void }) {
  useEffect(() => {
    if (message === undefined) return;
    const timer = setTimeout(onDone, 3500);
    return () => clearTimeout(timer);
  }, [message, onDone]);
  return <div role="status" aria-live="polite">{message === undefined ? null : <div className="toast">{message}</div>}</div>;
}
