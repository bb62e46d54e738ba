/** Makes elements of the page. */

/** Return an element with properties, attributes (names with a dash, and role) and children (elements or texts). */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Return a button that calls `action`. */
export function button(text, action, properties = {}) {
  const made = element("button", { type: "button", textContent: text, ...properties });
  made.addEventListener("click", action);
  return made;
}

/** Return a button that opens the file dialogue; `action` gets the file. */
export function fileButton(text, accept, action) {
  const input = element("input", { type: "file", accept, hidden: true, "aria-label": text });
  input.addEventListener("change", () => {
    if (input.files.length) action(input.files[0]);
    input.value = "";
  });
  const opener = button(text, () => input.click());
  opener.append(input);
  return opener;
}

/** Let files be dropped anywhere on the page. */
export function onDrop(action) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) action(file);
  });
}

/** Say in one line what went wrong; an empty text removes it. */
export function complain(text) {
  const place = document.getElementById("problem");
  place.textContent = text;
  place.hidden = !text;
}

/** Call an action and say what it throws. */
export async function guarded(action) {
  complain("");
  try {
    await action();
  } catch (error) {
    complain(error.message);
  }
}

/** Offer a text or blob as a file. */
export function save(content, name) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: "text/csv" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
