// The whole front-end: no build step, only the library that every node serves.
import { getSupervisor } from "/common/common-lib.js";

const supervisor = getSupervisor();
const [who, form, text, problem, list] = ["who", "form", "text", "problem", "entries"].map((id) => document.getElementById(id));

async function query(body) {
  const reply = await fetch("/graphql", { method: "POST", headers: { "Content-Type": "application/graphql" }, body });
  const { data, errors } = await reply.json();
  if (errors) throw new Error(errors.message);
  return data;
}

async function show() {
  const { entries } = await query("{ entries(last: 50) { edges { node { id author text } } } }");
  list.replaceChildren(
    ...entries.edges.reverse().map(({ node }) => {
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = node.author;
      item.append(name, ` ${node.text}`);
      return item;
    }),
  );
  if (entries.edges.length === 0) list.textContent = "None yet.";
}

async function identify() {
  const user = await supervisor.currentUser();
  form.hidden = user === null;
  if (user !== null) {
    who.textContent = `You are ${user}.`;
    return;
  }
  const button = document.createElement("button");
  button.textContent = "Choose account";
  button.onclick = () => attempt(() => supervisor.connect());
  who.replaceChildren(button);
}

async function attempt(work) {
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    if (error.name !== "RedirectError") problem.textContent = error.message;
  }
}

form.onsubmit = (event) => {
  event.preventDefault();
  void attempt(async () => {
    await supervisor.act("add", { text: text.value });
    form.reset();
    await show();
  });
};

void attempt(show);
void attempt(identify);
setInterval(() => {
  if (!document.hidden) show().catch(() => undefined);
}, 1000);
