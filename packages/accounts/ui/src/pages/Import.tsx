import { useState, type FormEvent } from "react";
import { Button, Card, Field, Notice, useTask } from "@polis/client/ui";
import { importAccount, openRequest } from "../data/device.js";

/** Brings an account to this device from its recovery file. */
export function Import() {
  const [file, setFile] = useState<File>();
  const [passphrase, setPassphrase] = useState("");
  const load = useTask(async () => {
    if (!file) return;
    await importAccount(await file.text(), passphrase);
    const request = openRequest.get();
    window.location.assign(request ? `/connect?request=${encodeURIComponent(request)}` : "/");
    await new Promise(() => undefined);
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void load.run();
  };
  return (
    <div className="narrow stack" style={{ gap: "1.5rem" }}>
      <div className="stack" style={{ gap: "0.5rem" }}>
        <h1>Bring an account here</h1>
        <p className="muted">The recovery file that you kept when the account was made, and its passphrase. Neither leaves this device.</p>
      </div>
      <Card>
        <form className="stack" style={{ gap: "1.2rem" }} onSubmit={submit} noValidate>
          <Field label="Recovery file" type="file" accept=".json,application/json" required onChange={(event) => setFile(event.target.files?.[0])} />
          <Field label="Passphrase" type="password" autoComplete="current-password" required value={passphrase} onChange={(event) => setPassphrase(event.target.value)} />
          {load.error ? <Notice kind="bad">{load.error}</Notice> : null}
          <Button type="submit" kind="primary" wide disabled={!file || passphrase === ""} busy={load.running}>Open</Button>
        </form>
      </Card>
    </div>
  );
}
