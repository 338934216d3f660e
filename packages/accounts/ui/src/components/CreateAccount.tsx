import { useState, type FormEvent } from "react";
import type { AccountDraft } from "@polis/client/common";
import { Avatar, Button, Card, Field, Notice, Toggle, useTask } from "@polis/client/ui";
import { createAccount, createDraft } from "../data/device.js";
import { nameMax, nameMin, useName } from "../data/names.js";
import { NewPassphrase, passphraseMin } from "./Passphrase.js";

export interface CreateAccountProps {
  token: string;
  onCreated: (account: string) => void;
}

/** Name and passphrase, then the recovery file, then the account. */
export function CreateAccount({ token, onCreated }: CreateAccountProps) {
  const [draft, setDraft] = useState<AccountDraft>();
  return draft ? (
    <SaveRecovery draft={draft} token={token} onCreated={onCreated} onBack={() => setDraft(undefined)} />
  ) : (
    <ChooseName onDraft={setDraft} />
  );
}

function ChooseName({ onDraft }: { onDraft: (draft: AccountDraft) => void }) {
  const [name, setName] = useState("");
  const [passphrase, setPassphrase] = useState({ value: "", repeated: "" });
  const check = useName(name);
  const prepare = useTask(async () => onDraft(await createDraft(name, passphrase.value)));
  const ready = check.state === "free" && [...passphrase.value].length >= passphraseMin && passphrase.value === passphrase.repeated;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (ready) void prepare.run();
  };
  return (
    <Card>
      <form className="stack" style={{ gap: "1.2rem" }} onSubmit={submit} noValidate>
        <Field
          label="Account name"
          value={name}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
          maxLength={32}
          onChange={(event) => setName(event.target.value.toLowerCase().trim())}
          error={check.state === "bad" ? check.problem : undefined}
          hint={check.state === "free" ? "This name is free." : check.state === "checking" ? "Looking whether it is free…" : `${nameMin} to ${nameMax} characters: a–z, 0–9, hyphens. It stays with you.`}
        />
        <NewPassphrase {...passphrase} onChange={(value, repeated) => setPassphrase({ value, repeated })} />
        {prepare.error ? <Notice kind="bad">{prepare.error}</Notice> : null}
        <Button type="submit" kind="primary" wide disabled={!ready} busy={prepare.running}>Continue</Button>
      </form>
    </Card>
  );
}

interface SaveRecoveryProps {
  draft: AccountDraft;
  token: string;
  onCreated: (account: string) => void;
  onBack: () => void;
}

function SaveRecovery({ draft, token, onCreated, onBack }: SaveRecoveryProps) {
  const [downloaded, setDownloaded] = useState(false);
  const [kept, setKept] = useState(false);
  const create = useTask(async () => onCreated((await createAccount(draft.draftId, token)).account));
  return (
    <Card title="Keep your recovery file">
      <div className="stack" style={{ gap: "1.2rem" }}>
        <div className="row">
          <Avatar name={draft.account} />
          <strong>{draft.account}</strong>
        </div>
        <p>
          The key of this account is locked into this browser: no page can read it. The recovery file is its only copy,
          sealed with your passphrase. Put it where you will find it again, and where this device is not.
        </p>
        <Button
          kind={downloaded ? "plain" : "primary"}
          wide
          onClick={() => {
            save(draft.fileName, draft.recoveryFile);
            setDownloaded(true);
          }}
        >
          {downloaded ? "Download again" : "Download recovery file"}
        </Button>
        <Toggle checked={kept} disabled={!downloaded} onChange={setKept}>I have kept the file and know its passphrase.</Toggle>
        {create.error ? <Notice kind="bad">{create.error}</Notice> : null}
        <Button kind="primary" wide disabled={!kept} busy={create.running} onClick={() => void create.run()}>Create account</Button>
        {create.error ? <Button kind="quiet" wide onClick={onBack}>Start again</Button> : null}
      </div>
    </Card>
  );
}

function save(fileName: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
