// The whole front-end of the example: no build step, only the library that every node serves.
import { getJson, getSupervisor } from "/common/common-lib.js";

const supervisor = getSupervisor();
const [who, form, text, problem, list] = ["who", "form", "text", "problem", "greetings"].map((id) => document.getElementById(id));

async function show() {
  const { greetings } = await getJson("/api/greetings");
  list.replaceChildren(
    ...greetings.map(({ account, text: greeting }) => {
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = account;
      item.append(name, ` ${greeting}`);
      return item;
    }),
  );
  if (greetings.length === 0) list.textContent = "None yet.";
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
    // No prompt: this page acts on its own service, for the account that the person chose here.
    await supervisor.act("greet", { text: text.value });
    form.reset();
    await show();
  });
};

void attempt(show);
void attempt(identify);
setInterval(() => {
  if (!document.hidden) show().catch(() => undefined);
}, 1000);
