"use strict";
// Images as points: colour for the class, shape for the subset, a ring for a suspicious label, a line between copies.

defectkit.map = (told) => {
  const { data } = defectkit;
  const { columns } = data;
  const SUSPICIOUS = 0.5;
  const MARGIN = 18;
  const byId = (id) => document.getElementById(id);
  const canvas = byId("map");
  const card = byId("card");
  const pen = canvas.getContext("2d");
  const SHAPES = { train: "disc", val: "square", test: "triangle" };
  const ORDER = ["train", "val", "test"];
  const rankOf = (subset) => (ORDER.includes(data.subsets[subset]) ? ORDER.indexOf(data.subsets[subset]) : ORDER.length);
  const shapeOf = (subset) => SHAPES[data.subsets[subset]] || "diamond";
  const placed = columns.key.map((_, i) => i).filter((i) => told.places[i] !== null);
  const copies = new Set(told.alike.flat());
  const off = { class: new Set(), subset: new Set() };
  const only = { suspect: false, copies: false };
  let [width, height, chosen] = [0, 0, -1];

  const classOf = (i) => columns.classes[i][0] ?? -1;
  const suspicious = (i) => columns.suspect[i] !== null && columns.suspect[i] >= SUSPICIOUS;
  const shows = (i) => !off.class.has(classOf(i)) && !off.subset.has(columns.subset[i]) && (!only.suspect || suspicious(i)) && (!only.copies || copies.has(i));
  const at = (i) => [MARGIN + told.places[i][0] * (width - 2 * MARGIN), height - MARGIN - told.places[i][1] * (height - 2 * MARGIN)];
  const address = (i) => `index.html#${new URLSearchParams({ open: columns.key[i] })}`;
  const named = (i) => columns.classes[i].map((number) => data.classes[number]).join(", ") || "no class";

  /** The outline of a point. */
  function trace(on, shape, x, y, r) {
    on.beginPath();
    if (shape === "disc") on.arc(x, y, r, 0, 2 * Math.PI);
    else if (shape === "square") on.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
    else {
      const corners = shape === "triangle" ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
      corners.forEach(([a, b], n) => on[n ? "lineTo" : "moveTo"](x + a * r, y + b * r));
      on.closePath();
    }
  }

  function render() {
    const style = getComputedStyle(document.documentElement);
    const [ink, warn, accent] = ["--ink", "--warn", "--accent"].map((name) => style.getPropertyValue(name));
    const shown = placed.filter(shows);
    const visible = new Set(shown);
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = warn;
    pen.setLineDash([5, 4]);
    pen.lineWidth = 1.5;
    for (const set of told.alike) {
      const there = set.filter((i) => visible.has(i));
      there.slice(1).forEach((i, n) => { pen.beginPath(); pen.moveTo(...at(there[n])); pen.lineTo(...at(i)); pen.stroke(); });
    }
    pen.setLineDash([]);
    const r = shown.length > 2000 ? 3 : shown.length > 500 ? 4 : 5.5;
    for (const i of shown) {
      const [x, y] = at(i);
      trace(pen, shapeOf(columns.subset[i]), x, y, r);
      pen.fillStyle = marks.colourOf(classOf(i));
      pen.fill();
      pen.lineWidth = 0.75;
      pen.strokeStyle = ink;
      pen.stroke();
      if (suspicious(i)) ring(x, y, r + 4, warn, 2);
    }
    if (chosen >= 0) ring(...at(chosen), r + 7, accent, 3);
    const doubtful = shown.filter(suspicious).length;
    byId("counts").textContent = `${counted(shown.length, "image")} of ${placed.length.toLocaleString("en")}${data.suspicious ? `, ${doubtful} with a suspicious label` : ""}`;
  }

  function ring(x, y, r, colour, line) {
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.lineWidth = line;
    pen.strokeStyle = colour;
    pen.stroke();
  }

  function resize() {
    const box = canvas.getBoundingClientRect();
    [width, height] = [box.width, box.height];
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    render();
    document.body.dataset.ready = "true";
  }

  function picture(i) {
    return columns.image[i] ? [make("img", { src: defectkit.thumbnail(i), alt: "" })] : [];
  }

  /** Say which image is meant, beside its point. */
  function choose(i) {
    if (i === chosen) return;
    chosen = i;
    card.hidden = i < 0;
    if (i >= 0) {
      const subset = data.subsets[columns.subset[i]] || "no subset";
      const doubt = suspicious(i) ? `, suspect ${columns.suspect[i].toFixed(2)}` : "";
      card.replaceChildren(...picture(i), make("strong", {}, `${named(i)}, ${subset}${doubt}`), columns.key[i]);
      const [x, y] = at(i);
      card.style.left = `${Math.max(0, x > width - 220 ? x - 206 : x + 16)}px`;
      card.style.top = `${Math.max(0, Math.min(y - 20, height - 250))}px`;
      byId("told").textContent = `${columns.key[i]}, ${named(i)}, ${subset}${doubt}`;
    }
    render();
  }

  /** The image that lies nearest to a place, of those that `passes`, no farther than so many pixels. */
  function nearest(x, y, most, passes = () => true, weigh = (dx, dy) => dx * dx + dy * dy) {
    let [best, least] = [-1, most * most];
    for (const i of placed) {
      if (!shows(i)) continue;
      const [a, b] = at(i);
      const far = weigh(a - x, b - y);
      if (far < least && passes(a - x, b - y)) [best, least] = [i, far];
    }
    return best;
  }

  function onKey(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" && chosen >= 0) location.href = address(chosen);
    else if (event.key === "Escape") choose(-1);
    else if (way) {
      const [x, y] = chosen >= 0 ? at(chosen) : [width / 2, height / 2];
      const ahead = (dx, dy) => dx * way[0] + dy * way[1] > 0.5;
      // What lies aside counts more than what lies ahead.
      const next = chosen < 0 ? nearest(x, y, Infinity) : nearest(x, y, Infinity, ahead, (dx, dy) => (dx * way[0] + dy * way[1]) ** 2 + 4 * (dx * way[1] + dy * way[0]) ** 2);
      if (next >= 0) choose(next);
    } else return;
    event.preventDefault();
  }

  function sign(subset) {
    const icon = make("canvas", { className: "sign", width: 28, height: 28 });
    const on = icon.getContext("2d");
    trace(on, shapeOf(subset), 14, 15, 9);
    on.fillStyle = "#808488";
    on.fill();
    return icon;
  }

  function option(name, icon, amount, input) {
    return make("label", { className: "option" }, input, ...(icon ? [icon] : []), make("span", { className: "option-name" }, name), make("span", { className: "amount" }, amount.toLocaleString("en")));
  }

  function box(checked, change) {
    const input = make("input", { type: "checkbox" });
    input.checked = checked;
    input.addEventListener("change", () => { change(input.checked); choose(-1); render(); });
    return input;
  }

  function facet(title, name, of, label, icon, order = (number) => number) {
    const numbers = [...new Set(placed.map(of))].sort((a, b) => order(a) - order(b));
    const rows = numbers.map((number) => option(label(number), icon(number), placed.filter((i) => of(i) === number).length, box(true, (on) => off[name][on ? "delete" : "add"](number))));
    return make("fieldset", {}, make("legend", {}, title), make("div", { className: "options" }, ...rows));
  }

  function build() {
    const suspects = placed.filter(suspicious).length;
    const checks = [];
    if (suspects) checks.push(option("Suspicious labels alone (ringed)", null, suspects, box(false, (on) => { only.suspect = on; })));
    if (copies.size) checks.push(option("Copies alone (dashed lines)", null, copies.size, box(false, (on) => { only.copies = on; })));
    byId("filters").append(
      facet("Class", "class", classOf, (number) => data.classes[number] ?? "no class", (number) => marks.swatch(number)),
      facet("Subset", "subset", (i) => columns.subset[i], (number) => data.subsets[number] || "none", sign, rankOf),
      ...(checks.length ? [make("fieldset", {}, make("legend", {}, "Check"), ...checks)] : []),
    );
    byId("copies").hidden = !told.alike.length;
    byId("sets").append(...told.alike.map((set) => make("ul", { className: "alike", role: "list" }, ...set.map((i) => make("li", {}, make("a", { href: address(i) }, ...picture(i), make("strong", {}, `${named(i)}, ${data.subsets[columns.subset[i]] || "no subset"}`), make("br"), columns.key[i]))))));
  }

  build();
  canvas.addEventListener("mousemove", (event) => choose(nearest(event.offsetX, event.offsetY, 16)));
  canvas.addEventListener("mouseleave", () => choose(-1));
  canvas.addEventListener("click", (event) => {
    const i = nearest(event.offsetX, event.offsetY, 16);
    if (i >= 0) location.href = address(i);
  });
  canvas.addEventListener("keydown", onKey);
  new ResizeObserver(resize).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
};
