// The page of `skysense serve`: no library but that of the map, and nothing from elsewhere.

import { WebMap } from "./map.js";

const main = document.getElementById("main");
const notice = document.getElementById("notice");
// What the view that is shown has to end before the next one begins.
let leave = [];

/** An element with attributes (functions listen) and children; text stays text. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function token() {
  return sessionStorage.getItem("token");
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers ?? {}) };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (options.body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) {
    login();
    throw new Error("the service asks for its token");
  }
  const value = await response.json().catch(() => ({}));
  if (!response.ok) {
    const faults = (value.faults ?? []).map((fault) => [fault.message, fault.expected].filter(Boolean).join(": "));
    throw new Error([value.title ?? response.statusText, ...faults].join("; "));
  }
  return value;
}

const post = (path, body = {}) => ask(path, { method: "POST", body: JSON.stringify(body) });

function tell(error) {
  notice.textContent = error ? String(error.message ?? error) : "";
}

function show(title, ...children) {
  document.title = `${title} – skysense`;
  main.replaceChildren(el("h2", {}, title), ...children.flat());
}

function login() {
  leave.forEach((end) => end());
  leave = [];
  const field = el("input", { type: "password", required: true, autocomplete: "off", id: "token" });
  const enter = (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", field.value);
    // Pictures and followed runs send no header: they are let in by a cookie that no other site makes a browser send.
    document.cookie = `skysense_token=${encodeURIComponent(field.value)}; path=/; SameSite=Strict`;
    tell();
    route();
  };
  show("Token", el("form", { submit: enter }, el("label", {}, el("span", {}, "Token of this service"), field), el("button", {}, "Enter")));
}

const time = (text) => (text ? new Date(text).toLocaleString() : "–");
const state = (word) => el("span", { class: `state ${word}` }, word);
const runLink = (run) => el("a", { href: `#runs/${run.id}` }, run.id.slice(0, 8));

// ---- Workflows

async function workflows() {
  const { workflows, faults } = await ask("/api/v1/workflows");
  const card = (workflow) =>
    el("li", {},
      el("h3", {}, el("a", { href: `#workflows/${workflow.name}` }, workflow.title || workflow.name)),
      workflow.doc ? el("p", {}, workflow.doc) : null,
      el("p", { class: "soft" }, `${workflow.nodes} nodes, ${workflow.triggers} triggers${workflow.paused ? ", paused" : ""}`));
  const fault = (fault) => el("li", {}, `${fault.file ?? ""}:${fault.line ?? ""} ${fault.message}`);
  show("Workflows",
    workflows.length ? el("ul", { class: "cards" }, workflows.map(card)) : el("p", {}, "The folder holds no workflow that is right."),
    faults.length ? [el("h3", {}, "Mistakes"), el("ul", { class: "bad" }, faults.map(fault))] : []);
}

async function workflow(name) {
  const flow = await ask(`/api/v1/workflows/${encodeURIComponent(name)}`);
  const fields = new Map();
  const input = (param) => {
    const given = { id: `p-${param.name}`, placeholder: param.default == null ? "needed" : String(param.default), required: param.default == null };
    let field;
    if (param.type === "enum") field = el("select", given, el("option", { value: "" }, `default`), param.values.map((value) => el("option", {}, value)));
    else if (param.type === "boolean") field = el("select", given, ["", "true", "false"].map((value) => el("option", { value }, value || "default")));
    else if (param.type === "number" || param.type === "integer")
      field = el("input", { ...given, type: "number", step: param.type === "integer" ? 1 : "any", min: param.min, max: param.max });
    else field = el("input", given);
    fields.set(param, field);
    const place = ["uri", "path", "model"].includes(param.type);
    return el("label", {}, el("span", {}, `${param.name} (${place ? "an address of http, https or s3" : param.type})${param.doc ? `: ${param.doc}` : ""}`), field);
  };
  const value = (param, text) => {
    if (param.type === "number" || param.type === "integer") return Number(text);
    if (param.type === "boolean") return text === "true";
    if (param.type === "bbox") return text.split(",").map(Number);
    return text;
  };
  const submit = async (event) => {
    event.preventDefault();
    const params = {};
    for (const [param, field] of fields) if (field.value !== "") params[param.name] = value(param, field.value);
    try {
      const run = await post(`/api/v1/workflows/${encodeURIComponent(name)}/runs`, { params });
      location.hash = `#runs/${run.id}`;
    } catch (error) {
      tell(error);
    }
  };
  const pause = async () => {
    await post(`/api/v1/workflows/${encodeURIComponent(name)}/${flow.paused ? "unpause" : "pause"}`).catch(tell);
    route();
  };
  const trigger = (one) =>
    el("tr", {}, el("td", {}, one.name), el("td", {}, one.uses), el("td", {}, one.state.looked_at ? time(new Date(one.state.looked_at)) : "–"),
      el("td", {}, one.state.error ? el("span", { class: "failed" }, one.state.error) : "–"));
  show(flow.title || name,
    flow.doc ? el("p", {}, flow.doc) : null,
    graph(flow.nodes).picture,
    el("h3", {}, "Run"),
    el("form", { submit }, flow.params.map(input), el("button", {}, "Run")),
    el("h3", {}, "Triggers"),
    flow.triggers.length
      ? el("div", { class: "wide" }, el("table", {}, el("tr", {}, ["Name", "Type", "Looked", "Trouble"].map((head) => el("th", { scope: "col" }, head))), flow.triggers.map(trigger)))
      : el("p", {}, "None: it runs when somebody asks for it."),
    el("p", {}, el("button", { click: pause }, flow.paused ? "Let runs begin" : "Pause")),
    el("p", {}, el("a", { href: `#runs?workflow=${encodeURIComponent(name)}` }, "Its runs")));
}

// ---- The graph of a workflow: columns by depth, edges as curves

function graph(nodes) {
  const depth = new Map();
  for (const node of nodes) depth.set(node.name, Math.max(-1, ...node.inputs.map((edge) => depth.get(edge.from) ?? -1)) + 1);
  const columns = [];
  for (const node of nodes) (columns[depth.get(node.name)] ??= []).push(node);
  const [width, height, across, down] = [150, 44, 190, 64];
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const place = new Map();
  columns.forEach((column, x) => column.forEach((node, y) => place.set(node.name, [x * across + 8, (y + (rows - column.length) / 2) * down + 8])));
  const picture = svg("svg", { class: "graph", role: "img", width: columns.length * across, height: rows * down + 8, viewBox: `0 0 ${columns.length * across} ${rows * down + 8}`, "aria-label": `Graph of ${nodes.length} nodes` });
  for (const node of nodes) {
    const [x, y] = place.get(node.name);
    for (const edge of node.inputs) {
      const [fx, fy] = place.get(edge.from);
      const [from, mid] = [fx + width, (fx + width + x) / 2];
      picture.append(svg("path", { d: `M${from} ${fy + height / 2} C${mid} ${fy + height / 2} ${mid} ${y + height / 2} ${x} ${y + height / 2}` }));
    }
  }
  const boxes = new Map();
  for (const node of nodes) {
    const [x, y] = place.get(node.name);
    const bar = svg("rect", { class: "bar", x, y, width: 0, height, rx: 6 });
    const note = svg("text", { class: "soft", x: x + 8, y: y + 35 });
    note.textContent = node.uses;
    const name = svg("text", { x: x + 8, y: y + 18 });
    name.textContent = node.name;
    const group = svg("g", {}, svg("rect", { class: "box", x, y, width, height, rx: 6 }), bar, name, note);
    picture.append(group);
    boxes.set(node.name, { group, bar, note });
  }
  const update = (event) => {
    const box = boxes.get(event.node);
    if (!box) return;
    const mark = (word) => box.group.setAttribute("class", word);
    if (event.event === "node-planning") { mark("busy"); box.note.textContent = "planning"; }
    if (event.event === "node-started") { mark("busy"); box.note.textContent = "running"; }
    if (event.event === "progress" && event.total) {
      box.bar.setAttribute("width", String(width * Math.min(1, event.done / event.total)));
      box.note.textContent = `${event.done} of ${event.total} ${event.unit}`;
    }
    if (event.event === "node-finished") {
      mark(event.outcome === "failed" ? "failed" : event.outcome === "stopped" ? "" : "done");
      if (event.outcome !== "failed") box.bar.setAttribute("width", event.outcome === "stopped" ? "0" : String(width));
      box.note.textContent = event.outcome === "failed" ? "failed" : `${event.outcome}, ${event.rows} rows`;
    }
  };
  return { picture, update };
}

// ---- Runs

async function runs(query) {
  const wanted = new URLSearchParams(query);
  const word = wanted.get("state") ?? "";
  const select = el("select", { id: "state", change: () => { wanted.set("state", select.value); if (!select.value) wanted.delete("state"); location.hash = `#runs?${wanted}`; } },
    ["", "queued", "running", "parked", "done", "partial", "dead", "cancelled"].map((one) => el("option", { value: one, selected: one === word }, one || "all")));
  const table = el("tbody");
  const fill = async () => {
    const { runs } = await ask(`/api/v1/runs?${wanted}`);
    table.replaceChildren(...runs.map((run) =>
      el("tr", {}, el("td", {}, runLink(run)), el("td", {}, el("a", { href: `#workflows/${run.workflow}` }, run.workflow)), el("td", {}, run.trigger ? run.key : "by hand"),
        el("td", {}, state(run.state)), el("td", {}, time(run.queued)), el("td", {}, time(run.ended)), el("td", {}, run.error?.message ?? ""))));
    if (!runs.length) table.append(el("tr", {}, el("td", { colspan: 7 }, "No runs.")));
  };
  await fill();
  const timer = setInterval(() => fill().catch(tell), 3000);
  leave.push(() => clearInterval(timer));
  show("Runs", el("div", { class: "tools" }, el("label", {}, el("span", {}, "State"), select)),
    el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, ["Run", "Workflow", "Group", "State", "Queued", "Ended", "Trouble"].map((head) => el("th", { scope: "col" }, head)))), table)));
}

async function run(id) {
  const first = await ask(`/api/v1/runs/${encodeURIComponent(id)}`);
  const flow = await ask(`/api/v1/workflows/${encodeURIComponent(first.workflow)}`).catch(() => ({ nodes: [] }));
  const { picture, update } = graph(flow.nodes);
  const log = el("pre", { tabindex: 0, "aria-label": "Log" });
  const facts = el("dl");
  const actions = el("div", { class: "tools" });
  const results = el("ul");
  const act = (word) => async () => { await post(`/api/v1/runs/${id}/${word}`).catch(tell); route(); };
  const fill = (run) => {
    const rows = [["State", state(run.state)], ["Workflow", el("a", { href: `#workflows/${run.workflow}` }, run.workflow)], ["Trigger", run.trigger ?? "by hand"], ["Group", run.trigger ? run.key : "–"],
      ["Queued", time(run.queued)], ["Started", time(run.started)], ["Ended", time(run.ended)], ["Failures", `${run.attempts}`], ["Trouble", run.error ? [run.error.message, ...(run.error.causes ?? []), run.error.hint].filter(Boolean).join("; ") : "–"]];
    facts.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    actions.replaceChildren(...[
      ["queued", "running", "parked"].includes(run.state) ? el("button", { click: act("cancel") }, "Cancel") : null,
      ["dead", "cancelled", "partial"].includes(run.state) ? el("button", { click: act("retry") }, "Run again") : null].filter(Boolean));
    results.replaceChildren(...(run.results ?? []).map((one) => el("li", {}, el("a", { href: `#map/${encodeURIComponent(one.collection)}/${encodeURIComponent(one.item)}` }, one.item))));
    if (!results.childElementCount) results.append(el("li", { class: "soft" }, "none yet"));
  };
  fill(first);
  show(`Run ${id.slice(0, 8)}`, actions, picture, facts, el("h3", {}, "Results"), results,
    first.events?.length ? [el("h3", {}, "Events"), el("ul", {}, first.events.map((event) => el("li", {}, event.subject)))] : [],
    el("h3", {}, "Log"), log);
  const lines = [];
  const source = new EventSource(`/api/v1/runs/${encodeURIComponent(id)}/events`);
  source.addEventListener("message", (message) => {
    let event;
    try { event = JSON.parse(message.data); } catch { event = { event: "text", message: message.data }; }
    update(event);
    if (event.event === "run-started") fill({ ...first, state: "running" });
    const text = event.message ?? event.error?.message;
    if (text && event.event !== "progress") {
      lines.push(`${event.node ?? event.event}: ${text}`);
      log.textContent = lines.slice(-500).join("\n");
      log.scrollTop = log.scrollHeight;
    }
  });
  source.addEventListener("end", async () => {
    source.close();
    fill(await ask(`/api/v1/runs/${encodeURIComponent(id)}`));
  });
  leave.push(() => source.close());
}

// ---- The map

async function map(parts) {
  const [wanted, item] = parts.map(decodeURIComponent);
  const { collections } = await ask("/stac/collections");
  if (!collections.length) return show("Map", el("p", {}, "Nothing was published yet."));
  const collection = collections.find((one) => one.id === wanted) ?? collections[0];
  const { features } = await ask("/stac/search", { method: "POST", body: JSON.stringify({ collections: [collection.id], limit: 500 }) });
  features.reverse();
  const rasters = (feature) => Object.entries(feature.assets).filter(([, asset]) => (asset.type ?? "").startsWith("image/tiff")).map(([key]) => key);
  const pick = el("select", { id: "collection", change: () => (location.hash = `#map/${encodeURIComponent(pick.value)}`) },
    collections.map((one) => el("option", { value: one.id, selected: one === collection }, one.title ?? one.id)));
  if (!features.length) return show("Map", pick, el("p", {}, "The collection is empty."));
  let at = Math.max(0, features.findIndex((feature) => feature.id === item));
  if (!item) at = features.length - 1;
  const slider = el("input", { type: "range", min: 0, max: features.length - 1, value: at, id: "time", input: () => change() });
  const asset = el("select", { id: "asset", change: () => draw() });
  const opacity = el("input", { type: "range", min: 0, max: 100, value: 100, id: "opacity", input: () => view.opacity(opacity.value / 100) });
  const other = el("select", { id: "other", change: () => draw() });
  const swipe = el("input", { type: "range", min: 0, max: 100, value: 50, id: "swipe", input: () => view.swipe(swipe.value / 100) });
  const when = el("output", { for: "time" });
  const legend = el("ul", { class: "legend", "aria-label": "Legend" });
  const details = el("dl");
  const view = new WebMap((share) => (swipe.value = Math.round(share * 100)));
  // What a run was given, by run: the scenes that a result is held against.
  const given = new Map();
  const inputsOf = (run) => {
    if (!given.has(run)) given.set(run, ask(`/api/v1/runs/${encodeURIComponent(run)}/inputs`).then(({ inputs }) => inputs, () => []));
    return given.get(run);
  };
  const day = (one) => (one.interval?.[0] ?? "").slice(0, 10);
  const tiles = (feature) => `/tiles/${encodeURIComponent(collection.id)}/${encodeURIComponent(feature.id)}/${encodeURIComponent(asset.value)}`;
  const change = async () => {
    const feature = features[slider.value];
    const kept = asset.value;
    asset.replaceChildren(...rasters(feature).map((key) => el("option", { selected: key === kept }, key)));
    const properties = feature.properties;
    when.textContent = properties.datetime ?? `${properties.start_datetime ?? ""} – ${properties.end_datetime ?? ""}`;
    slider.setAttribute("aria-valuetext", when.textContent);
    history.replaceState(null, "", `#map/${encodeURIComponent(collection.id)}/${encodeURIComponent(feature.id)}`);
    const inputs = await inputsOf(properties["skysense:run"]);
    if (features[slider.value] !== feature) return;
    const sources = (feature.links ?? []).filter((link) => link.rel === "derived_from").map((link) => link.title ?? link.href);
    const chain = inputs.length ? inputs.map((one) => `${one.subject}${day(one) ? `, ${day(one)}` : ""}`) : sources;
    const rows = [["Item", el("a", { href: feature.links.find((link) => link.rel === "self")?.href }, feature.id)],
      ["Run", el("a", { href: `#runs/${properties["skysense:run"]}` }, String(properties["skysense:run"]).slice(0, 8))],
      ["Workflow", el("a", { href: `#workflows/${properties["skysense:workflow_name"]}` }, properties["skysense:workflow_name"])],
      ["Made from", chain.length ? el("ul", {}, chain.map((text) => el("li", {}, text))) : "not told"]];
    for (const [key, value] of Object.entries(properties)) if (!key.startsWith("skysense:run") && typeof value !== "object") rows.push([key, String(value)]);
    details.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    // The choice stays as far as the next item has the like: its own input, or the same other result.
    const chosen = other.value;
    const shown = inputs.map((one, n) => [one, n]).filter(([one]) => one.tiles);
    other.replaceChildren(el("option", { value: "" }, "nothing"),
      el("optgroup", { label: "What it was made from" }, shown.map(([one, n]) => el("option", { value: `input ${n}` }, one.subject.split("/").pop()))),
      el("optgroup", { label: "Other results" }, features.map((one, n) => [one, n]).filter(([one]) => one !== feature).map(([one, n]) => el("option", { value: `result ${n}` }, one.id))));
    const options = [...other.options].map((option) => option.value);
    other.value = options.includes(chosen) ? chosen : chosen.startsWith("input") ? options.find((one) => one.startsWith("input")) ?? "" : "";
    await draw();
  };
  const draw = async () => {
    const feature = features[slider.value];
    view.outline(feature.bbox);
    if (!asset.value) { view.layers(null, null); legend.replaceChildren(el("li", {}, "This item has no raster.")); return; }
    const [kind, number] = other.value.split(" ");
    const inputs = await inputsOf(feature.properties["skysense:run"]);
    const against = kind === "input" ? inputs[number].tiles.replace(/^https?:\/\/[^/]+/, "")
      : kind === "result" ? `${tiles(features[number])}/{z}/{x}/{y}.png` : null;
    view.layers(`${tiles(feature)}/{z}/{x}/{y}.png`, against);
    swipe.disabled = against == null;
    const swatch = (colour) => svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { width: 10, height: 10, fill: colour }));
    try {
      const { legend: classes, range } = await ask(`${tiles(feature)}/tilejson.json`);
      const named = (classes ?? []).filter((one) => !one.nodata).map((one) => el("li", {}, swatch(`#${one.color_hint ?? "888888"}`), one.title ?? one.name ?? String(one.value)));
      const least = range?.[0] ?? "least", most = range?.[1] ?? "most";
      legend.replaceChildren(...(named.length ? named : [el("li", { class: "ramp" }, el("span", {}, String(least)), el("span", { class: "tones", "aria-hidden": "true" }), el("span", {}, String(most)))]));
    } catch (error) {
      tell(error);
    }
  };
  const label = (text, field) => el("label", {}, el("span", {}, text), field);
  show("Map",
    el("div", { class: "tools" }, label("Collection", pick), label("Asset", asset), label("Opacity", opacity), label("Compare with", other), label("Swipe", swipe)),
    el("div", { class: "tools" }, label("Time", slider), when), view.element, legend, el("h3", {}, "Item"), details);
  leave.push(() => view.end());
  view.fit(features[at].bbox);
  change();
}

// ---- Models and failures

async function models() {
  const { models } = await ask("/api/v1/models");
  show("Models", models.length
    ? el("ul", { class: "cards" }, models.map((model) => el("li", {}, el("h3", {}, model.name ?? model.path ?? "model"), el("dl", {}, Object.entries(model).filter(([, value]) => value != null && typeof value !== "object").flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, String(value))])))))
    : el("p", {}, "No model package lies in SKYSENSE_MODEL_PATH."));
}

async function dead() {
  const { runs, skipped } = await ask("/api/v1/dead");
  const again = (run) => async () => { await post(`/api/v1/runs/${run.id}/retry`).catch(tell); route(); };
  show("Failed",
    el("h3", {}, "Runs"),
    runs.length ? el("div", { class: "wide" }, el("table", {}, runs.map((run) => el("tr", {}, el("td", {}, runLink(run)), el("td", {}, run.workflow), el("td", {}, run.key), el("td", {}, run.error?.message ?? ""), el("td", {}, el("button", { click: again(run) }, "Run again")))))) : el("p", {}, "None."),
    el("h3", {}, "What triggers could not use"),
    skipped.length ? el("div", { class: "wide" }, el("table", {}, skipped.map((one) => el("tr", {}, el("td", {}, `${one.workflow}/${one.trigger}`), el("td", {}, one.subject), el("td", {}, one.reason))))) : el("p", {}, "Nothing."));
}

// ---- Which view

async function route() {
  leave.forEach((end) => end());
  leave = [];
  tell();
  const [path, query] = location.hash.slice(1).split("?");
  const [view, ...parts] = path.split("/");
  document.querySelectorAll("nav a").forEach((link) => {
    if (link.getAttribute("href") === `#${view || "workflows"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  const views = {
    workflows: () => (parts.length ? workflow(decodeURIComponent(parts[0])) : workflows()),
    runs: () => (parts.length ? run(decodeURIComponent(parts[0])) : runs(query)),
    map: () => map(parts), models, dead,
  };
  try {
    await (views[view || "workflows"] ?? workflows)();
  } catch (error) {
    tell(error);
  }
}

addEventListener("hashchange", () => { route(); main.focus(); });
route();
