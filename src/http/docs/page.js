// Shows /api/openapi.json. Everything is put in as text, never as markup.
"use strict";

const make = (name, text, of) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (of) node.className = of;
  return node;
};

// A schema with what it refers to, as deep as is of use.
const follow = (schema, document_, depth) => {
  if (Array.isArray(schema)) return schema.map((one) => follow(one, document_, depth));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    const target = document_.components.schemas[name];
    return depth > 0 && target ? follow(target, document_, depth - 1) : `→ ${name}`;
  }
  const entries = Object.entries(schema).map(([key, one]) => [key, follow(one, document_, depth)]);
  return Object.fromEntries(entries);
};

const shown = (content, document_) => {
  const box = make("div");
  for (const [kind, one] of Object.entries(content || {})) {
    const { "x-line": line, ...schema } = one.schema;
    box.append(make("p", kind));
    box.append(make("pre", JSON.stringify(follow(schema, document_, 3), null, 2)));
    if (line) {
      box.append(make("p", "each line, or the data of each event:"));
      box.append(make("pre", JSON.stringify(follow(line, document_, 3), null, 2)));
    }
  }
  return box;
};

const parameters = (list) => {
  const table = make("table");
  const head = make("tr");
  for (const title of ["name", "in", "form", "meaning"]) head.append(make("th", title));
  table.append(head);
  for (const one of list) {
    const row = make("tr");
    const { description, ...schema } = one.schema;
    row.append(make("td", one.name + (one.required ? " *" : "")), make("td", one.in));
    row.append(make("td", JSON.stringify(schema)), make("td", one.description || description || ""));
    table.append(row);
  }
  return table;
};

const operation = (path, method, one, document_) => {
  const box = make("details");
  box.id = one.operationId;
  box.dataset.words = `${method} ${path} ${one.summary} ${one.operationId}`.toLowerCase();
  const head = make("summary");
  head.append(make("span", method.toUpperCase(), "method"), make("code", path));
  head.append(make("span", ` ${one.summary}`));
  box.append(head);
  // What is inside is made when it is looked at.
  box.addEventListener("toggle", () => {
    if (box.childElementCount > 1) return;
    const scheme = Object.keys((one.security && one.security[0]) || {})[0];
    const needs = one["x-scope"] ? `a key with scope ${one["x-scope"]}` : scheme;
    box.append(make("p", `Needs: ${needs || "nothing"}`));
    if (one.parameters.length > 0) box.append(make("h4", "Parameters"), parameters(one.parameters));
    if (one.requestBody) {
      box.append(make("h4", "Body"), shown(one.requestBody.content, document_));
    }
    for (const [status, answer] of Object.entries(one.responses)) {
      if (status === "default") continue;
      box.append(make("h4", `Answer ${status}`), shown(answer.content, document_));
    }
  }, { once: false });
  return box;
};

const show = (document_) => {
  const main = document.getElementById("operations");
  const groups = document.getElementById("groups");
  const by = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags[0];
      if (!by.has(tag)) by.set(tag, []);
      by.get(tag).push(operation(path, method, one, document_));
    }
  }
  main.replaceChildren();
  for (const [tag, boxes] of by) {
    const title = make("h2", tag);
    title.id = tag;
    const link = make("a", tag);
    link.href = `#${tag}`;
    groups.append(link);
    main.append(title, ...boxes);
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const word = event.target.value.toLowerCase();
    for (const box of main.querySelectorAll("details")) {
      box.hidden = !box.dataset.words.includes(word);
    }
    // A heading stands for as long as something stands under it.
    for (const [tag, boxes] of by) {
      document.getElementById(tag).hidden = boxes.every((box) => box.hidden);
    }
  });
  // An address may name an operation: /api/docs#read_spec.
  const reveal = () => {
    const box = document.getElementById(window.location.hash.slice(1));
    if (!box) return;
    if (box.tagName === "DETAILS") box.open = true;
    box.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();
};

fetch("/api/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = `It cannot be shown: ${error}`;
  });
