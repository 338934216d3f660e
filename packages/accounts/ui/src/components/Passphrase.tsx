import { useState } from "react";
import { Button, Field } from "@polis/client/ui";

export const passphraseMin = 10;

export interface NewPassphraseProps {
  value: string;
  repeated: string;
  onChange: (value: string, repeated: string) => void;
}

/** A new passphrase, typed twice or suggested. */
export function NewPassphrase({ value, repeated, onChange }: NewPassphraseProps) {
  const [shown, setShown] = useState(false);
  const tooShort = value !== "" && [...value].length < passphraseMin;
  const differs = repeated !== "" && repeated !== value;
  const type = shown ? "text" : "password";
  return (
    <>
      <Field
        label="Passphrase"
        type={type}
        autoComplete="new-password"
        value={value}
        required
        onChange={(event) => onChange(event.target.value, repeated)}
        error={tooShort ? `At least ${passphraseMin} characters.` : undefined}
        hint="Opens your recovery file if you lose this device. Nobody can reset it."
      />
      <Field
        label="Passphrase again"
        type={type}
        autoComplete="new-password"
        value={repeated}
        required
        onChange={(event) => onChange(value, event.target.value)}
        error={differs ? "The two differ." : undefined}
      />
      <div className="row">
        <Button small kind="quiet" onClick={() => setShown(!shown)} aria-pressed={shown}>{shown ? "Hide" : "Show"}</Button>
        <Button
          small
          kind="quiet"
          onClick={() => {
            const words = suggest();
            setShown(true);
            onChange(words, words);
          }}
        >
          Suggest one
        </Button>
      </div>
    </>
  );
}

/** Sixteen letters of 30 that are hard to mistake: 78 bits. */
function suggest(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz2346789";
  let text = "";
  while (text.length < 16) {
    const byte = crypto.getRandomValues(new Uint8Array(1))[0]!;
    // Bytes above the last whole multiple would favour the first letters.
    if (byte < 240) text += letters[byte % letters.length];
  }
  return text.replace(/(.{4})(?=.)/g, "$1-");
}
