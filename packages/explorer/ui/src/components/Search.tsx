import { useState, type FormEvent } from "react";
import { Button, Field } from "@polis/client/ui";
import { pageFor } from "../data/chain.js";

export function Search() {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const page = pageFor(text);
    if (page) window.location.assign(page);
    else setProblem("Enter a block number, a transaction's id or an account name.");
  };
  return (
    <form onSubmit={submit} role="search" className="search" noValidate>
      <Field label="Find" type="search" autoComplete="off" autoCapitalize="none" spellCheck={false} enterKeyHint="search"
        placeholder="Block number, transaction id or account" value={text} error={problem}
        onChange={(event) => {
          setText(event.target.value);
          setProblem(undefined);
        }} />
      <Button type="submit">Find</Button>
    </form>
  );
}
