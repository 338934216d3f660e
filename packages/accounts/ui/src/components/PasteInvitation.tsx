import { useState, type FormEvent } from "react";
import { Button, Field } from "@polis/client/ui";

/** For those who got the invitation as text rather than as a link to open. */
export function PasteInvitation() {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const token = tokenOf(text.trim());
    if (token) window.location.assign(`/invite?token=${encodeURIComponent(token)}`);
    else setProblem("This is not an invitation link.");
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <Field label="Invitation link" value={text} error={problem} autoComplete="off" placeholder="https://accounts…/invite?token=…"
        onChange={(event) => {
          setText(event.target.value);
          setProblem(undefined);
        }} />
      <Button type="submit" disabled={text.trim() === ""}>Open invitation</Button>
    </form>
  );
}

/** The token of a link; only the token is used, so a link to elsewhere leads nowhere else. */
function tokenOf(text: string): string | null {
  try {
    return new URL(text).searchParams.get("token");
  } catch {
    return /^[A-Za-z0-9_=-]{20,40}$/.test(text) ? text : null;
  }
}
